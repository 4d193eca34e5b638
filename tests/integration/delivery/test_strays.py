"""Drafts that no delivery knows are removed; drafts that one knows, or that a person wrote, are not."""

import asyncio

import pytest
from delivery_desk import S1, Desk, one_each
from torn_line import torn_line

from millstream.communication.model import Mode
from millstream.delivery.carry import Carrier
from millstream.delivery.errors import StaleEpoch
from millstream.delivery.lane import Lane
from millstream.delivery.ledger import Ledger
from millstream.storage.errors import DatabaseAway
from millstream.storage.pool import open_pool

PERSONAL = b"From: s1@bank.example\r\nTo: anna@example.org\r\nSubject: Lunch\r\n\r\nAt noon?\r\n"


async def dead_predecessor(desk: Desk, strays: int) -> None:
    """A process that made drafts and died before it could say so."""
    await desk.take(S1)
    mail = desk.mailbox(S1)
    for number in range(strays):
        letter = b"X-Millstream-Delivery: " + f"lost{number}".encode() + b"\r\n" + PERSONAL
        await mail.create_draft(letter)


async def test_drafts_that_a_dead_process_left_are_removed_and_a_persons_stay(desk: Desk) -> None:
    await dead_predecessor(desk, strays=7)
    kept = await desk.mailbox(S1).create_draft(PERSONAL)
    await Lane.run_once(S1, desk.tools)
    assert [draft.id for draft in (await desk.mailbox(S1).list_drafts()).items] == [kept.id]
    assert (await desk.lane(S1))["strays_at"] is None


async def test_a_draft_made_while_strays_are_looked_for_is_not_taken_for_one(desk: Desk, eventually) -> None:
    """A lane taken over from a dead process looks for strays and finds work in the pool in the same moment."""
    addresses = await desk.add(8)
    await dead_predecessor(desk, strays=1)
    # The draft is there long before its answer, so that a look into the mailbox sees what the ledger does not know.
    await desk.fault("odd", "slow", method="drafts.create", delay=0.5, times=8)
    async with desk.working():
        await eventually(lambda: accepted(desk, 8), within=20)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.rows("SELECT delivery_id FROM attempt WHERE outcome = 'draft_gone'") == []
    assert await desk.drafts() == 0


async def test_a_draft_whose_answer_was_lost_is_removed_and_its_delivery_leaves_once(desk: Desk, eventually) -> None:
    addresses = await desk.add(6)
    await desk.fault("after", "reset", method="drafts.create", times=3)
    async with desk.working():
        await eventually(lambda: accepted(desk, 6), within=20)
        await eventually(lambda: no_drafts(desk), within=10)
    assert await desk.arrived() == one_each(addresses)


async def test_strays_on_many_pages_are_all_removed(desk: Desk) -> None:
    await dead_predecessor(desk, strays=12)
    await desk.fault("odd", "duplicate_page", method="drafts.list", times=2)
    await Lane.run_once(S1, desk.tools)
    assert await desk.drafts() == 0


async def test_nothing_is_begun_while_strays_are_looked_for(desk: Desk, eventually) -> None:
    await desk.add(2)
    lane = Lane(await desk.take(S1))
    await desk.fault("odd", "slow", method="drafts.list", delay=0.4)
    async with lane._refilling:  # somebody is asking the pool for work in this moment
        asking = asyncio.create_task(lane._next())
        looking = asyncio.create_task(lane._strays())
        await eventually(lambda: lane._quiet)
    assert await asking is None
    await looking
    assert await lane._next() is not None


async def test_a_mailbox_that_does_not_answer_a_look_is_left_alone_for_a_while(desk: Desk, eventually) -> None:
    """A look that fails is put off, and the lane goes on sending meanwhile."""
    desk.tune(stray_grace=1.0)
    await dead_predecessor(desk, strays=1)
    await desk.fault("before", "500", method="drafts.list", times=3, name="no-look")
    addresses = await desk.add(20)
    loop = asyncio.get_running_loop()
    failed: list[float] = []

    async def failed_thrice() -> bool:
        found = (await desk.get("ledger"))["faults"].get("no-look", 0)
        failed.extend([loop.time()] * (found - len(failed)))
        return found == 3

    async with desk.working():
        await eventually(failed_thrice, within=20)
        await eventually(lambda: accepted(desk, 20), within=20)
        await eventually(lambda: no_drafts(desk), within=20)
    assert failed[2] - failed[0] > 1.5
    assert await desk.arrived() == one_each(addresses)


async def test_a_draft_that_a_stale_process_made_is_removed_by_itself(desk: Desk, eventually) -> None:
    """The lane's new holder may have looked for strays before that draft was there."""
    await desk.add()
    stale = await desk.take(S1)
    [parcel] = await desk.claim(stale)
    await desk.fault("odd", "slow", method="drafts.create", delay=0.5, times=1)
    carrying = asyncio.create_task(Carrier(stale).carry(parcel))
    await eventually(lambda: one_draft(desk), within=10)
    await desk.take(S1)
    with pytest.raises(StaleEpoch):
        await carrying
    assert await desk.drafts() == 0


async def one_draft(desk: Desk) -> bool:
    return await desk.drafts() == 1


async def test_a_process_that_stood_still_asks_before_it_sends(desk: Desk) -> None:
    desk.tune(stalled_after=0.0)
    await desk.add(mode=Mode.DIRECT)
    stale = await desk.take(S1)
    parcel, raw = await desk.intend(stale)
    await desk.take(S1)
    with pytest.raises(StaleEpoch):
        await Carrier(stale)._send(parcel, raw)
    assert await desk.arrived() == {}


async def test_a_lane_that_the_database_broke_off_is_searched_for_its_drafts(
    desk: Desk, database_url: str, eventually
) -> None:
    """The draft is made, and the ledger gives up before it could be written down."""
    addresses = await desk.add(4)
    whole = desk.ledger
    async with torn_line(database_url) as (line, url):
        pool = await open_pool(url)
        async with Ledger(pool, gap=0.0, give_up_after=0.3) as hasty:
            desk.ledger = hasty
            line.tears = 1_000
            with pytest.raises(ExceptionGroup) as broken:
                await Lane.run_once(S1, desk.tools)
            assert broken.group_contains(DatabaseAway)
        await pool.close()
    desk.ledger = whole
    assert await desk.drafts() > 0
    async with desk.working():
        await eventually(lambda: accepted(desk, 4), within=20)
        await eventually(lambda: no_drafts(desk), within=20)
    assert await desk.arrived() == one_each(addresses)


async def accepted(desk: Desk, count: int) -> bool:
    return await desk.counts() == {"accepted": count}


async def no_drafts(desk: Desk) -> bool:
    return await desk.drafts() == 0
