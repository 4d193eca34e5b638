"""What was decided about held communications becomes true for their deliveries, whatever dies on the way."""

import asyncio
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from millstream.audit.chain import history, verify
from millstream.communication.model import Communication, Mode, Need, Policy, Recipient, RunState
from millstream.communication.store import RunStore
from millstream.delivery.holds import Holds
from millstream.delivery.store import LaneStore
from millstream.storage.pool import Pool, transaction

HERE = Path(__file__).parent
LEGAL, BUSINESS = "legal", "business"


def letter(number: int, *policies: str, copies: int = 0) -> Communication:
    return Communication(
        key=f"letters/{number}",
        type="regulatory_letter",
        customer=f"C-{number}",
        recipient=Recipient(f"customer-{number}@mail.example"),
        subject="Your terms change",
        text="Your terms change on 1 January.",
        html=None,
        locale="en-GB",
        stream="letters",
        source_hash="0" * 64,
        copies=tuple(Recipient(f"copy-{number}-{place}@mail.example") for place in range(copies)),
        needs=tuple(Need(policy, "approval") for policy in policies),
    )


class Room:
    """A run with held letters, and reviews as the review room leaves them behind."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.runs = RunStore(pool)
        self.holds = Holds(pool, portion=10)

    async def add(self, *letters: Communication, run: str = "letters") -> None:
        opened = await self.runs.open_run(run, pool="default", mode=Mode.DRAFT, policy=Policy(), source="test")
        for start in range(0, len(letters), 5_000):
            await self.runs.add(opened, letters[start : start + 5_000])

    async def review(self, policy: str) -> int:
        """One review of everything that waits for a policy."""
        async with transaction(self.pool) as conn:
            row = await (
                await conn.execute(
                    "INSERT INTO review (policy, terms, kind, ref, hash)"
                    " VALUES (%s, '{}', 'run', %s, 'h') RETURNING id",
                    [policy, f"letters-{policy}"],
                )
            ).fetchone()
            assert row is not None
            await conn.execute("UPDATE hold SET review_id = %s WHERE policy = %s", [row["id"], policy])
        return int(row["id"])

    async def order(self, review: int, action: str, detail: str = "") -> None:
        async with transaction(self.pool) as conn:
            await conn.execute(
                "INSERT INTO hold_order (review_id, round, action, detail, actor)"
                " VALUES (%s, 1, %s, %s, 'anna@bank.example')",
                [review, action, detail],
            )

    async def all(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(sql, values)).fetchall()

    async def deliveries(self) -> Counter[tuple[str, str | None]]:
        return Counter((row["disposition"], row["reason"]) for row in await self.all("SELECT * FROM delivery"))

    async def holds_now(self) -> Counter[str]:
        return Counter(row["state"] for row in await self.all("SELECT state FROM hold"))

    async def told(self) -> list[dict[str, Any]]:
        rows = await self.all("SELECT payload FROM event WHERE kind = 'delivery.released' ORDER BY id")
        return [row["payload"] for row in rows]


@pytest.fixture
async def room(pool: Pool) -> Room:
    return Room(pool)


async def test_a_released_letter_may_leave_with_all_its_copies(room: Room) -> None:
    await room.add(letter(1, LEGAL, copies=2))
    review = await room.review(LEGAL)
    await room.order(review, "release")
    assert await room.holds.carry_due() == 3
    assert await room.deliveries() == {("queued", None): 3}
    assert await room.holds_now() == {"released": 1}
    [row] = await room.all(
        "SELECT version, due_at <= now() AS due, detail FROM delivery WHERE address LIKE 'customer%%'"
    )
    assert row == {"version": 1, "due": True, "detail": None}


async def test_the_release_stands_in_the_audit_chain_under_the_name_of_who_decided(room: Room, pool: Pool) -> None:
    await room.add(letter(1, LEGAL))
    await room.order(await room.review(LEGAL), "release")
    await room.holds.carry_due()
    [row] = await room.all("SELECT token FROM delivery")
    entries = await history(pool, f"delivery:{row['token']}")
    assert [(entry["actor"], entry["kind"]) for entry in entries] == [
        ("intake", "delivery.held"),
        ("anna@bank.example", "delivery.queued"),
    ]
    assert '"review":1' in entries[1]["payload"]
    assert (await verify(pool)).intact


async def test_a_letter_of_two_gates_leaves_when_both_are_open(room: Room) -> None:
    await room.add(letter(1, LEGAL, BUSINESS))
    legal, business = await room.review(LEGAL), await room.review(BUSINESS)
    await room.order(legal, "release")
    assert await room.holds.carry_due() == 0
    assert await room.deliveries() == {("held", "review"): 1}
    await room.order(business, "release")
    assert await room.holds.carry_due() == 1
    assert await room.deliveries() == {("queued", None): 1}


async def test_two_gates_that_open_in_the_same_moment_leave_nothing_behind(room: Room, pool: Pool) -> None:
    await room.add(*(letter(number, LEGAL, BUSINESS) for number in range(60)))
    for policy in (LEGAL, BUSINESS):
        await room.order(await room.review(policy), "release")
    moved = await asyncio.gather(*(Holds(pool, portion=7).carry_due() for _ in range(4)))
    await room.holds.carry_due()
    assert sum(moved) <= 60
    assert await room.deliveries() == {("queued", None): 60}
    assert [each["action"] for each in await room.told()] == ["release", "release"]
    assert sum(each["moved"] for each in await room.told()) == 60


async def test_an_order_has_begun_when_it_settled_a_hold_though_another_gate_keeps_the_letter(room: Room) -> None:
    await room.add(*(letter(number, LEGAL, BUSINESS) for number in range(15)))
    await room.order(await room.review(LEGAL), "release")
    [before] = await room.all("SELECT begun_at FROM hold_order")
    assert await room.holds.carry_due(most=1) == 0
    [after] = await room.all("SELECT moved, begun_at, done_at FROM hold_order")
    assert (before["begun_at"], after["moved"], after["done_at"]) == (None, 0, None)
    assert after["begun_at"] is not None


async def test_one_refusal_ends_it_whatever_others_say_before_or_after(room: Room) -> None:
    await room.add(letter(1, LEGAL, BUSINESS), letter(2, LEGAL, BUSINESS))
    legal, business = await room.review(LEGAL), await room.review(BUSINESS)
    await room.order(legal, "cancel", "the rate is wrong")
    assert await room.holds.carry_due() == 2
    await room.order(business, "release")
    assert await room.holds.carry_due() == 0
    assert await room.deliveries() == {("cancelled", "review_rejected"): 2}
    assert {row["detail"] for row in await room.all("SELECT detail FROM delivery")} == {"the rate is wrong"}


async def test_the_review_room_is_told_once_when_an_order_is_carried(room: Room) -> None:
    await room.add(*(letter(number, LEGAL) for number in range(25)))
    review = await room.review(LEGAL)
    await room.order(review, "release")
    await room.holds.carry_due()
    await room.holds.carry_due()
    assert await room.told() == [
        {"review": review, "round": 1, "action": "release", "moved": 25, "actor": "anna@bank.example"}
    ]
    [order] = await room.all("SELECT due_at, moved, done_at IS NOT NULL AS done FROM hold_order")
    assert order == {"due_at": None, "moved": 25, "done": True}


async def test_what_belongs_to_a_cancelled_run_is_not_released(room: Room, pool: Pool) -> None:
    await room.add(letter(1, LEGAL))
    await room.add(letter(2, LEGAL), run="others")
    await room.runs.change_state("letters", RunState.CANCELLED, actor="test")
    await room.order(await room.review(LEGAL), "release")
    assert await room.holds.carry_due() == 1
    await LaneStore(pool).cancel_queued()
    assert await room.deliveries() == {("queued", None): 1, ("cancelled", "run_cancelled"): 1}


async def test_what_is_held_for_another_reason_stays_held(room: Room) -> None:
    await room.add(letter(1, LEGAL))
    await room.all("UPDATE delivery SET reason = 'suppressed' RETURNING id")
    await room.order(await room.review(LEGAL), "release")
    assert await room.holds.carry_due() == 0
    assert await room.deliveries() == {("held", "suppressed"): 1}


async def test_a_short_order_does_not_wait_behind_a_long_one(room: Room) -> None:
    await room.add(*(letter(number, LEGAL) for number in range(200)), letter(1000, BUSINESS))
    legal, business = await room.review(LEGAL), await room.review(BUSINESS)
    await room.order(legal, "release")
    await room.order(business, "release")
    await room.holds.carry_due(most=2)
    assert [each["review"] for each in await room.told()] == [business]


async def test_what_takes_the_place_of_a_letter_cancels_it(room: Room, pool: Pool) -> None:
    await room.add(letter(1, LEGAL, BUSINESS), letter(2, LEGAL))
    [old] = await room.all("SELECT id FROM communication WHERE key = 'letters/1'")
    async with transaction(pool) as conn:
        moved = await room.holds.replace(conn, [old["id"]], detail="replaced by letters/2", actor="intake")
        await moved.write(conn)
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("held", "review"): 1}
    assert await room.holds_now() == {"replaced": 2, "waiting": 1}
    entries = await history(pool, f"delivery:{moved.tokens[0]}")
    assert entries[-1]["kind"] == "delivery.cancelled"


@pytest.mark.parametrize("point", ["in_hold_order:1", "in_hold_order:3"])
async def test_a_process_killed_in_an_order_loses_nothing_and_moves_nothing_twice(
    room: Room, pool: Pool, database_url: str, point: str
) -> None:
    await room.add(*(letter(number, LEGAL) for number in range(35)))
    await room.order(await room.review(LEGAL), "release")
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "killed_order.py"), database_url, "10", point
    )
    assert await process.wait() == -signal.SIGKILL
    durable = 10 * (int(point[-1]) - 1)
    assert (await room.deliveries())["queued", None] == durable
    assert await room.told() == []
    assert await room.holds.carry_due() == 35 - durable
    assert await room.deliveries() == {("queued", None): 35}
    assert {row["version"] for row in await room.all("SELECT version FROM delivery")} == {1}
    assert [each["moved"] for each in await room.told()] == [35]
    queued = await room.all("SELECT subject FROM audit WHERE kind = 'delivery.queued'")
    assert len(queued) == len({row["subject"] for row in queued}) == 35
    assert (await verify(pool)).intact
