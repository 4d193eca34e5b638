"""Wrong data name the customer, the field and the template, and stop only their own communication."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from millstream.composer import Composer, CompositionFailed, DataError

Change = Callable[[dict[str, Any]], object]

CHANGES: dict[str, tuple[str, str, Change]] = {
    "missing": ("account.number", "is missing", lambda data: data["account"].pop("number")),
    "missing in a list": ("purchases[1].date", "is missing", lambda data: data["purchases"][1].pop("date")),
    "a text for cents": ("previous_balance_cents", "integer", lambda data: data.update(previous_balance_cents="10.00")),
    "cents in parts": (
        "purchases[0].amount_cents",
        "integer",
        lambda data: data["purchases"][0].update(amount_cents=0.5),
    ),
    "no such day": ("purchases[0].date", "1998-02-30", lambda data: data["purchases"][0].update(date="1998-02-30")),
    "outside the period": ("payments[0].date", "outside", lambda data: data["payments"][0].update(date="1999-01-01")),
    "period backwards": ("statement.from", "later than", lambda data: data["statement"].update({"from": "1998-07-01"})),
    "unknown": ("purchase", "unknown", lambda data: data.update(purchase=[])),
    "does not add up": ("new_balance_cents", "add up to 1496", lambda data: data.update(new_balance_cents=1495)),
    "no glyph": ("customer.name", "U+738B", lambda data: data["customer"].update(name="王 Wei")),
    "no glyph in a list": (
        "customer.address[1]",
        "U+1F600",
        lambda data: data["customer"]["address"].append("\U0001f600"),
    ),
    "line break": ("customer.name", "U+000A", lambda data: data["customer"].update(name="Ada\nLovelace")),
    "empty name": ("customer.name", "shorter", lambda data: data["customer"].update(name="")),
    "too long for the window": (
        "customer.address",
        "window",
        lambda data: data["customer"].update(address=["x" * 120] * 5),
    ),
    "no currency": ("currency", "match", lambda data: data.update(currency="dollars")),
}


@pytest.mark.parametrize("case", CHANGES)
def test_wrong_data_name_customer_field_and_template(composer: Composer, statement: dict[str, Any], case: str) -> None:
    field, words, change = CHANGES[case]
    if case == "no glyph in a list":
        statement["customer"]["address"].pop()
    if case == "period backwards":
        statement["purchases"] = statement["payments"] = []
    change(statement)
    with pytest.raises(DataError) as caught:
        composer.compose_document("statement", statement, "en-GB")
    error = caught.value
    assert (error.customer, error.field, error.template) == ("C-17", field, "statement")
    assert words in error.problem
    assert all(word in str(error) for word in ("C-17", field, "statement"))


def test_mail_and_file_name_refuse_the_same_data(composer: Composer, statement: dict[str, Any]) -> None:
    del statement["collection_date"]
    for make in (composer.render_mail, composer.document_name):
        with pytest.raises(DataError) as caught:
            make("statement", statement, "en-GB")
        assert caught.value.field == "collection_date"


def test_the_caller_may_say_who_the_customer_is(composer: Composer) -> None:
    with pytest.raises(DataError) as caught:
        composer.compose_document("statement", {}, "en-GB", customer="C-99")
    assert caught.value.customer == "C-99"


def test_an_unknown_locale_is_an_error_of_the_data(composer: Composer, statement: dict[str, Any]) -> None:
    with pytest.raises(DataError) as caught:
        composer.compose_document("statement", statement, "de-!!")
    assert caught.value.field == "locale"
    assert isinstance(caught.value, CompositionFailed)


def test_letters_in_two_characters_are_drawn_as_one(composer: Composer, statement: dict[str, Any]) -> None:
    whole = composer.compose_document("statement", statement, "en-GB")
    statement["customer"]["name"] = "Zoe\u0308 Mu\u0308ller-\u0141ukasiewicz"
    assert composer.compose_document("statement", statement, "en-GB") == whole
