"""`millstream event`: what happened in one room, and what no other could answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.frame import Json
from millstream.work import events

_MOST_DAYS = 36_500.0


def list_command(
    *,
    exceptions: Annotated[
        bool,
        typer.Option(
            "--exceptions",
            help="What went wrong at Exstream, at intake and with next steps, and policies that are missed.",
        ),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="Whatever happened, also what was answered.")] = False,
    kind: Annotated[
        list[str] | None, typer.Option(help="Whatever happened of kinds that begin so; may be given again.")
    ] = None,
    days: Annotated[float | None, typer.Option(min=0.0, max=_MOST_DAYS, help="How far back.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 100,
    json: Json = False,
) -> None:
    """Events, the newest first. Without an option those that were put aside, with what answering them failed with."""
    kinds = [*(kind or ()), *(events.EXCEPTIONS if exceptions else ())]
    aside = not (kinds or everything)
    since = None if days is None else datetime.now(UTC) - timedelta(days=days)

    async def listed(house: House) -> list[dict[str, Any]]:
        return await events.newest(house.pool, kinds=kinds or None, since=since, aside=aside, most=most)

    rows = work.in_house(listed)
    if aside:
        columns: tuple[str, ...] = ("id", "at", "kind", "subject", "tries", "failure")
        frame.answer_rows(rows, columns, as_json=json, empty="no event was put aside")
    else:
        columns = ("id", "at", "kind", "customer", "type", "error", "source", "subject")
        frame.answer_rows(rows, columns, as_json=json, empty="nothing of that kind happened")


def show(
    number: Annotated[int, typer.Argument(min=1, max=2**63 - 1, help="The event's number.")], *, json: Json = False
) -> None:
    """One event with all it tells."""

    async def shown(house: House) -> dict[str, Any] | None:
        return await events.find(house.pool, number)

    whole = work.in_house(shown)
    if whole is None:
        frame.fail(f"there is no event {number}; `millstream event list --all` shows what happened", frame.FAILED)
    if json:
        frame.answer_json(whole)
        return
    payload = whole.pop("payload")
    frame.answer_fields(whole)
    frame.say("")
    frame.answer_fields(payload)


def retry(*, json: Json = False) -> None:
    """Answer what was put aside again, after its cause was mended."""

    async def again(house: House) -> int:
        return await events.again(house.pool)

    count = work.in_house(again)
    frame.answer({"events": count}, f"{count} events are answered again by the next worker", as_json=json)
