"""The composer for whoever may never compose: a worker whose mails come ready-made saves 25 MB and a second of CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from millstream import lazy

if TYPE_CHECKING:
    from millstream.composer.composer import Composer
    from millstream.composer.mail import RenderedMail


class ComposerLater:
    """Composes as `Composer` does, which it makes at the first call. It can be pickled, and begins anew elsewhere."""

    def __init__(self, templates: tuple[Path, ...] = ()) -> None:
        self._templates = templates
        self._made: Composer | None = None

    def __reduce__(self) -> tuple[type[ComposerLater], tuple[tuple[Path, ...]]]:
        return type(self), (self._templates,)

    def version(self, template: str) -> str:
        """As `Composer.version`."""
        return self._composer().version(template)

    def compose_document(
        self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None
    ) -> bytes:
        """As `Composer.compose_document`."""
        return self._composer().compose_document(template, data, locale, customer=customer)

    def render_mail(
        self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None
    ) -> RenderedMail:
        """As `Composer.render_mail`."""
        return self._composer().render_mail(template, data, locale, customer=customer)

    def document_name(self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None) -> str:
        """As `Composer.document_name`."""
        return self._composer().document_name(template, data, locale, customer=customer)

    def _composer(self) -> Composer:
        # The first call is for a template's version, from the one thread that reads: no two are made.
        made = self._made
        if made is None:
            home = "millstream.composer.composer"
            made = self._made = lazy.load(f"{home}:Composer")(lazy.load(f"{home}:ComposerOptions")(self._templates))
        return made
