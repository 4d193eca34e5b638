"""Lanes carry what is in the pool: every customer gets one, whatever happens beside it."""

import asyncio

import pytest
from delivery_desk import S1, S2, S3, Desk, one_each

from millstream.audit import chain
from millstream.communication.model import Mode, RunState
from millstream.delivery.errors import UnknownMailbox
from millstream.delivery.lane import Lane
from millstream.quota import Rate


@pytest.mark.parametrize("mode", Mode)
async def test_every_customer_gets_one_and_lanes_share_the_work(desk: Desk, eventually, mode: Mode) -> None:
    await desk.register(S1, S2, S3)
    addresses = await desk.add(60, mode=mode)
    async with desk.working():
        await eventually(lambda: accepted(desk, 60), within=30)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.drafts() == 0
    assert set(await desk.sent_from()) == {S1, S2, S3}
    assert (await chain.verify(desk.pool)).intact


async def test_a_lane_that_two_take_at_once_sends_nothing_twice(desk: Desk, eventually) -> None:
    addresses = await desk.add(30)
    await asyncio.gather(*(Lane.run_once(S1, desk.tools) for _ in range(3)))
    async with desk.working():
        await eventually(lambda: accepted(desk, 30), within=30)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.drafts() == 0


@pytest.mark.parametrize("mode", Mode)
async def test_a_pause_holds_back_what_waits_for_its_turn(desk: Desk, eventually, mode: Mode) -> None:
    """A lane paced by its rate: what it has begun waits, and leaves once after the resume."""
    desk.limit(units_per_minute_user=Rate.parse("1_000/s"))
    addresses = await desk.add(60, mode=mode)
    async with desk.working():
        await eventually(lambda: arrived_at_least(desk, 5), within=15)
        await desk.change(RunState.PAUSED)
        await eventually(lambda: nothing_moves(desk), within=15)
        before = await desk.arrived()
        assert len(before) < 60
        assert (await desk.counts()).keys() <= {"accepted", "queued", "drafted"}
        desk.limit(units_per_minute_user=None)
        await desk.change(RunState.OPEN)
        await eventually(lambda: accepted(desk, 60), within=30)
    assert await desk.arrived() == one_each(addresses)


async def arrived_at_least(desk: Desk, count: int) -> bool:
    return len(await desk.arrived()) >= count


async def nothing_moves(desk: Desk) -> bool:
    """Whether no lane is at work and no send is under way."""
    lane = await desk.lane(S1)
    return lane["holder"] is None and "sending" not in await desk.counts()


async def test_a_lane_leaves_nothing_in_its_hands(desk: Desk) -> None:
    await desk.add(5)
    await Lane.run_once(S1, desk.tools)
    lane = await desk.lane(S1)
    assert (lane["bound"], lane["holder"], lane["heartbeat_at"]) == (0, None, None)


async def test_a_lane_that_is_asked_to_stop_gives_back_what_it_had_not_begun(desk: Desk) -> None:
    await desk.add(10)
    holding = await desk.take(S1)
    assert len(await desk.claim(holding, 10)) == 10
    desk.stopping = True
    await Lane.run_once(S1, desk.tools)
    assert await desk.rows("SELECT count(*) FROM delivery WHERE mailbox IS NULL") == [{"count": 10}]
    assert await desk.arrived() == {}


async def test_an_unknown_mailbox_has_no_lane(desk: Desk) -> None:
    with pytest.raises(UnknownMailbox, match=r"nobody@bank\.example"):
        await Lane.run_once("nobody@bank.example", desk.tools)


async def accepted(desk: Desk, count: int) -> bool:
    return await desk.counts() == {"accepted": count}
