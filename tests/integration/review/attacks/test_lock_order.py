"""Overruling, orders that are carried, letters that take another's place and runs that are gathered, all at once.

Each takes rows that the others take. Whoever waits in a circle gets a deadlock error from PostgreSQL, and fails here.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from gathered import BATCH, BOOK, LEGAL, RISK, Room, letter, need
from psycopg import AsyncConnection

from millstream.audit.chain import verify
from millstream.review.desk import ReviewDesk
from millstream.review.gathering import Gathering
from millstream.review.model import Answered, How, Overruled, Verdict
from millstream.review.people import People
from millstream.review.policy import PolicyBook, PolicyFile
from millstream.review.ports import Applied
from millstream.review.steps import Steps
from millstream.storage.pool import Connection, Pool, transaction

ANNA, CHIEF = "anna@bank.example", "chief@bank.example"
_LETTERS = 12
_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def _no_wish(conn: Connection, wish: Any) -> None:
    pytest.fail(f"a letter asks Exstream for something: {wish}")


class Office:
    """The desk with its orders, and who gathers; on real connections."""

    def __init__(self, pool: Pool) -> None:
        overrules = {"people": {"may_overrule": [CHIEF]}}
        policies = {name: {**each, **overrules} for name, each in BOOK.items()}
        people = {"anna": {"address": ANNA}, "chief": {"address": CHIEF}}
        file = PolicyFile.model_validate({"people": people, "policy": policies})
        named = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
        book = PolicyBook(dict(file.people), {}, {}, (), named)
        steps = Steps(_no_wish)
        self.pool, self.room = pool, Room(pool)
        self.desk = ReviewDesk(
            book, People(book), finish=steps.finish, begun=steps.begun, clock=lambda: datetime.now(UTC)
        )
        steps.attach(self.desk)
        self._book = book

    def gathering(self, *, settle: float = 0.0) -> Gathering:
        return self.room.gathering(settle=settle, desk=self.desk, policies=self._book)

    async def answer(self, number: int, verdict: Verdict = Verdict.APPROVE) -> Applied:
        async with transaction(self.pool) as conn:
            review = await self.desk.find(conn, number)
            said = Answered(ANNA, verdict, "so", How.COMMAND, review.round, review.content.hash)
            return await self.desk.apply(conn, number, said)

    async def overrule(self, number: int, verdict: Verdict = Verdict.REJECT) -> Applied:
        async with transaction(self.pool) as conn:
            return await self.desk.apply(conn, number, Overruled(CHIEF, verdict, "no", How.COMMAND))


@pytest.fixture
def office(pool: Pool) -> Iterator[Office]:
    return Office(pool)


@asynccontextmanager
async def locked(url: str, sql: str) -> AsyncIterator[Callable[[int], Awaitable[Any]]]:
    """Lock rows until the block ends; gives a question: do so many wait for a lock?"""
    async with await AsyncConnection.connect(url) as holder, await AsyncConnection.connect(url, autocommit=True) as eye:
        await holder.execute(sql)

        async def waiting(count: int) -> bool:
            row = await (await eye.execute(_WAITING)).fetchone()
            return row is not None and row[0] >= count

        yield waiting
        await holder.rollback()


async def test_a_letter_is_replaced_while_its_order_is_carried_and_overruled(
    office: Office, database_url: str, eventually: Any
) -> None:
    room = office.room
    await room.add(letter(1, need(LEGAL)))
    await office.gathering().sweep()
    assert (await office.answer(1)).refusal is None
    await room.add(letter(2, need(LEGAL), replaces="letters/1"))
    # Whoever comes first queues first: the replacement has all but the hold, the order waits behind it, and whoever
    # overrules waits for the order.
    async with locked(database_url, "SELECT FROM hold WHERE review_id = 1 FOR UPDATE") as waiting:
        tasks = []
        for place, work in enumerate((office.gathering().sweep(), room.holds.carry_due(), office.overrule(1)), 1):
            tasks.append(asyncio.create_task(work))
            await eventually(lambda place=place: waiting(place), within=10)
    async with asyncio.timeout(30):
        await asyncio.gather(*tasks)
    assert await _deadlocks(room) == 0
    assert (await room.deliveries())["cancelled", "replaced"] == 1
    assert (await verify(office.pool)).intact


async def test_a_run_is_gathered_while_a_letter_of_it_is_replaced(
    office: Office, database_url: str, eventually: Any
) -> None:
    room = office.room
    await room.add(letter(1, need(LEGAL), need(BATCH)))
    await office.gathering(settle=3_600.0).sweep()  # the letter is asked about, the run still grows
    await room.add(letter(2, need(LEGAL), replaces="letters/1"))
    later = "UPDATE delivery SET reason = %s WHERE id = (SELECT max(id) FROM delivery)"
    await room.do(later, "schedule")
    async with locked(database_url, "SELECT FROM audit_head FOR UPDATE") as waiting:
        gathers = asyncio.create_task(office.gathering().sweep())
        await eventually(lambda: waiting(1), within=10)
        await room.do(later, "review")
        replaces = asyncio.create_task(office.gathering().sweep())
        await eventually(lambda: waiting(2), within=10)
    async with asyncio.timeout(30):
        await asyncio.gather(gathers, replaces)
    assert await _deadlocks(room) == 0
    await office.gathering().sweep()
    holds = await room.holds_by()
    assert {state for key, (_, state) in holds.items() if key.startswith("letters/1 ")} == {"replaced"}
    assert (await verify(office.pool)).intact


@pytest.mark.parametrize("turn", range(4))
async def test_all_of_them_at_once_end_with_one_outcome_each(office: Office, turn: int) -> None:
    room, pool = office.room, office.pool
    await room.add(*(letter(n, need(LEGAL), need(RISK), need(BATCH)) for n in range(_LETTERS)))
    await office.gathering().sweep()
    reviews = [(number, policy) for number, policy, _, _, _ in await room.reviews()]
    for number, _ in reviews:
        assert (await office.answer(number)).refusal is None
    gate = asyncio.Semaphore(7)  # the pool has eight connections
    work: list[Coroutine[Any, Any, Any]] = [office.overrule(number) for number, _ in reviews]
    work += [
        room.add(letter(f"{n}/new", need(LEGAL), need(BATCH), replaces=f"letters/{n}"))
        for n in range(turn, _LETTERS, 2)
    ]
    for _ in range(_LETTERS):
        work += [room.holds.carry_due(1), office.gathering().sweep(), office.gathering().withdraw()]
    random.Random(turn).shuffle(work)  # noqa: S311  a seed, so that it comes again

    async def one(each: Coroutine[Any, Any, Any]) -> None:
        async with gate:
            await each

    async with asyncio.timeout(90), asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(one(each))
    await office.gathering().sweep()
    await room.holds.carry_due()
    await office.gathering().withdraw()
    assert await _deadlocks(room) == 0
    await _one_outcome_each(room)
    assert (await verify(pool)).intact


async def _one_outcome_each(room: Room) -> None:
    """What was decided is true of every letter, and of nothing twice."""
    for number, _, _, state, round_ in await room.reviews():
        decisions = await room.all("SELECT round, verdict FROM review_decision WHERE review_id = %s", number)
        assert len(decisions) <= round_
        assert (state in {"approved", "rejected"}) == any(each["round"] == round_ for each in decisions)
    left = await room.all(
        "SELECT h.id FROM hold h JOIN review r ON r.id = h.review_id"
        " WHERE h.state = 'waiting' AND r.state NOT IN ('open', 'changes')"
    )
    assert left == []
    wrong = await room.all(
        "SELECT d.id FROM delivery d WHERE (d.disposition = 'held') <> EXISTS (SELECT FROM hold h"
        " WHERE h.communication_id = d.communication_id AND h.state = 'waiting') AND d.disposition <> 'cancelled'"
    )
    assert wrong == []
    gone = await room.all(
        "SELECT d.id FROM delivery d WHERE d.disposition = 'queued' AND EXISTS (SELECT FROM hold h"
        " WHERE h.communication_id = d.communication_id AND h.state <> 'released')"
    )
    assert gone == []


async def _deadlocks(room: Room) -> int:
    await room.all("SELECT pg_stat_force_next_flush()")
    [row] = await room.all(_DEADLOCKS)
    return int(row["deadlocks"])
