"""Embedded composition: data and a template in, a PDF and a mail out."""

from typing import TYPE_CHECKING

from millstream import lazy
from millstream.composer.protect import check_pdf, protect

if TYPE_CHECKING:
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
    from millstream.composer.later import ComposerLater
    from millstream.composer.mail import RenderedMail
else:
    # Whoever only looks whether a PDF can be read shall not pay for Typst, Jinja and Babel: 25 MB.
    __getattr__ = lazy.names(
        __name__,
        {
            "ComposeError": "errors",
            "Composer": "composer",
            "ComposerError": "errors",
            "ComposerLater": "later",
            "ComposerOptions": "composer",
            "CompositionFailed": "errors",
            "DataError": "errors",
            "MailTooLarge": "errors",
            "RenderedMail": "mail",
            "TemplateError": "errors",
            "UnreadablePdf": "errors",
        },
    )

__all__ = [
    "ComposeError",
    "Composer",
    "ComposerError",
    "ComposerLater",
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
