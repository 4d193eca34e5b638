"""The reference page tells what the code takes."""

from pathlib import Path

import pytest

from millstream.communication.model import HOLD_REASONS
from millstream.intake.reference import refresh

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "driver.md"


def test_the_page_has_the_fields_that_the_model_has():
    page = PAGE.read_text(encoding="utf-8")
    assert page == refresh(page), "write millstream.intake.reference.refresh(page) over the page"


def test_the_page_tells_every_reason_of_a_hold():
    page = PAGE.read_text(encoding="utf-8")
    assert [reason for reason in HOLD_REASONS if f"| `{reason}` |" not in page] == []


def test_a_page_without_a_place_for_the_table_is_refused():
    with pytest.raises(ValueError, match="no place"):
        refresh("# nothing\n")
