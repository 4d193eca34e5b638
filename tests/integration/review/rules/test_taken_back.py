"""A question that was taken back: what it held stays held, says so, and leaves when somebody who may lets it go."""

from datetime import UTC, datetime
from typing import Any

import pytest
from gathered import LEGAL, RISK, Room, book, letter, need

from millstream.audit.chain import verify
from millstream.review.desk import ReviewDesk
from millstream.review.model import Answered, Cancelled, Happening, How, Overruled, State, Verdict
from millstream.review.people import People
from millstream.review.ports import Applied
from millstream.review.steps import Steps
from millstream.storage.pool import Connection, Pool, transaction

ANNA, BOSS = "anna@bank.example", "boss@bank.example"
STAGE: dict[str, Any] = {
    "stages": [{"ask": [ANNA]}],
    "time": {"deadline": "8h"},
    "people": {"may_overrule": [BOSS]},
}
POLICIES = book(
    **{LEGAL: {"concerns": "communication", **STAGE}, RISK: {"concerns": "case", "gate": "compliance", **STAGE}}
)


async def _asks_nothing(_: Connection, __: object) -> int | None:
    return None


@pytest.fixture
def desk() -> ReviewDesk:
    steps = Steps(_asks_nothing)
    made = ReviewDesk(
        POLICIES, People(POLICIES), finish=steps.finish, begun=steps.begun, clock=lambda: datetime.now(UTC)
    )
    steps.attach(made)
    return made


async def _let(pool: Pool, desk: ReviewDesk, number: int, happening: Happening) -> Applied:
    async with transaction(pool) as conn:
        return await desk.apply(conn, number, happening)


async def _approve(pool: Pool, desk: ReviewDesk, number: int) -> None:
    async with transaction(pool) as conn:
        review = await desk.find(conn, number)
        said = Answered(ANNA, Verdict.APPROVE, "", How.COMMAND, review.round, review.content.hash)
        assert (await desk.apply(conn, number, said)).refusal is None


async def _detail(room: Room) -> str:
    [row] = await room.runs.waiting(await room.runs.find("letters"), 5)
    return str(row["detail"])


async def _asked_at_two_gates(room: Room, desk: ReviewDesk) -> None:
    await room.add(letter(1, need(LEGAL), need(RISK, found=True)))
    await room.gathering(desk=desk, policies=POLICIES).sweep()


def _overruled(verdict: Verdict = Verdict.APPROVE) -> Overruled:
    return Overruled(BOSS, verdict, "I have read it", How.COMMAND)


async def test_only_those_are_named_who_are_still_asked(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    await _asked_at_two_gates(room, desk)
    assert "by legal, risk;" in await _detail(room)
    await _let(pool, desk, 2, Cancelled("operator", "no case"))
    detail = await _detail(room)
    assert "people are asked first, by legal;" in detail
    assert "the question of risk was taken back, and it stays held: `millstream review overrule 2 approve`" in detail
    [found] = await room.runs.search("letters/1")
    assert found["detail"] == detail


async def test_what_it_held_leaves_only_when_somebody_who_may_lets_it_go(
    room: Room, pool: Pool, desk: ReviewDesk
) -> None:
    await _asked_at_two_gates(room, desk)
    await _let(pool, desk, 2, Cancelled("operator", "no case"))
    await _approve(pool, desk, 1)
    await room.holds.carry_due()
    assert await room.deliveries() == {("held", "review"): 1}
    assert "asked first" not in await _detail(room)
    assert (await _let(pool, desk, 2, Overruled(ANNA, Verdict.APPROVE, "so", How.COMMAND))).refusal is not None
    applied = await _let(pool, desk, 2, _overruled())
    assert (applied.refusal, applied.review.state) == (None, State.APPROVED)
    await room.holds.carry_due()
    assert await room.deliveries() == {("queued", None): 1}
    assert (await verify(pool)).intact


async def test_what_it_held_can_be_ended_too(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    await _asked_at_two_gates(room, desk)
    await _let(pool, desk, 2, Cancelled("operator", "no case"))
    assert (await _let(pool, desk, 2, _overruled(Verdict.REJECT))).refusal is None
    await room.holds.carry_due()
    assert await room.deliveries() == {("cancelled", "review_rejected"): 1}


async def test_what_another_letter_took_the_place_of_is_not_let_go(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    await room.add(letter(1, need(LEGAL)))
    gathering = room.gathering(desk=desk, policies=POLICIES)
    await gathering.sweep()
    await room.add(letter(2, replaces="letters/1"))
    await gathering.sweep()
    applied = await _let(pool, desk, 1, _overruled())
    assert applied.refusal is not None
    assert (applied.refusal.why, applied.review.state) == ("closed", State.CANCELLED)
