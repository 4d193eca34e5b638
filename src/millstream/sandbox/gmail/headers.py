"""Header blocks: split, read and rewritten without looking at the body behind them.

The sandbox takes in hundreds of messages a second and most are never read again, so nothing on the way in parses
MIME: a message is a header block and the bytes behind it.
"""

import re
from collections.abc import Iterator
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses, parseaddr
from functools import cache
from typing import Final

_FIELD = re.compile(rb"\r\n(?![ \t])")
_PLAIN = re.compile(r'(?:"?([^"<>@,;:()\\]*)"?\s*<([^\s<>@,"()]+@[^\s<>@,"()]+)>|([^\s<>@,";:()]+@[^\s<>@,";:()]+))\s*')
_ADDRESS = re.compile(r"[^\s<>@,\"()\[\]\\;:]+@[^\s<>@,\"()\\;:.]+(?:\.[^\s<>@,\"()\\;:.]+)*")
_PREFIX = re.compile(r"^\s*(?:(?:re|fwd?|aw|wg|sv|tr|rv|antw)\s*(?:\[\d+\])?\s*:\s*)+", re.IGNORECASE)
_REFERENCE = re.compile(r"<[^<>\s]+>")

MOST_REFERENCES: Final = 50
"""Message ids an answer names at most; the first and the last ones are kept, as mail programs do."""

MAX_HEADER_BYTES: Final = 1_048_576
"""A header block longer than this is treated as a body without headers."""


class Headers:
    """The header fields of one message, in order, as they came (folded lines and all).

    Names compare without regard to case. Values are text; bytes outside ASCII are read as UTF-8 (RFC 6532) and kept
    as they were otherwise.
    """

    __slots__ = ("fields",)

    def __init__(self, fields: list[tuple[str, bytes]]) -> None:
        self.fields = fields

    @classmethod
    def parse(cls, head: bytes) -> "Headers":
        """Read a block of CRLF lines without the empty line that ends it; lines without a colon are dropped."""
        fields = []
        for line in _FIELD.split(head):
            name, colon, _ = line.partition(b":")
            if colon:
                fields.append((name.strip().decode("ascii", "replace").lower(), line))
        return cls(fields)

    def raw(self, name: str) -> Iterator[str]:
        """Every value of a field, unfolded, encoded words still encoded."""
        for known, line in self.fields:
            if known == name:
                yield unfold(line)

    def get(self, name: str) -> str | None:
        """The first value of a field, or None."""
        return next(self.raw(name), None)

    def first_words(self, name: str) -> list[str]:
        """The first word of every value of a field."""
        return [value.split()[0] for value in self.raw(name) if value.strip()]

    def subject(self) -> str:
        """The subject for reading, on one line."""
        return " ".join(decode(self.get("subject") or "").split())

    def drop(self, *names: str) -> None:
        """Remove every field of these names."""
        self.fields = [field for field in self.fields if field[0] not in names]

    def replace(self, name: str, value: str) -> None:
        """Put a value in the place of the first field of that name, or at the end; further ones are removed."""
        line = f"{name}: {value}".encode()
        lower = name.lower()
        kept: list[tuple[str, bytes]] = []
        placed = False
        for field in self.fields:
            if field[0] != lower:
                kept.append(field)
            elif not placed:
                kept.append((lower, line))
                placed = True
        if not placed:
            kept.append((lower, line))
        self.fields = kept

    def block(self) -> bytes:
        """The fields as bytes, CRLF between them, none at the end."""
        return b"\r\n".join([line for _, line in self.fields])


def unfold(line: bytes) -> str:
    """The value of a whole header line: text behind the colon, line breaks removed and their blanks kept.

    The Gmail API shows folded values this way.
    """
    value = line.partition(b":")[2].replace(b"\r\n", b"").strip()
    return value.decode("utf-8", "surrogateescape").encode("utf-8", "replace").decode()


def split(raw: bytes) -> tuple[bytes, bytes]:
    """Part a message into header block and body; line ends become CRLF if they were bare."""
    edge = raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if edge < 0 and b"\n" in raw[:4096] and b"\r\n" not in raw[:4096]:
        raw = raw.replace(b"\n", b"\r\n")
        edge = raw.find(b"\r\n\r\n", 0, MAX_HEADER_BYTES)
    if raw.startswith(b"\r\n"):
        return b"", raw[2:]
    if edge < 0:
        return raw.rstrip(b"\r\n"), b""
    return raw[:edge], raw[edge + 4 :]


def find(head: bytes, name: str) -> str | None:
    """The first value of one field, without parsing the others.

    Quickest where the field is spelt like `name`; one spelt so is preferred to one in other letters.
    """
    start = head.find(b"\n%b:" % name.encode())
    if start < 0:
        match = _field_pattern(name).search(head)
        return unfold(match.group().lstrip(b"\n")) if match else None
    end = head.find(b"\r\n", start)
    while end >= 0 and head[end + 2 : end + 3] in (b" ", b"\t"):
        end = head.find(b"\r\n", end + 2)
    return unfold(head[start + 1 : end if end >= 0 else None])


@cache
def _field_pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:^|\n)" + re.escape(name.encode()) + rb"[ \t]*:(?:[^\r]|\r\n[ \t])*", re.IGNORECASE)


def decode(value: str) -> str:
    """A value as a person reads it, encoded words (RFC 2047) decoded; a broken one comes back as it is."""
    if "=?" not in value:
        return value
    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return value


class InvalidAddress(ValueError):
    """An address field holds something that is no address."""


def addresses(value: str) -> list[str]:
    """The addresses in a To, Cc, Bcc or From value, lower case, without display names.

    Raises `InvalidAddress` if the field is not empty and any entry of it is not an address.
    """
    plain = _PLAIN.fullmatch(value)
    if plain:
        return [(plain[2] or plain[3]).lower()]
    found = []
    for _, address in getaddresses([value]):
        if not address and value.rstrip().endswith(":;"):
            continue
        if not _ADDRESS.fullmatch(address) or address not in value:  # the parser closes gaps in what is no address
            raise InvalidAddress(value)
        found.append(address.lower())
    if not found and value.strip() and not value.rstrip().endswith(";"):
        raise InvalidAddress(value)
    return found


def mailbox(value: str) -> tuple[str, str]:
    """Display name and address of the first address in a From value; empty texts where there is none."""
    plain = _PLAIN.fullmatch(value)
    if plain:
        return (plain[1] or "").strip(), plain[2] or plain[3]
    return parseaddr(value)


def references(headers: Headers) -> list[str]:
    """The message ids this one answers, nearest first (In-Reply-To, then References from the end)."""
    found = _REFERENCE.findall(headers.get("in-reply-to") or "")
    found.extend(reversed(_REFERENCE.findall(headers.get("references") or "")))
    return list(dict.fromkeys(found))


def linked(origin: str, before: list[str]) -> bytes:
    """In-Reply-To and References of an answer to `origin`, whose own references are `before`; one id a line.

    Written by hand, for the standard library encodes an id that is longer than a line (seen in Python 3.11).
    """
    chain = [*before, origin]
    if len(chain) > MOST_REFERENCES:
        chain = [chain[0], *chain[1 - MOST_REFERENCES :]]
    joined = "\r\n ".join(chain)
    return f"In-Reply-To: {origin}\r\nReferences: {joined}\r\n".encode()


def base_subject(value: str | None) -> str:
    """A subject without reply and forward marks and without regard to case or blanks, as threads compare it."""
    return " ".join(_PREFIX.sub("", decode(value or "")).lower().split())
