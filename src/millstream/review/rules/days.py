"""Dates in a text, read as the locale writes them: 3.4.2026, 04/03/2026, 3 April 2026, 2026-04-03."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from millstream.composer.locales import facts

_NUMERIC = re.compile(r"(?<![\d.,/-])(\d{1,4})(\s?[./-]\s?)(\d{1,2})\2(\d{1,4})(?![\d/-])")
_ORIENTAL = re.compile(r"(\d{4})\s?[\u5e74\ub144]\s?(\d{1,2})\s?[\u6708\uc6d4]\s?(\d{1,2})\s?[\u65e5\uc77c]")
_ORDINAL = r"(?:\.|st|nd|rd|th|er|re|e|º|ª|°|:e)?"
_OF = r"(?:\s?(?:de|del|di|of|d'|d\u2019))?\s?"
_CENTURY = 100
_THIS_CENTURY = 70
_LONG_YEAR = 4


@dataclass(frozen=True, slots=True)
class Day:
    """A date that stands in a text."""

    start: int
    end: int
    written: str
    day: date


@dataclass(frozen=True, slots=True)
class _Manner:
    order: str
    months: dict[str, int]
    spelled: tuple[re.Pattern[str], ...]


def days(text: str, locale: str) -> Iterator[Day]:
    """Every date of a text.

    Raises:
        ValueError: no locale has this name.
    """
    how = _manner(locale)
    for match in _NUMERIC.finditer(text):
        first, _, second, third = match.groups()
        if (found := _numeric(first, second, third, how.order)) is not None:
            yield Day(match.start(), match.end(), match[0], found)
    for match in _ORIENTAL.finditer(text):
        if (found := _date(match[1], match[2], match[3])) is not None:
            yield Day(match.start(), match.end(), match[0], found)
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text
    for form in how.spelled:
        for match in form.finditer(lowered):
            month = how.months.get(match["month"].rstrip("."))
            found = _date(match["year"], str(month), match["day"]) if month else None
            if found is not None:
                yield Day(match.start(), match.end(), text[match.start() : match.end()], found)


def iso(value: object) -> date | None:
    """The date of a field of the data: `2026-04-03`, with or without a time."""
    if not isinstance(value, str):
        return None
    try:
        return date.fromisoformat(value.strip()[:10])
    except ValueError:
        return None


def _numeric(first: str, second: str, third: str, order: str) -> date | None:
    if len(first) == _LONG_YEAR:
        return _date(first, second, third)
    if len(first) > 2 or len(third) == 3:  # noqa: PLR2004  neither a day nor a year
        return None
    if order == "ymd" and len(third) <= 2:  # noqa: PLR2004  a day
        return _date(first, second, third)
    return _date(third, first, second) if order == "mdy" else _date(third, second, first)


def _date(year: str, month: str, day: str) -> date | None:
    number = int(year)
    if len(year) <= 2:  # noqa: PLR2004  without its century
        number += 20 * _CENTURY if number < _THIS_CENTURY else 19 * _CENTURY
    try:
        return date(number, int(month), int(day))
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _manner(locale: str) -> _Manner:
    known: Any = facts(locale).locale
    order = "".join(dict.fromkeys(re.sub(r"[^dMy]", "", known.date_formats["short"].pattern))).lower()
    months: dict[str, int] = {}
    for use in ("format", "stand-alone"):
        for width in ("wide", "abbreviated"):
            for number, name in known.months[use][width].items():
                months.setdefault(str(name).lower().rstrip("."), number)
    names = "|".join(sorted(map(re.escape, months), key=len, reverse=True))
    month = rf"(?P<month>{names})\.?"
    year, day = r"(?P<year>\d{4})", rf"(?P<day>\d{{1,2}}){_ORDINAL}"
    spelled = (
        re.compile(rf"(?<!\d){day}{_OF}{month},?{_OF}{year}(?!\d)"),
        re.compile(rf"(?<!\w){month}\s?{day},?\s?{year}(?!\d)"),
        re.compile(rf"(?<!\d){year}\.?\s?(?:m\.\s)?{month}\s?{day}(?!\d)"),
    )
    return _Manner(order, months, spelled)
