"""Messages as bytes: written from letters, read as far as a question needs. Pure: no waiting, no files, no network."""

from millstream.mime.address import parse_address, plus_address, plus_token
from millstream.mime.build import build, encoded_size
from millstream.mime.daemon import DaemonKind, DaemonReport, DeliveryStatus, classify_daemon, read_daemon
from millstream.mime.errors import BadAddress, BadHeader, HeaderInjection, MimeError, UnencodableText
from millstream.mime.letter import HEADER_DELIVERY, Attachment, Letter, Mailbox
from millstream.mime.read import Headers, Part, parts, read_headers

__all__ = [
    "HEADER_DELIVERY",
    "Attachment",
    "BadAddress",
    "BadHeader",
    "DaemonKind",
    "DaemonReport",
    "DeliveryStatus",
    "HeaderInjection",
    "Headers",
    "Letter",
    "Mailbox",
    "MimeError",
    "Part",
    "UnencodableText",
    "build",
    "classify_daemon",
    "encoded_size",
    "parse_address",
    "parts",
    "plus_address",
    "plus_token",
    "read_daemon",
    "read_headers",
]
