"""Whether a text that names no verdict points at a mistake in what was sent: `wrong amount, it should be 3.5 %`.

That is a wish for changes where a part of a document is named and what is wrong with it, or how it should read, and
where nothing else is said: no doubt, no condition, no word of approval or refusal, nothing of the past or of others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millstream.review.tokens import LINE, QUESTION, QUOTED, STOPS, STRONG, TRAILING, WEAK
from millstream.review.words import Lexicon

_NOT: Final = frozenset({("not",), ("nicht",), ("pas",), ("non",), ("no",), ("niet",)})
_MOST: Final = 60
"""Words; whoever writes more tells more."""
_SIGNS: Final = frozenset({QUESTION, TRAILING, "🙁", "{", "}", "→", "=", "@"})
"""A question, a sigh, a form that nobody has filled in."""
_WRONG: Final = ("slip", "contrast", "fault")
_RISKS: Final = (
    *("negation", "hedge", "condition", "hearsay", "denial", "approving", "soft", "settled", "elsewhere"),
    *("approve", "approve_all", "reject", "reject_open", "reject_all", "no"),
)


def points(words: Sequence[str], one: Lexicon) -> bool:
    """Whether it asks for a change by naming a mistake, or by a list of what is to be different."""
    if len(words) > _MOST or _SIGNS.intersection(words) or one["asking"].longest(words, 0):
        return False
    begin = one["intro"].longest(words, 0)
    if begin and words[begin : begin + 1] not in {(WEAK,), (LINE,)}:
        begin = 0
    rest, wrong = _without(words[begin:], one)
    wrong = wrong or (one["wish"].within(words) and one["must"].within(words) and not _asks(words, one))
    if not wrong or one["elsewhere"].within(words) or any(_risky(name, rest, one) for name in _RISKS):
        return False
    return one["part"].within(words) or (begin > 0 and _items(words[begin:]))


def _asks(words: Sequence[str], one: Lexicon) -> bool:
    """Whether a clause begins with a word of asking."""
    return any(word in STOPS and one["asking"].longest(words, at + 1) for at, word in enumerate(words[:-1]))


def _risky(name: str, words: Sequence[str], one: Lexicon) -> bool:
    """Whether one stands there; a mere he or she says nothing of others than the letter."""
    bare = one["limit"] if name == "hearsay" else None
    return any(
        length and (bare is None or bare.longest(words, at) < length)
        for at in range(len(words))
        for length in (one[name].longest(words, at),)
    )


def _without(words: Sequence[str], one: Lexicon) -> tuple[tuple[str, ...], bool]:
    """The words without what says that something is wrong, and whether there was any."""
    rest: list[str] = []
    at, wrong, corrected = 0, False, False
    while at < len(words):
        length = max(one[name].longest(words, at) for name in _WRONG)
        wrong = wrong or length > 0
        corrected = (corrected or one["contrast"].longest(words, at) > 0) and words[at] not in {STRONG, LINE}
        if corrected and words[at] == WEAK and words[at + 1 : at + 2] in _NOT:
            length = 2  # "It should be 15 May, not 15 June"
        rest.append(QUOTED if length else words[at])
        at += length or 1
    return tuple(rest), wrong


def _items(words: Sequence[str]) -> bool:
    """Whether at least two lines begin with a number or a dash."""
    marked = [
        words[at + 1]
        for at in range(len(words) - 1)
        if words[at] == LINE and (words[at + 1] == WEAK or words[at + 1].isdigit())
    ]
    return len(marked) > 1 or (len(marked) == 1 and words[0] in STOPS)
