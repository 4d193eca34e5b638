"""The text of a message: all of it, and what its writer wrote anew."""

from dataclasses import dataclass
from typing import Final

from millstream.mime.charset import clean, decode
from millstream.mime.content import file_name
from millstream.mime.html_text import MARKS, Hand, Line, html_lines
from millstream.mime.quoted import Cut, cut, unflowed
from millstream.mime.structure import Part

_LONGEST_PART: Final = 1_400_000  # bytes as they came: 1 MB of base64
LONGEST_FULL: Final = 1_000_000
LONGEST_TEXT: Final = 100_000
_MOST_TEXT_PARTS: Final = 10  # Apple Mail cuts a text in two round each picture
_FOR_PROGRAMS: Final = ("text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rfc822-headers")


@dataclass(frozen=True, slots=True)
class ReplyText:
    """``text`` is what the writer wrote, empty when there is nothing but quotation; ``full_text`` is everything.

    At most 100,000 and 1,000,000 characters, lines ended by line feeds, nothing that a database refuses.
    """

    text: str
    full_text: str


def is_body(part: Part) -> bool:
    """Whether a part is text to be read in place and not a file."""
    if part.headers.content_type not in ("text/plain", "text/html"):
        return False
    disposition = part.headers.get("Content-Disposition", "")
    if disposition[:40].strip().lower().startswith("attachment"):
        return False
    return not file_name(part.headers.get("Content-Type"), disposition)


def read_reply(parts: tuple[Part, ...]) -> ReplyText:
    """The text of a message's leaves. The plain form is read where it tells quotation apart, else the HTML."""
    bodies = [part for part in parts if is_body(part)]
    if not bodies and len(parts) == 1 and _is_read_alone(parts[0]):
        bodies = list(parts)
    plain = _text([part for part in bodies if part.headers.content_type != "text/html"])
    found = cut(plain) if plain.strip() else Cut("", quoted=False)
    if not plain.strip() or not found.quoted or not found.text:
        html = _text([part for part in bodies if part.headers.content_type == "text/html"])
        if html and (not plain.strip() or MARKS.search(html)):
            return _from_html(html_lines(html), plain)
    return ReplyText(found.text[:LONGEST_TEXT], plain[:LONGEST_FULL])


def _is_read_alone(part: Part) -> bool:
    """Whether the only part is read though it is no body: a message that is one text, to which its program gave a name.

    Or a multipart whose boundary never comes: read as the text it shows.
    """
    kind = part.headers.content_type
    if kind.startswith("multipart/"):
        return True
    return part.is_whole and kind.startswith("text/") and kind not in _FOR_PROGRAMS


def _from_html(lines: list[Line], plain: str) -> ReplyText:
    full = "\n".join(f"> {line}" if hand is Hand.QUOTED else line for hand, line in lines)
    written = [f"> {line}" if hand is Hand.QUOTED else line for hand, line in lines if hand is not Hand.SIGNED]
    text = cut(clean("\n".join(written))).text
    return ReplyText(text[:LONGEST_TEXT], (plain if plain.strip() else clean(full)).strip("\n")[:LONGEST_FULL])


def _text(parts: list[Part]) -> str:
    return "\n".join(_decoded(part) for part in parts[:_MOST_TEXT_PARTS])


def _decoded(part: Part) -> str:
    charset = part.headers.parameter("charset") or ""
    text = clean(decode(part.content(_LONGEST_PART), charset).replace("\r\n", "\n").replace("\r", "\n"))
    if "format" not in part.headers.get("Content-Type", "").lower():
        return text
    if (part.headers.parameter("format") or "").lower() != "flowed":
        return text
    return unflowed(text, delete_space=(part.headers.parameter("delsp") or "").lower() == "yes")
