"""A process is killed around a decision: there is one decision, and what it asked for happens once."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from office import Office

from millstream.nextstep.carry import Point as StepPoint
from millstream.review.model import State, Verdict
from millstream.review.options import Point

HERE = Path(__file__).parent
INTEREST = "Interest notice"


async def die(office: Office, database_url: str, number: int, room: str, point: str) -> None:
    """Approve and carry in a process of its own that dies at a point."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "killed_office.py"),
        database_url,
        json.dumps(office.site.running.doors),
        str(office.folder / "documents"),
        str(number),
        room,
        f"{point}:1",
    )
    assert await process.wait() == -signal.SIGKILL


@pytest.mark.parametrize(
    ("room", "point", "decided"),
    [
        ("review", Point.BEFORE_DECISION, False),
        ("review", Point.AFTER_DECISION, False),
        ("steps", StepPoint.AFTER_BEGIN, True),
        ("steps", StepPoint.AFTER_CALL, True),
    ],
)
async def test_one_decision_and_one_step(office: Office, database_url, eventually, room, point, decided) -> None:
    number = await office.about(INTEREST)
    await die(office, database_url, number, room, point)
    before = await office.review(number)
    assert (before.state is State.APPROVED, len(await office.wishes())) == (decided, int(decided))

    # The message comes again, as an event does that nobody has answered; and somebody carries on.
    await office.answer(number, Verdict.APPROVE)
    await office.answer(number, Verdict.APPROVE)

    async def over() -> bool:
        await office.carry()
        return await office.step_state(number) == "done"

    await eventually(over, within=20)
    decisions = await office.rows("SELECT * FROM review_decision")
    counted = await office.rows("SELECT * FROM review_answer WHERE counted")
    assert (len(decisions), len(counted), len(await office.wishes())) == (1, 1, 1)
    assert (await office.resource(INTEREST))["state"] == "APPROVED"
    assert await office.calls("resources.set_state") == 1


async def test_a_look_that_died_before_it_noted_anything_asks_nobody_twice(office: Office) -> None:
    await office.look()
    number = next(row["id"] for row in await office.reviews() if row["name"] == INTEREST)
    for done in (None, Verdict.APPROVE):
        if done is not None:
            await office.answer(number, done)
        await office.rows("DELETE FROM review_watch RETURNING id")
        await office.look()
        assert len(await office.reviews()) == 4
    assert (await office.review(number)).round == 1


async def test_two_processes_that_look_at_once_ask_nobody_twice(office: Office) -> None:
    await asyncio.gather(office.watch.sweep(), office.watch.sweep())
    assert sorted(row["round"] for row in await office.reviews()) == [1, 1, 1, 1]
