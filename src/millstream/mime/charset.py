"""Bytes become text whatever they say of themselves: as declared where that holds, guessed where it does not."""

import binascii
import re
from typing import Final

import pybase64

_LATIN: Final = "cp1252"
"""What iso-8859-1 and ascii mean in practice (WHATWG Encoding, 2026-10): a superset, and what Windows writes."""

# Only these are ever looked up: a name from outside must not choose a codec, some of which are no character sets
# (zlib, rot13) or take quadratic time (punycode, idna: CVE-2022-45061). Keys without anything but letters and digits.
_CODECS: Final[dict[str, str]] = {
    **dict.fromkeys(("utf8", "unicode11utf8", "utf8mb4", "cputf8", "cp65001", "unicode"), "utf-8"),
    **dict.fromkeys(
        ("", "ascii", "usascii", "ansi", "xansi", "ansix341968", "iso646us", "latin1", "l1", "8bit", "default"), _LATIN
    ),
    **dict.fromkeys(("iso88591", "iso885911", "88591", "cp819", "unknown8bit", "xunknown", "windows1252"), _LATIN),
    **{f"windows{n}": f"cp{n}" for n in range(1250, 1259)},
    **{f"cp{n}": f"cp{n}" for n in (*range(1250, 1259), 437, 850, 852, 855, 866, 874, 949, 932)},
    **{f"iso8859{n}": f"iso8859_{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15, 16)},
    **dict.fromkeys(("iso88598i", "iso88598e"), "iso8859_8"),
    **dict.fromkeys(("latin2", "l2"), "iso8859_2"),
    **dict.fromkeys(("latin9", "l9", "iso8859151"), "iso8859_15"),
    **dict.fromkeys(("windows874", "tis620", "iso885911thai"), "cp874"),
    **dict.fromkeys(("macintosh", "mac", "xmacroman"), "mac_roman"),
    **dict.fromkeys(("koi8r", "koi8"), "koi8_r"),
    "koi8u": "koi8_u",
    **dict.fromkeys(("gb2312", "gbk", "gb18030", "cp936", "windows936", "xgbk", "gb231280", "csgb2312"), "gb18030"),
    **dict.fromkeys(("big5", "big5hkscs", "cp950", "xxbig5"), "big5hkscs"),
    **dict.fromkeys(("euckr", "ksc56011987", "ksc5601", "cp949uhc", "uhc", "windows949"), "cp949"),
    **dict.fromkeys(("shiftjis", "sjis", "xsjis", "mskanji", "windows31j"), "cp932"),
    **dict.fromkeys(("eucjp", "xeucjp"), "euc_jp"),
    **dict.fromkeys(("iso2022jp", "iso2022jpms", "csiso2022jp", "cp50220"), "iso2022_jp_ext"),
    "iso2022kr": "iso2022_kr",
    "hzgb2312": "hz",
    "utf7": "utf-7",
    **dict.fromkeys(("utf16", "unicode11utf16"), "utf-16"),
    "utf16le": "utf-16-le",
    "utf16be": "utf-16-be",
    "utf32": "utf-32",
}
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_BREAKS = re.compile(r"[\r\n\t]+[ \t]*")
# Marks that turn the reading direction: in a name or a subject they only hide what a file or a sender is.
_TURNS = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
# RFC 2047 words; broken writers leave blanks inside and make them longer than 75 characters.
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FOREIGN_TO_BASE64: Final = bytes(set(range(256)) - set(_ALPHABET))
_ASCII: Final = bytes(range(128))
_MOST_PADDING: Final = 2
_LONGEST_CHARACTER: Final = 4  # bytes


def decode(data: bytes, charset: str = "") -> str:
    """Text in the declared character set; UTF-8 where Latin is declared but UTF-8 stands, and the other way round.

    Never fails: what no guess explains becomes U+FFFD.
    """
    if data.isascii() and b"\x1b" not in data and b"\x00" not in data:
        codec = _codec(charset)
        # Of what is declared only these two say something else than ASCII with ASCII bytes.
        return data.decode(codec if codec in ("utf-7", "hz") else "ascii", "replace")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    codec = _codec(charset)
    if codec in ("utf-8", _LATIN):
        return _western(data)
    return data.decode(codec, "replace")


def decode_words(value: str) -> str:
    """A header's value for people: encoded words decoded (RFC 2047), broken ones left as they came."""
    if "=?" not in value:
        return value
    pieces: list[str] = []
    pending, pending_charset, end = b"", "", 0
    for word in _WORD.finditer(value):
        charset = word[1].partition("*")[0].lower()  # RFC 2231 §5 adds a language
        gap = value[end : word.start()]
        joined = bool(pending) and not gap.strip()  # blanks between two words are not text (RFC 2047 §6.2)
        if not joined or charset != pending_charset:
            pieces.append(decode(pending, pending_charset))
            pending = b""
        if not joined:
            pieces.append(gap)
        # Broken writers cut characters in two: neighbours in one character set are decoded together.
        pending, pending_charset, end = pending + _word_bytes(word[2], word[3]), charset, word.end()
    return "".join([*pieces, decode(pending, pending_charset), value[end:]])


def base64_bytes(data: bytes) -> bytes:
    """What can be decoded of base64, whatever else stands in it."""
    kept = data.translate(None, _FOREIGN_TO_BASE64)
    usable = len(kept) - (len(kept) % 4 == 1)
    return pybase64.b64decode(kept[:usable] + b"=" * (-usable % 4))


def is_base64(data: bytes) -> bool:
    """Whether it is base64 to its last character: broken into lines or not, with its padding or without."""
    kept = data.translate(None, b" \t\r\n")
    foreign = kept.translate(None, _ALPHABET)
    padding = len(foreign)
    return (
        padding <= _MOST_PADDING
        and kept.endswith(b"=" * padding)
        and foreign == b"=" * padding
        and (len(kept) - padding) % 4 != 1
    )


def clean(text: str) -> str:
    """Text that a database and a page can take: no control characters but tabs and line feeds, no half characters."""
    return _CONTROLS.sub("", text)


def one_line(text: str, longest: int) -> str:
    """The same for names and subjects: on one line, at most so many characters, reading in one direction."""
    return _TURNS.sub("", clean(_BREAKS.sub(" ", text[: 4 * longest]))).strip()[:longest]


def _codec(charset: str) -> str:
    return _CODECS.get(_NOT_IN_A_NAME.sub("", charset[:60].lower()), _LATIN)


def _western(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as problem:
        if problem.start >= len(data) - _LONGEST_CHARACTER + 1 and not data[: problem.start].isascii():
            return data[: problem.start].decode()  # cut off inside its last character
    lenient = data.decode("utf-8", "replace")
    wrong = lenient.count("\ufffd")
    foreign = len(data[:4096].translate(None, _ASCII))
    if len(data) - len(lenient) > wrong and foreign > 4 * wrong:  # UTF-8 with a few bytes damaged
        return lenient
    return data.decode(_LATIN, "replace")


def _word_bytes(encoding: str, text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    if encoding in "bB":
        return base64_bytes(raw)
    return binascii.a2b_qp(raw.replace(b"\n", b""), header=True)
