"""A process is killed around a call: what was asked for happens once."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import orjson
import pytest
from exstream_site import customer
from step_desk import StepDesk, driver

from millstream.nextstep.carry import Point
from millstream.nextstep.model import Verb

HERE = Path(__file__).parent


async def die(desk: StepDesk, database_url: str, point: Point) -> None:
    """Carry what is due in a process of its own that dies at a point."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "killed_carrier.py"),
        database_url,
        json.dumps(desk.site.running.doors),
        str(desk.folder / "documents"),
        f"{point}:1",
    )
    assert await process.wait() == -signal.SIGKILL


async def rescued(desk: StepDesk, number: int, eventually) -> dict:
    """The step as another process brings it to its end, once the dead one's lease is over."""
    assert (await desk.store.find(number))["state"] == "doing"
    carrier = await desk.carrier()

    async def over() -> dict | None:
        await desk.make_due(number)
        await carrier.carry_due()
        await carrier.drain()
        row = await desk.store.find(number)
        return row if row["due_at"] is None else None

    return await eventually(over, within=20)


@pytest.mark.parametrize(("point", "calls"), [(Point.AFTER_BEGIN, 1), (Point.AFTER_CALL, 1)])
async def test_a_release_happens_once(desk: StepDesk, database_url, eventually, point, calls) -> None:
    job, step = await desk.held(eventually)
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    await die(desk, database_url, point)
    row = await rescued(desk, number, eventually)
    assert (row["state"], await desk.calls("steps.release")) == ("done", calls)
    assert (await eventually(lambda: desk.site.is_over(job), within=30))["status"] == "complete"


async def test_a_trigger_that_was_called_before_the_kill_is_found(desk: StepDesk, database_url, eventually) -> None:
    await desk.site.batch([customer(1)])
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(2))
    await die(desk, database_url, Point.AFTER_CALL)
    row = await rescued(desk, number, eventually)
    assert (row["state"], await desk.calls("inputs.batch")) == ("done", 2)


async def test_a_trigger_that_was_not_called_before_the_kill_waits_for_a_person(
    desk: StepDesk, database_url, eventually
) -> None:
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(2))
    await die(desk, database_url, Point.AFTER_BEGIN)
    row = await rescued(desk, number, eventually)
    assert (row["state"], await desk.calls("inputs.batch")) == ("uncertain", 0)


@pytest.mark.parametrize("point", list(Point))
async def test_a_job_is_reprocessed_once(desk: StepDesk, database_url, eventually, point) -> None:
    await desk.site.publish(fail={"customers": ["C-1"], "message": "EX003004S broken", "mended_by_reprocessing": True})
    job = await desk.site.batch([customer(1)])
    await eventually(lambda: desk.site.is_over(job), within=30)
    number = await desk.ask(Verb.REPROCESS, job)
    await die(desk, database_url, point)
    row = await rescued(desk, number, eventually)
    assert (row["state"], await desk.calls("jobs.reprocess")) == ("done", 1)


@pytest.mark.parametrize(
    ("point", "delete", "state"),
    [(Point.AFTER_BEGIN, True, "done"), (Point.AFTER_CALL, False, "done"), (Point.AFTER_CALL, True, "uncertain")],
)
async def test_documents_that_may_have_been_used_up_before_the_kill_wait_for_a_person(
    desk: StepDesk, database_url, eventually, point, delete, state
) -> None:
    user = desk.site.running.world.config.empower_users[0]
    communication = str(next(iter(desk.site.running.world.communications))[1])
    driven = orjson.dumps(customer(1))
    inputs = desk.server.inputs()
    document = await inputs.empower_document(communication, "statement_driver", driven, empower_user=user)
    number = await desk.ask(Verb.FULFIL, communication, documents=[document], delete=delete, to="documents")
    await die(desk, database_url, point)
    row = await rescued(desk, number, eventually)
    assert row["state"] == state, row["reason"]
    assert "look whether its run has them" in row["reason"] if state == "uncertain" else row["result"]["outputs"]
