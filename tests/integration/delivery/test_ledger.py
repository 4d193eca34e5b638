"""The group commit: durable together, fenced by epoch, and sure of what it wrote when the answer is lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from delivery_desk import S1, S2, Desk
from torn_line import TornLine, torn_line

from millstream.audit import chain
from millstream.delivery.errors import StaleEpoch
from millstream.delivery.holding import Holding
from millstream.delivery.ledger import Ledger
from millstream.delivery.model import Attempt, Delivery, Kind
from millstream.delivery.parcel import Parcel
from millstream.gmail.errors import Effect
from millstream.storage.errors import ConstraintBroken, DatabaseAway
from millstream.storage.pool import open_pool

DRAFT = Attempt(Kind.DRAFT, "ok", Effect.YES)


@pytest.fixture
async def holding(desk: Desk) -> Holding:
    """A lane that holds nothing yet, with ten deliveries to take."""
    await desk.add(10)
    return await desk.take(S1)


@pytest.fixture
async def line(desk: Desk, database_url: str) -> AsyncIterator[TornLine]:
    """A line that can be torn, and the desk's ledger on it."""
    async with torn_line(database_url) as (line, url):
        pool = await open_pool(url)
        async with Ledger(pool, gap=0.001, give_up_after=20.0) as ledger:
            desk.ledger = ledger
            yield line
        await pool.close()


async def draft(holding: Holding, parcel: Parcel, number: int = 1) -> Delivery:
    before = parcel.delivery
    after = before.drafted(f"r-{number}", f"t-{number}", history_id=1, release=True)
    return await holding.record(before, after, DRAFT)


async def test_moves_of_many_deliveries_become_durable_together(desk: Desk, holding: Holding) -> None:
    parcels = await desk.claim(holding, 10)
    moved = await asyncio.gather(*(draft(holding, parcel, number) for number, parcel in enumerate(parcels)))
    assert [await desk.current(parcel) for parcel in parcels] == list(moved)
    assert await desk.rows("SELECT count(*), count(DISTINCT at) AS commits FROM attempt") == [
        {"count": 10, "commits": 1}
    ]
    assert (await chain.verify(desk.pool)).entries == 20


async def test_a_stale_epoch_writes_nothing_and_harms_nobody_in_the_same_commit(desk: Desk, holding: Holding) -> None:
    await desk.register(S2)
    other = await desk.take(S2)
    [mine], [theirs] = await desk.claim(holding), await desk.claim(other)
    await desk.take(S1)
    stale, fresh = await asyncio.gather(draft(holding, mine), draft(other, theirs), return_exceptions=True)
    assert isinstance(stale, StaleEpoch)
    assert isinstance(fresh, Delivery)
    assert await desk.current(mine) == mine.delivery
    assert await desk.attempts(mine) == []


async def test_a_delivery_that_a_person_moved_is_not_written_over(desk: Desk, holding: Holding) -> None:
    [parcel] = await desk.claim(holding)
    since = datetime.now(UTC)
    drafted = parcel.at(await draft(holding, parcel))
    unclear = drafted.delivery.uncertain(since=since, due_at=None, reason="no_evidence", detail="-")
    uncertain = drafted.at(await holding.record(drafted.delivery, unclear, Attempt(Kind.PROBE, "-", Effect.UNKNOWN)))
    await desk.store.settle_by_person(parcel.delivery.token, disposition="accepted", detail="seen", actor="Anna")
    with pytest.raises(StaleEpoch):
        await holding.record(uncertain.delivery, uncertain.delivery.freed(due_at=since), DRAFT)
    assert (await desk.current(parcel)).disposition == "accepted"


async def test_a_commit_whose_answer_was_lost_is_there_once(desk: Desk, line: TornLine, holding: Holding) -> None:
    parcels = await desk.claim(holding, 3)
    line.tears, line.waiting = 1, True
    moved = await asyncio.gather(*(draft(holding, parcel, number) for number, parcel in enumerate(parcels)))
    assert line.torn.is_set()
    assert [await desk.current(parcel) for parcel in parcels] == moved
    assert [await desk.attempts(parcel) for parcel in parcels] == [[("draft", "ok")]] * 3
    assert (await chain.verify(desk.pool)).intact


async def test_a_commit_that_ends_after_its_line_was_torn_is_believed(
    desk: Desk, line: TornLine, holding: Holding, eventually
) -> None:
    """The server may still be committing when the line is gone: the second try must wait for the first one's end."""
    [parcel] = await desk.claim(holding)
    async with desk.pool.connection() as gate, desk.pool.connection() as watcher:
        await gate.execute(
            "CREATE FUNCTION linger() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END $$"
        )
        await gate.execute(
            "CREATE CONSTRAINT TRIGGER linger AFTER INSERT ON attempt DEFERRABLE INITIALLY DEFERRED "
            "FOR EACH ROW EXECUTE FUNCTION linger()"
        )
        await gate.commit()
        await gate.execute("SELECT pg_advisory_lock(7)")
        line.tears = 1
        recording = asyncio.create_task(draft(holding, parcel))
        await line.torn.wait()

        async def second_try_waits() -> bool:
            found = await watcher.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
            [row] = await found.fetchall()
            await watcher.commit()
            return row["count"] == 2

        await eventually(second_try_waits, within=20)
        await gate.execute("SELECT pg_advisory_unlock(7)")
        assert (await recording).disposition == "sending"
    assert await desk.attempts(parcel) == [("draft", "ok")]


@pytest.mark.parametrize(
    ("change", "error"), [({"draft_id": "r-0"}, ConstraintBroken), ({"history_id": 2**70}, TypeError)]
)
async def test_a_change_that_cannot_be_written_harms_only_itself(
    desk: Desk, holding: Holding, change: dict[str, Any], error: type[Exception]
) -> None:
    *good, bad = await desk.claim(holding, 4)
    drafted = bad.delivery.drafted("r-9", "t-9", history_id=1, release=True)
    outcomes = await asyncio.gather(
        *(draft(holding, parcel, number) for number, parcel in enumerate(good)),
        holding.record(bad.delivery, replace(drafted, **change), DRAFT),
        return_exceptions=True,
    )
    assert isinstance(outcomes[-1], error)
    assert all(isinstance(outcome, Delivery) for outcome in outcomes[:-1]), outcomes
    assert await desk.current(bad) == bad.delivery


@pytest.mark.parametrize("words", ["NUL \x00", "half a pair \ud800"])
async def test_words_of_others_are_kept_as_far_as_they_can_be(desk: Desk, holding: Holding, words: str) -> None:
    [parcel] = await desk.claim(holding)
    after = parcel.delivery.held("bad_content", words)
    await holding.record(parcel.delivery, after, replace(DRAFT, evidence=words))
    assert ((await desk.current(parcel)).detail or "").startswith(words[:-1])


async def test_broken_connections_are_waited_out(desk: Desk, holding: Holding) -> None:
    [parcel] = await desk.claim(holding)
    await desk.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND datname = current_database()")  # fmt: skip
    assert (await draft(holding, parcel)).disposition == "sending"


async def test_a_database_that_stays_away_is_said_to_be_away(desk: Desk, line: TornLine, holding: Holding) -> None:
    [parcel] = await desk.claim(holding)
    async with Ledger(desk.ledger._pool, gap=0.0, give_up_after=0.3) as hasty:
        desk.ledger = hasty
        line.tears = 1_000
        with pytest.raises(DatabaseAway, match="Given up"):
            await draft(await desk.take(S1), parcel)
    line.tears = 0
