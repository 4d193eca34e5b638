"""What came from outside is read and drawn in a process of its own: a hostile one costs seconds, and nothing else."""

import contextlib
import gc
import os
import pickle
import resource
import signal
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from hostile_pdf import pdf_of, pdf_of_blanks, pdf_of_picture, pdf_of_size
from millstream.composer import Composer, UnreadablePdf, protect
from millstream.composer.apart import PdfReader
from millstream.composer.unprotect import unprotect


def _children() -> list[int]:
    """The readers of this process."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            if not each.name.isdigit() or b"composer.apart" not in (each / "cmdline").read_bytes():
                continue
            if (each / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found.append(int(each.name))
        except OSError:
            continue
    return found


@pytest.fixture
def started() -> Callable[[], list[int]]:
    """The readers that were started since: another test's may be waiting for the collector."""
    before = set(_children())
    return lambda: [child for child in _children() if child not in before]


@pytest.fixture
def reader() -> Iterator[PdfReader]:
    made = PdfReader(patience=20.0)
    yield made
    made.close()


def test_the_text_of_each_page_is_read(reader: PdfReader) -> None:
    assert [text.strip() for text in reader.texts(pdf_of("Hello"))] == ["Hello"]
    assert [text.strip() for text in reader.texts(pdf_of("Again"))] == ["Again"]


def test_a_protected_one_is_read_with_its_password_alone(reader: PdfReader) -> None:
    protected = protect(pdf_of("Secret"), "01011980")
    assert [text.strip() for text in reader.texts(protected, "01011980")] == ["Secret"]
    with pytest.raises(UnreadablePdf, match="needs a password"):
        reader.texts(protected)
    with pytest.raises(UnreadablePdf, match="does not open it"):
        reader.texts(protected, "wrong-one")


@pytest.mark.parametrize("rubbish", [b"", b"%PDF-1.7", b"no PDF at all", b"\x00" * 1_000_000])
def test_rubbish_is_no_pdf_and_harms_no_other(reader: PdfReader, rubbish: bytes) -> None:
    with pytest.raises(UnreadablePdf):
        reader.texts(rubbish)
    assert reader.texts(pdf_of("Hello"))


def test_one_that_would_take_days_is_given_up_and_the_next_is_read() -> None:
    reader = PdfReader(patience=1.5)
    try:
        for _ in range(2):
            with pytest.raises(UnreadablePdf, match=r"longer than 1\.5 s"):
                reader.texts(pdf_of("x", levels=12))
            assert reader.texts(pdf_of("Hello"))
    finally:
        reader.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_reader_that_is_ended_from_outside_reads_on(number: signal.Signals, started: Callable[[], list[int]]) -> None:
    reader = PdfReader(patience=20.0)
    try:
        assert reader.texts(pdf_of("Hello"))
        [child] = started()
        os.kill(child, number)
        assert reader.texts(pdf_of("Again"))
    finally:
        reader.close()
    assert started() == []


def test_a_reader_that_is_forgotten_leaves_no_process_behind(started: Callable[[], list[int]]) -> None:
    reader = PdfReader(patience=20.0)
    assert reader.texts(pdf_of("Hello"))
    assert len(started()) == 1
    del reader
    gc.collect()
    assert started() == []


def test_a_reader_goes_to_another_process_and_starts_its_own_there(reader: PdfReader) -> None:
    again = pickle.loads(pickle.dumps(reader))  # noqa: S301  what was written a moment ago
    try:
        assert again.texts(pdf_of("Hello"))
    finally:
        again.close()


def test_the_copy_for_reviewers_needs_no_password_and_is_the_same_each_time(reader: PdfReader) -> None:
    protected = protect(pdf_of("Secret"), "01011980")
    copy = unprotect(protected, "01011980")
    assert copy is not None
    assert [text.strip() for text in reader.texts(copy)] == ["Secret"]
    assert unprotect(protected, "01011980") == copy
    assert unprotect(pdf_of("Open"), "01011980") is None
    with pytest.raises(UnreadablePdf):
        unprotect(protected, "wrong-one")


# Pictures


def test_a_statement_has_its_picture(reader: PdfReader, composer: Composer, statement: dict[str, Any]) -> None:
    pdf = composer.compose_document("statement", statement, "en-GB")
    assert reader.count(pdf) >= 1
    with Image.open(BytesIO(reader.png(pdf, 1, 900))) as picture:
        assert picture.size == (900, pytest.approx(900 * 297 / 210, abs=2))
        assert len(picture.convert("L").getcolors() or ()) > 10  # something is drawn on it
    with pytest.raises(IndexError, match="no page 99"):
        reader.png(pdf, 99, 900)


def test_forms_that_draw_forms_have_no_picture_in_time_and_harm_no_other(started: Callable[[], list[int]]) -> None:
    reader = PdfReader(patience=1.5)
    try:
        for _ in range(2):
            with pytest.raises(UnreadablePdf, match=r"longer than 1\.5 s"):
                reader.png(pdf_of("x", levels=12), 1, 900)
            assert reader.png(pdf_of("Hello"), 1, 900).startswith(b"\x89PNG")
    finally:
        reader.close()
    assert started() == []


def test_a_page_of_gigabytes_takes_no_more_memory_than_it_may() -> None:
    pdf = pdf_of_blanks(900, 900, 900)
    assert len(pdf) < 4_000_000
    before, reader = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, PdfReader(patience=8.0)
    try:
        with contextlib.suppress(UnreadablePdf):  # PDFium leaves out what it has no memory for, or ends
            reader.png(pdf, 1, 900)
        assert reader.png(pdf_of("Hello"), 1, 900).startswith(b"\x89PNG")
    finally:
        reader.close()
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(1_100_000, before)


@pytest.mark.parametrize(
    ("across", "down"), [(14_400_000, 14_400_000), (0.01, 0.01), (0.01, 14_400), (14_400, 0.01), (1e9, 1e9)]
)
def test_a_page_of_any_size_has_a_small_picture_or_none(reader: PdfReader, across: float, down: float) -> None:
    try:
        with Image.open(BytesIO(reader.png(pdf_of_size(across, down), 1, 300))) as picture:
            assert picture.width == 300
            assert picture.height <= 1_201
    except UnreadablePdf:
        pass
    assert reader.png(pdf_of("Hello"), 1, 300)


def test_a_question_may_have_less_time_than_the_reader_has_patience(reader: PdfReader) -> None:
    assert reader.png(pdf_of("Hello"), 1, 300)
    for left in (0.3, 0.0, -5.0):
        with pytest.raises(UnreadablePdf, match="longer than"):
            reader.png(pdf_of("x", levels=12), 1, 300, within=left)
    assert reader.png(pdf_of("Hello"), 1, 300)


def test_a_picture_from_outside_is_made_small_or_refused(reader: PdfReader) -> None:
    with Image.open(BytesIO(reader.thumbnail(_picture(3_000, 1_000), 900, 3_600))) as small:
        assert small.size == (900, 300)
    for rubbish in (b"", b"GIF89a", _picture(3_000, 1_000)[:300], _picture(20_000, 20_000)):
        with pytest.raises(ValueError, match=r"\w"):
            reader.thumbnail(rubbish, 900, 3_600)


def _picture(across: int, down: int) -> bytes:
    written = BytesIO()
    Image.new("1", (across, down)).save(written, "PNG")
    return written.getvalue()


def test_what_a_hostile_one_took_is_free_again(started: Callable[[], list[int]]) -> None:
    before, reader = _open_files(), PdfReader(patience=1.0)
    for _ in range(3):
        with pytest.raises(UnreadablePdf):
            reader.png(pdf_of("x", levels=12), 1, 900)
    assert started() == []  # each was ended, none is left as a zombie
    assert _open_files() == before
    assert reader.png(pdf_of("Hello"), 1, 900)
    assert len(started()) == 1
    reader.close()
    assert _open_files() == before


def test_a_picture_of_gigabytes_costs_its_own_document_some_seconds() -> None:
    reader, pdf = PdfReader(patience=2.0), pdf_of_picture(30_000)  # 2.7 GB when it is unpacked
    assert len(pdf) < 4_000_000
    try:
        with contextlib.suppress(UnreadablePdf):  # it takes too long, or PDFium draws it line by line
            assert reader.png(pdf, 1, 300).startswith(b"\x89PNG")
        assert reader.png(pdf_of("Hello"), 1, 300).startswith(b"\x89PNG")
    finally:
        reader.close()
    assert _children() == []


def test_a_process_that_has_grown_large_is_followed_by_a_small_one(reader: PdfReader) -> None:
    assert reader.png(pdf_of_blanks(500), 1, 300)
    first = reader.pid
    assert reader.png(pdf_of("Hello"), 1, 300)
    assert reader.pid != first


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
