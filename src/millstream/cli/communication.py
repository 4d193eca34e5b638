"""`millstream communication`: what became of one document set."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.audit import chain
from millstream.cli import frame
from millstream.cli.frame import Json

app = typer.Typer(help="Single communications and their deliveries.", no_args_is_help=True)

Text = Annotated[str, typer.Argument(help="A key, a customer, an address, or a delivery's token.")]
InRun = Annotated[str | None, typer.Option("--run", help="Only in this run.")]


@app.command("find")
def find(text: Text, *, run: InRun = None, most: Annotated[int, typer.Option(min=1)] = 20, json: Json = False) -> None:
    """Find communications by key, customer, address or token."""

    async def work(house: House) -> list[dict[str, Any]]:
        return await house.runs.search(text, run=run, most=most)

    columns = ("run", "key", "customer", "address", "type", "disposition", "reason", "mailbox", "accepted_at", "token")
    frame.answer_rows(frame.in_house(work), columns, as_json=json, empty=f"nothing is known of {text!r}")


@app.command("show")
def show(text: Text, *, run: InRun = None, json: Json = False) -> None:
    """Everything about one delivery: content, where it stands, every attempt, and the audit trail."""

    async def work(house: House) -> dict[str, Any]:
        found = await house.runs.search(text, run=run, most=2)
        if not found:
            return {}
        if len(found) > 1:
            frame.fail(f"{text!r} names several communications; add --run, or use the delivery's token", frame.WRONG)
        [row] = found
        attempts = await house.runs.attempts(row["delivery_id"])
        trail = await chain.history(house.pool, f"delivery:{row['token']}")
        return {**row, "attempts": attempts, "audit": trail}

    whole = frame.in_house(work)
    if not whole:
        frame.fail(f"nothing is known of {text!r}", frame.FAILED)
    if json:
        frame.answer_json(whole)
        return
    attempts, trail = whole.pop("attempts"), whole.pop("audit")
    frame.answer_fields(whole, as_json=False)
    frame.say("")
    frame.answer_rows(
        attempts,
        ("at", "mailbox", "kind", "outcome", "effect", "units", "bytes", "evidence"),
        as_json=False,
        empty="not tried yet",
    )
    frame.say("")
    frame.answer_rows(trail, ("at", "actor", "kind", "payload"), as_json=False, empty="no audit trail")


@app.command("settle")
def settle(
    token: Annotated[str, typer.Argument(help="The delivery's token.")],
    *,
    sent: Annotated[
        bool, typer.Option("--sent/--not-sent", help="Whether the recipient has it; --not-sent sends it again.")
    ],
    why: Annotated[str, typer.Option(help="How you know; goes into the audit trail.")],
    actor: Annotated[str, typer.Option("--as", help="Who decides.")] = "operator",
) -> None:
    """Decide on an uncertain delivery that no evidence could settle."""

    async def work(house: House) -> None:
        disposition = "accepted" if sent else "queued"
        await house.lanes.settle_by_person(token, disposition=disposition, detail=why, actor=actor)

    frame.in_house(work)
    frame.say(f"delivery {token} is {'accepted' if sent else 'queued again'}")
