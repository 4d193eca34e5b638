"""Phrases as they are written down, and as they are looked up: words in a row, and slots that other phrases fill."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

GAP: Final = "..."
_LONGEST_GAP: Final = 12
_MANY: Final = 3
"""Ways; a bracket that holds so many becomes a slot of its own, for phrases would be too many if written out."""
_SLOTS: Final = "{"
_NONE: Final[Mapping[str, Any]] = {}
_WORD = re.compile(r"[^\W\d_]+'?|[+#]?\d+|\.\.\.|[^\w\s]")
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})
_STOPS: Final = frozenset({".", "\n", "?"})

Words = tuple[str, ...]
Tree = dict[str, Any]


def normal(word: str) -> str:
    """The form in which words are compared."""
    return unicodedata.normalize("NFKC", word).casefold()


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases, by their first words and as a tree of words."""

    starting: Mapping[str, tuple[Words, ...]]
    tree: Tree
    """After each word the words that may follow; `""` where a phrase ends, and below `{` the slots."""
    slots: Mapping[str, Phrases]
    barred: frozenset[str] = frozenset()
    """Words that no gap passes over."""

    def ends(self, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        """Where the phrases end that begin there, and whether words stand in a gap of theirs."""
        if at < len(words) and words[at] in self.starting:
            yield from self._below(self.tree, words, at)

    def _below(self, tree: Tree, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        if "" in tree:
            yield at, False
        if at >= len(words):
            return
        if (then := tree.get(words[at])) is not None:
            yield from self._below(then, words, at + 1)
        for name, then in tree.get(_SLOTS, _NONE).items():
            for end, _ in self.slots[name].ends(words, at):
                yield from self._below(then, words, end)
        if (then := tree.get(GAP)) is not None:
            yield from self._beyond(then, words, at)

    def _beyond(self, tree: Tree, words: Sequence[str], at: int) -> Iterator[tuple[int, bool]]:
        """Behind a gap, which takes as few words as it can."""
        for begin in range(at, min(at + _LONGEST_GAP + 1, len(words))):
            found = list(self._below(tree, words, begin))
            if found:
                yield from ((end, parted or begin > at) for end, parted in found)
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


@dataclass(slots=True)
class Patterns:
    """The slots of a language while its patterns are read: those that have names, and the brackets."""

    slots: dict[str, set[Words]] = field(default_factory=dict)
    _filled: dict[str, Phrases] = field(default_factory=dict)

    def read(self, patterns: Sequence[str], kind: str, *, whole: bool = False) -> set[Words]:
        """The phrases of patterns. `kind` keeps apart what is treated differently; `whole`: written out in full."""
        return {words for pattern in patterns for words in self._ways(pattern, "" if whole else kind) if words}

    def _ways(self, pattern: str, kind: str) -> set[Words]:
        ways: set[Words] = {()}
        for piece in _split(pattern, " "):
            if piece:
                options = self._options(piece, kind)
                ways = {(*way, *words) for way in ways for words in options}
        return ways

    def _options(self, piece: str, kind: str) -> set[Words]:
        inside = piece[1:-1]
        if piece[0] == "{":
            return {(piece,)}
        if piece[0] not in "[(":
            return {tuple(map(normal, _WORD.findall(piece)))}
        parts = list(_split(inside, "|"))
        if kind and len(parts) >= _MANY and GAP not in inside:
            name = f"{{{kind}:{inside}}}"
            if name not in self.slots:
                self.slots[name] = set()
                self.slots[name] |= {words for part in parts for words in self._ways(part, kind) if words}
            options: set[Words] = {(name,)}
        else:
            options = {words for part in parts for words in self._ways(part, kind)}
        return options | {()} if piece[0] == "[" else options

    def spoken(self, phrases: set[Words], *, named: bool = False) -> set[str]:
        """Every word of phrases, and of the brackets in them; of the slots with names too, where asked."""
        found: set[str] = set()
        for word in {word for phrase in phrases for word in phrase}:
            if word not in self.slots:
                found.add(word)
            elif named or ":" in word:
                found |= self.spoken(self.slots[word], named=named)
        return found - {GAP}

    def filled(self) -> Mapping[str, Phrases]:
        """The slots ready to be looked up.

        Raises:
            ValueError: one holds itself, or one that is nowhere.
        """
        for name in self.slots:
            self._fill(name, ())
        return self._filled

    def _fill(self, name: str, above: Words) -> None:
        if name in above or name not in self.slots:
            raise ValueError(f"the slot {name} holds itself, or is nowhere")
        if name not in self._filled:
            for each in {word for phrase in self.slots[name] for word in phrase if word[:1] == "{" and word[1:]}:
                self._fill(each, (*above, name))
            self._filled[name] = ready(self.slots[name], self._filled)


def ready(phrases: set[Words], slots: Mapping[str, Phrases], barred: frozenset[str] = frozenset()) -> Phrases:
    """Phrases ready to be looked up."""
    starting: dict[str, list[Words]] = {}
    tree: Tree = {}
    for phrase in sorted(phrases, key=lambda words: (-len(words), words)):
        for first in slots[phrase[0]].starting if phrase[0] in slots else (phrase[0],):
            starting.setdefault(first, []).append(phrase)
        branch = tree
        for word in phrase:
            branch = (branch.setdefault(_SLOTS, {}) if word in slots else branch).setdefault(word, {})
        branch[""] = {}
    return Phrases({first: tuple(found) for first, found in starting.items()}, tree, slots, barred)


def plain(phrase: Words) -> Iterator[Words]:
    """Without accents, and with umlauts written out."""
    if all(word.isascii() or word[:1] == "{" for word in phrase):
        return
    bare = tuple(word if word[:1] == "{" else _bare(word) for word in phrase)
    if bare != phrase:
        yield bare
    written = tuple(word if word[:1] == "{" else word.translate(_UMLAUTS) for word in phrase)
    if written not in (phrase, bare):
        yield written


def _bare(word: str) -> str:
    return "".join(sign for sign in unicodedata.normalize("NFD", word) if not unicodedata.combining(sign))


def _split(text: str, at: str) -> Iterator[str]:
    """Cut at a sign that stands in no brackets."""
    if not any(sign in text for sign in "[({])}"):
        yield from text.split(at)
        return
    depth, begin = 0, 0
    for place, sign in enumerate(text):
        depth += (sign in "[({") - (sign in "])}")
        if sign == at and depth == 0:
            yield text[begin:place]
            begin = place + 1
    if depth:
        raise ValueError(f"the brackets of {text!r} are not closed")
    yield text[begin:]
