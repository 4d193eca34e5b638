"""Whether a text approves: every word of it is known to belong to an approval, in one language, or it does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from millstream.review.polite import NAMES, named, thanked
from millstream.review.spelling import known_anywhere
from millstream.review.tokens import QUESTION, QUOTED, STOPS, STRONG, TRAILING, WEAK, Sheet
from millstream.review.words import Lexicon

THUMB: Final = "👍"
_SMILES: Final = frozenset("🙂😀😃😄😊🙏🎉👏")


def approves(body: Sheet, one: Lexicon, lexicons: Sequence[Lexicon]) -> bool | None:
    """None: no. Else whether it approves all cases, in so many words."""
    words = tuple(word for word in body.words() if word not in {QUESTION, TRAILING})
    if len(words) != len(body.tokens):
        body = Sheet(body.text, tuple(token for token in body.tokens if token.said not in {QUESTION, TRAILING}))
    approves = everything = polite = strong = told = False
    all_kinds: set[str] = set()
    clauses = list(_clauses(words))
    for number, (begin, end) in enumerate(clauses):
        last = number == len(clauses) - 1
        kinds = _segments(body, begin, end, one, lexicons)
        if kinds is None:
            if last and number and polite and approves and named(body, begin, end):
                continue
            if (last or number == 0) and _is_somebody(body, begin, end, last=last):
                continue
            if not accounts(words[begin:end], one):
                return None
            told = True
            continue
        strong = strong or _is_strong(words[begin:end], kinds, one)
        all_kinds |= kinds
        approves = approves or bool(kinds & {"approve", "approve_all"}) or all_kinds >= {"unchanged", "release"}
        everything = everything or "approve_all" in kinds
        polite = bool(kinds & {"courtesy", "closing"})
    return everything if approves and (strong or not told) else None


def _is_strong(words: Sequence[str], kinds: frozenset[str], one: Lexicon) -> bool:
    """Whether a clause approves in more than an `ok`, which may as well be said of the sentence beside it."""
    if not kinds & {"approve", "approve_all"}:
        return False
    return any(one["approving"].longest(words, at) and len(words[at]) >= _STRONG for at in range(len(words)))


def _is_somebody(body: Sheet, begin: int, end: int, *, last: bool) -> bool:
    """Whether it is a name before a comma at the beginning, or behind a full stop at the end."""
    words = body.words()
    apart = words[begin - 1 : begin] != (WEAK,) if last and begin else words[end : end + 1] == (WEAK,)
    unheard = not known_anywhere().intersection(words[begin:end])
    return apart and unheard and end - begin < NAMES and named(body, begin, end)


def accounts(words: Sequence[str], one: Lexicon) -> bool:
    """Whether a clause tells no more than that somebody looked, or that something is as it should be."""
    told = tuple(word for word in words if not one["joining"].longest((word,), 0))
    if not _FEWEST <= len(told) <= _MOST or one["asking"].longest(told, 0):
        return False
    if any(word[0].isdigit() for word in told) or any(one[name].within(told) for name in _RISKS):
        return False
    if any(one["settled"].longest(told, at) and not one["fitting"].longest(told, at) for at in range(len(told))):
        return False
    known = all(word in one.known or word == QUOTED for word in told)
    return one["soft"].within(told) or one["fitting"].within(told) or (known and one["account"].within(told))


_STRONG: Final = 5
"""Letters."""
_FEWEST: Final = 3
_MOST: Final = 25
_RISKS: Final = (
    *("negation", "hedge", "condition", "limit", "hearsay", "denial", "reject", "reject_open", "reject_all", "no"),
    *("change", "change_open", "request", "wish", "must", "fault", "slip", "contrast", "elsewhere"),
    *("partial", "rejecting"),
)


def _clauses(words: Sequence[str]) -> Iterator[tuple[int, int]]:
    begin = 0
    for at, word in enumerate((*words, STRONG)):
        if word in STOPS:
            if at > begin:
                yield begin, at
            begin = at + 1


def _segments(body: Sheet, begin: int, end: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> frozenset[str] | None:
    """The kinds of phrases that a clause is made of, without a word left over; None where it is not.

    Where it can be made in several ways, the one that says most counts: an approval before mere politeness.
    """
    words = body.words()[begin:end]
    ways: list[frozenset[str] | None] = [frozenset(), *[None] * len(words)]
    for at in range(len(words)):
        so_far = ways[at]
        if so_far is None:
            continue
        for kind, length in _phrases(words, at, one, lexicons):
            if at + length < len(words) and one["negation"].longest(words, at) and kind not in {"courtesy", "closing"}:
                continue  # "no changes" says something else before "approved" than before a stop
            reached = so_far | {kind}
            known = ways[at + length]
            if known is None or _weight(reached) > _weight(known):
                ways[at + length] = reached
        if at and so_far & {"courtesy", "closing"} and len(words) - at <= NAMES and named(body, begin + at, end):
            ways[-1] = ways[-1] or so_far
    return ways[-1] or None


def _weight(kinds: frozenset[str]) -> int:
    return sum(_WEIGHTS.get(kind, 0) for kind in kinds)


_WEIGHTS: Final = {"approve_all": 3, "approve": 3, "unchanged": 1, "release": 1}


def _phrases(words: Sequence[str], at: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> Iterator[tuple[str, int]]:
    for kind in ("approve_all", "approve", "unchanged", "release", "filler"):
        yield from ((kind, length) for length in one[kind].lengths(words, at))
    yield from (("approve", length) for length in one["idiom"].lengths(words, at))
    if at and (length := one["joining"].longest(words, at)) and at + length < len(words):
        yield "filler", length
    for other in lexicons:
        for kind in ("courtesy", "closing"):
            yield from ((kind, length) for length in other[kind].lengths(words, at))
        if length := thanked(words, at, other):
            yield "courtesy", length
    if words[at] in _SMILES or words[at] == THUMB:
        yield "filler", 1
