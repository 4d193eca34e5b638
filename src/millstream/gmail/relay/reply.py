"""Replies of SMTP (RFC 5321, 4.2) out of bytes as they come, bounded: whoever answers is not trusted to stop."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from millstream import harmless
from millstream.gmail.answer import redact

LONGEST_LINE: Final = 8 * 1024
"""Bytes. RFC 5321 4.5.3.1.5 says 512; Google's own words with links go beyond that."""
LONGEST_REPLY: Final = 32 * 1024

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})(?:\s+|$)")
_SHOWN: Final = 120


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: its code, the enhanced code (RFC 3463) or an empty string, and its words on one line."""

    code: int
    enhanced: str
    text: str

    @classmethod
    def of(cls, code: int, lines: Iterable[str]) -> Reply:
        """From the words of its lines, each of which repeats the enhanced code (RFC 2034)."""
        enhanced = ""
        words = []
        for line in lines:
            found = _ENHANCED.match(line)
            if found:
                enhanced = enhanced or found[1]
                line = line[found.end() :]  # noqa: PLW2901  the rest of it
            words.append(line)
        return cls(code, enhanced, redact(harmless.line(" ".join(words))))

    @property
    def positive(self) -> bool:
        """What was asked for was done (2yz)."""
        return self.code // 100 == 2  # noqa: PLR2004  the digit's meaning

    @property
    def intermediate(self) -> bool:
        """The message may follow (354)."""
        return self.code == 354  # noqa: PLR2004  the code's meaning

    @property
    def refusal(self) -> bool:
        """No, for now (4yz) or for good (5yz)."""
        return self.code // 100 in (4, 5)

    @property
    def closing(self) -> bool:
        """The server's last word on this connection (421)."""
        return self.code == 421  # noqa: PLR2004  the code's meaning


class Replies:
    """Takes bytes and gives whole replies. What is none breaks it for good, and `broken` says what it was."""

    def __init__(self) -> None:
        self.broken: str | None = None
        self._rest = bytearray()
        self._looked = 0
        self._code: bytes | None = None
        self._lines: list[str] = []
        self._size = 0

    @property
    def amid(self) -> bool:
        """Whether a reply has begun and not ended."""
        return bool(self._rest) or self._code is not None

    def feed(self, data: bytes) -> list[Reply]:
        """The replies that these bytes make whole, those before a break included."""
        found: list[Reply] = []
        if self.broken is not None:
            return found
        self._rest += data
        while self.broken is None:
            end = self._rest.find(b"\n", self._looked)
            if end < 0:
                self._looked = len(self._rest)
                if self._looked > LONGEST_LINE:
                    self._break("a line without end", self._rest)
                break
            line = bytes(self._rest[:end]).removesuffix(b"\r")
            del self._rest[: end + 1]
            self._looked = 0
            reply = self._take(line)
            if reply is not None:
                found.append(reply)
        return found

    def _take(self, line: bytes) -> Reply | None:
        """One line: None while its reply goes on."""
        self._size += len(line)
        parts = _LINE.fullmatch(line)
        if parts is None:
            self._break("it is no line of a reply", line)
            return None
        if len(line) > LONGEST_LINE or self._size > LONGEST_REPLY:
            self._break("a reply without end", line)
            return None
        if self._code not in (None, parts[1]):
            self._break("two codes in one reply", line)
            return None
        self._code = parts[1]
        self._lines.append((parts[3] or b"").decode("utf-8", "replace"))
        if parts[2] == b"-":
            return None
        reply = Reply.of(int(self._code), self._lines)
        self._code, self._lines, self._size = None, [], 0
        return reply

    def _break(self, why: str, line: bytes | bytearray) -> None:
        shown = harmless.line(bytes(line[:_SHOWN]).decode("utf-8", "replace"))
        self.broken = redact(f"{why}: {shown}")
        self._rest.clear()
