"""Real customers and one composer for them all."""

from __future__ import annotations

from typing import Any

import pytest

from millstream.composer import Composer
from millstream.demo import data_file, driver_records, read_customers


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer()


@pytest.fixture(scope="session")
def records() -> list[dict[str, Any]]:
    return list(driver_records(read_customers(data_file())))


@pytest.fixture(scope="session")
def busiest(records: list[dict[str, Any]]) -> dict[str, Any]:
    return max(records, key=lambda record: len(record["data"]["purchases"]))


@pytest.fixture(scope="session")
def first(records: list[dict[str, Any]]) -> dict[str, Any]:
    """The first customer's data."""
    data: dict[str, Any] = records[0]["data"]
    return data
