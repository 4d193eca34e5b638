"""What changed between two rounds: of the text, sentence by sentence and word by word, and of pages, side by side.

Plain and CPU-bound: call it from threads. Work is bounded whatever the documents are.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from io import BytesIO
from typing import Final, Literal

from PIL import Image, ImageChops, ImageDraw

MOST_CHANGES: Final = 200
_MOST_TEXT = 1_000_000
"""Characters of a document up to which it is cut into sentences; longer ones are compared line by line."""
_MOST_WORDS = 1_500
"""Of a changed place, up to which it is compared word by word."""
_SMALL = 4_096
"""Pairs of pieces up to which each is compared with each."""
_NEAR = 2
"""So many equal words between two changes make them one."""
_CELL = 8
_TOLERANCE = 24
_MOST_PIXELS = 20_000_000
_GAP = 16
_MARK = (197, 48, 38)

_SENTENCE = re.compile(r"(?<=[.!?;:])\s+")


_Opcode = tuple[str, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Change:
    """One place that is not as it was."""

    kind: Literal["changed", "added", "removed"]
    page: int
    """From 1: of the new document, or of the old where it stands there alone."""
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class _Piece:
    text: str
    page: int


def text(old_pages: Sequence[str], new_pages: Sequence[str], *, most: int = MOST_CHANGES) -> tuple[Change, ...]:
    """The places in which two documents' texts differ, in order; where lines and pages break makes no difference.

    At most `most` and one are given, so that whoever shows them can tell that there are more.
    """
    rough = sum(map(len, old_pages)) > _MOST_TEXT or sum(map(len, new_pages)) > _MOST_TEXT
    found: list[Change] = []
    for change in _changes(_pieces(old_pages, rough=rough), _pieces(new_pages, rough=rough)):
        found.append(change)
        if len(found) > most:
            break
    return tuple(found)


def _pieces(pages: Sequence[str], *, rough: bool) -> list[_Piece]:
    pieces = []
    for number, page in enumerate(pages, 1):
        parts = page.splitlines() if rough else _SENTENCE.split(" ".join(page.split()))
        pieces += [_Piece(" ".join(part.split()), number) for part in parts if part.strip()]
    return pieces


def _changes(old: list[_Piece], new: list[_Piece]) -> Iterator[Change]:
    before, after = [piece.text for piece in old], [piece.text for piece in new]
    for tag, a, b, c, d in _opcodes(before, after):
        if tag == "equal":
            continue
        was = [(word, piece.page) for piece in old[a:b] for word in piece.text.split()]
        now = [(word, piece.page) for piece in new[c:d] for word in piece.text.split()]
        if len(was) > _MOST_WORDS or len(now) > _MOST_WORDS:
            yield _change(was, now)
        else:
            yield from _by_words(was, now)


def _opcodes(old: Sequence[str], new: Sequence[str]) -> Iterator[_Opcode]:
    """What differs and what does not, in order.

    Pieces that stand once on either side are the pegs between which the rest is compared (patience diff), so that time
    grows with length and not with its square.
    """
    todo = [(0, len(old), 0, len(new))]
    while todo:
        a, b, c, d = todo.pop()
        start = a
        while a < b and c < d and old[a] == new[c]:
            a, c = a + 1, c + 1
        if a > start:
            yield "equal", start, a, c - (a - start), c
        if a == b or c == d:
            if a < b or c < d:
                yield "replace", a, b, c, d
        elif (b - a) * (d - c) <= _SMALL:
            for tag, i, j, k, m in SequenceMatcher(None, old[a:b], new[c:d], autojunk=False).get_opcodes():
                yield tag, a + i, a + j, c + k, c + m
        elif pegs := _pegs(old[a:b], new[c:d]):
            ends = [*((a + i, c + j) for i, j in pegs), (b, d)]
            starts = [(a, c), *ends[:-1]]
            todo += [(x, y, z, w) for (x, z), (y, w) in zip(starts, ends, strict=True)][::-1]
        else:
            yield "replace", a, b, c, d


def _pegs(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Places of pieces that stand once on either side, in an order that both have; the longest such row."""
    once_old, once_new = _once(old), _once(new)
    pairs = [(at, once_new[piece]) for piece, at in once_old.items() if piece in once_new]
    tops: list[int] = []
    rows: list[int] = []
    below: list[int] = []
    for number, (_, at) in enumerate(pairs):
        place = bisect_left(tops, at)
        below.append(rows[place - 1] if place else -1)
        if place == len(tops):
            tops.append(at)
            rows.append(number)
        else:
            tops[place], rows[place] = at, number
    chosen: list[tuple[int, int]] = []
    number = rows[-1] if rows else -1
    while number >= 0:
        chosen.append(pairs[number])
        number = below[number]
    return chosen[::-1]


def _once(pieces: Sequence[str]) -> dict[str, int]:
    counts = Counter(pieces)
    return {piece: at for at, piece in enumerate(pieces) if counts[piece] == 1}


def _by_words(was: list[tuple[str, int]], now: list[tuple[str, int]]) -> Iterator[Change]:
    """Changes between two runs of words; those that nearly touch are one."""
    pending: tuple[int, int, int, int] | None = None
    for tag, a, b, c, d in _opcodes([word for word, _ in was], [word for word, _ in now]):
        if tag == "equal":
            if pending is not None and b - a > _NEAR:
                yield _change(was[pending[0] : pending[1]], now[pending[2] : pending[3]])
                pending = None
        else:
            pending = (a, b, c, d) if pending is None else (pending[0], b, pending[2], d)
    if pending is not None:
        yield _change(was[pending[0] : pending[1]], now[pending[2] : pending[3]])


def _change(was: Sequence[tuple[str, int]], now: Sequence[tuple[str, int]]) -> Change:
    kind: Literal["changed", "added", "removed"] = "changed" if was and now else "added" if now else "removed"
    page = (now or was)[0][1]
    return Change(kind, page, " ".join(word for word, _ in was), " ".join(word for word, _ in now))


def pictures(old_png: bytes, new_png: bytes) -> bytes:
    """Two pages side by side, the old one on the left; what differs is outlined in both. Their sizes may differ.

    Raises:
        ValueError: one is no picture, or too large to be a page.
    """
    old, new = _opened(old_png), _opened(new_png)
    width, height = max(old.width, new.width), max(old.height, new.height)
    both = [Image.new("RGB", (width, height), "white") for _ in range(2)]
    for page, sheet in zip((old, new), both, strict=True):
        sheet.paste(page, (0, 0))
    boxes = _boxes(*both)
    side = Image.new("RGB", (2 * width + _GAP, height), (221, 229, 234))
    for left, sheet in zip((0, width + _GAP), both, strict=True):
        pen = ImageDraw.Draw(sheet)
        for box in boxes:
            pen.rectangle(box, outline=_MARK, width=2)
        side.paste(sheet, (left, 0))
    written = BytesIO()
    side.save(written, "PNG", optimize=True)
    return written.getvalue()


def same_picture(old_png: bytes, new_png: bytes) -> bool:
    """Whether two pages look the same; ValueError as `pictures`."""
    old, new = _opened(old_png), _opened(new_png)
    return old.size == new.size and not _boxes(old, new)


def _opened(png: bytes) -> Image.Image:
    try:
        with Image.open(BytesIO(png), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                raise ValueError(f"a picture of {picture.width} by {picture.height} pixels is too large for a page")
            return picture.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{len(png):,} bytes are no picture: {error}") from error


def _boxes(old: Image.Image, new: Image.Image) -> list[tuple[int, int, int, int]]:
    """Rectangles around what differs between two pictures of one size."""
    far = ImageChops.difference(old, new).convert("L").point(lambda shade: 255 if shade > _TOLERANCE else 0)
    coarse = far.reduce(_CELL)
    across = coarse.width
    shades = coarse.tobytes()
    open_cells = {at for at, shade in enumerate(shades) if shade}
    boxes = []
    while open_cells:
        group = _grown(open_cells, across)
        columns, rows = [at % across for at in group], [at // across for at in group]
        boxes.append(
            (
                max(min(columns) * _CELL - 3, 0),
                max(min(rows) * _CELL - 3, 0),
                min((max(columns) + 1) * _CELL + 2, old.width - 1),
                min((max(rows) + 1) * _CELL + 2, old.height - 1),
            )
        )
    return boxes


def _grown(cells: set[int], across: int) -> list[int]:
    """Take a cell and all that lie near it, over gaps of one cell up and down and three to the sides."""
    first = cells.pop()
    group, edge = [first], [first]
    while edge:
        at = edge.pop()
        column = at % across
        for step in range(-2, 3):
            for aside in range(-4, 5):
                near = at + step * across + aside
                if 0 <= column + aside < across and near in cells:
                    cells.discard(near)
                    group.append(near)
                    edge.append(near)
    return group
