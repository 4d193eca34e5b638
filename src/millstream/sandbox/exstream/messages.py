"""The engine's message file. Only the form of an id is on record (EX, six digits, S, E, W or I); the lines are ours."""

from datetime import UTC, datetime
from typing import Final

WRONG_DATA: Final = "EX009001E"
"""For what the composer refuses. The engine's own number for it is not on record."""

UNREADABLE: Final = "EX009002S"
DONE: Final = "EX000900I"


def line(moment: float, message: str, customer: str | None = None) -> str:
    """One line: the time as -TIMESTAMP_MESSAGES writes it, the id, the customer, the text."""
    identifier, _, text = message.partition(" ")
    about = f"Customer {customer}: " if customer is not None else ""
    one_line = " ".join(text.split()).removeprefix(about[:1].lower() + about[1:])
    return f"{datetime.fromtimestamp(moment, UTC):%m/%d/%Y %H:%M:%S} {identifier} {about}{one_line}"
