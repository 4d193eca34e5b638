"""PDFs under a password, and PDFs that cannot be read."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pikepdf
import pytest

from millstream.composer import Composer, UnreadablePdf, check_pdf, protect


@pytest.fixture
def pdf(composer: Composer, statement: dict[str, Any]) -> bytes:
    return composer.compose_document("statement", statement, "en-GB")


def test_a_protected_pdf_opens_with_its_password_alone(pdf: bytes) -> None:
    protected = protect(pdf, "1980-02-29 é")
    with pytest.raises(pikepdf.PasswordError):
        pikepdf.open(BytesIO(protected))
    with pikepdf.open(BytesIO(protected), password="1980-02-29 é") as opened:
        assert len(opened.pages) == check_pdf(pdf)
        assert opened.encryption.R == 6
        assert opened.encryption.bits == 256
        assert opened.encryption.stream_method.name == "aesv3"
    assert b"Account statement" in pdf  # in the metadata, which a search engine could read
    assert b"Account statement" not in protected


def test_a_protected_pdf_no_longer_claims_to_be_for_the_archive(pdf: bytes) -> None:
    with pikepdf.open(BytesIO(protect(pdf, "secret")), password="secret") as opened:
        assert "pdfaid:part" not in opened.open_metadata()


def test_an_empty_password_protects_nothing_and_is_refused(pdf: bytes) -> None:
    with pytest.raises(ValueError, match="empty password"):
        protect(pdf, "")


def test_unreadable_pdfs_say_why(pdf: bytes) -> None:
    for content, words in (
        (b"", "is empty"),
        (b"<html>502 Bad Gateway</html>", "do not begin with %PDF-"),
        (pdf[:3000], "the PDF is broken"),
        (protect(pdf, "secret"), "needs a password"),
    ):
        with pytest.raises(UnreadablePdf, match=words) as caught:
            check_pdf(content)
        assert "BytesIO" not in str(caught.value)


def test_what_cannot_be_read_cannot_be_protected(pdf: bytes) -> None:
    with pytest.raises(UnreadablePdf):
        protect(protect(pdf, "first"), "second")
