"""What a part says of itself: its media type, its parameters, its name, its size (RFC 2045, 2183, 2231)."""

import binascii
import re
from typing import Final
from urllib.parse import unquote_to_bytes

from millstream.mime.charset import base64_bytes, decode, decode_words

_LONGEST: Final = 4096  # of a field with parameters; real ones have a few hundred characters
_MOST_PARAMETERS: Final = 64
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)(?:"|\\?\Z)', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SECTION = re.compile(r"(?P<name>[^*]+)\*(?:(?P<number>\d{1,3})(?P<encoded>\*)?)?")
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")


def media_type(value: str | None) -> str:
    """The type in lower case; ``text/plain`` when there is none or it makes no sense (RFC 2045 §5.2)."""
    kind = (value or "")[:_LONGEST].partition(";")[0].partition("(")[0].strip().lower()
    return kind if _TYPE.fullmatch(kind) else "text/plain"


def parameters(value: str | None) -> dict[str, str]:
    """The parameters by name in lower case, RFC 2231 sections joined and decoded. The first of two of a name counts."""
    found: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, text in _pairs((value or "")[:_LONGEST]):
        match = _SECTION.fullmatch(name) if "*" in name else None
        if match is None:
            found.setdefault(name, text)
        elif match["number"] is None:
            sections.setdefault(match["name"], {}).setdefault(0, (text, True))
        else:
            encoded = match["encoded"] is not None
            sections.setdefault(match["name"], {}).setdefault(int(match["number"]), (text, encoded))
    found.update((name, _joined(numbered)) for name, numbered in sections.items())
    return found


def file_name(content_type: str | None, disposition: str | None) -> str:
    """The name that a part gives its content, empty when it has none.

    Encoded words are read, though RFC 2047 forbids them here: Outlook and many others write them.
    """
    name = parameters(disposition).get("filename") or parameters(content_type).get("name") or ""
    return decode_words(name)


def transferred(body: bytes, encoding: str) -> bytes:
    """The body out of its transfer encoding, as much of it as can be read."""
    match encoding:
        case "base64":
            return base64_bytes(body)
        case "quoted-printable":
            return binascii.a2b_qp(body)
        case _:
            return body


def decoded_size(message: bytes, start: int, end: int, encoding: str) -> int:
    """How many bytes a body has once decoded: exact for regular base64, close for quoted-printable; decodes nothing."""
    length = end - start
    if encoding == "quoted-printable":
        return max(0, length - 2 * message.count(b"=", start, end))
    if encoding != "base64":
        return length
    while length and message[start + length - 1] in b"\r\n \t":
        length -= 1
    line_end = message.find(b"\n", start, start + length)
    if line_end >= 0:
        broken = 2 if message[line_end - 1 : line_end] == b"\r" else 1
        line = line_end - start + 1
        length -= length // line * broken
    padding = message[max(start, end - 8) : end].count(b"=")
    return max(0, length * 3 // 4 - padding)


def _pairs(value: str) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    position = value.find(";") + 1
    for _ in range(_MOST_PARAMETERS):
        equals = value.find("=", position)
        if position == 0 or equals < 0:
            break
        name = value[position:equals]
        if ";" in name:  # something without a value stands before it
            position = value.find(";", position) + 1
            continue
        position = equals + 1
        while value[position : position + 1].isspace():
            position += 1
        quoted = _QUOTED.match(value, position)
        if quoted:
            text = _ESCAPED.sub(r"\1", quoted[1])
            position = value.find(";", quoted.end()) + 1
        else:
            end = value.find(";", position)
            text = value[position : end if end >= 0 else None].strip()
            position = end + 1
        found.append((name.strip().lower(), text))
    return found


def _joined(numbered: dict[int, tuple[str, bool]]) -> str:
    """Sections in order, up to the first that is missing; the first encoded one names the character set."""
    charset, data, text = "", b"", ""
    for number in range(len(numbered)):
        if number not in numbered:
            break
        piece, encoded = numbered[number]
        if number == 0 and encoded and piece.count("'") > 1:
            charset, _, piece = piece.split("'", 2)
        if encoded:
            data += unquote_to_bytes(piece)
        else:
            text, data = text + decode(data, charset) + piece, b""
    return text + decode(data, charset)
