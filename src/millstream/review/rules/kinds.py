"""What each kind of rule finds: place and text, for people."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import partial, singledispatch
from typing import Any

from millstream.composer.locales import facts
from millstream.review.rules.days import days, iso
from millstream.review.rules.language import LANGUAGES, language_of
from millstream.review.rules.looked import Looked, Part, Where
from millstream.review.rules.numbers import odd
from millstream.review.rules.pack import Age, Amounts, Clause, Consent, Dates, Forbidden, Language, Rule
from millstream.review.rules.text import pattern, phrases, squashed

_MOST_FIGURES = 30
_NO_DATE = "is no date as YYYY-MM-DD"
_CURRENCY = re.compile("[A-Z]{3}")


@dataclass(frozen=True, slots=True)
class Seen:
    """Something that a rule does not let pass."""

    place: str
    text: str


@singledispatch
def look(rule: Rule, looked: Looked) -> Iterator[Seen]:
    """What a rule finds in a letter. Pure; one that cannot be carried out raises, and the letter is held."""
    raise TypeError(f"no such kind of rule for {looked.type}: {rule!r}")


@look.register
def _(rule: Clause, looked: Looked) -> Iterator[Seen]:
    if rule.regex is not None:
        wanted = pattern(rule.regex)
        if not _somewhere(looked, rule.where, lambda part: wanted.search(part.pages.plain) is not None):
            yield Seen(looked.searched(rule.where), f"nothing fits {rule.regex}")
        return
    wordings = rule.text
    if isinstance(wordings, Mapping):
        if looked.language not in wordings:
            known = ", ".join(wordings)
            yield Seen("locale", f"the rule has no wording for {looked.language!r}; it has some for {known}")
            return
        wordings = wordings[looked.language]
    clauses = [squashed(each) for each in wordings]
    if not _somewhere(looked, rule.where, lambda part: any(each in part.pages.squashed for each in clauses)):
        yield Seen(looked.searched(rule.where), f"it is missing: {wordings[0]}")


@look.register
def _(rule: Forbidden, looked: Looked) -> Iterator[Seen]:
    for part in looked.parts(rule.where):
        if rule.words:
            words = part.pages.words
            excused = list(words.found(phrases(rule.except_))) if rule.except_ else []
            for first, behind in words.found(phrases(rule.words)):
                if not any(start <= first and behind <= end for start, end in excused):
                    place = words.place(first, behind)
                    yield Seen(part.at(place.page), place.marked)
        for each in rule.regex:
            for match in pattern(each).finditer(part.pages.plain):
                place = part.pages.place_of(*match.span())
                yield Seen(part.at(place.page), place.marked)


@dataclass(frozen=True, slots=True)
class _Money:
    """How one rule counts."""

    locale: str
    currency: str
    signed: bool

    def count(self, value: Decimal) -> Decimal:
        return value if self.signed else abs(value)

    def stands(self, value: Decimal, part: Part) -> bool:
        found = (self.count(reading) for each in part.amounts(self.locale, self.currency) for reading in each.readings)
        return self.count(value) in found

    def written(self, value: Decimal) -> str:
        how = facts(self.locale, self.currency)
        return how.money(int(value.scaleb(how.digits)))


@look.register
def _(rule: Amounts, looked: Looked) -> Iterator[Seen]:
    currency = rule.currency
    if rule.currency_field is not None:
        named = looked.values(rule.currency_field)
        if not named or not isinstance(named[0], str) or _CURRENCY.fullmatch(named[0]) is None:
            yield Seen(rule.currency_field, "names no currency, so amounts cannot be compared")
            return
        currency = named[0]
    money = _Money(looked.locale, currency, rule.signed)
    digits = facts(looked.locale, currency).digits if rule.minor else 0
    allowed: set[Decimal] = set()
    for path, given in _given(rule, looked):
        value = _amount(given, digits)
        if value is None:
            yield Seen(path, "is missing in the data" if given is None else f"is no amount: {str(given)[:50]!r}")
            continue
        allowed.add(money.count(value))
        if path in rule.fields and not _somewhere(looked, rule.where, partial(money.stands, value)):
            yield Seen(path, f"{money.written(value)} does not stand in {looked.searched(rule.where)}")
    if rule.only:
        yield from _other_amounts(rule, looked, money, allowed)


def _other_amounts(rule: Amounts, looked: Looked, money: _Money, allowed: set[Decimal]) -> Iterator[Seen]:
    for part in looked.parts(rule.where):
        for each in part.amounts(money.locale, money.currency):
            strange = odd(each)
            if not (each.money or (rule.only == "all" and (each.decimals or strange))):
                continue
            if allowed.intersection(map(money.count, each.readings)):
                continue
            place = part.pages.place_of(each.start, each.end)
            why = f"not as {looked.locale} writes it" if strange else "not in the data"
            yield Seen(part.at(place.page), f"{each.written} is {why}: {place.quote}")


def _given(rule: Amounts | Dates, looked: Looked) -> Iterator[tuple[str, Any]]:
    """The data's values with their fields; None where one lacks that must be there."""
    for path in (*rule.fields, *rule.also):
        values = looked.values(path)
        if not values and path in rule.fields and not rule.optional:
            yield path, None
        yield from ((path, value) for value in values)


def _amount(given: object, digits: int) -> Decimal | None:
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        return None
    try:
        value = Decimal(str(given))
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > _MOST_FIGURES:
        return None
    return value.scaleb(-digits)


@look.register
def _(rule: Dates, looked: Looked) -> Iterator[Seen]:
    allowed: set[date] = set()
    for path, given in _given(rule, looked):
        wanted = iso(given)
        if wanted is None:
            yield Seen(path, "is missing in the data" if given is None else f"{_NO_DATE}: {str(given)[:50]!r}")
            continue
        allowed.add(wanted)
        if path in rule.fields and not _somewhere(looked, rule.where, partial(_is_dated, wanted, looked.locale)):
            written = facts(looked.locale).date(wanted.isoformat())
            yield Seen(path, f"{written} does not stand in {looked.searched(rule.where)}")
    if rule.only:
        for part in looked.parts(rule.where):
            for each in part.days(looked.locale):
                if each.day not in allowed:
                    place = part.pages.place_of(each.start, each.end)
                    yield Seen(part.at(place.page), f"{each.written} is not in the data: {place.quote}")


@look.register
def _(rule: Age, looked: Looked) -> Iterator[Seen]:
    found = 0
    for place, given, day in _dated(rule, looked):
        found += 1
        if day is None:
            yield Seen(place, f"is no date: {given}")
        elif (age := (looked.today - day).days) > rule.most_days:
            yield Seen(place, f"{given} is {age:,} days ago; {rule.most_days:,} are allowed")
        elif age < -1:
            yield Seen(place, f"{given} lies in the future")
    if not found and not rule.optional:
        place = rule.field if rule.field is not None else looked.searched(rule.where)
        yield Seen(place, "no date is given" if rule.text is None else f"nothing fits {rule.text}")


def _dated(rule: Age, looked: Looked) -> Iterator[tuple[str, str, date | None]]:
    if rule.field is not None:
        for value in looked.values(rule.field):
            yield rule.field, str(value)[:50], iso(value)
        return
    wanted = pattern(rule.text or "", groups=1)
    for part in looked.parts(rule.where):
        for match in wanted.finditer(part.pages.plain):
            given = match.group(1) or ""
            read = next(days(given, looked.locale), None)
            yield part.at(part.pages.place_of(*match.span()).page), match.group(0), read.day if read else iso(given)


@look.register
def _(rule: Consent, looked: Looked) -> Iterator[Seen]:
    values = looked.values(rule.field)
    # True is 1 to Python, and not to whoever wrote the data.
    if not values:
        yield Seen(rule.field, "the data say nothing of the recipient's consent")
    elif not all(any(type(each) is type(yes) and each == yes for yes in rule.accepted) for each in values):
        yield Seen(rule.field, f"the recipient has not agreed: {str(values[0])[:50]!r}")
    if rule.until is None:
        return
    for given in looked.values(rule.until):
        until = iso(given)
        if until is None:
            yield Seen(rule.until, f"{_NO_DATE}: {str(given)[:50]!r}")
        elif until < looked.today:
            yield Seen(rule.until, f"the recipient's consent ended on {until.isoformat()}")


@look.register
def _(rule: Language, looked: Looked) -> Iterator[Seen]:
    if looked.language not in LANGUAGES:
        return
    for part in looked.parts(rule.where):
        found = language_of(part.pages.words.all())
        if found is not None and found != looked.language:
            yield Seen(part.place, f"it seems to be written in {found!r}, and the record's locale is {looked.locale!r}")


def _is_dated(wanted: date, locale: str, part: Part) -> bool:
    return any(each.day == wanted for each in part.days(locale))


def _somewhere(looked: Looked, where: Where, stands: Callable[[Part], bool]) -> bool:
    """Whether something stands in a document, or in every form of the mail."""
    return any(all(map(stands, together)) for together in looked.complete(where))
