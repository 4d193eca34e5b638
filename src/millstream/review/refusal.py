"""Whether a text rejects, or wants changes: it begins with that, or is nothing else, and nothing takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from millstream.review.model import Verdict
from millstream.review.polite import courtesy
from millstream.review.tokens import LINE, QUESTION, QUOTED, STOPS, STRONG, TRAILING, WEAK
from millstream.review.words import LANGUAGES, Lexicon, lexicon

_FEW: Final = 3
"""Words without any that is known may still be of a language."""
_ABOVE: Final = 3
"""Words and stops at least that say why something is wanted; a name before a colon is none."""
_NEXT: Final = 4
"""Words within which one bears upon another."""
_WIDE: Final = 6
"""Likewise, of a word that may as well belong to what is not so: `no es el cliente correcto`."""


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
    parted: bool = False
    """Its phrase has a gap, and words stand in it."""
    says: bool = False
    """What is wanted, or why, stands within the head itself: German and Dutch verbs stand at the end."""
    asked: bool = False
    """It is a wish that is put as a question."""
    later: bool = False
    """It begins within the text; what stands above it says why."""

    def beside(self, words: Sequence[str]) -> Sequence[str]:
        """All the rest of the text."""
        if self.later:
            return (*words[: self.begin], STRONG, *words[self.end :])
        return words[: self.begin] if self.last else words[self.end :]


def headed(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool) -> Head | None:
    """The verdict with which a text begins, or that its last sentence is."""
    found = _head(words, _skipped(words, 0, one, lexicons), one, item=item)
    if found is not None:
        return found
    begin = max((n + 1 for n, word in enumerate(words) if word in {STRONG, LINE}), default=0)
    if 0 < begin < len(words):
        found = _head(words, _skipped(words, begin, one, lexicons), one, item=False)
        if found is not None and only(words[found.end :], one, lexicons):
            return replace(found, begin=begin, last=True)
    return None if item else _later(words, one)


def _later(words: Sequence[str], one: Lexicon) -> Head | None:
    """A wish that begins within the text, or a refusal that is a sentence of its own; what stands above says why."""
    for at in range(_ABOVE, len(words)):
        if words[at - 1] not in STOPS or not any(word in one.known for word in words[:at]):
            continue
        found = _head(words, at, one, item=False)
        if found is None or found.bare or found.everything:
            continue
        if found.verdict is Verdict.CHANGE or words[at - 1] in {STRONG, LINE}:
            return replace(found, later=True)
    return None


def _skipped(words: Sequence[str], at: int, one: Lexicon, lexicons: Sequence[Lexicon]) -> int:
    """Past regret and politeness."""
    while at < len(words):
        if words[at] in STOPS:
            at += 1
            continue
        lengths = [one["softener"].longest(words, at), one["praise"].longest(words, at)]
        lengths += [courtesy(words, at, other) for other in lexicons]
        # What is a longer phrase of a verdict is no mere regret.
        if not max(lengths) or any(one[name].longest(words, at) > max(lengths) for name in _VERDICTS):
            break
        at += max(lengths)
    return at


_VERDICTS: Final = (
    *("reject", "reject_open", "reject_all", "no", "change", "change_open", "request", "approve", "approve_all"),
)


def _head(words: Sequence[str], at: int, one: Lexicon, *, item: bool) -> Head | None:
    if at >= len(words):
        return None
    best: Head | None = None
    reach = at + max(one[name].longest(words, at) for name in ("approve", "approve_all", "filler"))
    for name in _HEADS:
        for length in one[name].lengths(words, at):
            end = at + length
            if end <= reach:
                break
            if _may_end(words, end, one, name, item=item):
                best, reach = _found(words[at:end], at, one, name), end
                break
    return best


def _found(head: Sequence[str], at: int, one: Lexicon, name: str) -> Head:
    parted = one[name].parted(head, 0)
    return Head(
        _HEADS[name],
        at,
        at + len(head),
        bare=name == "no",
        everything=name == "reject_all",
        parted=parted,
        says=parted and _says(head, one, name),
        asked=name == "request",
    )


def _says(head: Sequence[str], one: Lexicon, name: str) -> bool:
    """Whether a head holds more than its own words, in the gap that its phrase leaves."""
    if name in _WISHES:
        return one["change"].longest(head, 0) != len(head)
    return one["because"].within(head) or one["fault"].within(head)


def asks_for(words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether the only question of a text is the wish itself: `Could you please replace the logo?`."""
    ends = (at for at in range(head.end, len(words)) if words[at] in {STRONG, LINE, QUESTION})
    end = next(ends, len(words))
    begin = head.begin - 1 if words[head.begin - 1 : head.begin] == (QUESTION,) else head.begin
    sure = head.asked and not one["negation"].within(words[head.end : end])
    return sure and QUESTION not in (*words[:begin], *words[head.begin : end], *words[end + 1 :])


_WISHES: Final = ("request", "change_open", "change")
_HEADS: Final = {
    "request": Verdict.CHANGE,
    "reject_open": Verdict.REJECT,
    "reject_all": Verdict.REJECT,
    "reject": Verdict.REJECT,
    "no": Verdict.REJECT,
    "change_open": Verdict.CHANGE,
    "change": Verdict.CHANGE,
}


def _may_end(words: Sequence[str], end: int, one: Lexicon, name: str, *, item: bool) -> bool:
    """Whether a head can end there: it is open, or a stop follows, or a reason."""
    if name.endswith("_open") or name == "request" or end >= len(words) or words[end] in STOPS:
        return True
    if one["because"].longest(words, end):
        return True
    if name != "no":
        return False
    return bool(one["opener"].longest(words, end)) or (item and one["fault"].within(words[end:]))


def taken_back(words: Sequence[str], head: Head, one: Lexicon, *, alone: bool) -> str:
    """What stands against the verdict, as a word; empty where nothing does. `alone`: nothing is said beside it."""
    wishes = head.verdict is Verdict.CHANGE
    if wishes:
        words = (*words[: head.end], *_without_rest(words[head.end :], one))
    beside = head.beside(words)
    span = _sentence(words, head)
    other = ("reject", "reject_open", "no") if wishes else ("change", "change_open", "request")
    above = head.last or head.later
    found = {
        "trailing": TRAILING in words,
        # "Would you please" is a wish, and no doubt.
        "hedged": _hedged(words, head, one),
        "hearsay": _bound("hearsay", words, head, one),
        "conditional": _bound("condition", words, head, one) or _begun(words, head, one),
        "contradicting": _affirms(beside, one, "approving")
        or ((head.bare or above) and _affirms(beside, one, "soft"))
        or (wishes and _praised(words, head, one))
        or _begins(beside, one, other)
        or (not wishes and _undone(words, head, one)),
        "elsewhere": wishes and one["elsewhere"].within(words[head.begin : span.stop]),
        # After a mere no: what is not said to be wrong may as well be praise. "No, I like it."
        "no_fault": head.bare and not alone and not _faults(beside, one),
        "denied": ((wishes or head.bare or above) and one["denial"].within(beside)) or (wishes and _none(beside, one)),
    }
    return next((why for why, so in found.items() if so), "")


def _sure(head: Head) -> int:
    """From where on a doubt counts: `would you please`, `ich hätte gern` begin a wish."""
    if head.verdict is not Verdict.CHANGE:
        return head.begin
    return head.end if head.asked else min(head.begin + 2, head.end)


def _praised(words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether what is said to be wanted is that it be good: `The date should be fine.`."""
    inside = words[head.begin + 2 : head.end - 1] if head.parted else ()
    return _affirms(inside, one, "soft") or _affirms(words[head.end : head.end + 2], one, "soft")


def _without_rest(words: Sequence[str], one: Lexicon) -> Sequence[str]:
    """Without the clause that says that all else is as it should be: `Otherwise no comments`."""
    for at in range(len(words)):
        if at and words[at - 1] not in STOPS:
            continue
        for length in one["rest"].lengths(words, at):
            if at + length == len(words) or words[at + length] in STOPS:
                return (*words[: max(at - 1, 0)], *_without_rest(words[at + length :], one))
    return words


def _sentence(words: Sequence[str], head: Head) -> range:
    """The sentence in which the head stands, with what stands above it where that says why."""
    begin = 0 if head.last or head.later else head.begin
    ends = (at for at in range(head.end, len(words)) if words[at] in {STRONG, LINE, QUESTION})
    end = len(words) if head.last else next(ends, len(words))
    return range(begin, end)


def _bound(name: str, words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether the verdict is bound to something, or is somebody else's.

    Some of these words bind nothing within a reason: `Rejected: this was meant for private clients only.`
    """
    reason = _reason(words, head, one)
    for at in _sentence(words, head):
        length = one[name].longest(words, at)
        # "Il faut" holds a word of somebody else's only as it is spelt.
        if not length or (name == "hearsay" and head.begin <= at < head.end):
            continue
        within = at > reason or at < head.begin
        if name == "condition" and (at == 0 or words[at - 1] in STOPS):
            within = False
        if not within or one["limit"].longest(words, at) < length:
            return True
    return False


def _hedged(words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether there is doubt. A reason may hold a `would`: `Rejected: this would cost us the licence.`."""
    reason = _reason(words, head, one)
    for at in (*range(head.begin if head.last or head.later else 0), *range(_sure(head), len(words))):
        length = one["hedge"].longest(words, at)
        mere = head.verdict is Verdict.REJECT and not head.last and at > reason + 1 and words[at - 1] not in STOPS
        if length and not (mere and one["limit"].longest(words, at) >= length):
            return True
    return False


def _reason(words: Sequence[str], head: Head, one: Lexicon) -> int:
    """Where a reason begins."""
    ends = (at for at in range(head.end, len(words)) if words[at] in STOPS or one["because"].longest(words, at))
    return next(ends, len(words))


def _begun(words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether another sentence begins with a condition."""
    return any(
        words[at] in {STRONG, LINE, QUESTION} and one["condition"].longest(words, at + 1)
        for at in range(0 if head.later else head.end, len(words) - 1)
    )


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
    """Whether another verdict begins there, or behind a stop; `, not the 15th` is none."""
    places = (0, *(at + 1 for at, word in enumerate(words) if word in STOPS))
    return any(
        words[at + length : at + length + 1] in {(), *((stop,) for stop in STOPS)} or words[at - 1 : at] != (WEAK,)
        for at in places
        for name in names
        for length in (one[name].longest(words, at),)
        if length and name == "no"
    ) or any(one[name].longest(words, at) for at in places for name in names if name != "no")


def _undone(words: Sequence[str], head: Head, one: Lexicon) -> bool:
    """Whether what is rejected is a rejection: `I refuse to reject this`."""
    if head.parted and one["rejecting"].within(words[head.begin : head.end]):
        return True
    after = words[head.end :]
    for at, word in enumerate(after[:_NEXT]):
        if (word in STOPS and (head.bare or word != WEAK)) or one["because"].longest(after, at):
            return False
        if one["rejecting"].longest(after, at):
            return True
    return False


def _affirms(words: Sequence[str], one: Lexicon, name: str) -> bool:
    """Whether a word of approval stands there that no negation near it turns."""
    for at in range(len(words)):
        length = one[name].longest(words, at)
        if not length or _neutral(words, at, one):
            continue
        reach = _WIDE if name == "soft" else _NEXT
        near = [*_near(words, at, -1, reach), *_near(words, at + length - 1, 1)]
        if not any(one["negation"].longest((word,), 0) for word in near):
            return True
    return False


def _neutral(words: Sequence[str], at: int, one: Lexicon) -> bool:
    """Whether the word is part of one that approves nothing: `send it again for approval`."""
    return any(one["neutral"].longest(words, begin) > at - begin for begin in range(max(at - _NEXT, 0), at + 1))


def _near(words: Sequence[str], at: int, step: int, reach: int = _NEXT) -> Iterator[str]:
    for word in words[at + step : at + reach * step if at + reach * step >= 0 else None : step]:
        if word in STOPS:
            return
        yield word


def strange(after: Sequence[str], one: Lexicon) -> bool:
    """Whether the rest is of another language than the head, so that its words cannot be weighed."""
    words = [word for word in after if word not in STOPS and word != QUOTED and not word[0].isdigit()]
    return bool(words) and one.language not in tongues_of(words)


def tongues_of(words: Sequence[str]) -> frozenset[str]:
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
        lengths = [max(courtesy(words, at, other), other["closing"].longest(words, at)) for other in lexicons]
        lengths.append(one["softener"].longest(words, at))
        if words[at] in STOPS:
            at += 1
        elif max(lengths):
            at += max(lengths)
        else:
            return False
    return True
