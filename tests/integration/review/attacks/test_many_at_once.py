"""Many answer twenty reviews while what comes by itself comes: one decision a round, and no deadlock."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

from state_room import ANNA, BEN, CARL, LEGAL, Room, make_room, says

from millstream.audit.chain import verify
from millstream.communication.model import Communication, Mode, Need, Policy, Recipient
from millstream.communication.store import RunStore
from millstream.delivery.holds import Holds
from millstream.review.due import Due
from millstream.review.model import Cancelled, How, Overruled, State, Undeliverable, Verdict
from millstream.review.ports import Uncounted
from millstream.storage.pool import Pool, transaction

_MANY = 20


async def _with(gate: asyncio.Semaphore, work: Coroutine[Any, Any, None]) -> None:
    async with gate:
        await work


async def _answer(room: Room, ids: list[int], random_: random.Random) -> None:
    who = random_.choice([ANNA, BEN, CARL, "a.ample@bank.example", "eve@bank.example"])
    number = random_.choice(ids)
    happening = random_.choice(
        [
            says(who),
            says(who, Verdict.REJECT, "no"),
            says(who, Verdict.CHANGE, "other", how=How.PAGE),
            Undeliverable(who, "gone"),
            Overruled(LEGAL, Verdict.APPROVE, "so be it", How.COMMAND),
            Cancelled("operator", "taken back"),
        ]
    )
    async with transaction(room.pool) as conn:
        await room.desk.apply(conn, number, happening)


async def _bundle(room: Room, ids: list[int], random_: random.Random) -> None:
    some = random_.sample(ids, 5)
    async with transaction(room.pool) as conn:
        await room.desk.lock(conn, some)
        for number in some:
            await room.desk.apply(conn, number, says(random_.choice([ANNA, BEN])))
            await room.desk.note_uncounted(
                conn, number, Uncounted(address="eve@bank.example", why="stranger", words="?", how=How.MAIL)
            )


async def test_everybody_at_once_decides_each_review_once(pool: Pool) -> None:
    room = make_room(pool, stages=[{"ask": ["approvers"], "need": "any"}])
    ids = [number for ref in range(_MANY) if (number := await room.open(str(ref))) is not None]
    letters = [
        Communication(
            key=f"letters/{ref}", type="letter", customer="C-1", recipient=Recipient("c@mail.example"), subject="Terms",
            text="Terms.", html=None, locale="en", stream="letters", source_hash="0" * 64,
            needs=(Need("letters", "approval"),),
        )
        for ref in range(_MANY)
    ]  # fmt: skip
    runs = RunStore(pool)
    await runs.add(await runs.open_run("r", pool="default", mode=Mode.DRAFT, policy=Policy(), source="t"), letters)
    await room.rows(
        "UPDATE hold SET review_id = communication_id - (SELECT min(id) FROM communication) + 1 RETURNING 1"
    )
    due, holds, random_ = Due(pool, room.desk), Holds(pool), random.Random(7)  # noqa: S311  a seed, so that it comes again
    room.pass_time(hours=11)

    async def sweeps() -> None:
        for _ in range(10):
            await due.sweep()
            await due.lost()
            await holds.carry_due()

    work = [_answer(room, ids, random_) for _ in range(12 * _MANY)] + [_bundle(room, ids, random_) for _ in range(20)]
    random_.shuffle(work)
    gate = asyncio.Semaphore(6)  # the pool has eight connections
    async with asyncio.timeout(60):
        async with asyncio.TaskGroup() as group:
            for each in (sweeps(), sweeps(), *(_with(gate, one) for one in work)):
                group.create_task(each)
    decided = await room.rows(
        "SELECT r.id, r.state, count(d.*) AS decisions, max(r.round) AS rounds FROM review r "
        "LEFT JOIN review_decision d ON d.review_id = r.id GROUP BY r.id"
    )
    assert all(row["decisions"] <= row["rounds"] for row in decided)
    assert all(row["state"] != State.OPEN or not row["decisions"] for row in decided)
    assert (await room.rows("SELECT count(*) AS n FROM review_answer WHERE counted AND address LIKE 'eve@%%'"))[0][
        "n"
    ] == 0
    assert (await verify(pool)).intact
