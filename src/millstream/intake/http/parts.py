"""Bodies in parts (RFC 7578, RFC 2046), as they come: what begins, what it says of itself, its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from millstream.intake.http.errors import Refused
from millstream.mime.charset import decode, decode_words
from millstream.mime.content import media_type, parameters

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_HEADERS = 16


@dataclass(frozen=True, slots=True)
class PartHead:
    """What a part says of itself; `file` is empty for a field of a form."""

    name: str
    file: str
    media_type: str | None
    charset: str


Event = PartHead | bytes | None
"""A part begins, some of its bytes, it ends."""


class PartReader:
    """Takes pieces of a body and tells what is in them; nothing is kept."""

    def __init__(self, content_type: str) -> None:
        """Raises Refused where the header names no boundary."""
        boundary = parameters(content_type).get("boundary")
        if not boundary:
            raise Refused("the Content-Type is multipart and names no boundary")
        self._events: list[Event] = []
        self._headers: dict[str, str] = {}
        self._field = bytearray()
        self._value = bytearray()
        self._ended = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._headers.clear,
            "on_header_field": lambda data, start, end: self._field.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header,
            "on_headers_finished": lambda: self._events.append(_head(self._headers)),
            "on_part_data": lambda data, start, end: self._events.append(data[start:end]),
            "on_part_end": lambda: self._events.append(None),
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks, max_header_count=_MOST_HEADERS)
        except FormParserError as error:
            raise Refused(f"the boundary cannot be used: {error}") from None

    def feed(self, piece: bytes) -> Iterator[Event]:
        """What a piece brings.

        Raises:
            Refused: the body is not made of parts.
        """
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise Refused(f"the body cannot be taken apart: {error}") from None
        events, self._events = self._events, []
        yield from events

    def end(self) -> None:
        """The body is whole. Raises Refused where its last boundary never came."""
        if not self._ended:
            raise Refused("the body ends before its last boundary")

    def _header(self) -> None:
        name = bytes(self._field).decode("latin-1").lower()
        self._headers[name] = decode(bytes(self._value))
        self._field.clear()
        self._value.clear()

    def _end(self) -> None:
        self._ended = True


def _head(headers: dict[str, str]) -> PartHead:
    told = parameters(headers.get("content-disposition"))
    kind = headers.get("content-type")
    # Clients write names as they are, percent-encoded or by RFC 2231; a real name with a percent sign is rare.
    file = unquote(decode_words(told.get("filename", "")))
    charset = parameters(kind).get("charset", "")
    return PartHead(unquote(told.get("name", "")), file, media_type(kind) if kind else None, charset)
