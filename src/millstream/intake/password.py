"""A password rule: how a PDF's password is made of a record, for example `{customer.birth_date:%d%m%Y}`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from string import Formatter
from typing import Any

from millstream.intake.errors import BadPasswordRule, NoPassword
from millstream.intake.record import Record

FEWEST_CHARACTERS = 6
MOST_BYTES = 127
"""Of a password in UTF-8: ISO 32000-2, 7.6.4.3.3, cuts off the rest."""

# Written out instead of strftime, which depends on the machine's language and pads years differently.
_DATE_PARTS = {"%d": "{0.day:02}", "%m": "{0.month:02}", "%Y": "{0.year:04}", "%y": "{1:02}", "%%": "%"}
_DIRECTIVE = re.compile("%.?", re.DOTALL)
_PLACE = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_ROOTS = ("customer", "data", "key", "recipient", "source", "type")


@dataclass(frozen=True, slots=True)
class _Field:
    place: tuple[str, ...]
    form: str


@dataclass(frozen=True, slots=True)
class PasswordRule:
    """A rule that was understood. It looks values up in the record and does nothing else."""

    text: str
    _steps: tuple[str | _Field, ...]

    @classmethod
    def parse(cls, text: str) -> PasswordRule:
        """Read a rule.

        Raises:
            BadPasswordRule: braces do not match, a place that no record has, or a form that is no date's.
        """
        try:
            parts = list(Formatter().parse(text))
        except ValueError as error:
            raise BadPasswordRule(f"cannot read the password rule {text!r}: {error}") from None
        steps: list[str | _Field] = []
        for literal, place, form, conversion in parts:
            if literal:
                steps.append(literal)
            if place is not None:
                steps.append(_field(text, place, form or "", conversion))
        if not any(isinstance(step, _Field) for step in steps):
            raise BadPasswordRule(
                f"the password rule {text!r} gives every customer the same password; "
                "name a field, for example {customer.birth_date:%d%m%Y}"
            )
        return cls(text, tuple(steps))

    def password(self, record: Record) -> str:
        """The password of this record's PDFs.

        Raises:
            NoPassword: a field is missing or of the wrong kind, or the password is too short or too long.
        """
        values = _values(record)
        made = "".join(step if isinstance(step, str) else _look_up(values, step) for step in self._steps)
        return usable(made, f"the password rule {self.text!r}")


def usable(password: str, origin: str) -> str:
    """The password itself, if it may be used.

    Raises:
        NoPassword: it has fewer than 6 characters, more than 127 bytes, or a control character.
    """
    if len(password) < FEWEST_CHARACTERS:
        raise NoPassword(f"{origin} gives fewer than {FEWEST_CHARACTERS} characters")
    if len(password.encode()) > MOST_BYTES:
        raise NoPassword(f"{origin} gives more than {MOST_BYTES} bytes, the most a PDF can have")
    if not password.isprintable():
        raise NoPassword(f"{origin} gives a control character, which nobody can type")
    return password


def _field(rule: str, place: str, form: str, conversion: str | None) -> _Field:
    steps = tuple(place.split("."))
    if not _PLACE.fullmatch(place) or steps[0] not in _ROOTS or conversion:
        raise BadPasswordRule(
            f"the password rule {rule!r} names {{{place}}}; a field is written as {{customer.id}}, "
            f"and starts with one of {', '.join(_ROOTS)}"
        )
    unknown = [found for found in _DIRECTIVE.findall(form) if found not in _DATE_PARTS]
    if unknown or (form and "%" not in form):
        raise BadPasswordRule(
            f"the password rule {rule!r} has the form {form!r}; a form is a date's, made of %d, %m, %Y and %y"
        )
    return _Field(steps, form)


def _values(record: Record) -> dict[str, Any]:
    customer, recipient = record.customer, record.recipient
    return {
        "key": record.key,
        "type": record.type,
        "customer": {"id": customer.id, "name": customer.name, "birth_date": customer.birth_date},
        "recipient": {"address": recipient.address, "name": recipient.name},
        "data": record.data,
        "source": record.source,
    }


def _look_up(values: Mapping[str, Any], field: _Field) -> str:
    found: Any = values
    where = ".".join(field.place)
    for step in field.place:
        found = found.get(step) if isinstance(found, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, str | int) or found == "":
        raise NoPassword(f"{where}, from which the password is made, is missing or neither text nor a whole number")
    return _dated(found, field, where) if field.form else str(found)


def _dated(found: str | int, field: _Field, where: str) -> str:
    try:
        day: date = datetime.fromisoformat(str(found)).date()
    except ValueError:
        raise NoPassword(f"{where}, from which the password is made, is no date as YYYY-MM-DD") from None
    return _DIRECTIVE.sub(lambda part: _DATE_PARTS[part[0]].format(day, day.year % 100), field.form)
