"""PDFs as they are handled on the way out: can it be read, and under which password."""

from __future__ import annotations

import re
from io import BytesIO

from millstream import lazy
from millstream.composer.errors import UnreadablePdf

_ADDRESS = re.compile(r"^(stream )?<_io\.BytesIO[^>]*>:? ?")  # pikepdf names the object it read from


def check_pdf(content: bytes) -> int:
    """The number of pages; UnreadablePdf when the bytes are empty, no PDF, broken, or under a password."""
    if not content:
        raise UnreadablePdf("the PDF is empty (0 bytes)")
    pikepdf = lazy.load("pikepdf")  # 9 MB, which a process that only asks for an error's name saves
    try:
        with pikepdf.open(BytesIO(content)) as pdf:
            pages = len(pdf.pages)
    except pikepdf.PasswordError as error:
        raise UnreadablePdf("the PDF is encrypted and needs a password; deliver it without one") from error
    except pikepdf.PdfError as error:
        if b"%PDF-" not in content[:1024]:
            raise UnreadablePdf(f"these {len(content):,} bytes are no PDF: they do not begin with %PDF-") from error
        raise UnreadablePdf(f"the PDF is broken: {_ADDRESS.sub('', str(error))}") from error
    if pages == 0:
        raise UnreadablePdf("the PDF has no page")
    return pages


def protect(content: bytes, password: str) -> bytes:
    """The PDF under `password` by AES-256 (PDF 2.0, revision 6), its metadata encrypted too.

    Reading, printing and copying are open to whoever has the password. PDF/A forbids encryption (ISO 19005-2,
    6.1.3), so the claim to be PDF/A is removed with it. The bytes differ from call to call: the keys are random.

    Raises UnreadablePdf like `check_pdf`, and ValueError for an empty password.
    """
    if not password:
        raise ValueError("a PDF cannot be protected by an empty password")
    check_pdf(content)
    pikepdf = lazy.load("pikepdf")
    protected = BytesIO()
    with pikepdf.open(BytesIO(content)) as pdf:
        with pdf.open_metadata(set_pikepdf_as_editor=False, update_docinfo=False) as metadata:
            for claim in ("pdfaid:part", "pdfaid:conformance", "pdfaid:rev"):
                if claim in metadata:
                    del metadata[claim]
        pdf.save(protected, encryption=pikepdf.Encryption(user=password, owner=password, R=6, aes=True, metadata=True))
    return protected.getvalue()
