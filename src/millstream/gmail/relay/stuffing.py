"""Dots at the beginning of lines (RFC 5321, 4.5.2): nothing in a message may look like its end.

Looking for two bytes in 70 KB takes a quarter of a millisecond, as much as all the rest of a message; for one byte it
takes microseconds. So dots are looked for, of which base64 has none, and then at what stands before them.
"""

from __future__ import annotations

from typing import Final

_FEW_DOTS: Final = 4_000
_CR, _LF = b"\r", b"\n"


def stuffed(raw: bytes) -> bytes | None:
    r"""The message as it travels, without its end: one copy at most, none where no line begins with a dot.

    None where a dot follows a bare CR or LF: servers that take a bare line end for a whole one see the message's end
    there, and commands behind it (CVE-2023-51764 and its likes). Our own builder writes no such message.
    """
    before = _before_dots(raw)
    if _CR in before or (_LF in before and raw.count(b"\n.") != raw.count(b"\r\n.")):
        return None
    body = raw.replace(b"\r\n.", b"\r\n..") if _LF in before else raw
    return b"." + body if raw.startswith(b".") else body


def ending(raw: bytes) -> bytes:
    """What ends this message: a last line that is none is made one."""
    return b".\r\n" if raw.endswith(b"\r\n") or not raw else b"\r\n.\r\n"


def _before_dots(raw: bytes) -> set[bytes]:
    """The bytes that dots follow; of line ends alone where there are very many dots."""
    if raw.count(b".") > _FEW_DOTS:
        return {end for end in (_CR, _LF) if end + b"." in raw}
    pieces = raw.split(b".")
    pieces.pop()
    return {piece[-1:] for piece in pieces}
