"""The words of answers, by language: phrases as `words/<language>.toml` has them, made ready to be looked up.

A phrase is words in a row. `(a|b)` is one of them, `[a|b]` one of them or none, `{name}` a phrase of that slot (a slot
may hold those above it), and `...` up to a dozen words that are no negation and no condition.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

LANGUAGES: Final = ("en", "de", "fr", "es", "it", "nl")
"""Those that have words."""
GAP: Final = "..."
_LONGEST_GAP: Final = 12
_FOLDER: Final = Path(__file__).with_name("words")
_WORD = re.compile(r"[^\W\d_]+'?|[+#]?\d+|\.\.\.|[^\w\s]")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})

_LISTS: Final = (
    *("greeting", "addressee", "courtesy", "closing", "filler", "softener"),
    *("approve", "approve_all", "reject", "reject_open", "reject_all", "no", "change", "change_open", "request"),
    *("because", "opener", "fault", "case", "joining", "gratitude"),
    *("negation", "hedge", "condition", "hearsay", "denial", "approving", "soft", "common"),
    *("neutral", "rejecting", "elsewhere", "release", "unchanged", "praise", "limit", "partial", "rest"),
    *("part", "slip", "contrast", "settled", "asking", "intro", "cancel", "lookalike"),
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
    *("elsewhere", "gratitude", "release", "unchanged", "praise", "part", "slip", "contrast", "intro", "rest"),
)
_WHOLE: Final = frozenset({"filler", "approve", "approve_all", "release", "unchanged"})
"""Of approvals; their gaps pass over no word that says anything of verdicts, faults or parts."""

_STOPS: Final = frozenset({".", "\n", "?"})

Words = tuple[str, ...]
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases, by their first words and as a tree of words."""

    starting: Mapping[str, tuple[Words, ...]]
    tree: Tree
    """After each word the words that may follow; `""` where a phrase ends."""
    slots: Mapping[str, Phrases]
    barred: frozenset[str] = frozenset()
    """Words that no gap passes over."""

    def ends(self, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        """Where the phrases end that begin there, and whether words stand in a gap of theirs."""
        return self._below(self.tree, words, at)

    def _below(self, tree: Tree, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        if "" in tree:
            yield at, False
        if at >= len(words):
            return
        if (then := tree.get(words[at])) is not None:
            yield from self._below(then, words, at + 1)
        for name in self.slots:
            if (then := tree.get(name)) is not None:
                for end, _ in self.slots[name].ends(words, at):
                    yield from self._below(then, words, end)
        if (then := tree.get(GAP)) is not None:
            yield from self._beyond(then, words, at)

    def _beyond(self, tree: Tree, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        """Behind a gap, which takes as few words as it can."""
        for begin in range(at, min(at + _LONGEST_GAP + 1, len(words))):
            found = [end for end, _ in self._below(tree, words, begin)]
            if found:
                yield from ((end, begin > at) for end in found)
                return
            if words[begin] in _STOPS or words[begin] in self.barred:
                return

    def lengths(self, words: Sequence[str], at: int) -> Iterator[int]:
        """How long the phrases are that stand there, the longest first."""
        yield from sorted({end - at for end, _ in self.ends(words, at)}, reverse=True)

    def longest(self, words: Sequence[str], at: int) -> int:
        """Of the longest one that stands there; 0 where none does."""
        return max((end - at for end, _ in self.ends(words, at)), default=0)

    def parted(self, words: Sequence[str], at: int) -> bool:
        """Whether the longest one that stands there has a gap with words in it."""
        return max(self.ends(words, at), default=(0, False))[1]

    def within(self, words: Sequence[str]) -> bool:
        """Whether one stands anywhere."""
        return any(next(self.ends(words, at), None) for at in range(len(words)))


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


def normal(word: str) -> str:
    """The form in which words are compared."""
    return unicodedata.normalize("NFKC", word).casefold()


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
    slots = {f"{{{name}}}": _folded(_expanded(patterns)) for name, patterns in raw.get("slots", {}).items()}
    expanded = {name: _expanded(raw.get(name, ())) for name in _LISTS}
    exact = {phrase[0] for name in _GUARDS for phrase in expanded[name] if len(phrase) == 1}
    doubts = set().union(*(expanded[name] for name in _GUARDS if name != "denial"))
    for name in ("filler", "courtesy", "approve", "approve_all", "release", "unchanged"):
        expanded[name] -= doubts  # where a word is both, the doubt counts
    for name in _FOLDED:
        # Many write without accents. A word that then reads as another that turns the sense is left as it is.
        expanded[name] |= {
            folded for phrase in expanded[name] for folded in _plain(phrase) if not (set(folded) - set(phrase)) & exact
        }
    spoken = {word for phrases in slots.values() for phrase in phrases for word in phrase}
    turning = {word for name in _MARKED for phrase in expanded[name] for word in phrase}
    marked = spoken | turning
    known = spoken | {word for phrases in expanded.values() for phrase in phrases for word in phrase}
    common = {word for phrase in expanded["common"] for word in phrase}
    filled: dict[str, Phrases] = {}
    for name, phrases in slots.items():
        filled[name] = _phrases(phrases, filled)
    strict = exact | turning - common | {word for phrase in expanded["partial"] for word in phrase}
    return Lexicon(
        language,
        {
            name: _phrases(phrases, filled, frozenset(strict if name in _WHOLE else exact))
            for name, phrases in expanded.items()
        },
        frozenset(marked - common - {GAP} - set(slots)),
        frozenset(known - {GAP} - set(slots)),
    )


@cache
def every_marked() -> frozenset[str]:
    """The words of all languages that can turn an answer, or be one, and those that bind sentences."""
    return frozenset().union(
        *(lexicon(language).marked for language in LANGUAGES),
        *(lexicon(language)["common"].starting for language in LANGUAGES),
    )


def _phrases(phrases: set[Words], slots: Mapping[str, Phrases], barred: frozenset[str] = frozenset()) -> Phrases:
    starting: dict[str, list[Words]] = {}
    tree: Tree = {}
    for phrase in sorted(phrases, key=lambda words: (-len(words), words)):
        for first in slots[phrase[0]].starting if phrase[0] in slots else (phrase[0],):
            starting.setdefault(first, []).append(phrase)
        branch = tree
        for word in phrase:
            branch = branch.setdefault(word, {})
        branch[""] = {}
    return Phrases({first: tuple(found) for first, found in starting.items()}, tree, slots, barred)


def _folded(phrases: set[Words]) -> set[Words]:
    return phrases | {folded for phrase in phrases for folded in _plain(phrase)}


def _plain(phrase: Words) -> Iterator[Words]:
    """Without accents, and with umlauts written out."""
    bare = tuple(
        "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))
        for word in phrase
    )
    if bare != phrase:
        yield bare
    written = tuple(word.translate(_UMLAUTS) for word in phrase)
    if written not in (phrase, bare):
        yield written


def _expanded(patterns: Sequence[str]) -> set[Words]:
    return {words for pattern in patterns for words in _ways(pattern) if words}


def _ways(pattern: str) -> set[Words]:
    """Every way in which a pattern can be said; slots stay."""
    ways: set[Words] = {()}
    for piece in _pieces(pattern):
        inside = piece[1:-1]
        match piece[0]:
            case "[":
                options = {(), *(words for each in _options(inside) for words in _ways(each))}
            case "(":
                options = {words for each in _options(inside) for words in _ways(each)}
            case "{":
                options = {(piece,)}
            case _:
                options = {tuple(map(normal, _WORD.findall(piece)))}
        ways = {(*way, *words) for way in ways for words in options}
    return ways


def _pieces(pattern: str) -> Iterator[str]:
    """Words, and what stands in brackets."""
    yield from filter(None, _split(pattern, " "))


def _options(inside: str) -> Iterator[str]:
    return _split(inside, "|")


def _split(text: str, at: str) -> Iterator[str]:
    """Cut at a sign that stands in no brackets."""
    depth, begin = 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "[({") - (sign in "])}")
        if sign == at and depth == 0:
            yield text[begin:place]
            begin = place + 1
    if depth:
        raise ValueError(f"the brackets of {text!r} are not closed")
    yield text[begin:]
