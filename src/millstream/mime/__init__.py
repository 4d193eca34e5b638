"""Messages as bytes: written from letters, read as far as a question needs. Pure: no waiting, no files, no network."""

from typing import TYPE_CHECKING

from millstream import lazy
from millstream.mime.address import parse_address, plus_address, plus_token
from millstream.mime.build import build, encoded_size
from millstream.mime.errors import BadAddress, BadHeader, HeaderInjection, MimeError, UnencodableText
from millstream.mime.letter import HEADER_DELIVERY, Attachment, Letter, Mailbox

if TYPE_CHECKING:
    from millstream.mime.attachments import Attached
    from millstream.mime.clues import Clues
    from millstream.mime.daemon import DaemonKind, DaemonReport, read_daemon
    from millstream.mime.reading import MailKind, Reading, read
    from millstream.mime.reply import ReplyText
    from millstream.mime.status import DeliveryStatus, Severity
    from millstream.mime.structure import Headers, Part, parts, read_headers
    from millstream.mime.verdict import Signed, Verdict, read_verdict
else:
    # Who only writes letters shall not pay for reading them: the patterns of many languages take 30 ms to compile.
    __getattr__ = lazy.names(
        __name__,
        {
            "Attached": "attachments",
            "Clues": "clues",
            "DaemonKind": "daemon",
            "DaemonReport": "daemon",
            "DeliveryStatus": "status",
            "Headers": "structure",
            "MailKind": "reading",
            "Part": "structure",
            "Reading": "reading",
            "ReplyText": "reply",
            "Severity": "status",
            "Signed": "verdict",
            "Verdict": "verdict",
            "parts": "structure",
            "read": "reading",
            "read_daemon": "daemon",
            "read_headers": "structure",
            "read_verdict": "verdict",
        },
    )

__all__ = [
    "HEADER_DELIVERY",
    "Attached",
    "Attachment",
    "BadAddress",
    "BadHeader",
    "Clues",
    "DaemonKind",
    "DaemonReport",
    "DeliveryStatus",
    "HeaderInjection",
    "Headers",
    "Letter",
    "MailKind",
    "Mailbox",
    "MimeError",
    "Part",
    "Reading",
    "ReplyText",
    "Severity",
    "Signed",
    "UnencodableText",
    "Verdict",
    "build",
    "encoded_size",
    "parse_address",
    "parts",
    "plus_address",
    "plus_token",
    "read",
    "read_daemon",
    "read_headers",
    "read_verdict",
    "structure",
]
