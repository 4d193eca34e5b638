"""Statements of real customers: right in form, the same every time, and their figures add up."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from millstream.composer import Composer, DataError, check_pdf

Record = dict[str, Any]


def _document(composer: Composer, record: Record) -> bytes:
    return composer.compose_document(record["template"], record["data"], record["locale"])


def test_a_statement_is_a_tagged_pdf_for_the_archive_in_the_customers_language(
    composer: Composer, records: list[Record]
) -> None:
    german = next(record for record in records if record["locale"] == "de-DE")
    with pikepdf.open(BytesIO(_document(composer, german))) as pdf:
        metadata = pdf.open_metadata()
        assert (metadata["pdfaid:part"], metadata["pdfaid:conformance"]) == ("2", "B")
        assert metadata["pdfuaid:part"] == "1"
        assert pdf.Root.MarkInfo.Marked
        assert "/StructTreeRoot" in pdf.Root
        assert str(pdf.Root.Lang) == "de-DE"
        assert metadata["dc:title"] == f"Kontoauszug 30. Juni 1998, {german['customer']['name']}"
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:19980630000000")


def test_a_statement_carries_its_fonts_and_no_others(composer: Composer, records: list[Record]) -> None:
    with pikepdf.open(BytesIO(_document(composer, records[0]))) as pdf:
        fonts = {
            str(entry.BaseFont).split("+")[1].removesuffix("-Identity-H")
            for entry in pdf.objects
            if isinstance(entry, pikepdf.Dictionary) and entry.get("/Subtype") == "/Type0"
        }
    assert fonts <= {"Inter-Regular", "Inter-SemiBold", "Inter-Bold"}
    assert "Inter-Regular" in fonts


def test_the_same_data_give_the_same_bytes_in_every_composer_and_thread(
    composer: Composer, records: list[Record]
) -> None:
    some_records = records[:8]
    alone = [_document(composer, record) for record in some_records]
    another = Composer()
    with ThreadPoolExecutor(3) as threads:
        together = list(threads.map(lambda record: _document(another, record), some_records * 2))
    assert together == alone * 2


def test_long_statements_run_over_several_pages(composer: Composer, busiest: Record) -> None:
    assert len(busiest["data"]["purchases"]) > 50
    assert check_pdf(_document(composer, busiest)) == 3
    longer = copy.deepcopy(busiest)
    longer["data"]["purchases"] *= 10
    assert check_pdf(_document(composer, longer)) > 12


@pytest.mark.parametrize("locale", ["en-GB", "en-US", "de-DE", "fr-FR"])
def test_an_account_without_a_single_entry_has_a_statement_too(
    composer: Composer, records: list[Record], locale: str
) -> None:
    empty = records[0]["data"] | {"purchases": [], "payments": [], "previous_balance_cents": -500}
    assert check_pdf(composer.compose_document("statement", empty, locale)) == 1
    assert "5" in composer.render_mail("statement", empty, locale).text


def test_every_sample_of_real_customers_can_be_composed(composer: Composer, records: list[Record]) -> None:
    for record in records[::97]:
        document, mail = (
            _document(composer, record),
            composer.render_mail("statement", record["data"], record["locale"]),
        )
        assert check_pdf(document) >= 1
        assert len(document) < 80_000
        assert len(mail.html.encode()) < 20_000
        assert record["customer"]["name"] in mail.text
        assert mail.subject.isprintable()


def test_every_name_and_address_of_the_demo_can_be_drawn(composer: Composer, records: list[Record]) -> None:
    drawable = composer._template("statement")[0].drawable
    letters = {
        letter
        for one in records
        for line in (one["customer"]["name"], *one["data"]["customer"]["address"])
        for letter in line
    }
    assert letters <= drawable


DAYS = some.integers(1, 28).map(lambda day: f"1998-03-{day:02d}")
ENTRIES = some.lists(
    some.fixed_dictionaries({"date": DAYS, "amount_cents": some.integers(-99_999, 999_999)}), max_size=12
)


@settings(max_examples=15, deadline=None)
@given(previous=some.integers(-10_000, 10_000), purchases=ENTRIES, payments=ENTRIES)
def test_previous_balance_and_entries_make_the_new_balance(
    composer: Composer, first: Record, previous: int, purchases: list[Record], payments: list[Record]
) -> None:
    total = previous + sum(one["amount_cents"] for one in purchases) - sum(one["amount_cents"] for one in payments)
    data = first | {
        "previous_balance_cents": previous,
        "purchases": purchases,
        "payments": payments,
        "new_balance_cents": total,
    }
    assert check_pdf(composer.compose_document("statement", data, "en-GB")) >= 1
    with pytest.raises(DataError, match=f"add up to {total}"):
        composer.compose_document("statement", data | {"new_balance_cents": total + 1}, "en-GB")


def test_a_mail_shows_the_figures_of_its_statement(composer: Composer, records: list[Record]) -> None:
    data = records[0]["data"] | {
        "previous_balance_cents": 1000,
        "purchases": [{"date": "1998-06-02", "amount_cents": 123456}],
        "payments": [{"date": "1998-06-15", "amount_cents": 4456}],
    }
    mail = composer.render_mail("statement", data, "de-DE")
    for words in ("Bisheriger Saldo: 10,00\u00a0$", "1.234,56\u00a0$ (1 Einkauf)", "Neuer Saldo: 1.200,00\u00a0$"):
        assert words in mail.text
    assert "1.200,00\u00a0$" in mail.html
    assert '<html lang="de-DE"' in mail.html
    assert composer.document_name("statement", data, "fr-FR") == "Relevé de compte 1998-06-30.pdf"


def test_a_mail_loads_nothing_from_anywhere(composer: Composer, records: list[Record]) -> None:
    html = composer.render_mail("statement", records[0]["data"], records[0]["locale"]).html
    assert "src=" not in html
    assert "<script" not in html
    assert "url(" not in html
    assert "@import" not in html
