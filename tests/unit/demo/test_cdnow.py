"""The demo's customers: real purchases, invented people, the same every time."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from millstream.demo import Customer, data_file, driver_records, read_customers

RESERVED = re.compile(r"@(example\.(com|org|net)|[a-z]+\.example)$")


@pytest.fixture(scope="module")
def customers() -> list[Customer]:
    return read_customers(data_file())


@pytest.fixture(scope="module")
def records(customers: list[Customer]) -> list[dict[str, Any]]:
    return list(driver_records(customers))


def test_every_purchase_of_the_file_is_read_once(customers: list[Customer]) -> None:
    assert len(customers) == 2357
    assert sum(len(customer.purchases) for customer in customers) == 6919
    lines = data_file().read_text().split("\n")
    cents = sum(round(float(line.split()[4]) * 100) for line in lines if line.strip())
    assert sum(bought.cents for customer in customers for bought in customer.purchases) == cents


def test_every_purchase_stands_in_its_customers_record(
    customers: list[Customer], records: list[dict[str, Any]]
) -> None:
    for customer, record in zip(customers, records, strict=True):
        assert record["customer"]["id"] == record["data"]["customer"]["id"] == customer.number
        assert [entry["amount_cents"] for entry in record["data"]["purchases"]] == [
            bought.cents for bought in customer.purchases
        ]


def test_the_last_quarter_is_all_that_is_left_to_pay(records: list[dict[str, Any]]) -> None:
    for data in (record["data"] for record in records):
        bought = sum(entry["amount_cents"] for entry in data["purchases"])
        late = sum(entry["amount_cents"] for entry in data["purchases"] if entry["date"] >= "1998-04-01")
        assert bought - sum(entry["amount_cents"] for entry in data["payments"]) == late
        assert data["collection_date"] == "1998-07-15"


def test_nobody_shares_a_key_or_an_address_and_no_address_can_exist(records: list[dict[str, Any]]) -> None:
    addresses = [record["recipient"]["address"] for record in records]
    assert len(set(addresses)) == len({record["key"] for record in records}) == 2357
    assert all(address.isascii() and RESERVED.search(address) for address in addresses)


def test_locales_and_letters_are_mixed(records: list[dict[str, Any]]) -> None:
    shares = Counter(record["locale"] for record in records)
    assert set(shares) == {"en-GB", "en-US", "de-DE", "fr-FR"}
    assert min(shares.values()) > 200
    foreign = [record for record in records if not record["customer"]["name"].isascii()]
    assert len(foreign) > 500


def test_people_are_the_same_for_ever(records: list[dict[str, Any]]) -> None:
    first = records[0]
    assert (first["customer"]["name"], first["recipient"]["address"]) == (
        "Grace Llewellyn",
        "grace.llewellyn.0001@example.com",
    )


def test_the_sample_beside_the_data_holds_the_first_records(records: list[dict[str, Any]]) -> None:
    lines = (data_file().parent / "driver-sample.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == records[:3]


def test_a_limit_takes_the_first_customers(customers: list[Customer]) -> None:
    assert [record["customer"]["id"] for record in driver_records(customers, 2)] == ["0001", "0002"]


@pytest.mark.parametrize(
    "line", ["1 2 19970101 1", "1 2 19971301 1 1.00", "1 2 19970101 x 1.00", "1 2 19970101 1 1,00"]
)
def test_a_broken_line_is_named_by_its_place(tmp_path: Path, line: str) -> None:
    (tmp_path / "sales.txt").write_text(f" 00004 0001 19970101  2   29.33\n{line}\n")
    with pytest.raises(ValueError, match=r"sales\.txt, line 2: "):
        read_customers(tmp_path / "sales.txt")
