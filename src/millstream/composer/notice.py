"""Mails to our own people: a folder with one MJML, one text, and the words of each language.

What a mail says is made by whoever sends it, as values; the files say how it looks. Words come from
`texts.<language>.toml`; a locale whose language is not there gets English. Safe to call from several threads.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from babel import Locale
from babel.dates import format_date, format_time, get_timezone_name

from millstream.composer.errors import ComposeError, MailTooLarge, TemplateError
from millstream.composer.locales import facts
from millstream.composer.mail import HTML_LIMIT, RenderedMail, environments, fill, html_of

NOTICES = Path(__file__).parent / "notices"
_DEFAULT = ("en", "en-GB")
"""For languages without words: English, with days before months as nearly everybody writes them."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a language says, and how its region writes dates."""

    language: str
    tag: str
    """BCP 47, as `de-AT`."""
    texts: Mapping[str, Any]
    locale: Locale

    def say(self, path: str, **values: object) -> str:
        """The text at a dotted path, its fields filled. KeyError where there is none."""
        found: Any = self.texts
        for part in path.split("."):
            found = found[part]
        return fill(str(found), **values)

    def has(self, path: str) -> bool:
        """Whether there is a text at a dotted path."""
        try:
            self.say(path)
        except (KeyError, TypeError):
            return False
        return True

    def moment(self, at: datetime, zone: tzinfo) -> str:
        """`Tuesday, 1 December 2026, 17:30 (CET)`, in a zone of one's own."""
        local = at.astimezone(zone)
        name = get_timezone_name(local, width="short", locale=self.locale)
        if name.startswith(("+", "-")):  # the language has no short name for it
            name = f"UTC{name[:3]}:{name[3:]}"
        day = format_date(local.date(), format="full", locale=self.locale)
        return f"{day}, {format_time(local, format='short', locale=self.locale)} ({name})"

    def short_moment(self, at: datetime, zone: tzinfo) -> str:
        """`1 Dec 2026, 17:30`."""
        local = at.astimezone(zone)
        day = format_date(local.date(), format="medium", locale=self.locale)
        return f"{day}, {format_time(local, format='short', locale=self.locale)}"


class Notices:
    """The mails of one folder."""

    def __init__(self, folder: Path) -> None:
        self._name = folder.name
        self._texts = {file.name.split(".")[1]: self._toml(file) for file in sorted(folder.glob("texts.*.toml"))}
        plain, escaped = environments()
        self._html = self._compiled(
            escaped, "mail.mjml", html_of(self._name, "mail.mjml", self._read(folder, "mail.mjml"))
        )
        self._text = self._compiled(plain, "mail.txt", self._read(folder, "mail.txt"))

    @property
    def languages(self) -> tuple[str, ...]:
        """Those there are words for."""
        return tuple(self._texts)

    def words(self, locale: str) -> Words:
        """The words nearest to a locale; English where there are none."""
        tag = locale.replace("_", "-")
        language = tag.partition("-")[0].lower()
        if language not in self._texts:
            language, tag = _DEFAULT
        try:
            known = facts(tag)
        except ValueError:
            known = facts(language)
        return Words(language, known.tag, self._texts[language], known.locale)

    def render(self, subject: str, values: Mapping[str, Any], words: Words, *, to: str) -> RenderedMail:
        """The mail; ComposeError when an expression fails, MailTooLarge from 100,000 bytes of HTML on."""
        known = {**values, "texts": words.texts, "locale": words.tag, "subject": " ".join(subject.split())}
        try:
            html, text = self._html.render(known), self._text.render(known)
        except (jinja2.TemplateError, TypeError, ValueError, KeyError) as error:
            raise ComposeError(customer=to, template=self._name, problem=f"the mail says: {error}") from error
        if (size := len(html.encode())) >= HTML_LIMIT:
            problem = f"the mail's HTML has {size:,} bytes, the limit is {HTML_LIMIT:,}: Gmail would cut it off"
            raise MailTooLarge(customer=to, template=self._name, problem=problem)
        return RenderedMail(subject=known["subject"], text=_spaced(text), html=html)

    def _compiled(self, environment: jinja2.Environment, file: str, source: str) -> jinja2.Template:
        try:
            return environment.from_string(source)
        except jinja2.TemplateSyntaxError as error:
            raise TemplateError(self._name, f"{file}, line {error.lineno}: {error.message}") from error

    def _read(self, folder: Path, file: str) -> str:
        try:
            return (folder / file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise TemplateError(self._name, f"{file} cannot be read: {error}") from error

    def _toml(self, file: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise TemplateError(self._name, f"{file.name} cannot be read: {error}") from error


@lru_cache(maxsize=1)
def review_notices() -> Notices:
    """The mails of reviews, read once."""
    return Notices(NOTICES / "review")


def _spaced(text: str) -> str:
    """Paragraphs with one empty line between them."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.strip() or (lines and lines[-1]):
            lines.append(line.rstrip())
    return "\n".join(lines).strip() + "\n"
