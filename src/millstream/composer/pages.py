"""A PDF's pages as pictures and as text, by PDFium. Plain and CPU-bound.

What came from outside is read and drawn by `apart.PdfReader`, in a process of its own. PDFium is not safe to be called
from several threads at once (pypdfium2 5.15's README), so one lock guards all of it.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from threading import Lock

import pypdfium2
from PIL import Image
from pypdfium2 import raw

from millstream.composer.errors import UnreadablePdf

_PDFIUM = Lock()
_TALLEST = 4.0
"""A picture's height by its width at most; a page may be a strip of any length."""
_MOST_PAGES = 2_000
_MOST_TEXT = 20_000_000
"""Characters; a page's text may be drawn a million times over in a few bytes."""
_HYPHEN = re.compile("[\x02\ufffe\u00ad]\n?")
"""PDFium's sign for a hyphen that stands only because the line ends."""


def page_count(pdf: bytes, *, password: str | None = None) -> int:
    """The number of pages.

    Raises:
        UnreadablePdf: it is none, is broken, or the password does not open it.
    """
    with _opened(pdf, password) as document:
        return len(document)


def page_png(pdf: bytes, n: int, width: int, *, password: str | None = None) -> bytes:
    """The n-th page, the first being 1, as a PNG so many pixels wide. A page longer than four times its width is cut.

    Raises:
        UnreadablePdf: as `page_count`, or the page cannot be drawn.
        IndexError: there is no such page.
    """
    with _opened(pdf, password) as document:
        if not 1 <= n <= len(document):
            raise IndexError(f"there is no page {n}; the PDF has {len(document)}")
        page = document[n - 1]
        across, down = page.get_size()
        if across <= 0 or down <= 0:
            raise UnreadablePdf(f"page {n} of the PDF has no size")
        spare = max(0.0, down - across * _TALLEST)
        picture = page.render(scale=width / across, crop=(0, spare, 0, 0)).to_pil().convert("RGB")
    return png(picture)


def thumbnail(content: bytes, width: int, height: int) -> bytes:
    """A PNG or JPEG as a PNG of this size at most; ValueError where it is neither, or far too large."""
    try:
        with (
            warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning),
            Image.open(BytesIO(content), formats=("PNG", "JPEG")) as opened,
        ):
            opened.thumbnail((width, height))
            return png(opened.convert("RGB"))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(str(error)) from error


def png(picture: Image.Image) -> bytes:
    """A picture as PNG."""
    written = BytesIO()
    picture.save(written, "PNG", optimize=True)
    return written.getvalue()


def page_texts(pdf: bytes, password: str | None = None) -> list[str]:
    """The text of each page, in reading order as far as PDFium knows it; empty where a page is a picture.

    Words that a line's end has cut are whole again. Raises UnreadablePdf as `page_count`, and for texts that are
    longer than any document for people.
    """
    texts = []
    size = 0
    with _opened(pdf, password) as document:
        if len(document) > _MOST_PAGES:
            raise UnreadablePdf(f"the PDF has {len(document):,} pages; texts are read of {_MOST_PAGES:,} at most")
        for page in document:
            text = page.get_textpage().get_text_bounded()
            page.close()
            size += len(text)
            if size > _MOST_TEXT:
                raise UnreadablePdf(f"the PDF has more than {_MOST_TEXT:,} characters of text")
            texts.append(_HYPHEN.sub("", text.replace("\r\n", "\n").replace("\0", "")))
    return texts


@contextmanager
def _opened(pdf: bytes, password: str | None) -> Iterator[pypdfium2.PdfDocument]:
    if not pdf:
        raise UnreadablePdf("the PDF is empty (0 bytes)")
    with _PDFIUM:
        try:
            document = pypdfium2.PdfDocument(pdf, password=password)
            try:
                yield document
            finally:
                document.close()
        except UnicodeEncodeError as error:
            raise UnreadablePdf("the PDF's password has characters that no password can have") from error
        except pypdfium2.PdfiumError as error:
            if error.err_code == raw.FPDF_ERR_PASSWORD:
                said = "and the password given does not open it" if password else "and needs a password"
                raise UnreadablePdf(f"the PDF is encrypted {said}") from error
            if b"%PDF-" not in pdf[:1024]:
                raise UnreadablePdf(f"these {len(pdf):,} bytes are no PDF: they do not begin with %PDF-") from error
            raise UnreadablePdf(f"the PDF is broken: {error}") from error
