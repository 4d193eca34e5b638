"""Whether a text rejects, or wants changes: it begins with that, or is nothing else, and nothing takes it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from millstream.review.model import Verdict
from millstream.review.tokens import LINE, QUOTED, STOPS, STRONG, TRAILING
from millstream.review.words import LANGUAGES, Lexicon, lexicon

_FEW: Final = 3
"""Words without any that is known may still be of a language."""


def headed(
    words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon], *, item: bool
) -> tuple[Verdict, int, bool] | None:
    """The verdict with which a text begins, or that its last sentence is; where the rest begins; whether of all."""
    at = _skipped(words, 0, one, lexicons)
    if found := _head(words, at, one, item=item):
        return found
    begin = max((n + 1 for n, word in enumerate(words) if word in {STRONG, LINE}), default=0)
    if begin and begin < len(words):
        found = _head(words, _skipped(words, begin, one, lexicons), one, item=False)
        if found and only(words[found[1] :], one, lexicons) and one.language in _tongues(words[:begin]):
            return found[0], len(words), found[2]
    return None


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


def _head(words: Sequence[str], at: int, one: Lexicon, *, item: bool) -> tuple[Verdict, int, bool] | None:
    if at >= len(words):
        return None
    best: tuple[int, Verdict, bool] | None = None
    known = max((one[name].longest(words, at) for name in ("approve", "approve_all", "filler")), default=0)
    for name, verdict in _HEADS:
        for length in one[name].lengths(words, at):
            if length <= known or (best and length <= best[0]):
                break
            if _may_end(words, at + length, one, name, item=item):
                best = (length, verdict, name == "reject_all")
                break
    return (best[1], at + best[0], best[2]) if best else None


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


def taken_back(words: Sequence[str], rest: int, verdict: Verdict, one: Lexicon) -> str:
    """What stands against the verdict, as a word; empty where nothing does."""
    after, sentence = words[rest:], _until_stop(words, rest)
    bare = _bare(words, rest, one)
    loose = verdict is Verdict.CHANGE or bare
    other = ("reject", "reject_open", "no") if verdict is Verdict.CHANGE else ("change", "change_open")
    begun = (begin for begin in _sentences(words, rest) if one["condition"].longest(words, begin))
    found = {
        "trailing": TRAILING in words,
        "hedged": one["hedge"].within(words),
        "hearsay": one["hearsay"].within(sentence),
        "conditional": one["condition"].within(sentence) or next(begun, None) is not None,
        "contradicting": _affirms(after, one, "approving")
        or (bare and _affirms(after, one, "soft"))
        or _begins(words, rest, one, other),
        "denied": loose and one["denial"].within(after),
    }
    return next((why for why, so in found.items() if so), "")


def _begins(words: Sequence[str], rest: int, one: Lexicon, names: Sequence[str]) -> bool:
    """Whether another verdict begins there, or behind a stop."""
    places = (rest, *(at + 1 for at in range(rest, len(words)) if words[at] in STOPS))
    return any(one[name].longest(words, at) for at in places for name in names)


def _bare(words: Sequence[str], rest: int, one: Lexicon) -> bool:
    """Whether the head is a mere no."""
    return any(one["no"].longest(words, at) and at + one["no"].longest(words, at) == rest for at in range(rest))


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


def before(words: Sequence[str], one: Lexicon, lexicons: Sequence[Lexicon]) -> bool:
    """Whether a text whose last sentence is the verdict says why above it."""
    at = _skipped(words, 0, one, lexicons)
    return _head(words, at, one, item=False) is None
