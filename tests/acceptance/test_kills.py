"""kill -9 at every named point of the pipeline, then a new worker: every customer has one, and the ledger says so."""

import signal

import pytest
from acceptance_stage import START, Stage, one_each

from millstream.communication.model import Mode, Road
from millstream.delivery.options import Point, points_of

COUNT = 30


async def dies(stage: Stage, point: Point) -> None:
    """A worker that kills itself when it comes to this point for the third time, with others in flight."""
    worker = await stage.worker(delivery__drill=f"{point}:{1 if point is Point.IN_SETTLE else 3}")
    assert await worker.end(START) == -signal.SIGKILL, worker.said


@pytest.mark.parametrize("point", points_of(Road.API))
async def test_a_killed_worker_loses_and_doubles_nothing(stage: Stage, eventually, point: Point) -> None:
    addresses = await stage.submit(COUNT)
    if point is Point.IN_SETTLE:  # there is something to settle only after another death
        await dies(stage, Point.AFTER_SEND_BEFORE_COMMIT)
    await dies(stage, point)
    await stage.worker()
    await eventually(stage.done(COUNT), within=START)
    await eventually(stage.no_drafts, within=30)
    assert await stage.arrived() == one_each(addresses)
    assert await stage.chain_is_intact()


@pytest.mark.parametrize("section", ["delivery", "mailbox"])
async def test_a_drill_at_no_point_is_wrong_configuration(stage: Stage, section: str) -> None:
    worker = await stage.worker(**{f"{section}__drill": "nowhere:1"})
    assert await worker.end(START) == 2, worker.said
    assert "error: drill 'nowhere:1' is not `point:n`; points are before_" in worker.said


async def test_a_direct_send_of_a_killed_worker_is_found_by_its_header(stage: Stage, mailboxes, eventually) -> None:
    stage.configure(mailboxes[0], delivery={"concurrency": 1})  # nothing else is in flight when it dies
    addresses = await stage.submit(COUNT, mode=Mode.DIRECT)
    await dies(stage, Point.AFTER_SEND_BEFORE_COMMIT)
    assert await stage.rows("SELECT count(*) FROM delivery WHERE disposition = 'sending'") == [{"count": 1}]
    await dies(stage, Point.IN_SETTLE)
    await stage.worker()
    await eventually(stage.done(COUNT), within=START)
    assert await stage.arrived() == one_each(addresses)
    found = await stage.rows("SELECT outcome, evidence FROM attempt WHERE kind = 'probe'")
    assert found == [{"outcome": "sent", "evidence": "header"}]
    assert await stage.chain_is_intact()


async def test_direct_sends_that_never_left_wait_for_a_person_and_are_never_repeated_unasked(
    stage: Stage, eventually
) -> None:
    """Without a draft nothing proves that a send was not called; the worker died before calling some."""
    addresses = await stage.submit(COUNT, mode=Mode.DIRECT)
    await dies(stage, Point.AFTER_COMMIT_BEFORE_SEND)
    await stage.worker()

    async def only_people_can_help() -> bool:
        counts = await stage.counts()
        waiting = await stage.rows("SELECT token FROM delivery WHERE disposition = 'uncertain' AND due_at IS NULL")
        return len(waiting) == counts.get("uncertain") and len(waiting) + counts.get("accepted", 0) == COUNT

    await eventually(only_people_can_help, within=START)
    waiting = await stage.rows("SELECT token, address FROM delivery WHERE disposition = 'uncertain'")
    arrived = await stage.arrived()
    assert all(row["address"] not in arrived for row in waiting)
    first, *others = waiting
    ended = await stage.run(
        "communication", "settle", first["token"], "--not-sent", "--why", "not in SENT", "--as", "Anna Ample"
    )
    assert (ended.code, ended.out.strip()) == (0, f"delivery {first['token']} is queued again")
    await eventually(stage.reached(len(arrived) + 1), within=30)
    assert await stage.arrived() == one_each([a for a in addresses if a not in {row["address"] for row in others}])
