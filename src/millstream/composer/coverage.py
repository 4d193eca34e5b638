"""Which characters a set of fonts can draw.

Typst draws an empty box for a character its fonts lack and says nothing, so a name like 王 would reach the
customer as a box. The fonts' own character maps are read instead, and the data are compared with them
before anything is drawn. Map formats: OpenType 1.9, table `cmap`, formats 4 and 12, which are the two that
every current font carries for Unicode.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

_UNICODE_MAPS = ((3, 10), (0, 6), (0, 4), (3, 1), (0, 3))  # platform and encoding, the fullest first


def characters(fonts: Iterable[Path]) -> frozenset[str]:
    """The characters that every one of `fonts` (TrueType or OpenType files) can draw.

    Raises ValueError with the font's name when a file is no font or has no Unicode map.
    """
    common: set[int] | None = None
    for font in fonts:
        drawn = _mapped(font)
        common = drawn if common is None else common & drawn
    return frozenset(map(chr, common or ()))


def undrawable(value: object, drawable: frozenset[str], path: str = "") -> Iterator[tuple[str, str]]:
    """Every text within `value` (nested mappings and lists) that holds a character outside `drawable`.

    Yields the field's path, like `purchases[2].description`, and the first such character in it.
    """
    if isinstance(value, str):
        missing = next((character for character in value if character not in drawable), None)
        if missing is not None:
            yield path, missing
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from undrawable(inner, drawable, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from undrawable(inner, drawable, f"{path}[{index}]")


def composed(value: Any) -> Any:
    """`value` with every text in Unicode's composed form (NFC).

    Source systems deliver é also as two characters; composed, it is one glyph of the font.
    """
    if isinstance(value, str):
        return value if value.isascii() else unicodedata.normalize("NFC", value)
    if isinstance(value, Mapping):
        return {key: composed(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [composed(inner) for inner in value]
    return value


def described(character: str) -> str:
    """A character as a support team can look it up: “王” (U+738B CJK UNIFIED IDEOGRAPH-738B)."""
    name = unicodedata.name(character, "a control character")
    shown = f"“{character}” " if character.isprintable() else ""
    return f"{shown}(U+{ord(character):04X} {name})"


def _mapped(font: Path) -> set[int]:
    data = font.read_bytes()
    try:
        start = _cmap(data)
        (count,) = struct.unpack_from(">H", data, start + 2)
        maps = {
            (platform, encoding): start + offset
            for platform, encoding, offset in struct.iter_unpack(">HHI", data[start + 4 : start + 4 + 8 * count])
        }
        subtable = next(maps[kind] for kind in _UNICODE_MAPS if kind in maps)
        (layout,) = struct.unpack_from(">H", data, subtable)
        return {4: _segments, 12: _groups}[layout](data, subtable)
    except (struct.error, StopIteration, KeyError) as error:
        raise ValueError(f"{font.name} is no font with a Unicode character map of format 4 or 12") from error


def _cmap(data: bytes) -> int:
    (tables,) = struct.unpack_from(">H", data, 4)
    for tag, _, offset, _ in struct.iter_unpack(">4sIII", data[12 : 12 + 16 * tables]):
        if tag == b"cmap":
            return int(offset)
    raise KeyError("cmap")


def _groups(data: bytes, start: int) -> set[int]:
    """Format 12: runs of characters, each with its first glyph; glyph 0 is the empty box."""
    (count,) = struct.unpack_from(">I", data, start + 12)
    found: set[int] = set()
    for first, last, glyph in struct.iter_unpack(">III", data[start + 16 : start + 16 + 12 * count]):
        found.update(range(first + (glyph == 0), last + 1))
    return found


def _segments(data: bytes, start: int) -> set[int]:
    """Format 4: segments of the first 65,536 characters, with a delta or a list of glyphs."""
    (doubled,) = struct.unpack_from(">H", data, start + 6)
    count = doubled // 2
    ends = struct.unpack_from(f">{count}H", data, start + 14)
    starts = struct.unpack_from(f">{count}H", data, start + 16 + doubled)
    deltas = struct.unpack_from(f">{count}H", data, start + 16 + 2 * doubled)
    ranges_at = start + 16 + 3 * doubled
    ranges = struct.unpack_from(f">{count}H", data, ranges_at)
    found: set[int] = set()
    for index in range(count):
        for character in range(starts[index], ends[index] + 1):
            glyph = character
            if ranges[index]:
                place = ranges_at + 2 * index + ranges[index] + 2 * (character - starts[index])
                (glyph,) = struct.unpack_from(">H", data, place)
            if (glyph + deltas[index] if glyph or not ranges[index] else 0) % 65536:
                found.add(character)
    return found - {0xFFFF}
