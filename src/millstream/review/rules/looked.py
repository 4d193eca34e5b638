"""A letter as rules look at it: its record, its mail and its documents, each read once and only where a rule asks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Final, Literal

from millstream.review.rules.days import Day, days
from millstream.review.rules.numbers import Amount, amounts, manner
from millstream.review.rules.text import Pages

Where = Literal["documents", "mail", "all"]
MAIL: Final = "mail text"
_REGION = re.compile(r"[A-Za-z]{2}|\d{3}")
_MOST_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it was read."""

    name: str
    pages: tuple[str, ...] = ()
    problem: str = ""
    """Why there is nothing to read."""

    @property
    def place(self) -> str:
        """For people."""
        return f"document {self.name!r}"


@dataclass(eq=False)
class Part:
    """A text that reaches the recipient: one document, or the mail in one of its forms."""

    place: str
    pages: Pages
    mail: bool = False
    many: bool = False
    """Whether its pages are worth naming."""
    _amounts: dict[tuple[str, str], tuple[Amount, ...]] = field(default_factory=dict)
    _days: dict[str, tuple[Day, ...]] = field(default_factory=dict)

    def at(self, page: int) -> str:
        """A place in it, for people."""
        return f"{self.place}, page {page}" if self.many else self.place

    def amounts(self, locale: str, currency: str) -> tuple[Amount, ...]:
        """The numbers that stand there. Raises ValueError where no locale has this name."""
        key = (locale, currency)
        if key not in self._amounts:
            self._amounts[key] = tuple(amounts(self.pages.plain, manner(locale, currency)))
        return self._amounts[key]

    def days(self, locale: str) -> tuple[Day, ...]:
        """The dates that stand there. Raises ValueError where no locale has this name."""
        if locale not in self._days:
            self._days[locale] = tuple(days(self.pages.plain, locale))
        return self._days[locale]


@dataclass(frozen=True)
class Looked:
    """What rules look at.

    Args:
        record: by its fields: type, locale, data, source, customer …
        mail: subject and text, once for each form in which the mail comes (text, HTML).
        documents: reads the attachments; called once, and only where a rule looks at them.
        today: against which ages are measured.
    """

    record: Mapping[str, Any]
    mail: Sequence[tuple[str, str]]
    """Place for people, and text."""
    documents: Callable[[], Sequence[Document]]
    today: date

    @property
    def type(self) -> str:
        """The document type."""
        return str(self.record.get("type") or "")

    @property
    def locale(self) -> str:
        """The record's locale."""
        return str(self.record.get("locale") or "")

    @property
    def language(self) -> str:
        """The locale's language."""
        return re.split("[-_]", self.locale)[0].lower()

    def values(self, path: str) -> list[Any]:
        """What stands at a path of the record; a path through a list means each of its items."""
        found: list[Any] = [self.record]
        for step in path.split("."):
            inside = [item for each in found for item in (each if isinstance(each, list) else [each])]
            found = [each[step] for each in inside if isinstance(each, Mapping) and step in each][:_MOST_VALUES]
        flat = [item for each in found for item in (each if isinstance(each, list) else [each])]
        return [each for each in flat if each is not None][:_MOST_VALUES]

    def jurisdiction(self, path: str) -> str:
        """Under which law it falls: what the record says, else the region of its locale; empty where neither does."""
        said = [each for each in self.values(path) if isinstance(each, str) and each]
        if said:
            return said[0]
        return next((step.upper() for step in re.split("[-_]", self.locale)[1:] if _REGION.fullmatch(step)), "")

    @cached_property
    def read(self) -> tuple[Document, ...]:
        """The attachments."""
        return tuple(self.documents())

    @cached_property
    def mail_parts(self) -> tuple[Part, ...]:
        """The forms of the mail."""
        return tuple(Part(place, Pages([text]), mail=True) for place, text in self.mail)

    @cached_property
    def document_parts(self) -> tuple[Part, ...]:
        """The attachments in which something stands."""
        return tuple(
            Part(each.place, Pages(each.pages), many=len(each.pages) > 1) for each in self.read if not each.problem
        )

    def parts(self, where: Where) -> tuple[Part, ...]:
        """What a rule looks at."""
        mail = self.mail_parts if where != "documents" else ()
        return (*(self.document_parts if where != "mail" else ()), *mail)

    def complete(self, where: Where) -> Iterator[tuple[Part, ...]]:
        """Texts of which one is enough for what must stand there: each document, and the mail in all its forms."""
        if where != "mail":
            yield from ((part,) for part in self.document_parts)
        if where != "documents" and self.mail_parts:
            yield self.mail_parts

    def searched(self, where: Where) -> str:
        """What was looked at, for people."""
        names = [part.place for part in self.parts(where)]
        if len(names) == 1:
            return names[0]
        return {"documents": "documents", "mail": "mail", "all": "documents and mail"}[where]
