"""What a locale says about dates, amounts and counts: the facts of CLDR, for Typst and for mails alike."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from typing import Any

import orjson
from babel import Locale, UnknownLocaleError, localedata
from babel.dates import format_date, tokenize_pattern
from babel.numbers import get_currency_precision, get_currency_symbol

_COUNTS = 200  # CLDR's plural rules for whole numbers look at the last two digits only


@dataclass(frozen=True, slots=True)
class LocaleFacts:
    """A locale and a currency, with what writing dates and amounts in them takes.

    Amounts are integers in minor units of the currency (cents); dates are ISO 8601 texts (`1998-06-30`).
    """

    locale: Locale
    currency: str
    symbols: dict[str, str]
    grouping: tuple[int, int]
    digits: int
    prefix: str
    suffix: str

    @property
    def language(self) -> str:
        """The two or three letters of the language, as PDF and HTML want them."""
        return str(self.locale.language)

    @property
    def tag(self) -> str:
        """The BCP 47 tag, such as `de-DE`."""
        return str(self.locale).replace("_", "-")

    def amount(self, minor: int) -> str:
        """123456 -> `1,234.56`."""
        sign = self.symbols["minus"] if minor < 0 else ""
        figures = str(abs(minor)).rjust(self.digits + 1, "0")
        whole, fraction = figures[: len(figures) - self.digits], figures[len(figures) - self.digits :]
        return sign + self._grouped(whole) + (self.symbols["decimal"] + fraction if fraction else "")

    def money(self, minor: int) -> str:
        """123456 -> `$1,234.56`."""
        sign = self.symbols["minus"] if minor < 0 else ""
        return sign + self.prefix + self.amount(abs(minor)) + self.suffix

    def date(self, iso: str, style: str = "long") -> str:
        """`1998-06-30` -> `30 June 1998`; styles: long, medium, short."""
        return format_date(date.fromisoformat(iso), format=style, locale=self.locale)

    def counted(self, forms: dict[str, str], count: int) -> str:
        """The form of a text for a count, chosen by the language's plural rule."""
        return forms.get(self.locale.plural_form(count), forms["other"]).replace("{count}", str(count))

    def _grouped(self, digits: str) -> str:
        first, later = self.grouping
        groups = [digits[-first:]]
        rest = digits[:-first]
        while rest:
            groups.insert(0, rest[-later:])
            rest = rest[:-later]
        return self.symbols["group"].join(groups)

    def for_typst(self) -> str:
        """The same facts as JSON, as the package `@local/millstream` reads them."""
        return _json(self.tag, self.currency)


class _OwnData(Locale):
    """A locale whose data are shared with no other.

    Babel writes an alias that it has followed into the data, parts of which locales share: after Japanese, French had
    Japanese names of months (python-babel issue 1234, open in 2.18 as of 2026-07). Half a megabyte and 5 ms each.
    """

    @cached_property
    def _data(self) -> localedata.LocaleDataDict:
        name = str(self)
        shared: dict[Any, Any] = localedata.load(name if localedata.exists(name) else name.partition("@")[0])
        return localedata.LocaleDataDict(copy.deepcopy(shared))


@lru_cache(maxsize=64)
def _locale(tag: str) -> Locale:
    return _OwnData.parse(tag, sep="-" if "-" in tag else "_")


@lru_cache(maxsize=64)  # tags come from data
def facts(tag: str, currency: str = "USD") -> LocaleFacts:
    """The facts for a BCP 47 tag (`de-DE`, `en`) and an ISO 4217 currency; ValueError for an unknown tag."""
    try:
        locale = _locale(tag)
    except UnknownLocaleError as error:
        raise ValueError(f"{tag} is no locale that CLDR knows") from error
    numbers: Any = locale.number_symbols
    symbols = numbers.get("latn", numbers)
    pattern = locale.currency_formats["standard"]
    sign = get_currency_symbol(currency, locale=locale)
    grouping = locale.decimal_formats[None].grouping
    return LocaleFacts(
        locale=locale,
        currency=currency,
        # U+2212 is the minus of typography; CLDR gives the hyphen of keyboards for most languages.
        symbols={"decimal": symbols["decimal"], "group": symbols["group"], "minus": "\u2212"},
        grouping=(grouping[0], grouping[1]),
        digits=get_currency_precision(currency),
        prefix=pattern.prefix[0].replace("¤", sign),
        suffix=pattern.suffix[0].replace("¤", sign),
    )


@lru_cache(maxsize=256)
def _json(tag: str, currency: str) -> str:
    known = facts(tag, currency)
    locale = known.locale
    months = locale.months
    names = {
        "long": list(months["format"]["wide"].values()),
        "short": list(months["format"]["abbreviated"].values()),
        "alone": list(months["stand-alone"]["abbreviated"].values()),
    }
    return orjson.dumps(
        {
            "language": locale.language,
            "territory": locale.territory,
            **known.symbols,
            "grouping": known.grouping,
            "currency": {"digits": known.digits, "prefix": known.prefix, "suffix": known.suffix},
            "dates": {style: _tokens(locale.date_formats[style].pattern) for style in ("long", "medium", "short")},
            "months": names,
            "plurals": [locale.plural_form(count) for count in range(_COUNTS)],
        },
    ).decode()


def _tokens(pattern: str) -> list[str]:
    """A date pattern of CLDR as a list: fields as they are (`MMMM`), literal text behind an apostrophe."""
    tokens = []
    for kind, value in tokenize_pattern(pattern):
        field, width = (value[0], value[1]) if isinstance(value, tuple) else (value, 1)
        tokens.append(field * width if kind == "field" else f"'{field}")
    return tokens
