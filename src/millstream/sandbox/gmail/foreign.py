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

_NOT_FOUND: Final = (
    "The email address you entered couldn't be found. Please check the recipient's email address and try to resend the "
    "message."
)


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


@dataclass(frozen=True, slots=True)
class _Facts:
    """What the parts of one report agree on: who reports, its boundary, when, and what was said to the sender."""

    host: str
    boundary: str
    date: str
    said: str


def _message(*blocks: tuple[str, ...]) -> bytes:
    """Blocks of lines with a blank line between."""
    return ("\r\n\r\n".join("\r\n".join(block) for block in blocks) + "\r\n").encode()


def _postfix(world: World, rule: ForeignBounce, returned: Returned) -> bytes:
    host = f"mx.{returned.domain}"
    boundary, number = f"{world.new_id().upper()}.{world.new_id()[:10]}/{host}", world.new_id().upper()[:12]
    code = "552" if rule.status == "5.2.2" else "550"
    said = f"{code} {rule.status} <{returned.address}>: {_explanation(rule.status)}"
    facts = _Facts(host, boundary, world.clock.stamp(), said)
    return _message(
        _postfix_head(facts, returned, number, f"<{world.new_id()}.{number}@{host}>"),
        ("This is a MIME-encapsulated message.",),
        (f"--{boundary}", "Content-Description: Notification", "Content-Type: text/plain; charset=us-ascii"),
        *_postfix_words(facts, returned),
        (f"--{boundary}", "Content-Description: Delivery report", "Content-Type: message/delivery-status"),
        *_postfix_status(facts, rule, returned, number),
        (f"--{boundary}", "Content-Description: Undelivered Message Headers", "Content-Type: text/rfc822-headers"),
        (returned.head.decode("utf-8", "replace"),),
        (f"--{boundary}--",),
    )


def _postfix_head(facts: _Facts, returned: Returned, number: str, message_id: str) -> tuple[str, ...]:
    return (
        f"Received: by {facts.host} (Postfix)",
        f"\tid {number}; {facts.date}",
        f"Date: {facts.date}",
        f"From: MAILER-DAEMON@{facts.host} (Mail Delivery System)",
        "Subject: Undelivered Mail Returned to Sender",
        f"To: {returned.envelope_sender}",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{facts.boundary}"',
        f"Message-Id: {message_id}",
    )


def _postfix_words(facts: _Facts, returned: Returned) -> tuple[tuple[str, ...], ...]:
    return (
        (f"This is the mail system at host {facts.host}.",),
        (
            "I'm sorry to have to inform you that your message could not",
            "be delivered to one or more recipients. It's attached below.",
        ),
        ("                   The mail system",),
        (
            f"<{returned.address}>: host {facts.host}[192.0.2.25] said: {facts.said}",
            "    (in reply to RCPT TO command)",
        ),
    )


def _postfix_status(facts: _Facts, rule: ForeignBounce, returned: Returned, number: str) -> tuple[tuple[str, ...], ...]:
    return (
        (
            f"Reporting-MTA: dns; {facts.host}",
            f"X-Postfix-Queue-ID: {number}",
            f"X-Postfix-Sender: rfc822; {returned.envelope_sender}",
            f"Arrival-Date: {facts.date}",
        ),
        (
            f"Final-Recipient: rfc822; {returned.address}",
            f"Original-Recipient: rfc822;{returned.address}",
            "Action: failed",
            f"Status: {rule.status}",
            f"Remote-MTA: dns; {facts.host}",
            f"Diagnostic-Code: smtp; {facts.said}",
        ),
    )


def _exchange(world: World, rule: ForeignBounce, returned: Returned) -> bytes:
    host = f"EX01.{returned.domain}"
    boundary = f"_{world.new_id()}-{world.new_id()}_"
    resolved = "ADR.RecipNotFound; not found" if rule.status == "5.1.1" else f"RST; {_explanation(rule.status)}"
    facts = _Facts(host, boundary, world.clock.stamp(), f"550 {rule.status} RESOLVER.{resolved}")
    return _message(
        _exchange_head(facts, returned, f"<{world.new_id()}@{host}>"),
        (
            f"--{boundary}",
            f'Content-Type: multipart/alternative; differences=Content-Type; boundary="a{boundary}"',
        ),
        *_exchange_text(facts, returned.address),
        *_exchange_html(facts, returned.address),
        (f"--a{boundary}--",),
        (f"--{boundary}", "Content-Type: message/delivery-status"),
        *_exchange_status(facts, rule, returned.address),
        (f"--{boundary}", "Content-Type: text/rfc822-headers"),
        (returned.head.decode("utf-8", "replace"),),
        (f"--{boundary}--",),
    )


def _exchange_head(facts: _Facts, returned: Returned, message_id: str) -> tuple[str, ...]:
    host, original_id = facts.host, find(returned.head, "Message-ID") or ""
    return (
        f"Received: from {host} (2001:db8::25) by {host} (2001:db8::25) with Microsoft SMTP Server; {facts.date}",
        "MIME-Version: 1.0",
        f"From: <postmaster@{returned.domain}>",
        f"To: <{returned.envelope_sender}>",
        f"Date: {facts.date}",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{facts.boundary}"',
        "Content-Language: en-US",
        f"Message-ID: {message_id}",
        f"In-Reply-To: {original_id}",
        f"References: {original_id}",
        f"Subject: Undeliverable: {decode(find(returned.head, 'Subject') or '')}",
        "Auto-Submitted: auto-replied",
        "X-MS-Exchange-Message-Is-Ndr:",
    )


def _exchange_text(facts: _Facts, address: str) -> tuple[tuple[str, ...], ...]:
    return (
        (f"--a{facts.boundary}", 'Content-Type: text/plain; charset="us-ascii"'),
        ("Delivery has failed to these recipients or groups:",),
        (
            f"{address}<mailto:{address}>",
            _NOT_FOUND,
        ),
        ("Diagnostic information for administrators:",),
        (f"Generating server: {facts.host}",),
        (address, f"Remote Server returned '{facts.said}'"),
    )


def _exchange_html(facts: _Facts, address: str) -> tuple[tuple[str, ...], ...]:
    return (
        (f"--a{facts.boundary}", 'Content-Type: text/html; charset="us-ascii"'),
        (
            "<html><body><p><b>Delivery has failed to these recipients or groups:</b></p>",
            f'<p><a href="mailto:{address}">{address}</a></p>',
            f"<p>Remote Server returned '{facts.said}'</p></body></html>",
        ),
    )


def _exchange_status(facts: _Facts, rule: ForeignBounce, address: str) -> tuple[tuple[str, ...], ...]:
    return (
        (f"Reporting-MTA: dns;{facts.host}", f"Arrival-Date: {facts.date}"),
        (
            f"Final-Recipient: rfc822;{address}",
            "Action: failed",
            f"Status: {rule.status}",
            f"Diagnostic-Code: smtp;{facts.said}",
            f"Remote-MTA: dns;{facts.host}",
        ),
    )
