"""Text as rules compare it: without the accidents of typesetting, and with the way back to where it stood."""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any

import re2

from millstream.review.marked import mark

_MOST_MEMORY = 16 * 1024 * 1024
_LONGEST_PATTERN = 2_000
_WORD = re.compile(r"\w+")
_AROUND = 6
_BESIDE = 60
_LONGEST_QUOTE = 240
# Quotes and apostrophes inside a word, as typesetters and keyboards write them.
_APOSTROPHES = str.maketrans(dict.fromkeys("\u2019\u2018\u02bc\u00b4`\u2032", "'"))


class BadPattern(ValueError):
    """No regular expression that rules can use."""


@lru_cache(maxsize=512)
def pattern(text: str, *, groups: int | None = None) -> Any:
    """A compiled expression of RE2, which takes time in proportion to the text, whatever the text.

    Raises:
        BadPattern: it is none, or looks around or back, which cannot be done in that time.
    """
    if len(text) > _LONGEST_PATTERN:
        raise BadPattern(f"has {len(text):,} characters; {_LONGEST_PATTERN:,} are taken")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_MEMORY
    try:
        made = re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        why = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise BadPattern(
            f"is no regular expression that rules can use ({why}); those of RE2 are taken, without looking around or "
            "back, so that no text can make one slow"
        ) from None
    if groups is not None and made.groups != groups:
        raise BadPattern(f"needs {groups} group in parentheses, and has {made.groups}")
    if made.search("") is not None:
        raise BadPattern("fits where nothing stands; it would be found everywhere")
    return made


def clean(text: str) -> str:
    """One form for each character, and none that cannot be seen."""
    shown = unicodedata.normalize("NFKC", text).translate(_APOSTROPHES)
    return "".join(each for each in shown if unicodedata.category(each) != "Cf")


def squashed(text: str) -> str:
    """Letters and figures alone, in lower case: how lines are broken and words are spaced does not count."""
    return "".join(_WORD.findall(clean(text).casefold())).replace("_", "")


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands."""

    page: int
    """From 1."""
    quote: str
    """It, with some words around."""
    marked: str
    """The same, and it stands out."""


class Pages:
    """The pages of one text; a mail has one."""

    def __init__(self, pages: Sequence[str]) -> None:
        self.pages = tuple(pages)

    @cached_property
    def _lines(self) -> list[str]:
        return [" ".join(clean(page).split()) for page in self.pages]

    @cached_property
    def _ends(self) -> list[int]:
        return list(accumulate(len(line) + 1 for line in self._lines))

    @cached_property
    def plain(self) -> str:
        """All of it, with one blank wherever blanks or line breaks stand."""
        return " ".join(self._lines)

    @cached_property
    def squashed(self) -> str:
        """See `squashed`."""
        return "".join(map(squashed, self.pages))

    @cached_property
    def words(self) -> Words:
        """Word by word."""
        return Words(self.pages)

    @property
    def empty(self) -> bool:
        """Whether nothing stands there that could be read."""
        return not self.squashed

    def place_of(self, start: int, end: int) -> Place:
        """Where a part of `plain` stands."""
        page = min(bisect_right(self._ends, start) + 1, max(1, len(self.pages)))
        around = self.plain[max(0, start - _BESIDE) : end + _BESIDE]
        before, after = self.plain[max(0, start - _BESIDE) : start], self.plain[end : end + _BESIDE]
        return Place(page, around[:_LONGEST_QUOTE], mark(before, self.plain[start:end], after))


class Words:
    """A text word by word, folded for comparing and as it was for quoting.

    Folded it is ` you  may  withdraw `: between two words stand two blanks, so that ` may ` is the whole word, also
    twice in a row.
    """

    def __init__(self, pages: Sequence[str]) -> None:
        self._shown: list[str] = []
        self._starts: list[int] = []
        self._pages: list[int] = []
        folded = []
        size = 0
        for page in pages:
            self._pages.append(len(self._shown))
            for each in _WORD.finditer(clean(page)):
                word = each[0].casefold()
                self._shown.append(each[0])
                self._starts.append(size)
                folded.append(f" {word} ")
                size += len(word) + 2
        self.folded = "".join(folded)

    def found(self, expression: Any) -> Iterator[tuple[int, int]]:
        """Where an expression made by `phrases` stands, as numbers of words, the last one not included."""
        for match in expression.finditer(self.folded):
            yield bisect_right(self._starts, match.start()) - 1, bisect_right(self._starts, match.end() - 1)

    def place(self, first: int, behind: int) -> Place:
        """Words as they stood, with some around them."""
        before, said = self._shown[max(0, first - _AROUND) : first], self._shown[first:behind]
        after = self._shown[behind : behind + _AROUND]
        quote, page = " ".join((*before, *said, *after)), max(1, bisect_right(self._pages, first))
        marked = mark("".join(f"{word} " for word in before), " ".join(said), "".join(f" {word}" for word in after))
        return Place(page, quote[:_LONGEST_QUOTE], marked)

    def all(self) -> list[str]:
        """Every word, folded."""
        return self.folded.split()


@lru_cache(maxsize=512)
def phrases(wanted: tuple[str, ...]) -> Any:
    """An expression for whole words and phrases; `*` at the end of a word stands for any ending.

    Raises:
        BadPattern: one of them has no word.
    """
    ways = []
    for phrase in wanted:
        words = [_word(each) for each in clean(phrase).casefold().split()]
        flat = [word for each in words for word in each]
        if not flat:
            raise BadPattern(f"holds {phrase!r}, in which no word stands")
        ways.append("  ".join(flat))
    return pattern(f" (?:{'|'.join(ways)}) ") if sum(map(len, ways)) < _LONGEST_PATTERN // 2 else _long(ways)


def _word(text: str) -> list[str]:
    parts = _WORD.findall(text)
    written = [re2.escape(part) for part in parts]
    if written and text.endswith("*"):
        written[-1] += "[^ ]*"
    return written


def _long(ways: Sequence[str]) -> Any:
    """The same for lists of any length: RE2 takes them, and memory for them is ours to give."""
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MOST_MEMORY * 8
    return re2.compile(f" (?:{'|'.join(ways)}) ", options)
