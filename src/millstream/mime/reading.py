"""One message, read: what it is, who sent it, whether that is proven, what it says and which delivery it is about.

Evidence is asked in this order: a mail server's report (bounce, delay, Gmail's limit notice), our own mark, signs of an
automatic answer, signs of mass mail; what is left was written by a person. Our own mark stands before the automatic
answers because our mail calls itself automatic. Only then is text decoded, and attachments never are.

Where the odd ones go: a read receipt (RFC 8098), a complaint (RFC 5965), a receipt of delivery and an attendee's answer
to an invitation are AUTO_REPLY: a program wrote them about one message, their words are nobody's answer, and their
clues are read. An invitation is a REPLY: a person wants something. A bounce that a person forwards, whether as text or
with all its parts, is a REPLY too: it does not come from a server.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from millstream.mime.attachments import Attached, list_attachments
from millstream.mime.automatic import answers_invitation, automatic, mass, own
from millstream.mime.charset import clean, one_line
from millstream.mime.clues import Clues, read_clues
from millstream.mime.daemon import (
    GMAIL_DAEMON,
    RETURNED,
    DaemonKind,
    DaemonReport,
    from_daemon,
    read_report,
    return_path,
)
from millstream.mime.people import domain_of, lower, mailboxes
from millstream.mime.reply import ReplyText, read_reply
from millstream.mime.status import Severity
from millstream.mime.structure import LONGEST_HEAD, Headers, Leaves, Part, leaves, read_headers
from millstream.mime.verdict import Verdict, is_handover, read_verdict

_LONGEST_SUBJECT: Final = 1000
_LONGEST_ID: Final = 998
_LONGEST_DATE: Final = 100
_LONGEST_EVIDENCE: Final = 100
_LONGEST_GROUP: Final = 64 * 1024
_KNOWN: Final = (
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Received",
    "Return-Path",
    "Delivered-To",
    "Content-Type",
)
_MACHINE_REPORTS: Final = ("message/disposition-notification", "message/feedback-report", "message/delivery-status")
_ENCRYPTED: Final = ("application/pgp-encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
_GROUPS = re.compile(rb"\r?\n\r?\n")


class MailKind(StrEnum):
    """What a message is to us."""

    BOUNCE = "bounce"
    LIMIT_NOTICE = "limit_notice"
    AUTO_REPLY = "auto_reply"
    OWN = "own"
    BULK = "bulk"
    REPLY = "reply"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A message, read. Texts are bounded and hold nothing that a database refuses.

    ``sender`` is the address of the one From mailbox in lower case, empty when there is not exactly one; ``message_id``
    keeps its angle brackets; ``date`` is aware, None when there is none. ``proven_daemon`` says that Gmail's own daemon
    wrote it; any other server's report the caller proves by our token in what it returns. ``reply`` is read of
    people's and automatic answers alone, ``attachments`` of those and of mass mail. ``evidence`` names what decided
    the kind, ``problem`` what is odd or why nothing could be read; both may be empty.
    """

    kind: MailKind
    sender: str = ""
    sender_name: str = ""
    subject: str = ""
    message_id: str = ""
    date: datetime | None = None
    report: DaemonReport | None = None
    severity: Severity | None = None
    proven_daemon: bool = False
    clues: Clues = field(default_factory=Clues)
    verdict: Verdict = field(default_factory=lambda: Verdict(passed=False, why="The message cannot be read."))
    reply: ReplyText | None = None
    attachments: tuple[Attached, ...] = ()
    evidence: str = ""
    problem: str = ""


def read(
    message: bytes, *, authserv_ids: Collection[str] = ("mx.google.com",), own_lists: Collection[str] = ()
) -> Reading:
    """Read a message of any size and any condition. Never fails; time and memory grow with its length at most.

    Args:
        message: as the mailbox has it, headers and body.
        authserv_ids: whose Authentication-Results are believed.
        own_lists: List-Ids of groups that are ours, whose mail comes from people.
    """
    if message[:1] in (b"\r", b"\n"):  # some stores put an empty line on top
        message = message.lstrip(b"\r\n")
    headers = read_headers(message)
    unreadable = _unreadable(message, headers)
    if unreadable:
        return Reading(kind=MailKind.UNREADABLE, problem=unreadable)
    basis = _basis(headers, read_verdict(headers, authserv_ids))
    if from_daemon(headers):
        return _from_server(basis, headers, leaves(message, headers))
    return _from_others(basis, headers, message, own_lists)


def _from_server(basis: Reading, headers: Headers, found: Leaves) -> Reading:
    report = read_report(headers, found.parts)
    if report.kind is not DaemonKind.OTHER:
        return _reported(basis, headers, report, found)
    return _answered(basis, headers, found, automatic(headers) or "a mail server's message")


def _from_others(basis: Reading, headers: Headers, message: bytes, own_lists: Collection[str]) -> Reading:
    if mark := own(headers):
        return replace(basis, kind=MailKind.OWN, evidence=_short(mark), clues=read_clues(headers, None))
    found = leaves(message, headers)
    if evidence := automatic(headers, own_lists=own_lists) or answers_invitation(found.parts):
        return _answered(basis, headers, found, evidence)
    basis = replace(basis, clues=read_clues(headers, None))
    if evidence := mass(headers, own_lists=own_lists):
        problem = _problem(found, basis.problem)
        attachments = list_attachments(found.parts)
        return replace(basis, kind=MailKind.BULK, evidence=evidence, problem=problem, attachments=attachments)
    return _written(basis, found)


def _basis(headers: Headers, verdict: Verdict) -> Reading:
    """What every kind has."""
    senders = mailboxes(headers.get("From", ""))
    one = senders[0] if len(senders) == 1 and len(headers.get_all("From")) == 1 else None
    date, odd_date = _date(headers)
    odd_sender = "" if one and one.address else "it does not name exactly one sender"
    return Reading(
        kind=MailKind.REPLY,
        sender=clean(lower(one.address)) if one else "",
        sender_name=one.name if one else "",
        subject=one_line(headers.text("Subject"), _LONGEST_SUBJECT),
        message_id=one_line(headers.get("Message-ID", ""), _LONGEST_ID),
        date=date,
        verdict=verdict,
        problem="; ".join(one for one in (odd_sender, odd_date) if one),
    )


def _reported(basis: Reading, headers: Headers, report: DaemonReport, found: Leaves) -> Reading:
    limit = report.kind is DaemonKind.LIMIT_NOTICE
    return replace(
        basis,
        kind=MailKind.LIMIT_NOTICE if limit else MailKind.BOUNCE,
        report=report,
        severity=report.severity,
        proven_daemon=_proven(headers, basis),
        clues=read_clues(headers, report),
        problem=_problem(found, basis.problem),
    )


def _answered(basis: Reading, headers: Headers, found: Leaves, evidence: str) -> Reading:
    clues = read_clues(headers, None, _groups(found.parts) if headers.content_type == "multipart/report" else ())
    return _written(replace(basis, kind=MailKind.AUTO_REPLY, clues=clues, evidence=_short(evidence)), found)


def _written(basis: Reading, found: Leaves) -> Reading:
    secret = any(part.headers.content_type in _ENCRYPTED for part in found.parts)
    problem = _problem(found, "its text is encrypted" if secret else basis.problem)
    return replace(basis, reply=read_reply(found.parts), attachments=list_attachments(found.parts), problem=problem)


def _proven(headers: Headers, basis: Reading) -> bool:
    """Gmail's own daemon: its address, the empty path, and either a verdict for its domain or no way in from outside.

    What Gmail makes itself has no ``Received: from``; whatever comes from outside has at least Gmail's own.
    """
    if return_path(headers) != "" or basis.sender != GMAIL_DAEMON:
        return False
    if basis.verdict.passed:
        return basis.verdict.domain == domain_of(GMAIL_DAEMON)
    return not any(is_handover(value) for value in headers.get_all("Received"))


def _groups(parts: tuple[Part, ...]) -> list[Headers]:
    """The field groups of a machine's report, and the headers that it returns."""
    found: list[Headers] = []
    for part in parts:
        if part.headers.content_type in _MACHINE_REPORTS:
            groups = _GROUPS.split(part.content(_LONGEST_GROUP).strip(), 10)
            found += [read_headers(group) for group in groups]
        elif part.headers.content_type in RETURNED:
            found.append(read_headers(part.content(_LONGEST_GROUP).lstrip(b"\r\n")))
    return found


def _date(headers: Headers) -> tuple[datetime | None, str]:
    value = headers.get("Date")
    if value is None:
        return None, ""
    try:
        date = parsedate_to_datetime(value[:_LONGEST_DATE])
    except (ValueError, TypeError, OverflowError, IndexError):
        return None, "its date cannot be read"
    # -0000 says that the zone is unknown (RFC 5322 §3.3); a zone beyond a day's length would be refused later.
    try:
        return (date.replace(tzinfo=UTC) if date.tzinfo is None else date.astimezone(UTC)), ""
    except (ValueError, OverflowError):
        return None, "its date cannot be read"


def _short(evidence: str) -> str:
    return one_line(evidence, _LONGEST_EVIDENCE)


def _problem(found: Leaves, before: str) -> str:
    return "; ".join(one for one in (found.problem, before) if one)


def _unreadable(message: bytes, headers: Headers) -> str:
    """Why nothing can be read, empty when something can."""
    if not message:
        return "it is empty"
    if not headers.fields:
        return "it has no header fields" + (" but holds binary data" if b"\x00" in message[:LONGEST_HEAD] else "")
    if not any(name in headers for name in _KNOWN):
        return "none of its fields is one that a message has"
    return ""
