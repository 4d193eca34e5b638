"""The mail of a template: MJML and Jinja make HTML, Jinja makes the text, the subject and the file name.

MJML is turned into HTML once, with the Jinja expressions still in it; each mail then costs one Jinja
rendering. Values are escaped by Jinja and are never read as MJML. Control flow around MJML elements stands
in `<mj-raw>{% … %}</mj-raw>`. The templates run in Jinja's sandbox because tenants bring their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
import mrml
from jinja2.sandbox import SandboxedEnvironment

from millstream.composer.errors import ComposeError, MailTooLarge, TemplateError
from millstream.composer.locales import LocaleFacts
from millstream.composer.template import Template

_FIELD = re.compile(r"\{(\w+)\}")
HTML_LIMIT = 100_000
"""Bytes. Gmail clips HTML above about 102 KB and hides the rest behind a link (mailchimp.com, read 2025-11)."""


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """What a mail says: the subject in one line, the text alternative, the HTML below 100,000 bytes."""

    subject: str
    text: str
    html: str


class MailTemplate:
    """The compiled mail of one template; safe to call from several threads."""

    def __init__(self, template: Template) -> None:
        self._name = template.name
        plain, escaped = environments()
        self._html = self._compiled(
            escaped, "mail.mjml", html_of(template.name, "mail.mjml", template.read("mail.mjml"))
        )
        self._text = self._compiled(plain, "mail.txt", template.read("mail.txt"))
        self._subject = self._compiled(plain, "subject", template.settings["subject"])
        self._file_name = self._compiled(plain, "file_name", template.settings["file_name"])

    def render(
        self, data: Mapping[str, Any], texts: Mapping[str, Any], known: LocaleFacts, customer: str
    ) -> RenderedMail:
        """The whole mail; ComposeError when an expression fails, MailTooLarge from 100,000 bytes of HTML on."""
        words = _words(data, texts, known)
        subject = " ".join(self._rendered(self._subject, words, customer).split())
        words["subject"] = subject
        html = self._rendered(self._html, words, customer)
        size = len(html.encode())
        if size >= HTML_LIMIT:
            problem = f"the mail's HTML has {size:,} bytes, the limit is {HTML_LIMIT:,}: Gmail would cut it off"
            raise MailTooLarge(customer=customer, template=self._name, problem=problem)
        return RenderedMail(subject=subject, text=self._rendered(self._text, words, customer), html=html)

    def file_name(self, data: Mapping[str, Any], texts: Mapping[str, Any], known: LocaleFacts, customer: str) -> str:
        """The name the document is attached under, without characters that file systems refuse."""
        name = " ".join(self._rendered(self._file_name, _words(data, texts, known), customer).split())
        return "".join("-" if character in '/\\:*?"<>|' else character for character in name)

    def _compiled(self, environment: SandboxedEnvironment, file: str, source: str) -> jinja2.Template:
        try:
            return environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(self._name, f"{file}, line {error.lineno}: {error.message}") from error

    def _rendered(self, template: jinja2.Template, words: Mapping[str, Any], customer: str) -> str:
        try:
            return template.render(words)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
            raise ComposeError(customer=customer, template=self._name, problem=f"the mail says: {error}") from error


def _words(data: Mapping[str, Any], texts: Mapping[str, Any], known: LocaleFacts) -> dict[str, Any]:
    return {
        "data": data,
        "texts": texts,
        "locale": known.tag,
        "money": known.money,
        "amount": known.amount,
        "date": known.date,
        "counted": known.counted,
    }


def environments() -> tuple[SandboxedEnvironment, SandboxedEnvironment]:
    """Jinja for texts and for HTML; in the latter every value is escaped."""
    plain = SandboxedEnvironment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True)
    escaped = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=True)
    for environment in (plain, escaped):
        environment.filters["fill"] = fill
    return plain, escaped


def fill(text: str, **values: object) -> str:
    """Put values where `{name}` stands. A value's own braces are left as they are."""
    return _FIELD.sub(lambda found: str(values.get(found[1], found[0])), text)


def html_of(name: str, file: str, source: str) -> str:
    """HTML of MJML, with the Jinja expressions still in it; TemplateError where it is no MJML."""
    try:
        made = mrml.to_html(source)
    except OSError as error:  # mrml raises OSError for MJML it cannot read
        raise TemplateError(name, f"{file} is no MJML: {error}") from error
    if made.warnings:
        raise TemplateError(name, f"{file}: {made.warnings[0]}")
    return str(made.content)
