"""Names and addresses for customers who have only a number.

Everything follows from the number by a hash, so the same customer is the same person in every run, on every
machine. Mail addresses lie at domains that RFC 2606 and RFC 6761 reserve: nobody can ever receive a mail there.
"""

from __future__ import annotations

import hashlib
import tomllib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

_T = TypeVar("_T")
_DOMAINS = ("example.com", "example.org", "example.net", "post.example", "mail.example", "courrier.example")
# Letters that Unicode does not take apart into an ASCII letter and an accent.
_LETTERS = str.maketrans({"ß": "ss", "ł": "l", "ø": "o", "æ": "ae", "œ": "oe", "\u0131": "i", "đ": "d"})
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue"})  # as they are spelt out in German


@dataclass(frozen=True, slots=True)
class Person:
    """Who a customer is and where to write to: postal lines below the name, and a mail address."""

    name: str
    lines: tuple[str, ...]
    mail: str
    locale: str


def person(number: str) -> Person:
    """The person behind a customer number; different numbers never share a mail address."""
    draw = _Draw(number)
    country = draw.weighted(_countries())
    first, last = draw.one(country["first_names"]), draw.one(country["last_names"])
    if draw.below(14) == 0:
        last = f"{last}-{draw.one(country['last_names'])}"
    street = country["street_line"].format(house=1 + draw.below(180), street=draw.one(country["streets"]))
    city, postcode = draw.one(country["cities"])
    town = country["city_line"].format(city=city, postcode=draw.postcode(postcode))
    locale = country["locale"]
    return Person(
        name=f"{first} {last}",
        lines=tuple(line for line in (street, town, country["name"]) if line),
        mail=f"{_plain(first, locale)}.{_plain(last, locale)}.{number}@{draw.one(_DOMAINS)}",
        locale=locale,
    )


class _Draw:
    """Lots drawn from a customer number: SHA-256 in counter mode, the same everywhere and for ever."""

    def __init__(self, number: str) -> None:
        self._number = number
        self._drawn = 0

    def below(self, limit: int) -> int:
        self._drawn += 1
        lot = hashlib.sha256(f"cdnow {self._number} {self._drawn}".encode()).digest()
        return int.from_bytes(lot[:8], "big") % limit

    def one(self, choices: Sequence[_T]) -> _T:
        return choices[self.below(len(choices))]

    def weighted(self, countries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        lot = self.below(sum(country["share"] for country in countries))
        for country in countries:
            lot -= country["share"]
            if lot < 0:
                return country
        raise AssertionError("a lot below the sum of the shares always falls to a country")

    def postcode(self, pattern: str) -> str:
        """A postcode from its pattern: `#` stands for a figure, `@` for a letter."""
        drawn = {"#": lambda: str(self.below(10)), "@": lambda: self.one("ABDEFGHJLNPQRSTUWXYZ")}
        return "".join(drawn[sign]() if sign in drawn else sign for sign in pattern)


@cache
def _countries() -> list[dict[str, Any]]:
    stock = tomllib.loads((Path(__file__).parent / "places.toml").read_text(encoding="utf-8"))
    countries: list[dict[str, Any]] = stock["countries"]
    return countries


def _plain(name: str, locale: str) -> str:
    """A name as the left side of an address has it: ASCII letters, lower case."""
    name = name.lower()
    if locale.startswith("de"):
        name = name.translate(_UMLAUTS)
    spread = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    return "".join(letter for letter in spread if letter in "abcdefghijklmnopqrstuvwxyz-")
