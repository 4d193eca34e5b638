"""Amounts in a text, read as the locale writes them: 1.234,56 or 1,234.56 or 1 234,56."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from babel.numbers import get_currency_symbol

from millstream.composer.locales import facts

_BLANKS = " \u00a0\u202f\u2009"
_QUOTES = "'\u2019"
_ANY_AMOUNT = re.compile(rf"\d{{1,3}}(?:[.,{_QUOTES}{_BLANKS}]\d{{3}})*[.,]\d{{2}}")
_SHARES = {"%", "\u2030"}
_NEAR = 5
_LONGEST = 60
"""Characters of a number; what is longer is none."""


@dataclass(frozen=True, slots=True)
class Amount:
    """A number that stands in a text."""

    start: int
    end: int
    written: str
    readings: tuple[Decimal, ...]
    """What it can mean, the likeliest first: blanks may be part of it or stand between two. Empty: nothing here."""
    decimals: bool
    """Whether it has as many decimals as the currency."""
    money: bool
    """Whether the currency stands beside it."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a locale writes amounts of a currency."""

    decimal: str
    groups: str
    digits: int
    signs: tuple[str, ...]
    figures: re.Pattern[str]
    """What could be a number: figures with signs between them, and with blanks where the locale groups by them."""
    form: re.Pattern[str]
    """What is one."""


@lru_cache(maxsize=128)
def manner(locale: str, currency: str) -> Manner:
    """The locale's manner.

    Raises:
        ValueError: no locale or currency has this name.
    """
    known = facts(locale, currency)
    group, decimal = known.symbols["group"], known.symbols["decimal"]
    groups = _BLANKS if group in _BLANKS else _QUOTES if group in _QUOTES else group
    inner = rf"[{re.escape(groups)}]"
    first, later = known.grouping
    rest = rf"(?:{inner}\d{{{later}}})*{inner}\d{{{first}}}" if later != first else rf"(?:{inner}\d{{{first}}})+"
    form = re.compile(rf"(?:\d{{1,{max(first, later)}}}{rest}|\d+)(?:{re.escape(decimal)}(?P<fraction>\d+))?")
    blanks = rf"(?:[{_BLANKS}]\d{{3}}(?!\d))*" if groups is _BLANKS else ""
    figures = re.compile(rf"(?<![\w.,])[-\u2212\u2013]?\d+{blanks}(?:[.,{_QUOTES}]\d+)*")
    signs = {currency, get_currency_symbol(currency, locale=known.locale), get_currency_symbol(currency, locale="en")}
    return Manner(decimal, groups, known.digits, tuple(sorted({sign.lower() for sign in signs})), figures, form)


def amounts(text: str, how: Manner) -> Iterator[Amount]:
    """Every number of a text that could be an amount; no dates, no percentages."""
    lowered = text.lower()
    for match in how.figures.finditer(text):
        start, end = match.span()
        if text[end : end + 2].lstrip(_BLANKS)[:1] in _SHARES:
            continue
        near = lowered[max(0, start - _NEAR) : start] + " " + lowered[end : end + _NEAR]
        yield Amount(
            start,
            end,
            match[0],
            tuple(_readings(match[0], how)),
            decimals=_has_decimals(match[0], how),
            money=any(sign in near for sign in how.signs),
        )


def odd(amount: Amount) -> bool:
    """Whether it looks like an amount of another locale."""
    return not amount.readings and _ANY_AMOUNT.fullmatch(amount.written.lstrip("-\u2212\u2013")) is not None


def _has_decimals(written: str, how: Manner) -> bool:
    whole, separator, fraction = written.rpartition(how.decimal)
    return bool(whole and separator) and len(fraction) == how.digits > 0


def _readings(written: str, how: Manner) -> Iterator[Decimal]:
    if len(written) > _LONGEST:
        return
    negative = written[0] in "-\u2212\u2013"
    figures = written.lstrip("-\u2212\u2013")
    pieces = [0, *(place + 1 for place, each in enumerate(figures) if each in _BLANKS)]
    whole = _value(figures, how)
    if whole is not None:
        yield -whole if negative else whole
    # In columns of numbers a blank may stand between two of them.
    ends = [*(place - 1 for place in pieces[1:]), len(figures)]
    for first in range(len(pieces)):
        for last in range(first, len(pieces)):
            part = figures[pieces[first] : ends[last]]
            if part != figures and (value := _value(part, how)) is not None:
                yield -value if negative and first == 0 else value


def _value(figures: str, how: Manner) -> Decimal | None:
    found = how.form.fullmatch(figures)
    if found is None:
        return None
    whole, _, fraction = figures.partition(how.decimal)
    digits = "".join(each for each in whole if each not in how.groups)
    return Decimal(f"{digits}.{fraction}" if fraction else digits)
