"""`millstream intake`: what came in by which door, and what became of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from millstream.app.house import House
from millstream.cli import frame, work
from millstream.cli.exstream_ask import Domain
from millstream.cli.frame import Json
from millstream.intake.consignment import Door
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.pull.jobs import JobStore

Number = Annotated[int, typer.Argument(help="The consignment's number: a door's receipt names it.")]


class Outcome(StrEnum):
    """What was done about a job of Exstream's."""

    WATCHED = "watched"
    DUE = "due"
    FETCHED = "fetched"
    REPORTED = "reported"
    IGNORED = "ignored"
    GONE = "gone"


class State(StrEnum):
    """How far a consignment has come."""

    RECEIVED = "received"
    TAKEN = "taken"
    FAILED = "failed"


def list_command(
    *,
    door: Annotated[Door | None, typer.Option(help="Only what came in by this door.")] = None,
    state: Annotated[State | None, typer.Option(help="Only what stands so.")] = None,
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the newest first.")] = 50,
    json: Json = False,
) -> None:
    """What came in, the newest first. With its run and, where it failed, why."""

    async def listed(house: House) -> list[dict[str, Any]]:
        return await ConsignmentStore(house.pool).newest(door=door, state=state, most=most)

    rows = work.in_house(listed)
    columns = ("id", "received_at", "door", "source", "run_key", "size", "state", "tries", "problem")
    frame.answer_rows(rows, columns, as_json=json, empty="nothing came in")


def show(number: Number, *, json: Json = False) -> None:
    """One consignment with its receipt. What became of each of its lines, and where it lies."""

    async def shown(house: House) -> dict[str, Any]:
        return await ConsignmentStore(house.pool).find(number)

    whole = work.in_house(shown)
    if json:
        frame.answer_json(whole)
    else:
        frame.answer_fields(whole)


def retry(number: Number, *, json: Json = False) -> None:
    """Take in again what failed, after its cause was mended."""

    async def again(house: House) -> None:
        await ConsignmentStore(house.pool).again(number)

    work.in_house(again)
    sentence = f"consignment {number} is taken in again by the next worker"
    frame.answer({"consignment": number, "state": State.RECEIVED}, sentence, as_json=json)


def jobs(
    *,
    outcome: Annotated[Outcome | None, typer.Option(help="Only jobs about which this was done.")] = None,
    domain: Domain = "",
    most: Annotated[int, typer.Option(min=1, help="Rows at most, the last that changed first.")] = 50,
    json: Json = False,
) -> None:
    """Exstream's jobs that were seen, and what was done about each."""

    async def listed(house: House) -> list[dict[str, Any]]:
        return await _jobs(house, domain).newest(outcome=outcome, most=most)

    columns = ("id", "channel", "status", "outcome", "tries", "consignment_id", "ended_at", "failure")
    frame.answer_rows(work.in_house(listed), columns, as_json=json, empty="no such job was seen")


def again(
    job: Annotated[str, typer.Argument(help="The job's id, or JOB/FLOW for one flow of it.")],
    *,
    domain: Domain = "",
    json: Json = False,
) -> None:
    """Fetch a job's outputs again that were given up, after the cause was mended."""

    async def due(house: House) -> list[str]:
        if not house.settings.intake_pull.on:
            frame.fail("intake_pull.on is false: no worker fetches what Exstream has finished", frame.WRONG)
        return await _jobs(house, domain).again(job)

    units = work.in_house(due)
    frame.answer({"units": units}, f"{', '.join(units)}: fetched again by the next worker", as_json=json)


def _jobs(house: House, domain: str) -> JobStore:
    return JobStore(house.pool, domain or house.settings.exstream.domain)
