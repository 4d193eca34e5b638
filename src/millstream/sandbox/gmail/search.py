"""Gmail's search language as `q` speaks it: how a query is read. What each term means stands in `search_terms`.

Terms are joined by "and". `OR` joins its two neighbours, braces join all they hold by "or", parentheses group, a
leading minus excludes, quotes make a phrase; a group may stand behind an operator (`subject:(rent march)`).
`AROUND` is not known here and is searched for as a word.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.search_terms import OPERATORS, Matcher, Place, term

DEEPEST: Final = 30
"""Groups inside groups; what lies deeper is read as if the brackets were not there."""

_PIECE = re.compile(r'-?"[^"]*(?:"|$)|-?(?:[A-Za-z_]+:)(?="|\(|\{)|-(?=[({])|[(){}]|[^\s(){}"]+|"')
_OPENERS: Final = {"(": ")", "{": "}"}
_HIDDEN: Final = {"trash": "TRASH", "spam": "SPAM", "anywhere": ""}


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read: a test for messages, and which of TRASH and SPAM it opens (reads in:trash and so on)."""

    matches: Callable[[Message], bool]
    opened: frozenset[str] = frozenset()


def read_query(text: str | None, account: Account, now: float) -> Query:
    """Read a `q` parameter; no query matches everything. `now` is seconds since 1970, for ages."""
    if not text or not text.strip():
        return Query(lambda _message: True)
    pieces = _PIECE.findall(text)
    reader = _Reader(pieces, Place(account, now))
    return Query(reader.all(), _opened(pieces))


def _opened(pieces: list[str]) -> frozenset[str]:
    """in:trash, in:spam, in:anywhere and the labels of these names look where a list does not (search help page)."""
    opened: set[str] = set()
    for piece in pieces:
        key, colon, value = piece.lower().partition(":")
        if colon and key in ("in", "label", "is") and value in _HIDDEN:
            opened |= {_HIDDEN[value]} if _HIDDEN[value] else {"TRASH", "SPAM"}
    return frozenset(opened)


class _Reader:
    """Reads pieces from left to right; brackets that do not fit are passed over."""

    def __init__(self, pieces: list[str], place: Place) -> None:
        self._pieces = pieces
        self._place = place
        self._at = 0

    def all(self) -> Matcher:
        """Everything there is."""
        tests = []
        while self._at < len(self._pieces):
            tests.append(self._group("", "", 0))
            self._at += 1  # a closing bracket that nothing opened
        return _every(tests)

    def _group(self, key: str, end: str, depth: int) -> Matcher:
        """Terms up to `end`; `key` is the operator that stands before the group."""
        parts: list[Matcher] = []
        joins = False
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            if piece == end or (not end and piece in ")}"):
                break
            if piece in ("OR", "|"):
                joins = bool(parts)
                self._at += 1
                continue
            test = self._one(key, depth)
            if test is None:
                continue
            if joins:
                parts[-1] = _either(parts[-1], test)
                joins = False
            else:
                parts.append(test)
        return _any(parts) if end == "}" else _every(parts)

    def _one(self, key: str, depth: int) -> Matcher | None:
        """One term or group; None for what says nothing."""
        piece = self._pieces[self._at]
        self._at += 1
        excluded = piece.startswith("-") and len(piece) > 1
        test = self._bare(piece.removeprefix("-") if excluded else piece, key, depth)
        if piece == "-" and self._at < len(self._pieces) and self._pieces[self._at] in _OPENERS:
            test = self._bare(self._next(), key, depth)
            excluded = True
        return _not(test) if excluded and test is not None else test

    def _bare(self, piece: str, key: str, depth: int) -> Matcher | None:
        if piece in _OPENERS:
            return self._inside(piece, key, depth)
        if piece.endswith(":") and piece[:-1].lower() in OPERATORS and self._at < len(self._pieces):
            following = self._pieces[self._at]
            if following in _OPENERS or following.startswith('"'):
                return self._bare(self._next(), piece[:-1].lower(), depth)
        if piece.startswith('"'):
            return term(key, piece.strip('"'), self._place) if piece.strip('"').strip() else None
        if piece in (")", "}", "-"):
            return None
        name, colon, value = piece.partition(":")
        if colon and name.lower() in OPERATORS:
            return term(name.lower(), value, self._place) if value else None
        return term(key, piece, self._place)

    def _inside(self, opener: str, key: str, depth: int) -> Matcher | None:
        if depth >= DEEPEST:
            return None
        test = self._group(key, _OPENERS[opener], depth + 1)
        self._at += 1  # the closing bracket, or the end
        return test

    def _next(self) -> str:
        self._at += 1
        return self._pieces[self._at - 1]


def _not(test: Matcher) -> Matcher:
    return lambda message: not test(message)


def _either(one: Matcher, other: Matcher) -> Matcher:
    return lambda message: one(message) or other(message)


def _every(tests: list[Matcher]) -> Matcher:
    if len(tests) == 1:
        return tests[0]
    return lambda message: all(test(message) for test in tests)


def _any(tests: list[Matcher]) -> Matcher:
    return lambda message: any(test(message) for test in tests) if tests else True
