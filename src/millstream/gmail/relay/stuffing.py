"""Dots at the beginning of lines (RFC 5321, 4.5.2): nothing in a message may look like its end."""

from __future__ import annotations


def stuffed(raw: bytes) -> bytes:
    """The message as it travels, without its end. One copy at most, and none where no line begins with a dot."""
    body = raw.replace(b"\r\n.", b"\r\n..") if b"\r\n." in raw else raw
    return b"." + body if raw.startswith(b".") else body


def ending(raw: bytes) -> bytes:
    """What ends this message: a last line that is none is made one."""
    return b".\r\n" if raw.endswith(b"\r\n") or not raw else b"\r\n.\r\n"


def smuggles(raw: bytes) -> bool:
    r"""Whether a dot follows a bare CR or LF.

    Servers that take a bare line end for a whole one see the message's end there, and commands behind it
    (CVE-2023-51764 and its likes). Our own builder writes no such message.
    """
    if b"\n." in raw and raw.count(b"\n.") != raw.count(b"\r\n."):
        return True
    return b"\r." in raw
