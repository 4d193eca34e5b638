"""Pages of PDFs as pictures and as text."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest
import typst
from PIL import Image

from millstream.composer import Composer, UnreadablePdf, protect
from millstream.composer.pages import page_count, page_png, page_texts

_GERMAN = """#set page(width: 60mm, height: auto)
#set text(lang: "de", hyphenate: true)
Donaudampfschifffahrtsgesellschaftskapitäne sind Rechtsschutzversicherungsnehmer.
#pagebreak()
Zweite Seite."""


@pytest.fixture
def pdf(composer: Composer, statement: dict[str, Any]) -> bytes:
    return composer.compose_document("statement", statement, "en-GB")


def _strip(width: float, height: float) -> bytes:
    made = BytesIO()
    with pikepdf.new() as pdf:
        pdf.add_blank_page(page_size=(width, height))
        pdf.save(made)
    return made.getvalue()


def test_a_page_becomes_a_picture_of_the_width_asked_for(pdf: bytes) -> None:
    with Image.open(BytesIO(page_png(pdf, 1, 600))) as picture:
        assert picture.format == "PNG"
        assert picture.width == 600
        assert picture.height == pytest.approx(600 * 297 / 210, abs=2)
        assert len(picture.convert("L").getcolors() or ()) > 10  # something is drawn on it


def test_a_page_as_long_as_a_street_becomes_no_endless_picture() -> None:
    with Image.open(BytesIO(page_png(_strip(10, 14_400), 1, 300))) as picture:
        assert picture.width == 300
        assert picture.height <= 1_201


def test_pages_are_counted_from_one(pdf: bytes) -> None:
    assert page_count(pdf) >= 1
    for n in (0, -1, page_count(pdf) + 1):
        with pytest.raises(IndexError, match=f"no page {n}"):
            page_png(pdf, n, 300)


def test_texts_come_page_by_page_with_words_whole_again(tmp_path: Path) -> None:
    source = tmp_path / "letter.typ"
    source.write_text(_GERMAN, encoding="utf-8")
    first, second = page_texts(typst.compile(source))
    assert "Donaudampfschifffahrtsgesellschaftskapitäne" in first
    assert "Rechtsschutzversicherungsnehmer" in first
    assert second.strip() == "Zweite Seite."


def test_a_protected_pdf_is_read_with_its_password_alone(pdf: bytes) -> None:
    protected = protect(pdf, "geheim é")
    assert page_texts(protected, "geheim é") == page_texts(pdf)
    assert page_png(protected, 1, 200, password="geheim é") == page_png(pdf, 1, 200)
    for password in (None, "wrong", "\udcff"):
        with pytest.raises(UnreadablePdf, match="password"):
            page_texts(protected, password)


@pytest.mark.parametrize("broken", [b"", b"<html>502</html>", b"%PDF-1.7\n", b"%PDF-1.7\n" + b"\x00" * 5_000])
def test_what_is_no_pdf_is_named_so(broken: bytes) -> None:
    for read in (page_count, page_texts, lambda pdf: page_png(pdf, 1, 200)):
        with pytest.raises(UnreadablePdf):
            read(broken)


def test_several_threads_read_at_once(pdf: bytes) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert len(set(threads.map(lambda _: page_png(pdf, 1, 200), range(12)))) == 1
