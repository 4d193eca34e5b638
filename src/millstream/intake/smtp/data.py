"""The bytes of a message as they come after DATA: where they end, and without the dots that SMTP adds."""

from __future__ import annotations

from enum import Enum

_LINE_END = b"\r\n"
_END = b"\r\n.\r\n"
_DOT = b".\r\n"
_PAST_THE_LIMIT = 2


class Cut(Enum):
    """Why a message is not taken, as the reply says it."""

    TOO_LARGE = "552 5.3.4 The message is larger than we take"
    TOO_MUCH = "552 5.3.4 The message is far larger than we take; goodbye"
    TOO_SLOW = "421 4.4.2 The message comes too slowly; goodbye"
    NO_ROOM = "452 4.3.1 Too much mail is coming in at this moment; try again soon"


class Incoming:
    """A message on its way in.

    It ends with a dot alone between two CRLF, and with nothing else: who takes a bare LF for the end of a line there
    can be made to see two messages in one (SMTP smuggling, 2023).
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self.cut: Cut | None = None
        self._most = most
        # The line end of DATA itself stands before the first line, which may be the dot.
        self._pieces = [_LINE_END]
        self._tail = _LINE_END

    def feed(self, chunk: bytes) -> bytes | None:
        """Take a piece; answers what came after the message's end, None as long as that has not come."""
        window = self._tail + chunk
        end = window.find(_END)
        rest = window[end + len(_END) :] if end >= 0 else b""
        self.size += len(chunk) - len(rest)
        if self.size > self._most + len(_DOT):
            self.refuse(Cut.TOO_LARGE)
        if self.size > _PAST_THE_LIMIT * self._most:
            self.cut = Cut.TOO_MUCH
        if self.cut is None:
            self._pieces.append(chunk[: len(chunk) - len(rest)] if rest else chunk)
        self._tail = window[1 - len(_END) :]
        return rest if end >= 0 else None

    def refuse(self, why: Cut) -> None:
        """Read on, and keep nothing of it."""
        self.cut = self.cut or why
        self._pieces.clear()

    def content(self) -> bytes:
        """The message. Its lines end as they came."""
        whole = b"".join(self._pieces)
        self._pieces.clear()
        # RFC 5321 §4.5.2: of a line that begins with a dot, that dot is no content.
        return whole[: 2 - len(_END)].replace(b"\r\n.", _LINE_END)[len(_LINE_END) :]
