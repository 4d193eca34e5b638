"""A finding's text with what it is about between two pairs of asterisks, as it is stored and as plain text has it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MARK: Final = "**"
_MARKED = re.compile(r"\*\*(.+?)\*\*")
_OTHER: Final = {ord("*"): "\N{ASTERISK OPERATOR}"}
_MOST_SAID = 100
_MOST_BESIDE = 80
_FEWEST = 8


@dataclass(frozen=True, slots=True)
class Marked:
    """A text in three parts; without a mark all of it stands before."""

    before: str
    said: str = ""
    after: str = ""

    def __str__(self) -> str:
        return f"{self.before}{MARK}{self.said}{MARK}{self.after}" if self.said else self.before


def mark(before: str, said: str, after: str) -> str:
    """Words with what stands around them. Asterisks of the text become others, so that ours are the only ones."""
    parts = (before[-_MOST_BESIDE:], said[:_MOST_SAID], after[:_MOST_BESIDE])
    return str(Marked(*(part.translate(_OTHER) for part in parts))).strip()


def marked(text: str, most: int) -> Marked:
    """A text's parts, cut so that the marked words are to be seen."""
    found = _MARKED.search(text)
    if found is None:
        return Marked(_shortened(text, most))
    before, said, after = text[: found.start()], found[1], text[found.end() :]
    if len(text) <= most:
        return Marked(before, said, after)
    said = _shortened(said, max(most - 2 * len(MARK) - 2 * _FEWEST, _FEWEST))
    side = max((most - 2 * len(MARK) - len(said)) // 2, 0)
    if len(before) > side:
        before = "…" + before[len(before) - max(side - 1, 0) :].lstrip() if side else ""
    return Marked(before, said, _shortened(after, side))


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(most - 1, 0)].rstrip() + "…"
