"""The purchases of 2,357 customers of an online shop, as statements to deliver.

The purchases are real: CDNOW, January 1997 to June 1998 (`examples/cdnow/README.md` names the source). What a
statement needs beyond them follows from them by rule:

- The period is the whole span of the data, so every purchase stands in exactly one statement. The accounts
  were opened within it: the previous balance is zero.
- Purchases are collected by direct debit quarter by quarter, on the 15th after the quarter's end. The second
  quarter of 1998 is not collected yet when the period ends; it is the new balance.
- Amounts are US dollars in cents. Names and addresses are invented (`people.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from millstream.demo.people import person

PERIOD = (date(1997, 1, 1), date(1998, 6, 30))
JOB = "1998-06"
_COLUMNS = 5
_COLLECTED_ON = 15


@dataclass(frozen=True, slots=True)
class Purchase:
    """One order: its day, how many CDs, US cents."""

    on: date
    quantity: int
    cents: int


@dataclass(frozen=True, slots=True)
class Customer:
    """A customer's number in the sample (`0001` to `2357`) and all purchases in order of date."""

    number: str
    purchases: tuple[Purchase, ...]


def data_file() -> Path:
    """Where the purchases are: in the checkout's examples, or in the installed package.

    Raises FileNotFoundError when they are in neither place.
    """
    here = Path(__file__).resolve()
    name = "cdnow_sample.txt"
    for folder in (here.parents[3] / "examples" / "cdnow", here.parent / "data"):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"{name} is neither in examples/cdnow of a checkout nor in the installed package")


def read_customers(path: Path) -> list[Customer]:
    """All customers of the file in order of their numbers; ValueError names the line that is broken.

    Columns: number in the full data, number in the sample, yyyymmdd, number of CDs, dollars.
    """
    purchases: dict[str, list[Purchase]] = {}
    with path.open(encoding="ascii") as lines:
        for place, line in enumerate(lines, start=1):
            if columns := line.split():
                number, purchase = _purchase(columns, f"{path.name}, line {place}")
                purchases.setdefault(number, []).append(purchase)
    return [Customer(number, tuple(sorted(bought, key=_day))) for number, bought in sorted(purchases.items())]


def driver_records(customers: Sequence[Customer], limit: int | None = None) -> Iterator[dict[str, Any]]:
    """One record of the driver format for each of the first `limit` customers (None: all)."""
    return map(_record, islice(customers, limit))


def _purchase(columns: list[str], where: str) -> tuple[str, Purchase]:
    if len(columns) != _COLUMNS:
        raise ValueError(f"{where}: {len(columns)} columns instead of {_COLUMNS}")
    _, number, day, quantity, dollars = columns
    whole, _, fraction = dollars.partition(".")
    try:
        cents = int(whole) * 100 + int(fraction.ljust(2, "0"))
        on = date(int(day[:4]), int(day[4:6]), int(day[6:]))
        return number, Purchase(on, int(quantity), cents)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _day(purchase: Purchase) -> date:
    return purchase.on


def _record(customer: Customer) -> dict[str, Any]:
    who = person(customer.number)
    start, end = PERIOD
    return {
        "key": f"{JOB}/{customer.number}",
        "type": "statement",
        "customer": {"id": customer.number, "name": who.name},
        "recipient": {"address": who.mail, "name": who.name},
        "locale": who.locale,
        "stream": "statements",
        "template": "statement",
        "data": {
            "customer": {"id": customer.number, "name": who.name, "address": list(who.lines)},
            "account": {"number": f"4000 1997 {customer.number}"},
            "statement": {
                "number": f"{JOB}/{customer.number}",
                "date": end.isoformat(),
                "from": start.isoformat(),
                "to": end.isoformat(),
            },
            "currency": "USD",
            "previous_balance_cents": 0,
            "purchases": [
                {
                    "date": bought.on.isoformat(),
                    "description": "CDNOW",
                    "quantity": bought.quantity,
                    "amount_cents": bought.cents,
                }
                for bought in customer.purchases
            ],
            "payments": [
                {"date": on.isoformat(), "amount_cents": cents}
                for on, cents in _collections(customer).items()
                if on <= end and cents
            ],
            "collection_date": _collection(end).isoformat(),
        },
        "source": {"system": "cdnow", "job": JOB},
    }


def _collections(customer: Customer) -> dict[date, int]:
    """What is collected on which day, in order of date."""
    sums: dict[date, int] = {}
    for bought in customer.purchases:
        on = _collection(bought.on)
        sums[on] = sums.get(on, 0) + bought.cents
    return sums


def _collection(on: date) -> date:
    """The day a purchase is collected: the 15th of the month after its quarter."""
    last = on.month + (-on.month) % 3
    return date(on.year + last // 12, last % 12 + 1, _COLLECTED_ON)
