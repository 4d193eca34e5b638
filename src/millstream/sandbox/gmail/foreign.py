"""Reports of other mail servers (RFC 3464), in the shapes of Postfix and Exchange: mail from outside like any other."""

from dataclasses import dataclass
from typing import Final

from millstream.sandbox.gmail.conditions import ForeignBounce
from millstream.sandbox.gmail.headers import decode, find
from millstream.sandbox.gmail.world import World

_EXPLANATIONS: Final = {
    "5.1.1": "Recipient address rejected: User unknown in virtual mailbox table",
    "5.2.2": "Requested mail action aborted: exceeded storage allocation",
    "5.7.1": "Message rejected due to content restrictions",
}


@dataclass(frozen=True, slots=True)
class Returned:
    """What could not be delivered: for whom, from whom (the envelope's sender), and its header block."""

    address: str
    envelope_sender: str
    head: bytes

    @property
    def domain(self) -> str:
        """The domain of the server that reports."""
        return self.address.rpartition("@")[2]


def report(world: World, rule: ForeignBounce, returned: Returned) -> bytes:
    """The whole message that the recipient's server sends to the envelope sender."""
    return _exchange(world, rule, returned) if rule.shape == "exchange" else _postfix(world, rule, returned)


def _explanation(status: str) -> str:
    return _EXPLANATIONS.get(status, "Delivery not authorized, message refused")


def _message(lines: tuple[str, ...]) -> bytes:
    return "\r\n".join(lines).encode()


def _postfix(world: World, rule: ForeignBounce, returned: Returned) -> bytes:
    host = f"mx.{returned.domain}"
    boundary, number = f"{world.new_id().upper()}.{world.new_id()[:10]}/{host}", world.new_id().upper()[:12]
    code = "552" if rule.status == "5.2.2" else "550"
    said = f"{code} {rule.status} <{returned.address}>: {_explanation(rule.status)}"
    date = world.clock.stamp()
    return _message((
        f"Received: by {host} (Postfix)",
        f"\tid {number}; {date}",
        f"Date: {date}",
        f"From: MAILER-DAEMON@{host} (Mail Delivery System)",
        "Subject: Undelivered Mail Returned to Sender",
        f"To: {returned.envelope_sender}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        f"Message-Id: <{world.new_id()}.{number}@{host}>",
        "",
        "This is a MIME-encapsulated message.",
        "",
        f"--{boundary}",
        "Content-Description: Notification",
        "Content-Type: text/plain; charset=us-ascii",
        "",
        f"This is the mail system at host {host}.",
        "",
        "I'm sorry to have to inform you that your message could not",
        "be delivered to one or more recipients. It's attached below.",
        "",
        "                   The mail system",
        "",
        f"<{returned.address}>: host {host}[192.0.2.25] said: {said}",
        "    (in reply to RCPT TO command)",
        "",
        f"--{boundary}",
        "Content-Description: Delivery report",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns; {host}",
        f"X-Postfix-Queue-ID: {number}",
        f"X-Postfix-Sender: rfc822; {returned.envelope_sender}",
        f"Arrival-Date: {date}",
        "",
        f"Final-Recipient: rfc822; {returned.address}",
        f"Original-Recipient: rfc822;{returned.address}",
        "Action: failed",
        f"Status: {rule.status}",
        f"Remote-MTA: dns; {host}",
        f"Diagnostic-Code: smtp; {said}",
        "",
        f"--{boundary}",
        "Content-Description: Undelivered Message Headers",
        "Content-Type: text/rfc822-headers",
        "",
        returned.head.decode("utf-8", "replace"),
        "",
        f"--{boundary}--",
        "",
    ))  # fmt: skip


def _exchange(world: World, rule: ForeignBounce, returned: Returned) -> bytes:
    host = f"EX01.{returned.domain}"
    boundary = f"_{world.new_id()}-{world.new_id()}_"
    subject = decode(find(returned.head, "Subject") or "")
    original_id = find(returned.head, "Message-ID") or ""
    said = f"550 {rule.status} RESOLVER.ADR.RecipNotFound; not found" if rule.status == "5.1.1" else (
        f"550 {rule.status} RESOLVER.RST; {_explanation(rule.status)}"
    )  # fmt: skip
    date = world.clock.stamp()
    return _message((
        f"Received: from {host} (2001:db8::25) by {host} (2001:db8::25) with Microsoft SMTP Server; {date}",
        "MIME-Version: 1.0",
        f"From: <postmaster@{returned.domain}>",
        f"To: <{returned.envelope_sender}>",
        f"Date: {date}",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "Content-Language: en-US",
        f"Message-ID: <{world.new_id()}@{host}>",
        f"In-Reply-To: {original_id}",
        f"References: {original_id}",
        f"Subject: Undeliverable: {subject}",
        "Auto-Submitted: auto-replied",
        "X-MS-Exchange-Message-Is-Ndr:",
        "",
        f"--{boundary}",
        f'Content-Type: multipart/alternative; differences=Content-Type; boundary="a{boundary}"',
        "",
        f"--a{boundary}",
        'Content-Type: text/plain; charset="us-ascii"',
        "",
        "Delivery has failed to these recipients or groups:",
        "",
        f"{returned.address}<mailto:{returned.address}>",
        ("The email address you entered couldn't be found. Please check the recipient's email address and try to "
        "resend the message."),
        "",
        "Diagnostic information for administrators:",
        "",
        f"Generating server: {host}",
        "",
        returned.address,
        f"Remote Server returned '{said}'",
        "",
        f"--a{boundary}",
        'Content-Type: text/html; charset="us-ascii"',
        "",
        "<html><body><p><b>Delivery has failed to these recipients or groups:</b></p>",
        f'<p><a href="mailto:{returned.address}">{returned.address}</a></p>',
        f"<p>Remote Server returned '{said}'</p></body></html>",
        "",
        f"--a{boundary}--",
        "",
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        f"Reporting-MTA: dns;{host}",
        f"Arrival-Date: {date}",
        "",
        f"Final-Recipient: rfc822;{returned.address}",
        "Action: failed",
        f"Status: {rule.status}",
        f"Diagnostic-Code: smtp;{said}",
        f"Remote-MTA: dns;{host}",
        "",
        f"--{boundary}",
        "Content-Type: text/rfc822-headers",
        "",
        returned.head.decode("utf-8", "replace"),
        "",
        f"--{boundary}--",
        "",
    ))  # fmt: skip
