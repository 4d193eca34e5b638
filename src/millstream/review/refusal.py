"""Whether a text rejects, or wants changes: it begins with that, or is nothing else, and nothing takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from millstream.review.model import Verdict
from millstream.review.tokens import LINE, QUOTED, STOPS, STRONG, TRAILING
from millstream.review.words import LANGUAGES, Lexicon, lexicon

_FEW: Final = 3
"""Words without any that is known may still be of a language."""


@dataclass(frozen=True, slots=True)
class Head:
    """A verdict found, and where."""

    verdict: Verdict
    begin: int
    end: int
    bare: bool = False
    """A mere no."""
    everything: bool = False
    """Of all cases, in so many words."""
    last: bool = False
    """It is the last sentence; what it is about stands above it."""

    def beside(self, words: Sequence[str]) -> Sequence[str]:
        """All the rest of the text."""
        return words[: self.begin] if self.last else words[self.end :]


def headed(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool) -> Head | None:
    """The verdict with which a text begins, or that its last sentence is."""
    found = _head(words, _skipped(words, 0, one, lexicons), one, item=item)
    if found is not None:
        return found
    begin = max((n + 1 for n, word in enumerate(words) if word in {STRONG, LINE}), default=0)
    if not 0 < begin < len(words):
        return None
    found = _head(words, _skipped(words, begin, one, lexicons), one, item=False)
    if found is None or not only(words[found.end :], one, lexicons):
        return None
    return replace(found, begin=begin, last=True)


def _skipped(words: Sequence[str], at: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> int:
    """Past regret and politeness."""
    while at < len(words):
        if words[at] in STOPS:
            at += 1
            continue
        lengths = [one["softener"].longest(words, at), *(other["courtesy"].longest(words, at) for other in lexicons)]
        # What is a longer phrase of a verdict is no mere regret.
        if not max(lengths) or any(one[name].longest(words, at) > max(lengths) for name in _VERDICTS):
            break
        at += max(lengths)
    return at


_VERDICTS: Final = ("reject", "reject_open", "reject_all", "no", "change", "change_open", "approve", "approve_all")


def _head(words: Sequence[str], at: int, one: Lexicon, *, item: bool) -> Head | None:
    if at >= len(words):
        return None
    best: Head | None = None
    reach = at + max(one[name].longest(words, at) for name in ("approve", "approve_all", "filler"))
    for name, verdict in _HEADS:
        for length in one[name].lengths(words, at):
            end = at + length
            if end <= reach:
                break
            if _may_end(words, end, one, name, item=item):
                best, reach = Head(verdict, at, end, bare=name == "no", everything=name == "reject_all"), end
                break
    return best


_HEADS: Final = (
    ("reject_open", Verdict.REJECT),
    ("reject_all", Verdict.REJECT),
    ("reject", Verdict.REJECT),
    ("no", Verdict.REJECT),
    ("change_open", Verdict.CHANGE),
    ("change", Verdict.CHANGE),
)


def _may_end(words: Sequence[str], end: int, one: Lexicon, name: str, *, item: bool) -> bool:
    """Whether a head can end there: it is open, or a stop follows, or a reason."""
    if name.endswith("_open") or end >= len(words) or words[end] in STOPS:
        return True
    if one["because"].longest(words, end):
        return True
    if name != "no":
        return False
    return bool(one["opener"].longest(words, end)) or (item and one["fault"].within(words[end:]))


def taken_back(words: Sequence[str], head: Head, one: Lexicon, *, alone: bool) -> str:
    """What stands against the verdict, as a word; empty where nothing does. `alone`: nothing is said beside it."""
    beside = head.beside(words)
    sentence = words if head.last else _until_stop(words, head.end)
    wishes = head.verdict is Verdict.CHANGE
    other = ("reject", "reject_open", "no") if wishes else ("change", "change_open")
    begun = (begin for begin in _sentences(words, head.end) if one["condition"].longest(words, begin))
    found = {
        "trailing": TRAILING in words,
        "hedged": one["hedge"].within(words),
        "hearsay": one["hearsay"].within(sentence),
        "conditional": one["condition"].within(sentence) or next(begun, None) is not None,
        "contradicting": _affirms(beside, one, "approving")
        or ((head.bare or head.last) and _affirms(beside, one, "soft"))
        or _begins(beside, one, other),
        # After a mere no: what is not said to be wrong may as well be praise. "No, I like it."
        "no_fault": head.bare and not alone and not _faults(beside, one),
        "denied": ((wishes or head.bare or head.last) and one["denial"].within(beside))
        or (wishes and _none(beside, one)),
    }
    return next((why for why, so in found.items() if so), "")


def _faults(words: Sequence[str], one: Lexicon) -> bool:
    """Whether something is said to be wrong."""
    if one["because"].longest(words, 0):
        return True
    return any(
        not any(one["negation"].longest((word,), 0) for word in _near(words, at, -1))
        for at in range(len(words))
        if one["fault"].longest(words, at)
    )


def _none(words: Sequence[str], one: Lexicon) -> bool:
    """Whether it is said that there are none: `Changes: none`."""
    first = next((at for at, word in enumerate(words) if word not in STOPS), len(words))
    return bool(one["negation"].longest(words, first))


def _begins(words: Sequence[str], one: Lexicon, names: Sequence[str]) -> bool:
    """Whether another verdict begins there, or behind a stop."""
    places = (0, *(at + 1 for at, word in enumerate(words) if word in STOPS))
    return any(one[name].longest(words, at) for at in places for name in names)


def _until_stop(words: Sequence[str], begin: int) -> Sequence[str]:
    """The sentence in which the head stands, from its beginning."""
    end = next((at for at in range(begin, len(words)) if words[at] in {STRONG, LINE}), len(words))
    return words[:end]


def _sentences(words: Sequence[str], rest: int) -> Iterator[int]:
    for at in range(rest, len(words) - 1):
        if words[at] in {STRONG, LINE} and words[at + 1] not in STOPS:
            yield at + 1


def _affirms(words: Sequence[str], one: Lexicon, name: str) -> bool:
    """Whether a word of approval stands there that no negation near it turns."""
    for at in range(len(words)):
        length = one[name].longest(words, at)
        if not length:
            continue
        near = [*_near(words, at, -1), *_near(words, at + length - 1, 1)]
        if not any(one["negation"].longest((word,), 0) for word in near):
            return True
    return False


def _near(words: Sequence[str], at: int, step: int) -> Iterator[str]:
    for word in words[at + step : at + 4 * step if at + 4 * step >= 0 else None : step]:
        if word in STOPS:
            return
        yield word


def strange(after: Sequence[str], one: Lexicon) -> bool:
    """Whether the rest is of another language than the head, so that its words cannot be weighed."""
    words = [word for word in after if word not in STOPS and word != QUOTED and not word[0].isdigit()]
    return bool(words) and one.language not in _tongues(words)


def _tongues(words: Sequence[str]) -> frozenset[str]:
    """The languages that a text can be of, by the words that are known: the best, and those as good."""
    said = [word for word in words if word not in STOPS]
    scores = {language: sum(word in lexicon(language).known for word in said) for language in LANGUAGES}
    best = max(scores.values())
    if best == 0:
        return frozenset(LANGUAGES) if len(said) <= _FEW else frozenset()
    return frozenset(language for language, score in scores.items() if score == best)


def only(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon]) -> bool:
    """Whether nothing but politeness stands there."""
    at = 0
    while at < len(words):
        lengths = [other[kind].longest(words, at) for other in lexicons for kind in ("courtesy", "closing")]
        lengths.append(one["softener"].longest(words, at))
        if words[at] in STOPS:
            at += 1
        elif max(lengths):
            at += max(lengths)
        else:
            return False
    return True
