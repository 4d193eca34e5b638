"""What the fonts can draw is read from the fonts."""

from __future__ import annotations

from pathlib import Path

import pytest

from millstream.composer import coverage
from millstream.composer.composer import FONTS

FILES = sorted(FONTS.glob("*.otf"))


def test_the_shipped_fonts_draw_latin_greek_and_cyrillic() -> None:
    drawable = coverage.characters(FILES)
    wanted = (
        "Zoë Müller Łukasz Şahin Dvořák Nguyễn Ğ ß ẞ Ελλάδα Київ Ъ € ₺ „ « … \u0131 \u2013 \u2019 \u00a0 \u202f \u2212"
    )
    assert set(wanted) <= drawable
    assert not set("王あعא\U0001f600\n\t\x00") & drawable


@pytest.mark.parametrize("font", FILES, ids=lambda font: font.stem)
def test_both_character_maps_of_a_font_agree(font: Path) -> None:
    data = font.read_bytes()
    start = coverage._cmap(data)
    count = int.from_bytes(data[start + 2 : start + 4], "big")
    read = {}
    for index in range(count):
        place = start + int.from_bytes(data[start + 8 + 8 * index : start + 12 + 8 * index], "big")
        layout = int.from_bytes(data[place : place + 2], "big")
        read[layout] = {4: coverage._segments, 12: coverage._groups}[layout](data, place)
    assert read[4] == {character for character in read[12] if character < 0x10000}
    assert len(read[12]) > 2000


def test_a_file_that_is_no_font_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.otf").write_bytes(b"not a font at all")
    with pytest.raises(ValueError, match=r"broken\.otf is no font"):
        coverage.characters([tmp_path / "broken.otf"])


def test_undrawable_texts_are_found_wherever_they_lie() -> None:
    data = {"a": "fine", "b": [{"c": "x王y"}], "d": 7, "e": None, "f": "王"}
    assert list(coverage.undrawable(data, frozenset("finexy"))) == [("b[0].c", "王"), ("f", "王")]


def test_a_character_is_described_so_that_it_can_be_looked_up() -> None:
    assert coverage.described("王") == "“王” (U+738B CJK UNIFIED IDEOGRAPH-738B)"
    assert coverage.described("\x07") == "(U+0007 a control character)"
