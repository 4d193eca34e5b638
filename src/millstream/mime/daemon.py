"""What a mail server tells a sender: a bounce, a delay, or that the sender has reached a limit.

Judged by structure alone. Gmail words its notices in the language of the mailbox, so words say nothing; addresses,
fields and status codes do (RFC 3464, RFC 3834).
"""

import re
from dataclasses import dataclass
from email.utils import parseaddr
from enum import StrEnum
from typing import Final

from millstream.mime.letter import HEADER_DELIVERY
from millstream.mime.read import Headers, Part, parts, read_headers

GMAIL_DAEMON: Final = "mailer-daemon@googlemail.com"
_DAEMONS: Final = frozenset({"mailer-daemon", "postmaster"})
# "5.4.5 Daily user sending limit exceeded"; 4.7.x are the rate limits of support.google.com/a/answer/6140680.
_LIMIT_STATUS = re.compile(r"5\.4\.5|4\.7\.\d{1,3}")
_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
_GROUPS = re.compile(rb"(?:\r?\n){2,}")


class DaemonKind(StrEnum):
    """What a message from a mail server is about."""

    LIMIT_NOTICE = "limit_notice"  # the sender has reached a limit; the message was not sent; no recipient's fault
    BOUNCE = "bounce"  # about a recipient: failed or delayed, see the statuses
    OTHER = "other"  # no mail server's message at all, or one about nothing that we sent


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """What a report says of one recipient (RFC 3464 §2.3); empty where it says nothing."""

    recipient: str
    action: str
    status: str
    remote_mta: str = ""
    diagnostic: str = ""

    @property
    def permanent(self) -> bool:
        """Whether the server will not try again and a new try would fail as well."""
        return self.action != "delayed" and self.status.startswith("5") and not self.about_sender

    @property
    def about_sender(self) -> bool:
        """Whether the sender's limit, not the recipient, stopped the message, and nobody will try again.

        A delayed message is still under way: sending it once more would make two. A remote server's word is
        about that server.
        """
        return self.action != "delayed" and not self.remote_mta and bool(_LIMIT_STATUS.fullmatch(self.status))


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


def classify_daemon(message: bytes) -> DaemonKind:
    """Whether a message is Gmail's limit notice, a bounce (or delay), or something else.

    A limit notice still has to stand in the thread of our own send: only the caller can see that.
    """
    return read_daemon(message).kind


def read_daemon(message: bytes) -> DaemonReport:
    """The report in a message; attachments and returned bodies are not decoded. Never fails."""
    headers = read_headers(message)
    if not _from_daemon(headers):
        return DaemonReport(DaemonKind.OTHER)
    leaves = list(parts(message))
    reports = [leaf for leaf in leaves if leaf.headers.content_type == "message/delivery-status"]
    groups = [group for report in reports for group in _groups(report)]
    statuses = tuple(_status(group) for group in groups if "Final-Recipient" in group or "Original-Recipient" in group)
    original = next((value for group in groups if (value := group.get("X-Original-Message-ID"))), None)
    failed = tuple(one.strip() for one in headers.get("X-Failed-Recipients", "").split(",") if one.strip())
    return DaemonReport(_kind(headers, statuses, failed), statuses, failed, original, _returned(leaves))


def _from_daemon(headers: Headers) -> bool:
    """From a mail server: by its address or by the form of its report, and never with somebody to answer to."""
    if headers.get("Return-Path", "<>").strip() != "<>":
        return False
    report = headers.content_type == "multipart/report" and headers.parameter("report-type") == "delivery-status"
    return report or _sender(headers).partition("@")[0] in _DAEMONS


def _sender(headers: Headers) -> str:
    return parseaddr(headers.get("From", ""))[1].lower()


def _kind(headers: Headers, statuses: tuple[DeliveryStatus, ...], failed: tuple[str, ...]) -> DaemonKind:
    if failed or any(not status.about_sender for status in statuses):
        return DaemonKind.BOUNCE
    automatic = headers.get("Auto-Submitted", "no").partition(";")[0].strip().lower() != "no"  # RFC 3834 §5
    if automatic and _sender(headers) == GMAIL_DAEMON:
        return DaemonKind.LIMIT_NOTICE
    return DaemonKind.BOUNCE if statuses else DaemonKind.OTHER


def _groups(report: Part) -> list[Headers]:
    """The field groups of a report: the message's first, then one for each recipient (RFC 3464 §2.1)."""
    return [read_headers(group) for group in _GROUPS.split(report.content().strip()) if group]


def _status(group: Headers) -> DeliveryStatus:
    code = _STATUS.match(group.get("Status", ""))
    return DeliveryStatus(
        recipient=_typed(group.get("Final-Recipient") or group.get("Original-Recipient")),
        action=group.get("Action", "").strip().lower(),
        status=code[0] if code else "",
        remote_mta=_typed(group.get("Remote-MTA")),
        diagnostic=_typed(group.get("Diagnostic-Code")),
    )


def _typed(value: str | None) -> str:
    """``rfc822; a@b.example`` without its type."""
    kind, semicolon, rest = (value or "").partition(";")
    return (rest if semicolon else kind).strip()


def _returned(leaves: list[Part]) -> Headers | None:
    kinds = ("message/rfc822", "text/rfc822-headers", "message/rfc822-headers")
    leaf = next((leaf for leaf in leaves if leaf.headers.content_type in kinds), None)
    return read_headers(leaf.body) if leaf else None
