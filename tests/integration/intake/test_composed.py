"""Communications that are composed on their way in."""

from io import BytesIO
from types import SimpleNamespace

import pikepdf
import pytest

from millstream.composer import Composer, DataError
from millstream.intake.submit import IntakeOptions


@pytest.fixture(scope="module")
def composer() -> Composer:
    """The real composer."""
    return Composer()


@pytest.fixture
def statement(record):
    """A record of this number that is to be composed as a statement."""

    def build(number=1, **data):
        whole = {
            "customer": {"id": f"C-{number}", "name": "Ada Byron", "address": ["1 Main Street", "Springfield"]},
            "account": {"number": f"DE00 {number}"},
            "statement": {"number": "10", "date": "2025-10-31", "from": "2025-10-01", "to": "2025-10-31"},
            "currency": "EUR",
            "previous_balance_cents": 1000,
            "collection_date": "2025-11-10",
            "purchases": [{"date": "2025-10-02", "amount_cents": 1250, "quantity": 1}],
            "payments": [],
            **data,
        }
        whole = {name: value for name, value in whole.items() if value is not None}
        return record(number, subject=None, text=None, template="statement", data=whole)

    return build


async def test_mail_and_document_are_composed_in_order_and_with_the_version(desk, statement, composer):
    receipt = await desk.submit(*map(statement, range(1, 6)), composer=composer)
    assert (receipt.new, receipt.composed, receipt.held) == (5, 5, 0)
    rows = await desk.rows()
    assert [row["customer"] for row in rows] == ["C-1", "C-2", "C-3", "C-4", "C-5"]
    assert {row["version"] for row in rows} == {composer.version("statement")}
    assert all(row["subject"] and row["body_text"] and row["body_html"] for row in rows)
    (document,) = rows[0]["documents"]
    assert document["name"].endswith(".pdf")
    with pikepdf.open(BytesIO(await desk.documents.get(document["sha256"]))) as pdf:
        assert len(pdf.pages) >= 1


async def test_wrong_data_hold_one_communication_and_name_customer_field_and_template(desk, statement, composer):
    receipt = await desk.submit(statement(1), statement(2, currency=None), statement(3), composer=composer)
    assert (receipt.new, receipt.held, receipt.composed) == (3, 1, 2)
    held = (await desk.rows())[1]
    assert (held["disposition"], held["reason"]) == ("held", "bad_data")
    assert held["detail"].startswith("Customer C-2: ")
    assert "currency" in held["detail"]
    assert "statement" in held["detail"]


async def test_a_template_that_does_not_exist_rejects_the_line_so_that_it_can_be_mended(desk, statement, composer):
    receipt = await desk.submit(statement(1) | {"template": "statment"}, statement(2), composer=composer)
    assert (receipt.new, receipt.rejected) == (1, 1)
    assert "there is no such template" in receipt.problems[0]
    assert (await desk.submit(statement(1), statement(2), composer=composer)).new == 1


class Counting:
    """A composer that counts what it composes."""

    def __init__(self, version="1"):
        self.calls = []
        self._version = version

    def version(self, *_):
        return self._version

    def render_mail(self, template, data, *_, customer):
        if data.get("wrong"):
            raise DataError(customer=customer, field="wrong", template=template, problem="is there")
        return SimpleNamespace(subject="s", text="t", html=None)

    def compose_document(self, *_, customer):
        self.calls.append(customer)
        return b"%PDF-1.7 of " + customer.encode()

    def document_name(self, *_, **__):
        return "a.pdf"


def plain(record, number, **data):
    return record(number, subject=None, text=None, template="x", data=data)


async def test_what_is_in_is_not_composed_again(desk, record):
    composer = Counting()
    await desk.submit(*(plain(record, number) for number in range(3)), composer=composer)
    receipt = await desk.submit(*(plain(record, number) for number in range(5)), composer=composer)
    assert (receipt.unchanged, receipt.new) == (3, 2)
    assert sorted(composer.calls) == ["C-0", "C-1", "C-2", "C-3", "C-4"]


async def test_a_new_version_of_the_template_is_other_content(desk, record):
    await desk.submit(plain(record, 1), composer=Counting("1"))
    receipt = await desk.submit(plain(record, 1), composer=Counting("2"))
    assert (receipt.new, receipt.conflicts) == (0, 1)


async def test_composed_and_plain_lines_keep_their_order(desk, record):
    lines = [plain(record, n, wrong=n == 3) if n % 3 == 0 else record(n) for n in range(20)]
    desk.options = IntakeOptions(most_bytes=1_000_000, parallel=4)
    receipt = await desk.submit(*lines, composer=Counting())
    assert (receipt.new, receipt.held, receipt.composed) == (20, 1, 6)
    assert await desk.customers() == [f"C-{n}" for n in range(20)]
