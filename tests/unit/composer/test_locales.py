"""Dates and amounts are written as the customer's country writes them, in the mail as in the document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from millstream.composer import Composer
from millstream.composer.locales import facts

LOCALES = ("en-GB", "en-US", "de-DE", "de-CH", "fr-FR", "pl-PL", "es-MX", "en-IN", "ja-JP")
AMOUNTS = (0, 5, -5, 99, 100, 123456, -99999999999, 123456789)
DATES = ("1998-06-30", "2024-02-29", "2025-01-01", "2025-12-09")


def test_amounts_and_dates_follow_the_locale() -> None:
    assert facts("de-DE", "USD").money(123456) == "1.234,56\u00a0$"
    assert facts("en-US", "USD").money(-123456) == "\u2212$1,234.56"
    assert facts("fr-FR", "EUR").money(123456) == "1\u202f234,56\u00a0€"
    assert facts("ja-JP", "JPY").amount(123456) == "123,456"
    assert facts("en-IN", "INR").amount(123456789) == "12,34,567.89"
    assert facts("de-DE").date("1998-06-30") == "30. Juni 1998"
    assert facts("en-US").date("1998-06-30", "medium") == "Jun 30, 1998"


def test_counts_take_the_plural_form_of_the_language() -> None:
    forms = {"one": "{count} zakup", "few": "{count} zakupy", "many": "{count} zakupów", "other": "{count} zakupu"}
    assert [facts("pl").counted(forms, count) for count in (1, 3, 5)] == ["1 zakup", "3 zakupy", "5 zakupów"]
    assert facts("fr-FR").counted({"one": "{count} achat", "other": "{count} achats"}, 0) == "0 achat"


def _month_names_alone(tag: str) -> list[str]:
    names: list[str] = json.loads(facts(tag, "EUR").for_typst())["months"]["alone"]
    return names[:2]


def test_no_locale_gets_the_words_of_one_that_was_used_before() -> None:
    assert _month_names_alone("ja-JP") == ["1月", "2月"]
    assert _month_names_alone("fr") == _month_names_alone("fr-CH") == ["janv.", "févr."]
    assert _month_names_alone("es-CL") == ["ene.", "feb."]
    assert _month_names_alone("pl") == ["sty", "lut"]


@pytest.mark.parametrize("locale", LOCALES)
def test_the_document_writes_exactly_what_the_mail_writes(
    own: Callable[..., Composer], greeting: dict[str, Any], locale: str
) -> None:
    known = facts(locale, "EUR")
    forms = {"one": "{count} one", "few": "{count} few", "many": "{count} many", "other": "{count} other"}
    greeting["expected"] = {
        "money": [[minor, known.money(minor), known.amount(minor)] for minor in AMOUNTS],
        "dates": [[iso, style, known.date(iso, style)] for iso in DATES for style in ("long", "medium", "short")],
        "counts": [
            [count, known.counted(forms, count)] for count in (0, 1, 2, 5, 11, 21, 101, 112, 199, 200, 1001, 1022)
        ],
    }
    document = (
        '#import "@local/millstream:1.0.0": *\n#set document(title: "x")\n#set text(font: "Inter")\n'
        f"#let forms = json(bytes({json.dumps(json.dumps(forms))}))\n"
        "#for (minor, whole, plain) in data.expected.money {\n"
        "  assert.eq(money(minor), whole)\n  assert.eq(amount(minor), plain)\n}\n"
        "#for (iso, style, written) in data.expected.dates { assert.eq(date(iso, style: style), written) }\n"
        "#for (count, written) in data.expected.counts { assert.eq(counted(forms, count), written) }\n"
        "checked\n"
    )
    composer = own(**{"document__typ": document, f"texts.{locale}__toml": 'hello = "{name}"\n'})
    greeting["expected"] = _without_undrawable(greeting["expected"])
    assert composer.compose_document("greeting", greeting, locale).startswith(b"%PDF-")


def _without_undrawable(expected: dict[str, list[list[Any]]]) -> dict[str, list[list[Any]]]:
    """Japanese dates have characters outside our fonts; here only the writing is compared."""
    return {
        kind: [row for row in rows if all(ord(sign) < 0x2FFF for value in row for sign in str(value))]
        for kind, rows in expected.items()
    }
