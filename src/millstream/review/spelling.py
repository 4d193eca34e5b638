"""Slips of the hand in long words: `aproved` is read as `approved`, where nothing else is as near.

Endings are left as they are, for they carry the sense: `approuver` is no `approuvé`. So are beginnings: `unclear`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from millstream.review.tokens import Sheet, Token
from millstream.review.words import LANGUAGES, Lexicon, lexicon

_SHORTEST: Final = 6
"""Letters; shorter words have too many neighbours."""
_LONGEST: Final = 24
_DRAWN_OUT: Final = re.compile(r"([^\W\d_])\1{2,}")
_KEYS: Final = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qwertzuiop", "azertyuiop", "qsdfghjklm", "wxcvbn")


def spelled(sheet: Sheet, lexicons: Sequence[Lexicon]) -> Sheet:
    """With the words that were meant; where they stand in the text stays as it is."""
    languages = tuple(one.language for one in lexicons)
    return Sheet(sheet.text, tuple(_meant(token, languages) for token in sheet.tokens))


def _meant(token: Token, languages: tuple[str, ...]) -> Token:
    word = token.said
    if not word[:1].isalpha() or word in known_anywhere():
        return token
    found = _shortened(word, languages) or _nearest(word, languages)
    return replace(token, said=found) if found else token


def _shortened(word: str, languages: tuple[str, ...]) -> str:
    """`okkkk` as `ok`, `e'` at the end of an Italian word as the accent that it stands for."""
    known = _known(languages)
    forms = (_DRAWN_OUT.sub(r"\1\1", word), _DRAWN_OUT.sub(r"\1", word), word.rstrip("'"))
    return next((form for form in forms if form != word and form in known), "")


def _nearest(word: str, languages: tuple[str, ...]) -> str:
    if not _SHORTEST <= len(word) <= _LONGEST or not word.isalpha():
        return ""
    near = _near(languages)
    found = {each for form in _shorter(word) for each in near.get(form, ()) if _slip(word, each)}
    return found.pop() if len(found) == 1 else ""


def _slip(word: str, meant: str) -> bool:
    """Whether a hand that wants to write one may write the other."""
    if word[0] != meant[0] or word[-1] != meant[-1]:
        return False
    at = next((n for n, (one, other) in enumerate(zip(word, meant, strict=False)) if one != other), len(word))
    if len(word) != len(meant):
        longer, shorter = sorted((word, meant), key=len, reverse=True)
        return longer[at + 1 :] == shorter[at:]
    if word[at + 2 :] == meant[at + 2 :] and word[at : at + 2] == meant[at : at + 2][::-1]:
        return True
    return word[at + 1 :] == meant[at + 1 :] and _beside(word[at : at + 1], meant[at : at + 1])


def _beside(one: str, other: str) -> bool:
    """Whether two keys lie beside each other in a row."""
    return any(one + other in row or other + one in row for row in _KEYS)


def _shorter(word: str) -> Iterator[str]:
    yield word
    yield from (word[:at] + word[at + 1 :] for at in range(len(word)))


@cache
def known_anywhere() -> frozenset[str]:
    """Every word that is listed in any language."""
    return _known(LANGUAGES)


@cache
def _known(languages: tuple[str, ...]) -> frozenset[str]:
    return frozenset().union(*(lexicon(language).known for language in languages))


@cache
def _near(languages: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Long words by what is left of them without one letter."""
    found: dict[str, tuple[str, ...]] = {}
    for word in _known(languages):
        if len(word) >= _SHORTEST and word.isalpha():
            for form in _shorter(word):
                found[form] = (*found.get(form, ()), word)
    return found
