"""What a person wrote, out of a text that also quotes: the quoted lines, signature and disclaimer are left out.

It rather leaves out too much than too little: a word that we ourselves wrote must never look like an answer to us. What
was left out stands in the full text. The work is linear in the text, line by line.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from millstream.mime import phrases

_MOST_LINES: Final = 10_000
_LONGEST_LINE: Final = 500  # of which the patterns see; no line that a mail program writes itself is longer
_MOST_ATTRIBUTION_LINES: Final = 4
_BLOCK: Final = 8  # lines in which the header block of a quoted message shows itself
_LABELS_OF_A_BLOCK: Final = 3
_MOST_SIGNATURE_LINES: Final = 15
_LONGEST_SIGNATURE_LINE: Final = 120
_LONGEST_SIGN_OFF: Final = 60
_SHORTEST_DISCLAIMER: Final = 120
_WORDS_OF_A_DISCLAIMER: Final = 3
_LINK = re.compile(r"<https?:[^<>]*>|\(https?:[^()]*\)")
_BRACKETS: Final = {ord("["): None, ord("]"): None}
_DRAWN = re.compile(r"_{20,}")  # Outlook draws 32
_TIME = re.compile(r"(?<![\d.])\d?\d[:.]\d\d(?![\d.])")
_RULE = re.compile(r"[-_=*~#\s]{3,}")
_BLANKS = re.compile(r"[ \t\u00a0\u2007\u202f\u200b\ufeff]+")
_MARKS = re.compile("[\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Cut:
    """What is left, and whether anything quoted was found to leave out."""

    text: str
    quoted: bool


def cut(text: str) -> Cut:
    """The person's own lines. Empty when there is nothing but quotation."""
    lines = [_seen(line) for line in text.split("\n")[:_MOST_LINES]]
    kept, quoted = _own_lines(lines)
    body = _without_tail(kept)
    return Cut(_joined(body), quoted)


def unflowed(text: str, *, delete_space: bool) -> str:
    """``format=flowed`` joined to paragraphs again (RFC 3676 §4); quoted lines only with lines as deep."""
    paragraphs: list[list[str]] = []
    soft, depth = False, 0
    for line in text.split("\n"):
        deep = len(line) - len(line.lstrip(">"))
        body = line[deep:].removeprefix(" ")
        if soft and deep == depth and body.rstrip() != "--":
            paragraphs[-1].append(body)
        else:
            paragraphs.append([f"{'>' * deep} {body}" if deep else body])
        soft, depth = body.endswith(" ") and body != "-- ", deep
        if soft and delete_space:
            paragraphs[-1][-1] = paragraphs[-1][-1][:-1]
    return "\n".join(["".join(pieces) for pieces in paragraphs])


def _seen(line: str) -> str:
    """A line as the patterns know it: one kind of blank, composed letters, no marks of direction."""
    if line.isascii():
        return line.rstrip()
    return unicodedata.normalize("NFC", _MARKS.sub("", _BLANKS.sub(" ", line))).rstrip()


def _own_lines(lines: list[str]) -> tuple[list[str], bool]:
    kept: list[str] = []
    quoted = signed = False
    number = 0
    while number < len(lines):
        line = lines[number]
        bare = line.strip()[:_LONGEST_LINE]
        if bare.startswith(">"):
            quoted, signed = True, False
            number += 1
            continue
        if not bare or not _may_mark(bare):
            if not signed:
                kept.append(line)
            number += 1
            continue
        if _opens_quotation(lines, number, bare):
            return kept, True
        length = _attribution(lines, number)
        if length:
            quoted, signed = True, False
            number += length
            if not _quoted_next(lines, number):
                return kept, True
            continue
        if line in ("--", "-- ") or bare == "--":
            signed = True
        elif not signed:
            kept.append(line)
        number += 1
    return kept, quoted


def _may_mark(bare: str) -> bool:
    """Cheap: whether a line can be anything but text."""
    return (
        bare[0] in "-_=*"
        or any(colon in bare for colon in phrases.COLONS)
        or bool(phrases.ATTRIBUTION_START.match(bare))
    )


def _opens_quotation(lines: list[str], number: int, bare: str) -> bool:
    """A line after which everything is quoted: "-----Original Message-----", or the first of a header block."""
    if phrases.DASHED.fullmatch(bare):
        return bare[0] in "-_=*" or _labels(lines, number + 1) > 1
    if phrases.DASHES_AROUND.fullmatch(bare):
        return _labels(lines, number + 1) > 1
    if _DRAWN.fullmatch(bare):
        return _is_header_block(lines[number + 1 : number + 1 + 2 * _BLOCK])
    label = phrases.LABEL.match(bare)
    return label is not None and label["from"] is not None and _labels(lines, number) >= _LABELS_OF_A_BLOCK


def _is_header_block(lines: list[str]) -> bool:
    """Whether lines begin with the header block of a quoted message, in any language: labels, and from whom or when.

    An address in the first, or a time of day in any, tells it from a signature or a form below a line that the writer
    drew.
    """
    found: dict[str, str] = {}
    for line in lines:
        label = phrases.ANY_LABEL.match(line[:_LONGEST_LINE])
        if label is not None:
            found.setdefault(label["label"], line[:_LONGEST_LINE])
        elif line.strip():
            break
    block = list(found.values())
    return len(block) >= _LABELS_OF_A_BLOCK and ("@" in block[0] or any(_TIME.search(line) for line in block))


def _labels(lines: list[str], number: int) -> int:
    """How many different labels of a header block stand in the next lines."""
    found: set[str] = set()
    for line in lines[number : number + _BLOCK]:
        label = phrases.LABEL.match(line[:_LONGEST_LINE])
        if label is not None and label.lastgroup is not None:
            found.add(label.lastgroup)
    return len(found)


def _attribution(lines: list[str], number: int) -> int:
    """How many lines the attribution ("On … wrote:") that begins there has; 0 when there is none."""
    if not phrases.ATTRIBUTION_START.match(lines[number].strip()):
        return 0
    pieces: list[str] = []
    for line in lines[number : number + _MOST_ATTRIBUTION_LINES]:
        bare = line.strip()[:_LONGEST_LINE]
        if not bare or bare.startswith(">"):
            return 0
        pieces.append(bare)
        if not bare.endswith(phrases.COLONS):
            continue
        above_quotes = _quoted_next(lines, number + len(pieces))
        if _is_attribution(pieces, above_quotes=above_quotes):
            # A line of the writer's may stand right above it: the attribution begins as far down as it can.
            later = any(
                _whole(pieces[:first]) and _is_attribution(pieces[first:], above_quotes=above_quotes)
                for first in range(1, len(pieces))
            )
            return 0 if later else len(pieces)
    return 0


def _whole(pieces: list[str]) -> bool:
    """Whether no address goes on in the next line."""
    joined = "".join(pieces)
    return joined.count("<") == joined.count(">")


def _is_attribution(pieces: list[str], *, above_quotes: bool) -> bool:
    if not phrases.ATTRIBUTION_START.match(pieces[0]):
        return False
    joined = " ".join(pieces)
    if phrases.ATTRIBUTION.fullmatch(joined):
        return True
    return above_quotes and phrases.ANY_ATTRIBUTION.fullmatch(joined) is not None


def _quoted_next(lines: list[str], number: int) -> bool:
    """Whether the next line with anything on it is quoted."""
    following = next((line for line in lines[number : number + _BLOCK] if line.strip()), "")
    return following.lstrip().startswith(">")


def _without_tail(lines: list[str]) -> list[str]:
    """Without disclaimer, the program's own line, and the signature below the last greeting."""
    body = _without_disclaimer(_trimmed(lines))
    body = _trimmed([line for line in body if not phrases.SENT_FROM.fullmatch(_plain(line))])
    for number in range(len(body) - 1, max(-1, len(body) - 2 - 2 * _MOST_SIGNATURE_LINES), -1):
        line = body[number].strip()
        if len(line) <= _LONGEST_SIGN_OFF and phrases.CLOSING.fullmatch(line):
            below = [one for one in body[number + 1 :] if one.strip()]
            short = all(len(one) <= _LONGEST_SIGNATURE_LINE for one in below)
            above = _trimmed(body[:number])
            if above and short and len(below) <= _MOST_SIGNATURE_LINES:
                return above
    return body


def _plain(line: str) -> str:
    """Without the link and the stars that a program puts round its own name."""
    return _LINK.sub("", line[:_LONGEST_LINE]).translate(_BRACKETS).strip(" \t*_<>")


def _without_disclaimer(lines: list[str]) -> list[str]:
    """Without the lawyers' paragraphs at the end; what begins the text is always kept."""
    starts = [0, *(after + 1 for after, (one, two) in enumerate(pairwise(lines)) if not one.strip() and two.strip())]
    end = len(lines)
    for start in reversed(starts[1:]):
        paragraph = " ".join(lines[start:end])
        words = {word.lower() for word in phrases.DISCLAIMER.findall(paragraph[:4000])}
        if len(paragraph) < _SHORTEST_DISCLAIMER or len(words) < _WORDS_OF_A_DISCLAIMER:
            break
        end = start
    return _trimmed(lines[:end])


def _trimmed(lines: list[str]) -> list[str]:
    """Without blank lines and drawn rules at the ends."""
    start, end = 0, len(lines)
    while start < end and not lines[start].strip():
        start += 1
    while end > start and (not lines[end - 1].strip() or _RULE.fullmatch(lines[end - 1])):
        end -= 1
    return lines[start:end]


def _joined(lines: list[str]) -> str:
    """The lines, with at most one blank line where several stood."""
    kept = [line for number, line in enumerate(lines) if line.strip() or (number and lines[number - 1].strip())]
    return "\n".join(kept).strip()
