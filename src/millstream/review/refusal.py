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
_NEXT: Final = 4
"""Words within which one bears upon another."""


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
        lengths = [one["softener"].longest(words, at), *(courtesy(words, at, other) for other in lexicons)]
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
    beside = head.beside(words)
    sentence = words if head.last else _until_stop(words, head.end)
    wishes = head.verdict is Verdict.CHANGE
    other = ("reject", "reject_open", "no") if wishes else ("change", "change_open", "request")
    begun = (begin for begin in _sentences(words, head.end) if one["condition"].longest(words, begin))
    found = {
        "trailing": TRAILING in words,
        # "Would you please" is a wish, and no doubt.
        "hedged": one["hedge"].within(words[: head.begin] if head.asked else words)
        or (head.asked and one["hedge"].within(words[head.end :])),
        # "Il faut" holds a word of somebody else's only as it is spelt.
        "hearsay": one["hearsay"].within(sentence[: head.begin]) or one["hearsay"].within(sentence[head.end :]),
        "conditional": one["condition"].within(sentence) or next(begun, None) is not None,
        "contradicting": _affirms(beside, one, "approving")
        or ((head.bare or head.last) and _affirms(beside, one, "soft"))
        or _begins(beside, one, other)
        or (not wishes and _undone(words, head, one)),
        "elsewhere": wishes and one["elsewhere"].within(sentence[head.begin :]),
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


def _until_stop(words: Sequence[str], begin: int) -> Sequence[str]:
    """The sentence in which the head stands, from its beginning."""
    end = next((at for at in range(begin, len(words)) if words[at] in {STRONG, LINE, QUESTION}), len(words))
    return words[:end]


def _sentences(words: Sequence[str], rest: int) -> Iterator[int]:
    for at in range(rest, len(words) - 1):
        if words[at] in {STRONG, LINE, QUESTION} and words[at + 1] not in STOPS:
            yield at + 1


def _affirms(words: Sequence[str], one: Lexicon, name: str) -> bool:
    """Whether a word of approval stands there that no negation near it turns."""
    for at in range(len(words)):
        length = one[name].longest(words, at)
        if not length or _neutral(words, at, one):
            continue
        near = [*_near(words, at, -1), *_near(words, at + length - 1, 1)]
        if not any(one["negation"].longest((word,), 0) for word in near):
            return True
    return False


def _neutral(words: Sequence[str], at: int, one: Lexicon) -> bool:
    """Whether the word is part of one that approves nothing: `send it again for approval`."""
    return any(one["neutral"].longest(words, begin) > at - begin for begin in range(max(at - _NEXT, 0), at + 1))


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
        lengths = [max(courtesy(words, at, other), other["closing"].longest(words, at)) for other in lexicons]
        lengths.append(one["softener"].longest(words, at))
        if words[at] in STOPS:
            at += 1
        elif max(lengths):
            at += max(lengths)
        else:
            return False
    return True
