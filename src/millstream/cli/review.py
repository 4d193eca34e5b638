"""`millstream review`: what people are asked, and how it stands."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.app.review import policy_book
from millstream.audit import chain
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.review.model import State
from millstream.review.people import People
from millstream.review.shelf import Shelf
from millstream.storage.pool import transaction

Number = Annotated[int, typer.Argument(help="The review's number.")]
_MOST_WORDS = 80


def shelf(house: House) -> Shelf:
    """Where reviews are looked up."""
    return Shelf(People(policy_book(house.settings)))


def list_command(  # noqa: PLR0913  each is an option of the command
    *,
    state: Annotated[State | None, typer.Option(help="Only reviews that stand so.")] = None,
    policy: Annotated[str | None, typer.Option(help="Only those of this policy.")] = None,
    mine: Annotated[str | None, typer.Option(help="Only those that wait for the person of this address.")] = None,
    overdue: Annotated[
        bool | None, typer.Option("--overdue/--in-time", help="Only those whose deadline has passed, or has not.")
    ] = None,
    before: Annotated[int | None, typer.Option(help="Only those with a smaller number, to read on.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """What people are asked, the newest first. With how each review stands and for whom it waits."""

    async def listed(house: House) -> list[dict[str, Any]]:
        async with transaction(house.pool) as conn:
            return await shelf(house).listed(
                conn, state=state, policy=policy, address=mine, overdue=overdue, before=before, most=most
            )

    columns = ("id", "policy", "kind", "name", "state", "round", "deadline", "overdue", "step_state", "waiting")
    rows = work.in_house(listed)
    shown = rows if json else [{**row, "waiting": ", ".join(row["waiting"])} for row in rows]
    frame.answer_rows(shown, columns, as_json=json, empty="nobody is asked anything")


def show(number: Number, *, json: Json = False) -> None:
    """One review with everything that happened. Its rounds, people, answers, decisions, mails, steps and record."""

    async def shown(house: House) -> dict[str, Any]:
        async with transaction(house.pool) as conn:
            whole = await shelf(house).history(conn, number)
        return {**whole, "audit": await chain.history(house.pool, f"review:{number}")}

    whole = work.in_house(shown)
    if json:
        frame.answer_json(whole)
        return
    parts = {name: whole.pop(name) or [] for name in (*_PARTS, "terms", "audit", "papers")}
    frame.answer_fields(whole)
    for name, columns in _PARTS.items():
        if parts[name]:
            frame.say(f"\n{name.upper()}")
            frame.answer_rows([_short(row) for row in parts[name]], columns, as_json=False, empty="")
    frame.say("\nRECORD")
    rows = [{"at": entry["at"], "what": entry["kind"], "who": entry["actor"]} for entry in parts["audit"]]
    frame.answer_rows(rows, ("at", "what", "who"), as_json=False, empty="nothing is recorded yet")


_PARTS = {
    "rounds": ("number", "hash", "began_at", "ended_at", "ended_by"),
    "seats": ("round", "stage", "rung", "address", "name", "state", "instead_of", "asked_at"),
    "answers": ("round", "address", "verdict", "how", "counted", "why", "words", "at"),
    "decisions": ("round", "verdict", "by", "how", "late", "words", "at"),
    "mails": ("id", "kind", "address", "round", "disposition", "reason", "token", "failure", "created_at"),
    "steps": ("id", "verb", "target", "state", "tries", "reason", "actor"),
    "orders": ("round", "action", "moved", "detail", "done_at"),
}


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row for people: long words are cut, the JSON answer has them whole."""
    cut = {name: value for name, value in row.items() if isinstance(value, str) and len(value) > _MOST_WORDS}
    return {**row, **{name: f"{value[:_MOST_WORDS]}…" for name, value in cut.items()}}
