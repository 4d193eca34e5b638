"""An answer about several cases, cut at their numbers: `1 ok, 2 no wrong amount`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millstream.review.polite import trimmed
from millstream.review.tokens import STOPS, Sheet
from millstream.review.words import Lexicon

_MOST_CASES: Final = 100
_DIGITS: Final = 3


def items(body: Sheet, lexicons: Sequence[Lexicon]) -> list[tuple[list[int], Sheet]]:
    """A text that begins with a number, cut at its numbers."""
    words = body.words()
    found: list[tuple[list[int], Sheet]] = []
    at = 0
    while at < len(words):
        numbers, begin = _numbers(words, at, lexicons)
        if not numbers:
            return []
        end = next((n for n in range(begin, len(words)) if _opens(words, n, lexicons)), len(words))
        found.append((numbers, trimmed(body.part(begin, end))))
        at = end
    return found


def _opens(words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> bool:
    """Whether another case's number stands there, behind a stop."""
    return words[at - 1] in STOPS and bool(_numbers(words, at, lexicons)[0])


def _numbers(words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> tuple[list[int], int]:
    """The numbers that begin there, and where what is said of them begins."""
    numbers: list[int] = []
    begin = at
    while at < len(words):
        if words[at] in STOPS or (numbers and _one_of("joining", words, at, lexicons)):
            at += 1
            continue
        if length := _one_of("case", words, at, lexicons):
            if at + length < len(words) and _number(words[at + length]):
                at += length
                continue
            break
        several = _several(words[at])
        if not several:
            break
        numbers += several
        at += 1
    return (numbers, at) if numbers else ([], begin)


def _one_of(name: str, words: Sequence[str], at: int, lexicons: Sequence[Lexicon]) -> int:
    return max((one[name].longest(words, at) for one in lexicons), default=0)


def _several(word: str) -> list[int]:
    """`1`, `#1`, `1,2,3` or `1-3`."""
    first, dash, last = (each.strip() for each in word.partition("-"))
    if dash:
        begin, end = _number(first), _number(last)
        return list(range(begin, end + 1)) if 0 < begin < end else []
    numbers = [_number(each) for each in word.split(",")]
    return numbers if all(numbers) else []


def _number(word: str) -> int:
    digits = word.removeprefix("#")
    return (
        int(digits)
        if digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS and int(digits) <= _MOST_CASES
        else 0
    )
