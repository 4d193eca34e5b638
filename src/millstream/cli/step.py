"""`millstream step`: what Exstream is to do next, and what became of it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Actor, Json
from millstream.nextstep.model import StepState, Verb
from millstream.nextstep.store import StepStore

Number = Annotated[int, typer.Argument(help="The step's number.")]
Why = Annotated[str, typer.Option(help="The reason; goes into the step's attempts and the audit trail.")]


def list_command(
    *,
    state: Annotated[StepState | None, typer.Option(help="Only steps that stand so.")] = None,
    verb: Annotated[Verb | None, typer.Option(help="Only steps that ask for this.")] = None,
    about: Annotated[str | None, typer.Option(help="Only steps about this, for example delivery:<token>.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """What Exstream is to do, the newest first. With where each step stands and why."""

    async def listed(house: House) -> list[dict[str, Any]]:
        return await StepStore(house.pool).newest(state=state, verb=verb, subject=about, most=most)

    columns = ("id", "verb", "target", "state", "tries", "due_at", "subject", "actor", "reason")
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty="nothing is asked of Exstream")


def show(number: Number, *, json: Json = False) -> None:
    """One step with every attempt and its evidence."""

    async def shown(house: House) -> dict[str, Any]:
        store = StepStore(house.pool)
        return {**await store.find(number), "attempts": await store.attempts(number)}

    whole = work.in_house(shown)
    if json:
        frame.answer_json(whole)
        return
    attempts = whole.pop("attempts")
    frame.answer_fields(whole)
    frame.say("")
    columns = ("number", "at", "kind", "outcome", "effect", "status", "evidence")
    frame.answer_rows(attempts, columns, as_json=False, empty="it was not tried yet")


def retry(number: Number, *, why: Why, actor: Actor = "operator", json: Json = False) -> None:
    """Try a failed step again. An uncertain one is looked at again first."""

    async def again(house: House) -> StepState:
        return await StepStore(house.pool).retry(number, why=why, actor=actor)

    state = work.in_house(again)
    doing = "is tried again" if state is StepState.DUE else "is looked at again"
    frame.answer({"step": number, "state": state}, f"step {number} {doing} by the next worker", as_json=json)


def settle(
    number: Number,
    *,
    happened: Annotated[
        bool, typer.Option("--happened/--not-happened", help="Whether Exstream did it; --not-happened asks again.")
    ],
    why: Why,
    actor: Actor = "operator",
    json: Json = False,
) -> None:
    """Decide on an uncertain step that no evidence could settle."""

    async def settled(house: House) -> StepState:
        return await StepStore(house.pool).settle_by_person(number, happened=happened, why=why, actor=actor)

    state = work.in_house(settled)
    sentence = f"step {number} is done" if happened else f"step {number} is asked for again by the next worker"
    frame.answer({"step": number, "state": state}, sentence, as_json=json)


def cancel(number: Number, *, why: Why, actor: Actor = "operator", json: Json = False) -> None:
    """Let a step not be asked for any more. What was asked for already stands."""

    async def cancelled(house: House) -> None:
        await StepStore(house.pool).cancel(number, why=why, actor=actor)

    work.in_house(cancelled)
    frame.answer({"step": number, "state": StepState.CANCELLED}, f"step {number} is cancelled", as_json=json)
