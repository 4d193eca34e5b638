"""Encoded words: text in any language inside an ASCII header (RFC 2047)."""

import base64
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

LINE: Final = 76  # RFC 2047 §2: a line that holds an encoded word ends there; RFC 5322 asks for 78
_WRAPPING: Final = len("=?utf-8?q??=")
_ROOM: Final = 75 - _WRAPPING  # RFC 2047 §2: an encoded word has at most 75 characters
_SMALLEST_ROOM: Final = 12  # one character of four bytes, Q-encoded


def encoded_words(text: str, used: int) -> str:
    """The whole of ``text`` as encoded words, folded, so that every blank in it survives.

    ``used`` is how much of the first line the field's name has taken. Each word holds whole characters
    (RFC 2047 §5) and is Q- or B-encoded, whichever makes the field shorter.
    """
    first = max(_SMALLEST_ROOM, min(_ROOM, LINE - used - _WRAPPING))
    pieces = [_q(character) for character in text]
    if sum(map(len, pieces)) <= -(-len(text.encode()) // 3) * 4:
        return "\r\n ".join([f"=?utf-8?q?{chunk}?=" for chunk in _q_chunks(pieces, first)])
    return "\r\n ".join([f"=?utf-8?b?{base64.b64encode(chunk).decode()}?=" for chunk in _b_chunks(text, first)])


@lru_cache(maxsize=4096)
def _q(character: str) -> str:
    """A character Q-encoded as a phrase needs it (RFC 2047 §5 (3)), the strictest place there is."""
    if character == " ":
        return "_"
    if character.isascii() and (character.isalnum() or character in "!*+-/"):
        return character
    return "".join(f"={byte:02X}" for byte in character.encode())


def _q_chunks(pieces: list[str], room: int) -> Iterator[str]:
    start = size = 0
    for position, piece in enumerate(pieces):
        size += len(piece)
        if size > room:
            yield "".join(pieces[start:position])
            start, size, room = position, len(piece), _ROOM
    yield "".join(pieces[start:])


def _b_chunks(text: str, room: int) -> Iterator[bytes]:
    chunk, room = b"", room // 4 * 3
    for character in text:
        data = character.encode()
        if len(chunk) + len(data) > room:
            yield chunk
            chunk, room = b"", _ROOM // 4 * 3
        chunk += data
    yield chunk
