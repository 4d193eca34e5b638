"""File names in any language as parameters of Content-Disposition (RFC 2183, RFC 2231)."""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from millstream.mime.errors import BadHeader
from millstream.mime.header import guard

_WORD = r"[A-Za-z0-9_.()+,;=@#~!&'\[\]{}-]+"
_PLAIN = re.compile(rf"{_WORD}(?: {_WORD})*")
_SELF = frozenset(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{|}~"
)  # RFC 2231 attribute-char
_ROOM: Final = 60  # of a value on its line; with name and section number the line stays within 78
_LONGEST_ENDING: Final = 12
_LONGEST_STEM: Final = 47


def filename_parameters(name: str) -> str:
    """``filename`` for Content-Disposition: quoted when plain, else in RFC 2231's form with an ASCII stand-in after it.

    The exact form stands first: a reader that knows RFC 2231 finds it in either order, and the standard library
    keeps the first of two.

    Raises:
        BadHeader: a name of nothing but blanks.
        HeaderInjection, UnencodableText: by what is wrong with the name.
    """
    guard("Content-Disposition", name)
    if not name.strip():
        raise BadHeader("Content-Disposition", "an attachment has no name.")
    if len(name) <= _ROOM and _PLAIN.fullmatch(name):
        return f';\r\n filename="{name}"'
    sections = list(_sections(name))
    if len(sections) == 1:
        exact = f";\r\n filename*=utf-8''{sections[0]}"
    else:
        sections[0] = f"utf-8''{sections[0]}"
        exact = "".join(f";\r\n filename*{number}*={section}" for number, section in enumerate(sections))
    return f'{exact};\r\n filename="{ascii_filename(name)}"'


def ascii_filename(name: str) -> str:
    """A stand-in for programs that know nothing but ASCII: accents fall off, what else is foreign becomes ``_``."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", name) if not unicodedata.combining(c))
    safe = re.sub(r"[^A-Za-z0-9_.()+, -]+", "_", bare)
    stem, dot, ending = safe.rpartition(".")
    if not dot:
        stem, ending = safe, ""
    stem = re.sub(r" +", " ", stem).strip()[:_LONGEST_STEM].rstrip()
    if not re.search(r"[A-Za-z0-9]", stem):
        stem = "document"
    ending = re.sub(r"[^A-Za-z0-9]", "", ending)[:_LONGEST_ENDING]
    return f"{stem}.{ending}" if ending else stem


def _sections(name: str) -> Iterator[str]:
    """The name percent-encoded, cut between characters: a reader decodes each section by itself."""
    section = ""
    for character in name:
        encoded = "".join(chr(byte) if byte in _SELF else f"%{byte:02X}" for byte in character.encode())
        if len(section) + len(encoded) > _ROOM - len("utf-8''"):
            yield section
            section = ""
        section += encoded
    yield section
