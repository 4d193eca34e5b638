"""Texts of PDFs are read in a process of its own: a hostile one costs its own letter some seconds, and nothing else."""

import gc
import os
import pickle
import signal
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pikepdf
import pytest

from millstream.composer import UnreadablePdf, protect
from millstream.composer.unprotect import unprotect
from millstream.review.rules.apart import TextReader


def pdf_of(text: str, *, levels: int = 0, width: int = 10) -> bytes:
    """A page with a text, drawn by forms that draw forms, `width` to the power of `levels` times."""
    pdf = pikepdf.new()
    font = pdf.make_indirect(
        pikepdf.Dictionary(Type=pikepdf.Name.Font, Subtype=pikepdf.Name.Type1, BaseFont=pikepdf.Name.Helvetica)
    )
    resources: Any = pikepdf.Dictionary(Font=pikepdf.Dictionary(F=font))
    content = f"BT /F 12 Tf 20 50 Td ({text}) Tj ET".encode()
    for _ in range(levels):
        form = pikepdf.Stream(pdf, content)
        form.Type, form.Subtype, form.BBox, form.Resources = (
            pikepdf.Name.XObject,
            pikepdf.Name.Form,
            pikepdf.Array([0, 0, 400, 100]),
            resources,
        )
        resources = pikepdf.Dictionary(XObject=pikepdf.Dictionary(X=pdf.make_indirect(form)))
        content = b"/X Do " * width
    page = pikepdf.Dictionary(
        Type=pikepdf.Name.Page,
        MediaBox=[0, 0, 400, 100],
        Contents=pdf.make_stream(content),
        Resources=resources,
    )
    pdf.pages.append(pikepdf.Page(page))
    written = BytesIO()
    pdf.save(written)
    return written.getvalue()


def _children() -> list[int]:
    """The readers of this process."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if not each.name.isdigit() or b"rules.apart" not in (each / "cmdline").read_bytes():
                continue
            if (each / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append(int(each.name))
        except OSError:
            continue
    return found


@pytest.fixture
def reader() -> Iterator[TextReader]:
    made = TextReader(patience=20.0)
    yield made
    made.close()


def test_the_text_of_each_page_is_read(reader: TextReader) -> None:
    assert [text.strip() for text in reader(pdf_of("Hello"))] == ["Hello"]
    assert [text.strip() for text in reader(pdf_of("Again"))] == ["Again"]


def test_a_protected_one_is_read_with_its_password_alone(reader: TextReader) -> None:
    protected = protect(pdf_of("Secret"), "01011980")
    assert [text.strip() for text in reader(protected, "01011980")] == ["Secret"]
    with pytest.raises(UnreadablePdf, match="needs a password"):
        reader(protected)
    with pytest.raises(UnreadablePdf, match="does not open it"):
        reader(protected, "wrong-one")


@pytest.mark.parametrize("rubbish", [b"", b"%PDF-1.7", b"no PDF at all", b"\x00" * 1_000_000])
def test_rubbish_is_no_pdf_and_harms_no_other(reader: TextReader, rubbish: bytes) -> None:
    with pytest.raises(UnreadablePdf):
        reader(rubbish)
    assert reader(pdf_of("Hello"))


def test_one_that_would_take_days_is_given_up_and_the_next_is_read() -> None:
    reader = TextReader(patience=1.5)
    try:
        for _ in range(2):
            with pytest.raises(UnreadablePdf, match=r"longer than 1\.5 s"):
                reader(pdf_of("x", levels=12))
            assert reader(pdf_of("Hello"))
    finally:
        reader.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_reader_that_is_ended_from_outside_reads_on(number: signal.Signals) -> None:
    reader = TextReader(patience=20.0)
    try:
        assert reader(pdf_of("Hello"))
        [child] = _children()
        os.kill(child, number)
        assert reader(pdf_of("Again"))
    finally:
        reader.close()
    assert _children() == []


def test_a_reader_that_is_forgotten_leaves_no_process_behind() -> None:
    reader = TextReader(patience=20.0)
    assert reader(pdf_of("Hello"))
    assert len(_children()) == 1
    del reader
    gc.collect()
    assert _children() == []


def test_a_reader_goes_to_another_process_and_starts_its_own_there(reader: TextReader) -> None:
    again = pickle.loads(pickle.dumps(reader))  # noqa: S301  what was written a moment ago
    try:
        assert again(pdf_of("Hello"))
    finally:
        again.close()


def test_the_copy_for_reviewers_needs_no_password_and_is_the_same_each_time(reader: TextReader) -> None:
    protected = protect(pdf_of("Secret"), "01011980")
    copy = unprotect(protected, "01011980")
    assert copy is not None
    assert [text.strip() for text in reader(copy)] == ["Secret"]
    assert unprotect(protected, "01011980") == copy
    assert unprotect(pdf_of("Open"), "01011980") is None
    with pytest.raises(UnreadablePdf):
        unprotect(protected, "wrong-one")
