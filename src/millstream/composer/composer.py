"""The composer: a template, the data of one customer and a locale in, a PDF or a mail out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import metadata
from pathlib import Path
from threading import Lock
from typing import Any

import jsonschema_rs
import orjson

from millstream.composer.coverage import composed, described, undrawable
from millstream.composer.errors import DataError, TemplateError
from millstream.composer.locales import LocaleFacts, facts
from millstream.composer.mail import MailTemplate, RenderedMail
from millstream.composer.template import Template, digest, load
from millstream.composer.typesetter import PACKAGES, Typesetter

TEMPLATES = Path(__file__).parent / "templates"
FONTS = Path(__file__).parent / "fonts"


@dataclass(frozen=True, slots=True)
class ComposerOptions:
    """Where templates are, besides the shipped ones.

    `templates` are folders that hold templates. They are looked through in this order and before the shipped
    ones, so that a tenant's `statement` takes the place of ours.
    """

    templates: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class _Order:
    """What one composition needs, found and checked."""

    template: Template
    data: Mapping[str, Any]
    texts: Mapping[str, Any]
    known: LocaleFacts
    customer: str


class Composer:
    """Composes documents and mails. Plain and CPU-bound: call it from threads, several at once if you like.

    Amounts in the data are integers in minor units of the currency (cents), dates ISO 8601 texts.
    """

    def __init__(self, options: ComposerOptions | None = None) -> None:
        self._options = options or ComposerOptions()
        self._typesetter = Typesetter()
        self._templates: dict[str, tuple[Template, MailTemplate]] = {}
        self._loading = Lock()

    def templates(self) -> tuple[str, ...]:
        """The names of all templates there are."""
        folders = (*self._options.templates, TEMPLATES)
        return tuple(sorted({file.parent.name for folder in folders for file in folder.glob("*/template.toml")}))

    def version(self, template: str) -> str:
        """The template's own version and a digest of its folder, its fonts and Typst: `1+3f0c92ab77de`."""
        return self._template(template)[0].version

    def drawable(self, template: str) -> frozenset[str]:
        """The characters that a template's fonts can draw; data with any other are refused."""
        return self._template(template)[0].drawable

    def compose_document(
        self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None
    ) -> bytes:
        """The PDF, tagged and of the standards the template names; the same input gives the same bytes.

        `customer` is who errors are about; without it the data say so. Raises DataError, ComposeError, and
        TemplateError for a template that is missing or broken.
        """
        order = self._order(template, data, locale, customer)
        for field, character in undrawable(order.data, order.template.drawable):
            raise self._wrong(order.template, order.customer, field, f"no font draws {described(character)}")
        on = order.template.value("date", order.data)
        inputs = {
            "data": orjson.dumps(order.data).decode(),
            "texts": orjson.dumps(order.texts).decode(),
            "locale": order.known.for_typst(),
        }
        return self._typesetter.document(order.template, inputs, order.customer, date.fromisoformat(str(on)))

    def render_mail(
        self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None
    ) -> RenderedMail:
        """Subject, text and HTML; raises as `compose_document` does, and MailTooLarge."""
        order = self._order(template, data, locale, customer)
        return self._template(template)[1].render(order.data, order.texts, order.known, order.customer)

    def document_name(self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None) -> str:
        """The file name to attach the document under, in the customer's language."""
        order = self._order(template, data, locale, customer)
        return self._template(template)[1].file_name(order.data, order.texts, order.known, order.customer)

    def _order(self, name: str, data: Mapping[str, Any], locale: str, customer: str | None) -> _Order:
        template = self._template(name)[0]
        data = composed(data)
        who = customer or str(template.value("customer", data) or "without a number")
        for field, problem in _faults(template.checker, data):
            raise self._wrong(template, who, field, problem)
        tag, texts = template.texts(locale)
        try:
            known = facts(tag, str(template.value("currency", data)))
        except ValueError as error:
            raise self._wrong(template, who, "locale", str(error)) from error
        return _Order(template=template, data=data, texts=texts, known=known, customer=who)

    def _template(self, name: str) -> tuple[Template, MailTemplate]:
        with self._loading:
            if name not in self._templates:
                folder = self._folder(name)
                template = load(name, folder, FONTS, _foundation())
                self._templates[name] = (template, MailTemplate(template))
            return self._templates[name]

    def _folder(self, name: str) -> Path:
        for parent in (*self._options.templates, TEMPLATES):
            if name.isidentifier() and (parent / name / "template.toml").is_file():
                return parent / name
        raise TemplateError(name, f"there is no such template; there are: {', '.join(self.templates())}")

    @staticmethod
    def _wrong(template: Template, customer: str, field: str, problem: str) -> DataError:
        return DataError(customer=customer, field=field, template=template.name, problem=problem)


def _foundation() -> str:
    """What changes a document besides its template: Typst, the shipped fonts, our Typst package."""
    return f"typst {metadata.version('typst')} {digest(FONTS, '')} {digest(PACKAGES, '')}"


def _faults(checker: jsonschema_rs.Draft202012Validator, data: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The field's path and what is wrong with it, for every fault the schema finds."""
    kinds = jsonschema_rs.ValidationErrorKind
    for error in checker.iter_errors(data):
        parts = list(error.instance_path)
        kind = error.kind
        if isinstance(kind, kinds.Required):
            yield _path([*parts, kind.property]), "is missing"
        elif isinstance(kind, kinds.AdditionalProperties):
            yield _path([*parts, kind.unexpected[0]]), "is unknown to the template; see its schema.json"
        else:
            yield _path(parts) or "data", str(error.message)


def _path(parts: list[str | int]) -> str:
    written = ""
    for part in parts:
        written += f"[{part}]" if isinstance(part, int) else f".{part}" if written else part
    return written
