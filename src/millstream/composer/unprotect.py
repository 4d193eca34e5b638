"""The copy of a protected PDF that somebody without its password can read."""

from __future__ import annotations

from io import BytesIO

import pikepdf

from millstream.composer.errors import UnreadablePdf


def unprotect(content: bytes, password: str) -> bytes | None:
    """The PDF without its password, the same bytes each time; None where it is under none.

    Raises:
        UnreadablePdf: it is broken, or the password does not open it.
    """
    try:
        with pikepdf.open(BytesIO(content)):
            return None
    except pikepdf.PasswordError:
        pass
    except pikepdf.PdfError as error:
        raise UnreadablePdf("the PDF is broken") from error
    try:
        with pikepdf.open(BytesIO(content), password=password) as pdf:
            written = BytesIO()
            pdf.save(written, encryption=False, deterministic_id=True)
    except (pikepdf.PasswordError, pikepdf.PdfError) as error:
        raise UnreadablePdf("the PDF is encrypted, and the password given does not open it") from error
    return written.getvalue()
