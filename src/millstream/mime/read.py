"""Messages read only as far as a question needs: headers first, parts without decoding what nobody asked for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header
from email.message import Message
from typing import Final, overload

from millstream.mime.errors import MimeError

_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LINE_END = re.compile(r"\r\n|\n")
_NESTING: Final = 4  # a report inside a mailing list's wrapping is two deep; beyond that somebody plays


@dataclass(frozen=True, slots=True)
class Headers:
    """Header fields in the order in which they stand; names match in any case. Values are unfolded, not decoded."""

    fields: tuple[tuple[str, str], ...] = ()

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first field of that name: the topmost, which the last server wrote."""
        lower = name.lower()
        return next((value for field, value in self.fields if field.lower() == lower), default)

    def get_all(self, name: str) -> tuple[str, ...]:
        """All fields of that name, topmost first."""
        lower = name.lower()
        return tuple(value for field, value in self.fields if field.lower() == lower)

    def text(self, name: str) -> str:
        """The first field of that name for people: encoded words decoded, empty when there is none."""
        value = self.get(name, "")
        if "=?" not in value:
            return value
        try:
            pieces = decode_header(value)
        except (ValueError, MimeError):  # a broken encoded word is shown as it came
            return value
        return "".join(_decoded(piece, charset) for piece, charset in pieces)

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    @property
    def content_type(self) -> str:
        """The media type in lower case, ``text/plain`` when there is none or it makes no sense."""
        return self._content().get_content_type()

    def parameter(self, name: str) -> str | None:
        """A parameter of Content-Type, for example ``boundary``."""
        value = self._content().get_param(name)
        return value if isinstance(value, str) else None

    def _content(self) -> Message:
        holder = Message()
        if (value := self.get("Content-Type")) is not None:
            holder["Content-Type"] = value
        return holder


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message: its headers, and its body as it came, still in its transfer encoding."""

    headers: Headers
    body: bytes

    def content(self) -> bytes:
        """The body out of its transfer encoding; asked of small parts only."""
        holder = Message()
        holder["Content-Transfer-Encoding"] = self.headers.get("Content-Transfer-Encoding", "7bit")
        holder.set_payload(self.body.decode("ascii", "surrogateescape"))
        payload = holder.get_payload(decode=True)
        return payload if isinstance(payload, bytes) else b""


def read_headers(message: bytes) -> Headers:
    """The header fields, read up to the blank line; the body may be missing or of any size. Never fails."""
    head, _ = _split(message)
    return _fields(head.decode("utf-8", "replace"))


def parts(message: bytes, *, nesting: int = _NESTING) -> Iterator[Part]:
    """The leaves in order; attached messages are leaves. A broken structure gives what can be read, never an error."""
    head, body = _split(message)
    headers = _fields(head.decode("utf-8", "replace"))
    boundary = headers.parameter("boundary") if headers.content_type.startswith("multipart/") else None
    if not boundary or nesting == 0:
        yield Part(headers, body)
        return
    for section in _sections(body, boundary.encode("utf-8", "replace")):
        yield from parts(section, nesting=nesting - 1)


def _split(message: bytes) -> tuple[bytes, bytes]:
    if message.startswith((b"\n", b"\r\n")):  # a part without any header
        return b"", message.lstrip(b"\r").removeprefix(b"\n")
    blank = _BLANK_LINE.search(message)
    return (message[: blank.start()], message[blank.end() :]) if blank else (message, b"")


def _fields(head: str) -> Headers:
    fields: list[tuple[str, str]] = []
    for line in _LINE_END.split(head):
        if line[:1] in (" ", "\t") and fields:
            name, value = fields[-1]
            fields[-1] = name, value + line
        elif ":" in line:
            name, _, value = line.partition(":")
            fields.append((name.strip(), value.lstrip(" \t")))
    return Headers(tuple((name, value.rstrip()) for name, value in fields))


def _sections(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """What stands between the boundary's lines (RFC 2046 §5.1.1); the line end before a boundary belongs to it."""
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary) + rb"(--)?[ \t]*(?:\r?\n|\Z)")
    start: int | None = None
    position = 0
    while (found := delimiter.search(body, position)) is not None:
        if start is not None:
            yield body[start : found.start()]
        if found[1]:
            return
        start = found.end()
        # The line end that closes this boundary may also open the next one: an empty part.
        position = max(found.start() + 1, found.end() - len(b"\r\n"))
    if start is not None:
        yield body[start:]


def _decoded(piece: bytes | str, charset: str | None) -> str:
    if isinstance(piece, str):
        return piece
    try:
        return piece.decode(charset or "utf-8", "replace")
    except LookupError:
        return piece.decode("utf-8", "replace")
