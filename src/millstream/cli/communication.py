"""`millstream communication`: what became of one document set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.audit import chain
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.communication.timeline import timeline

Text = Annotated[str, typer.Argument(help="A key, a customer, an address, or a delivery's token.")]
InRun = Annotated[str | None, typer.Option("--run", help="Only in the run of this key.")]


def find(
    text: Text,
    *,
    run: InRun = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 20,
    json: Json = False,
) -> None:
    """Find communications by key, customer, address or token."""

    async def found(house: House) -> list[dict[str, Any]]:
        return await house.runs.search(text, run=run, most=most)

    columns = ("run", "key", "customer", "address", "type", "disposition", "reason", "mailbox", "accepted_at", "token")
    frame.answer_rows(work.in_house(found), columns, as_json=json, empty=f"nothing is known of {text!r}")


def show(text: Text, *, run: InRun = None, json: Json = False) -> None:
    """Everything about one delivery. Its content, where it stands, and what happened, in the order of time."""

    async def shown(house: House) -> dict[str, Any]:
        found = await house.runs.search(text, run=run, most=2)
        if not found:
            frame.fail(f"nothing is known of {text!r}; `millstream run list` shows the runs", frame.FAILED)
        if len(found) > 1:
            frame.fail(f"{text!r} names several communications; add --run, or use the delivery's token", frame.WRONG)
        [row] = found
        return {
            **row,
            "attempts": await house.runs.attempts(row["delivery_id"]),
            "sightings": await house.runs.sightings(row["token"]),
            "audit": await chain.history(house.pool, f"delivery:{row['token']}"),
        }

    whole = work.in_house(shown)
    if json:
        frame.answer_json(whole)
        return
    lines = timeline(whole.pop("attempts"), whole.pop("sightings"), whole.pop("audit"))
    frame.answer_fields(whole)
    frame.say("")
    frame.answer_rows(lines, ("at", "what", "who", "told"), as_json=False, empty="nothing happened yet")


def settle(
    token: Annotated[str, typer.Argument(help="The delivery's token.")],
    *,
    sent: Annotated[
        bool, typer.Option("--sent/--not-sent", help="Whether the recipient has it; --not-sent sends it again.")
    ],
    why: Annotated[str, typer.Option(help="How you know; goes into the audit trail.")],
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Decide on an uncertain delivery that no evidence could settle."""
    disposition = "accepted" if sent else "queued"

    async def settled(house: House) -> None:
        await house.lanes.settle_by_person(token, disposition=disposition, detail=why, actor=actor)

    work.in_house(settled)
    sentence = f"delivery {token} is {'accepted' if sent else 'queued again'}"
    frame.answer({"token": token, "disposition": disposition}, sentence, as_json=json)
