"""What the Mail Delivery Subsystem writes: bounces, notices of delay, and the notice that a sending limit is reached.

Shapes from reference sections 1.3 and 6. A bounce is a multipart/report about a recipient; a limit notice is about
nobody but the sender: no report, no X-Failed-Recipients. All come with an empty Return-Path and Google's own proof on
top, and lie in the thread of the message they are about.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from html import escape
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.headers import find
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.notice_texts import TEXTS
from millstream.sandbox.gmail.stamps import google_stamp
from millstream.sandbox.gmail.world import World

Act = Callable[[], object]

DAEMON: Final = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
DAEMON_DOMAIN: Final = "googlemail.com"
FAILURE: Final = "Delivery Status Notification (Failure)"
DELAY: Final = "Delivery Status Notification (Delay)"
NOTICE_LABELS: Final = frozenset({"INBOX", "UNREAD"})
ORIGINAL_TO: Final = "X-Gm-Original-To"
"""What a routing rule adds where it changes the envelope's recipient."""
HOUR: Final = 3_600

_HELP: Final = re.compile(r"https://support\.google\.com/\S+")
_REPLY_MARKS: Final = re.compile(r"^ *\d{3}[ -]", re.MULTILINE)
_ICON: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAIAAABLbSncAAAAKElEQVR42mO46WGNFTFAqP9IACEB4cBFISQDshAym5AEdqNwWo4V"
    "AQBdt34ZUTyAMAAAAABJRU5ErkJggg=="
)
"""A small picture where Gmail has one; its own is not copied."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a message bounced: RFC 3463 status, the SMTP reply, and the key of the text for people.

    A delay has the action "delayed" and says until when it is tried again (seconds since 1970).
    """

    status: str
    diagnostic: str
    text: str
    action: str = "failed"
    retry_until: float | None = None


UNKNOWN_ADDRESS: Final = Verdict(
    "5.1.1",
    "smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try\n"
    " 550-5.1.1 double-checking the recipient's email address for typos or\n"
    " 550-5.1.1 unnecessary spaces. For more information, go to\n"
    " 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser - gsmtp",
    "address_not_found",
)
TOO_LARGE: Final = Verdict(
    "5.2.3",
    "smtp; 552-5.2.3 Your message exceeded Google's message size limits. For more\n"
    " 552 5.2.3 information, visit https://support.google.com/mail/?p=MaxSizeError - gsmtp",
    "too_large",
)
_REJECTIONS: Final = {
    "5.1.1": UNKNOWN_ADDRESS,
    "5.1.10": Verdict("5.1.10", "smtp; 550 5.1.10 Recipient address has null MX", "address_not_found"),
    "5.2.1": Verdict(
        "5.2.1",
        "smtp; 550-5.2.1 The email account that you tried to reach is inactive. For more\n"
        " 550 5.2.1 information, go to https://support.google.com/mail/?p=DisabledUser - gsmtp",
        "address_not_found",
    ),
    "5.2.2": Verdict(
        "5.2.2",
        "smtp; 552-5.2.2 The recipient's inbox is out of storage space. Please direct the\n"
        " 552 5.2.2 recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp",
        "inbox_full",
    ),
    "5.2.3": TOO_LARGE,
    "5.3.4": replace(TOO_LARGE, status="5.3.4", diagnostic="smtp; 552 5.3.4 Message size exceeds fixed limit"),
}


def rejection(status: str | None) -> Verdict | None:
    """The verdict of a mailbox that was told to reject with a status; None takes the mail."""
    if status is None:
        return None
    return _REJECTIONS.get(status) or Verdict(
        status, f"smtp; 550 {status} Message rejected by the recipient's server.", "blocked"
    )


def delay(status: str, retry_until: float) -> Verdict:
    """A recipient's server that cannot be reached for now."""
    return Verdict(
        status,
        "smtp; The recipient server did not accept our requests to connect. For more information, go to "
        "https://support.google.com/mail/answer/7720",
        "delayed",
        "delayed",
        retry_until,
    )


def given_up(late: Verdict) -> Verdict:
    """The end of a delay: the status stays temporary and the action says that it is over, as Gmail writes it."""
    return replace(late, text="gave_up", action="failed", retry_until=None)


@dataclass(frozen=True, slots=True)
class Failure:
    """One message that did not reach one recipient, or not yet; `arrived` is when it was sent.

    `sender` is the envelope's, to whom it is told: with its plus tag, and maybe by a catch-all.
    """

    sender: str
    address: str
    verdict: Verdict
    head: bytes
    message_id: str
    original: Message | None
    arrived: float


def deliver_bounce(world: World, account: Account, failure: Failure) -> Message:
    """Put a bounce or a notice of delay into the sender's mailbox, into the thread of what it is about."""
    title, text = _texts(world, account)[failure.verdict.text]
    hours = 0
    if failure.verdict.retry_until is not None:
        hours = max(round((failure.verdict.retry_until - world.clock.seconds()) / HOUR), 0)
    text = text.format(address=failure.address, hours=hours)
    boundary = f"000000000000{world.new_id()}"
    head = _head(
        world,
        _Addressed.sender_of(account, failure.sender, world),
        failure.message_id,
        f'multipart/report; boundary="{boundary}"; report-type=delivery-status',
        DELAY if failure.verdict.action == "delayed" else FAILURE,
        f"X-Failed-Recipients: {failure.address}\r\n",
    )
    sections = (
        f"--{boundary}",
        *_pictured(world, title, text, _details(world, account, failure.verdict)),
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        *_status(world, failure),
        f"--{boundary}",
        "Content-Type: message/rfc822",
        "",
        failure.head.decode("utf-8", "replace"),
        "",
        "----- Message truncated -----",
        "",
        f"--{boundary}--",
        "",
    )
    return _store(world, account, head, sections, failure.original, failure.message_id)


def deliver_limit_notice(world: World, account: Account, original: Message) -> Message:
    """Put the notice that a sending limit is reached into the thread of a message that was not sent."""
    title, text = _texts(world, account)["limit"]
    boundary = f"000000000000{world.new_id()}"
    message_id = find(original.head, "Message-ID") or ""
    to = _Addressed(account.address, account.address)
    head = _head(world, to, message_id, f'multipart/alternative; boundary="{boundary}"', FAILURE, "")
    sections = (*_alternative(boundary, title, text, ""), "")
    return _store(world, account, head, sections, original, message_id)


def _texts(world: World, account: Account) -> dict[str, tuple[str, str]]:
    return TEXTS[account.condition.language or world.config.notice_language]


@dataclass(frozen=True, slots=True)
class _Addressed:
    """Whom a notice is for, and the address that it is delivered to; a catch-all makes them two."""

    address: str
    delivered: str

    @classmethod
    def sender_of(cls, account: Account, sender: str, world: World) -> "_Addressed":
        """A notice about what this envelope sender sent."""
        return cls(sender, sender if world.account(sender) is account else account.address)


def _head(world: World, to: _Addressed, original_id: str, content_type: str, subject: str, extra: str) -> str:
    date = world.clock.stamp()
    routed = f"{ORIGINAL_TO}: {to.address}\r\n" if to.address != to.delivered else ""
    return (
        google_stamp(world, recipient=to.delivered, header_from=DAEMON_DOMAIN) + routed + "MIME-Version: 1.0\r\n"
        f"Content-Type: {content_type}\r\n"
        f"To: {to.address}\r\n"
        "Auto-Submitted: auto-replied\r\n"
        f"From: {DAEMON}\r\n"
        f"Subject: {subject}\r\n"
        f"References: {original_id}\r\n"
        f"In-Reply-To: {original_id}\r\n"
        f"{extra}"
        f"Message-ID: <{world.new_id()}.GMR@mx.google.com>\r\n"
        f"Date: {date}"
    )


def _details(world: World, account: Account, verdict: Verdict) -> str:
    """What stands below the text: where to read more, and what the other server said."""
    said, more = _texts(world, account)["response"]
    reply = _REPLY_MARKS.sub("", verdict.diagnostic.removeprefix("smtp; ")).replace("\n", " ")
    link = _HELP.search(verdict.diagnostic)
    lines = [more.format(link=link[0]), ""] if link else []
    return "\r\n".join([*lines, said, "", " ".join(reply.split())])


def _pictured(world: World, title: str, text: str, details: str) -> tuple[str, ...]:
    """The text in two forms with the picture that its HTML shows (reference 6)."""
    related, inner = f"000000000000{world.new_id()}", f"000000000000{world.new_id()}"
    return (
        f'Content-Type: multipart/related; boundary="{related}"',
        "",
        f"--{related}",
        f'Content-Type: multipart/alternative; boundary="{inner}"',
        "",
        *_alternative(inner, title, text, details, picture=True),
        "",
        f"--{related}",
        'Content-Type: image/png; name="icon.png"',
        'Content-Disposition: attachment; filename="icon.png"',
        "Content-Transfer-Encoding: base64",
        "Content-ID: <icon.png>",
        "",
        _ICON,
        f"--{related}--",
        "",
    )


def _alternative(boundary: str, title: str, text: str, details: str, *, picture: bool = False) -> tuple[str, ...]:
    icon = '<img alt="" height="48" width="48" src="cid:icon.png">' if picture else ""
    below = "<br>".join(escape(line) for line in details.split("\r\n")) if details else ""
    return (
        f"--{boundary}",
        'Content-Type: text/plain; charset="UTF-8"',
        "Content-Transfer-Encoding: 8bit",
        "",
        f"** {title} **",
        "",
        text,
        "",
        *((details, "") if details else ()),
        f"--{boundary}",
        'Content-Type: text/html; charset="UTF-8"',
        "Content-Transfer-Encoding: 8bit",
        "",
        f"<html><body>{icon}<h2>{escape(title)}</h2><p>{escape(text)}</p><p>{below}</p></body></html>",
        "",
        f"--{boundary}--",
    )


def _status(world: World, failure: Failure) -> tuple[str, ...]:
    verdict = failure.verdict
    until: tuple[str, ...] = ()
    if verdict.retry_until is not None:
        until = (f"Will-Retry-Until: {_date(verdict.retry_until)}",)
    return (
        "Reporting-MTA: dns; googlemail.com",
        f"Arrival-Date: {_date(failure.arrived)}",
        f"X-Original-Message-ID: {failure.message_id}",
        "",
        f"Final-Recipient: rfc822; {failure.address}",
        f"Action: {verdict.action}",
        f"Status: {verdict.status}",
        (
            f"Remote-MTA: dns; mx.{failure.address.rpartition('@')[2]}. (192.0.2.25, the server for the domain"
            f" {failure.address.rpartition('@')[2]}.)"
        ),
        f"Diagnostic-Code: {verdict.diagnostic}".replace("\n", "\r\n"),
        f"Last-Attempt-Date: {world.clock.stamp()}",
        *until,
        "",
    )


def _date(moment: float) -> str:
    return format_datetime(datetime.fromtimestamp(int(moment), UTC))


def _store(
    world: World,
    account: Account,
    head: str,
    sections: tuple[str, ...],
    original: Message | None,
    original_id: str,
) -> Message:
    known = original or account.by_rfc822(original_id)
    return world.store(
        account,
        head.encode(),
        "\r\n".join(sections).encode(),
        labels=NOTICE_LABELS,
        thread_id=known.thread_id if known else None,
        received=True,
    )
