"""Rows as text: aligned columns for people; on a terminal as wide as it is, in a pipe each row on its line, whole."""

from __future__ import annotations

import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence

import typer

_GAP = "  "
_LEAST = 8


def drawn(names: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool]) -> Iterator[str]:
    """The lines of a table. `right` says which columns are numbers."""
    rows = [[" ".join(cell.split()) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(names, *rows, strict=True)]
    on_terminal = sys.stdout.isatty()
    if on_terminal:
        widths = _fitted(widths, shutil.get_terminal_size().columns)
    for line in _lines(names, widths, right):
        yield typer.style(line, bold=True) if on_terminal else line
    for row in rows:
        yield from _lines(row, widths, right)


def _fitted(widths: list[int], most: int) -> list[int]:
    """The widest columns give way until the table fits."""
    widths = list(widths)
    while sum(widths) + len(_GAP) * (len(widths) - 1) > most and max(widths) > _LEAST:
        widths[widths.index(max(widths))] -= 1
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> Iterator[str]:
    folded = [
        [cell] if _width(cell) <= width else textwrap.wrap(cell, width)
        for cell, width in zip(cells, widths, strict=True)
    ]
    for number in range(max(map(len, folded))):
        parts = [
            _padded(cell[number] if number < len(cell) else "", width, right=at_right)
            for cell, width, at_right in zip(folded, widths, right, strict=True)
        ]
        yield _GAP.join(parts).rstrip()


def _padded(text: str, width: int, *, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def _width(text: str) -> int:
    """Columns on a screen: wide characters take two, accents that stand alone none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text
    )
