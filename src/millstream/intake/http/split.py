"""A stream of JSON objects, in an array or one after the other, becomes lines; one object at a time is in memory."""

from __future__ import annotations

import re

import orjson

from millstream.intake.http.errors import Refused, TooLarge

_BLANKS = re.compile(rb"[ \t\r\n]*")
_STRUCTURE = re.compile(rb'["\[\]{}]')
_QUOTE = re.compile(rb'["\\]')
_BOM = b"\xef\xbb\xbf"
_QUOTATION = b'"'[0]
_OPENING = b"{["
_NESTING = 1000


class Splitter:
    """Takes pieces of a body as they come; gives each object back as one line of a driver."""

    def __init__(self, most: int) -> None:
        """`most` is how many bytes one object may have."""
        self._most = most
        self._buffer = bytearray()
        self._seen = 0
        """How far the buffer was looked through."""
        self._depth = 0
        self._in_text = False
        self._wrapped: bool | None = None
        """Whether it is an array; None before the first byte that counts."""
        self._closed = False
        self._need_comma = False
        self._after_comma = False
        self._line = 1
        self.count = 0

    def feed(self, piece: bytes) -> list[bytes]:
        """The objects that are whole now, each on one line.

        Raises:
            Refused: what comes is no JSON; with the line.
            TooLarge: one object is larger than any may be.
        """
        self._buffer += piece
        found = []
        while (line := self._next()) is not None:
            found.append(line)
        if len(self._buffer) > self._most:
            raise TooLarge(f"object {self.count + 1} has more than {self._most:,} bytes", line=self._line)
        return found

    def end(self) -> None:
        """The body is whole.

        Raises:
            Refused: the JSON is not.
        """
        if self._depth or self._buffer or (self._wrapped and not self._closed):
            raise Refused("the JSON ends too early: something that was opened is never closed", line=self._line)

    def _next(self) -> bytes | None:
        if self._depth == 0 and not self._begin():
            return None
        end = self._find_end()
        if end < 0:
            return None
        raw = bytes(memoryview(self._buffer)[:end])
        del self._buffer[:end]
        self._seen = 0
        self.count += 1
        line = self._checked(raw)
        self._line += raw.count(b"\n")
        self._need_comma, self._after_comma = True, False
        return line

    def _begin(self) -> bool:
        """Pass over what stands between objects; whether one begins."""
        if self._wrapped is None and self._buffer.startswith(_BOM):
            del self._buffer[: len(_BOM)]
        while True:
            kept = self._buffer
            blanks = _BLANKS.match(kept)
            if blanks is not None and blanks.end():
                self._line += kept.count(b"\n", 0, blanks.end())
                del kept[: blanks.end()]
            if not kept:
                return False
            first = bytes(kept[:1])
            if self._wrapped is None:
                self._wrapped = first == b"["
                if self._wrapped:
                    del kept[:1]
                    continue
            if self._closed:
                raise Refused(f"something stands after the end of the array: {_shown(kept)}", line=self._line)
            if self._wrapped and self._passed(first):
                del kept[:1]
                continue
            if first != b"{" or (self._wrapped and self._need_comma):
                wanted = "a comma" if first == b"{" else "an object {…}"
                raise Refused(f"{wanted} is expected where {_shown(kept)} stands", line=self._line)
            return True

    def _passed(self, first: bytes) -> bool:
        """Whether this byte is the array's own, and rightly there."""
        if first == b"," and self._need_comma:
            self._need_comma, self._after_comma = False, True
            return True
        if first == b"]" and not self._after_comma:
            self._closed = True
            return True
        return False

    def _find_end(self) -> int:
        """Where the object that stands at the buffer's start ends, -1 where that has not come."""
        while True:
            if self._in_text:
                if not self._pass_text():
                    return -1
                continue
            match = _STRUCTURE.search(self._buffer, self._seen)
            if match is None:
                self._seen = len(self._buffer)
                return -1
            self._seen = match.end()
            byte = self._buffer[match.start()]
            if byte == _QUOTATION:
                self._in_text = True
            elif byte in _OPENING:
                self._depth += 1
                if self._depth > _NESTING:
                    raise Refused("the JSON is nested too deeply", line=self._line)
            else:
                self._depth -= 1
                if self._depth == 0:
                    return self._seen

    def _pass_text(self) -> bool:
        """Look on to the end of a text; whether that has come."""
        while (match := _QUOTE.search(self._buffer, self._seen)) is not None:
            if self._buffer[match.start()] == _QUOTATION:
                self._in_text, self._seen = False, match.end()
                return True
            if match.end() == len(self._buffer):  # what the backslash protects has not come
                self._seen = match.start()
                return False
            self._seen = match.end() + 1
        self._seen = len(self._buffer)
        return False

    def _checked(self, raw: bytes) -> bytes:
        try:
            orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Refused(
                f"object {self.count} is no JSON: {error.msg} in its line {error.lineno} at column {error.colno}",
                line=self._line + max(0, error.lineno - 1),
            ) from None
        # JSON knows no line break inside of texts: those that are there are blanks.
        return raw.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def _shown(text: bytes | bytearray) -> str:
    return repr(bytes(text[:20]).decode("utf-8", "replace"))
