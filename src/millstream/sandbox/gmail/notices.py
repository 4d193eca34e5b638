"""What the Mail Delivery Subsystem writes: bounces, and the notice that a sending limit is reached.

Shapes from reference sections 1.3 and 6. A bounce is a multipart/report about a recipient; a limit notice is about
nobody but the sender: no report, no X-Failed-Recipients. Both come with an empty Return-Path and lie in the thread
of the message they are about.
"""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.headers import find
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.notice_texts import TEXTS
from millstream.sandbox.gmail.world import World

Act = Callable[[], object]

DAEMON: Final = "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
SUBJECT: Final = "Delivery Status Notification (Failure)"
NOTICE_LABELS: Final = frozenset({"INBOX", "UNREAD"})


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a message bounced: RFC 3463 status, the SMTP reply, and the key of the text for people."""

    status: str
    diagnostic: str
    text: str


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


def rejection(status: str | None) -> Verdict | None:
    """The verdict of a mailbox that was told to reject with a status; None takes the mail."""
    if status is None:
        return None
    if status == UNKNOWN_ADDRESS.status:
        return UNKNOWN_ADDRESS
    if status == "5.2.2":
        return Verdict(status, "smtp; 552 5.2.2 The email account that you tried to reach is over quota.", "inbox_full")
    return Verdict(status, f"smtp; 550 {status} Message rejected by the recipient's server.", "blocked")


@dataclass(frozen=True, slots=True)
class Failure:
    """One message that did not reach one recipient."""

    address: str
    verdict: Verdict
    head: bytes
    message_id: str
    original: Message | None


def deliver_bounce(world: World, account: Account, failure: Failure) -> Message:
    """Put a bounce into the sender's mailbox, into the thread of what bounced."""
    language = world.config.notice_language
    title, text = TEXTS[language][failure.verdict.text]
    text = text.format(address=failure.address)
    boundary, inner = f"000000000000{world.new_id()}", f"000000000000{world.new_id()}"
    head = _head(
        world,
        account,
        failure.message_id,
        f'multipart/report; boundary="{boundary}"; report-type=delivery-status',
        f"X-Failed-Recipients: {failure.address}\r\n",
    )
    sections = (
        f"--{boundary}",
        f'Content-Type: multipart/alternative; boundary="{inner}"',
        "",
        *_alternative(inner, title, text),
        f"--{boundary}",
        "Content-Type: message/delivery-status",
        "",
        *_status(world, account, failure),
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
    title, text = TEXTS[world.config.notice_language]["limit"]
    boundary = f"000000000000{world.new_id()}"
    message_id = find(original.head, "Message-ID") or ""
    head = _head(world, account, message_id, f'multipart/alternative; boundary="{boundary}"', "")
    sections = (*_alternative(boundary, title, text), "")
    return _store(world, account, head, sections, original, message_id)


def _head(world: World, account: Account, original_id: str, content_type: str, extra: str) -> str:
    date = world.clock.stamp()
    token = world.new_id()
    return (
        f"Delivered-To: {account.address}\r\n"
        f"Received: by 2001:db8:a05:6a20::1 with SMTP id s{token};\r\n        {date}\r\n"
        "Return-Path: <>\r\n"
        f"Content-Type: {content_type}\r\n"
        "MIME-Version: 1.0\r\n"
        f"From: {DAEMON}\r\n"
        f"To: {account.address}\r\n"
        "Auto-Submitted: auto-replied\r\n"
        f"Subject: {SUBJECT}\r\n"
        f"In-Reply-To: {original_id}\r\n"
        f"References: {original_id}\r\n"
        f"{extra}"
        f"Message-ID: <{token}.GMR@mx.google.com>\r\n"
        f"Date: {date}"
    )


def _alternative(boundary: str, title: str, text: str) -> tuple[str, ...]:
    return (
        f"--{boundary}",
        'Content-Type: text/plain; charset="UTF-8"',
        "Content-Transfer-Encoding: 8bit",
        "",
        f"** {title} **",
        "",
        text,
        "",
        f"--{boundary}",
        'Content-Type: text/html; charset="UTF-8"',
        "Content-Transfer-Encoding: 8bit",
        "",
        f"<html><body><h2>{escape(title)}</h2><p>{escape(text)}</p></body></html>",
        "",
        f"--{boundary}--",
    )


def _status(world: World, account: Account, failure: Failure) -> tuple[str, ...]:
    date = world.clock.stamp()
    return (
        "Reporting-MTA: dns; googlemail.com",
        f"Received-From-MTA: dns; {account.address}",
        f"Arrival-Date: {date}",
        f"X-Original-Message-ID: {failure.message_id}",
        "",
        f"Final-Recipient: rfc822; {failure.address}",
        "Action: failed",
        f"Status: {failure.verdict.status}",
        f"Diagnostic-Code: {failure.verdict.diagnostic}".replace("\n", "\r\n"),
        f"Last-Attempt-Date: {date}",
        "",
    )


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
