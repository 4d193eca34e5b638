"""Letters to build and what to compare them with."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from millstream.mime import Letter, Mailbox

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helpers, whatever import mode the suite runs in


@pytest.fixture
def letter() -> Callable[..., Letter]:
    """A plain letter, with whatever a test wants otherwise."""

    def make(**otherwise: object) -> Letter:
        fields: dict = {
            "sender": Mailbox("Bank of Example", "statements@bank.example"),
            "recipient": Mailbox("Ada Moor", "ada.moor@example.com"),
            "subject": "Your statement for October",
            "date": datetime(2026, 10, 31, 9, 30, tzinfo=UTC),
            "delivery_token": "01JB2S5Z",
            "text": "Dear customer,\nyour statement is attached.\n",
        }
        return Letter(**(fields | otherwise))

    return make
