"""Embedded composition: data and a template in, a PDF and a mail out."""

from millstream.composer.composer import Composer, ComposerOptions
from millstream.composer.errors import (
    ComposeError,
    ComposerError,
    CompositionFailed,
    DataError,
    MailTooLarge,
    TemplateError,
    UnreadablePdf,
)
from millstream.composer.mail import RenderedMail
from millstream.composer.protect import check_pdf, protect

__all__ = [
    "ComposeError",
    "Composer",
    "ComposerError",
    "ComposerOptions",
    "CompositionFailed",
    "DataError",
    "MailTooLarge",
    "RenderedMail",
    "TemplateError",
    "UnreadablePdf",
    "check_pdf",
    "protect",
]
