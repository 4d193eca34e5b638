"""The words of answers, by language: phrases as `words/<language>.toml` has them, made ready to be looked up.

A phrase is words in a row. `(a|b)` is one of them, `[a|b]` one of them or none, `{name}` a phrase of that slot (a slot
may hold those above it), and `...` up to a dozen words that are no negation and no condition.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from millstream.review.phrases import Patterns, Phrases, Words, plain, ready

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl")
"""Those that have words."""
_FOLDER: Final = Path(__file__).with_name("words")

_LISTS: Final = (
    *("greeting", "addressee", "courtesy", "closing", "filler", "softener"),
    *("approve", "approve_all", "reject", "reject_open", "reject_all", "no", "change", "change_open", "request"),
    *("because", "opener", "fault", "case", "joining", "gratitude"),
    *("negation", "hedge", "condition", "hearsay", "denial", "approving", "soft", "common"),
    *("neutral", "rejecting", "elsewhere", "release", "unchanged", "praise", "limit", "partial", "rest"),
    *(
        "part",
        "slip",
        "contrast",
        "settled",
        "asking",
        "intro",
        "idiom",
        "lookalike",
        "account",
        "fitting",
        "wish",
        "must",
    ),
)
_GUARDS: Final = ("negation", "hedge", "condition", "hearsay", "denial")
_MARKED: Final = (
    *_GUARDS,
    *(
        "approve",
        "approve_all",
        "approving",
        "reject",
        "reject_open",
        "reject_all",
        "no",
        "change",
        "change_open",
        "request",
        "fault",
        "rejecting",
    ),
)
_FOLDED: Final = (
    *("greeting", "addressee", "courtesy", "closing", "filler", "softener", "approve", "approve_all", "reject"),
    *("reject_open", "reject_all", "change", "change_open", "request", "fault", "no", "neutral", "rejecting"),
    *("elsewhere", "gratitude", "release", "unchanged", "praise", "part", "slip", "contrast", "intro", "rest", "idiom"),
)
_THINGS: Final = frozenset({"{object}", "{noun}", "{part}", "{field}", "{side}", "{people}", "{paper}", "{count}"})
"""Slots whose words decide nothing: thanks may hold them."""
_WHOLE: Final = frozenset({"filler", "approve", "approve_all", "release", "unchanged"})
"""Of approvals; their gaps pass over no word that says anything of verdicts, faults or parts."""


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of one language."""

    language: str
    lists: Mapping[str, Phrases]
    marked: frozenset[str]
    """Every word that can turn an answer, or be one; no name is among them."""
    known: frozenset[str]
    """Every word of the language that is listed at all."""

    def __getitem__(self, name: str) -> Phrases:
        return self.lists[name]


@cache
def lexicon(language: str) -> Lexicon:
    """The words of a language.

    Raises:
        KeyError: there are none for it.
        ValueError: a phrase is not well written.
    """
    if language not in LANGUAGES:
        raise KeyError(language)
    raw = tomllib.loads((_FOLDER / f"{language}.toml").read_text(encoding="utf-8"))
    patterns = Patterns()
    named = {f"{{{name}}}": patterns.read(given, "folded") for name, given in raw.get("slots", {}).items()}
    patterns.slots.update(named)
    lists = {name: patterns.read(raw.get(name, ()), _kind(name), whole=name in _GUARDS) for name in _LISTS}
    exact = {phrase[0] for name in _GUARDS for phrase in lists[name] if len(phrase) == 1}
    _weeded(lists, patterns)
    _folded(lists, patterns, exact)
    doing = {name for name in named if name not in _THINGS}
    turning = patterns.spoken(set().union(*(lists[name] for name in _MARKED)))
    marked = turning | patterns.spoken({(name,) for name in doing})
    known = patterns.spoken(set().union(*lists.values(), *named.values()), named=True)
    common = patterns.spoken(lists["common"])
    slots = patterns.filled()
    strict = exact | turning - common | patterns.spoken(lists["partial"])
    barred = {name: frozenset(strict if name in _WHOLE else exact) for name in _LISTS}
    return Lexicon(
        language,
        {name: ready(phrases, slots, barred[name]) for name, phrases in lists.items()},
        frozenset(marked - common | exact),
        frozenset(known),
    )


def _kind(name: str) -> str:
    """Brackets of lists that are treated alike are alike."""
    if name in _WHOLE or name == "courtesy":
        return "whole"
    return "folded" if name in _FOLDED else "plain"


def _weeded(lists: dict[str, set[Words]], patterns: Patterns) -> None:
    """Where a word is both an approval and a doubt, the doubt counts."""
    doubts = ready(lists["hedge"] | lists["condition"], {})

    def sure(phrases: set[Words]) -> set[Words]:
        return {phrase for phrase in phrases if not doubts.within(phrase)}

    lists.update({name: sure(lists[name]) for name in (*_WHOLE, "courtesy")})
    patterns.slots.update({n: sure(found) for n, found in patterns.slots.items() if n.startswith("{whole:")})


def _folded(lists: dict[str, set[Words]], patterns: Patterns, exact: set[str]) -> None:
    """Many write without accents. A word that then reads as another that turns the sense is left as it is."""
    groups = [lists[name] for name in _FOLDED]
    groups += [phrases for name, phrases in patterns.slots.items() if not name.startswith("{plain:")]
    for group in groups:
        group |= {folded for phrase in group for folded in plain(phrase) if not (set(folded) - set(phrase)) & exact}


@cache
def every_marked() -> frozenset[str]:
    """The words of all languages that can turn an answer, or be one, and those that bind sentences."""
    return frozenset().union(
        *(lexicon(language).marked for language in LANGUAGES),
        *(lexicon(language)["common"].starting for language in LANGUAGES),
    )
