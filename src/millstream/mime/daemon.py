"""What a mail server tells a sender: a bounce, a delay, or that the sender has reached a limit.

Judged by structure alone. Gmail words its notices in the language of the mailbox, so words say nothing; addresses,
fields and status codes do (RFC 3464, RFC 3834). Reports without RFC 3464's parts: see plain_report.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from millstream.mime.charset import clean, decode
from millstream.mime.letter import HEADER_DELIVERY
from millstream.mime.people import domain_of, lower, mailboxes
from millstream.mime.plain_report import LONGEST, PlainReport, read_plain
from millstream.mime.status import DeliveryStatus, Severity, is_limit
from millstream.mime.structure import Headers, Part, leaves, read_headers

GMAIL_DAEMON: Final = "mailer-daemon@googlemail.com"
_DAEMONS: Final = frozenset({"mailer-daemon", "mail-daemon", "postmaster"})
_REPORTS: Final = ("message/delivery-status", "message/global-delivery-status")  # RFC 3464, RFC 6533
RETURNED: Final = (
    "message/rfc822",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global",
    "message/global-headers",
)
_LONGEST_RETURNED_HEAD: Final = 64 * 1024
_MOST_STATUSES: Final = 100
_LONGEST_VALUE: Final = 1000
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_GROUPS = re.compile(rb"\r?\n(?:[ \t]*\r?\n)+")


class DaemonKind(StrEnum):
    """What a message from a mail server is about."""

    LIMIT_NOTICE = "limit_notice"  # the sender has reached a limit; the message was not sent; no recipient's fault
    BOUNCE = "bounce"  # about a recipient: failed or delayed, see the statuses
    OTHER = "other"  # no mail server's message at all, or one about nothing that failed


@dataclass(frozen=True, slots=True)
class DaemonReport:
    """A message from a mail server, read."""

    kind: DaemonKind
    statuses: tuple[DeliveryStatus, ...] = ()
    failed_recipients: tuple[str, ...] = ()  # X-Failed-Recipients
    original_message_id: str | None = None  # X-Original-Message-ID of the report
    returned: Headers | None = None  # the headers of our own message, as it came back

    @property
    def delivery_token(self) -> str | None:
        """The delivery that the returned headers name."""
        return self.returned.get(HEADER_DELIVERY) if self.returned else None

    @property
    def severity(self) -> Severity | None:
        """The worst that it says of any recipient; None for a report that is no bounce."""
        if self.kind is not DaemonKind.BOUNCE:
            return None
        found = {status.severity for status in self.statuses}
        return next((one for one in (Severity.HARD, Severity.SOFT, Severity.DELAYED) if one in found), Severity.HARD)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom it is about, in lower case, each once: as we wrote them first, then as the server knew them."""
        named = [one for status in self.statuses for one in (status.original, status.recipient) if one]
        return tuple(dict.fromkeys(map(lower, (*named, *self.failed_recipients))))


def read_daemon(message: bytes) -> DaemonReport:
    """The report in a message; attachments and returned bodies are not decoded. Never fails.

    A limit notice still has to stand in the thread of our own send: only the caller can see that.
    """
    headers = read_headers(message)
    if not from_daemon(headers):
        return DaemonReport(DaemonKind.OTHER)
    return read_report(headers, leaves(message, headers).parts)


def from_daemon(headers: Headers) -> bool:
    """From a mail server: by its address or by the form of its report, and never with somebody to answer to."""
    path = return_path(headers)
    sender = _sender(headers)
    local = sender.partition("@")[0]
    if path is not None and not _null(path) and path.partition("@")[0] not in _DAEMONS:
        return False
    if headers.content_type == "multipart/report":
        return (headers.parameter("report-type") or "").lower() == "delivery-status" or local in _DAEMONS
    # A postmaster may be a person; without RFC 3464's form the empty path has to be there.
    return local in _DAEMONS and (path is not None or local != "postmaster")


def return_path(headers: Headers) -> str | None:
    """The envelope sender in lower case, empty for ``<>``, None when no server noted it."""
    value = headers.get("Return-Path")
    return None if value is None else lower(value.strip().strip("<>").strip())


def read_report(headers: Headers, parts: tuple[Part, ...]) -> DaemonReport:
    """The report in a message that from_daemon has let in."""
    groups = [group for part in parts if part.headers.content_type in _REPORTS for group in _groups(part)]
    about = [group for group in groups if "Final-Recipient" in group or "Original-Recipient" in group]
    statuses = tuple(_status(group) for group in about[:_MOST_STATUSES])
    original = next((value for group in groups if (value := clean(group.get("X-Original-Message-ID", "")))), None)
    listed = headers.get("X-Failed-Recipients", "")[:_LONGEST_VALUE].split(",")
    failed = tuple(clean(one).strip() for one in listed if one.strip())
    report = DaemonReport(DaemonKind.OTHER, statuses, failed, original, _returned(parts))
    plain = PlainReport()
    if not statuses:
        plain = _plain(headers, parts, failed)
        report = replace(report, statuses=plain.statuses, returned=report.returned or plain.returned)
    return replace(report, kind=_kind(headers, report, plain))


def _kind(headers: Headers, report: DaemonReport, plain: PlainReport) -> DaemonKind:
    gmail = _automatic(headers) and _sender(headers) == GMAIL_DAEMON
    about_recipients = [status for status in report.statuses if not status.about_sender and status.severity is not None]
    if gmail and any(status.about_sender for status in report.statuses) and not about_recipients:
        return DaemonKind.LIMIT_NOTICE  # also where it names whom the message did not reach
    if gmail and not report.failed_recipients and (not about_recipients or is_limit(plain.notice)):
        succeeded = report.statuses and all(status.severity is None for status in report.statuses)
        return DaemonKind.OTHER if succeeded else DaemonKind.LIMIT_NOTICE
    if about_recipients or report.failed_recipients:
        return DaemonKind.BOUNCE
    return DaemonKind.BOUNCE if any(status.severity for status in report.statuses) else DaemonKind.OTHER


def _plain(headers: Headers, parts: tuple[Part, ...], failed: tuple[str, ...]) -> PlainReport:
    text = next((part for part in parts if part.headers.content_type == "text/plain"), None)
    if text is None:
        return PlainReport()
    words = clean(decode(text.content(LONGEST), text.headers.parameter("charset") or "").replace("\r\n", "\n"))
    receivers = [one.address for name in ("To", "Delivered-To") for one in mailboxes(headers.get(name, ""))]
    return read_plain(words, failed=failed, us={lower(one) for one in (*receivers, _sender(headers))})


def _automatic(headers: Headers) -> bool:
    return headers.get("Auto-Submitted", "no").partition(";")[0].strip().lower() != "no"  # RFC 3834 §5


def _sender(headers: Headers) -> str:
    found = mailboxes(headers.get("From", ""))
    return lower(found[0].address) if found else ""


def _null(path: str) -> bool:
    return path in ("", "#@[]")  # the second is qmail's, for a bounce of a bounce


def _groups(report: Part) -> list[Headers]:
    """The field groups of a report: the message's first, then one for each recipient (RFC 3464 §2.1)."""
    content = report.content(LONGEST).strip()
    return [read_headers(group) for group in _GROUPS.split(content, _MOST_STATUSES) if group]


def _status(group: Headers) -> DeliveryStatus:
    code = _STATUS.match(group.get("Status", ""))
    final, original = _typed(group.get("Final-Recipient")), _typed(group.get("Original-Recipient"))
    final, original = _address(final), _address(original)
    return DeliveryStatus(
        recipient=final or original,
        action=_typed(group.get("Action")).partition(" ")[0].lower(),
        status=code[0] if code else "",
        remote_mta=_typed(group.get("Remote-MTA")),
        diagnostic=_typed(group.get("Diagnostic-Code")),
        original=original if lower(original) != lower(final) and final else "",
    )


def _address(text: str) -> str:
    return text.strip("<>").strip() if domain_of(text) else text


def _typed(value: str | None) -> str:
    """``rfc822; a@b.example`` without its type."""
    kind, semicolon, rest = clean((value or "")[:_LONGEST_VALUE]).partition(";")
    return (rest if semicolon else kind).strip()


def _returned(parts: tuple[Part, ...]) -> Headers | None:
    part = next((part for part in parts if part.headers.content_type in RETURNED), None)
    return read_headers(part.content(_LONGEST_RETURNED_HEAD).lstrip(b"\r\n")) if part else None
