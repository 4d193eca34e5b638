"""Telling: what becomes an event because a person must hear of it."""

from __future__ import annotations

from typing import Any

from millstream.communication.errors import CommunicationError
from millstream.intake.errors import BadPasswordRule, RunClosed, Unreadable, UnreadableDriver
from millstream.intake.tally import Tally

FOR_GOOD = (Unreadable, UnreadableDriver, RunClosed, BadPasswordRule, CommunicationError)
"""Trying again changes nothing."""


def events(number: int, tally: Tally) -> list[tuple[int, str, dict[str, Any]]]:
    """What people must be told of its lines; of very many, the first and their number."""
    told: list[tuple[int, str, dict[str, Any]]] = [
        (
            number,
            "intake.rejected",
            {
                "line": each.line,
                "key": each.key,
                "customer": _legible(each.customer),
                "type": _legible(each.type),
                "error": each.problem,
            },
        )
        for each in tally.aside
    ]
    more = tally.rejected + tally.conflicts - len(tally.aside)
    if more:
        text = f"{more} more lines are not in; the consignment's receipt counts them"
        told.append((number, "intake.rejected_more", {"lines": more, "error": text}))
    told += [
        (
            number,
            "intake.held",
            {
                "key": each.key,
                "customer": _legible(each.customer),
                "type": _legible(each.type),
                "reason": each.reason,
                "error": each.detail,
            },
        )
        for each in tally.kept
    ]
    more = tally.unfit - len(tally.kept)
    if more > 0:
        text = f"{more} more communications are held for what is wrong in them; `millstream run show` lists them"
        told.append((number, "intake.held_more", {"communications": more, "error": text}))
    return told


def _legible(text: str | None) -> str | None:
    """Postgres stores no NUL."""
    return None if text is None else text.replace("\x00", "\\0")


def sentence(error: BaseException) -> str:
    """What the ledger keeps of an error: a sentence of bounded length."""
    return (str(error) or type(error).__name__).replace("\x00", "")[:2000]
