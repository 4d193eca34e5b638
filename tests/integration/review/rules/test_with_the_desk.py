"""Gathering with the real desk: from a held letter to its question, and from the decision to the letter's release."""

from datetime import UTC, datetime

import pytest
from gathered import BATCH, BOOK, LEGAL, Room, letter, need

from millstream.audit.chain import verify
from millstream.communication.model import RunState
from millstream.delivery.store import LaneStore
from millstream.review.desk import ReviewDesk
from millstream.review.model import Answered, Decision, How, Review, Verdict
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, PolicyFile
from millstream.storage.pool import Connection, Pool, transaction

ANNA = "anna@bank.example"


def _book() -> PolicyBook:
    people = {"anna": {"address": ANNA}}
    file = PolicyFile.model_validate({"people": people, "policy": BOOK})
    named = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(dict(file.people), {}, {}, (), named)


async def _order(conn: Connection, review: Review, decision: Decision, _: Policy) -> None:
    action = "release" if decision.verdict is Verdict.APPROVE else "cancel"
    if decision.verdict is not Verdict.CHANGE:
        await conn.execute(
            "INSERT INTO hold_order (review_id, round, action, detail, actor) VALUES (%s, %s, %s, %s, %s)",
            [review.id, review.round, action, decision.text, decision.by],
        )


async def _not_begun(_: Connection, __: Review) -> bool:
    return False


@pytest.fixture
def desk() -> ReviewDesk:
    book = _book()
    return ReviewDesk(book, People(book), finish=_order, begun=_not_begun, clock=lambda: datetime.now(UTC))


async def _answer(pool: Pool, desk: ReviewDesk, number: int, verdict: Verdict, text: str = "") -> None:
    async with transaction(pool) as conn:
        review = await desk.find(conn, number)
        applied = await desk.apply(
            conn, number, Answered(ANNA, verdict, text, How.COMMAND, review.round, review.content.hash)
        )
        assert applied.refusal is None


async def test_a_letter_is_asked_about_corrected_asked_about_again_and_released(
    room: Room, pool: Pool, desk: ReviewDesk
) -> None:
    gathering = room.gathering(desk=desk, policies=_book())
    await room.add(letter(1, need(LEGAL)))
    await gathering.sweep()
    await _answer(pool, desk, 1, Verdict.CHANGE, "the date is wrong")
    await room.holds.carry_due()
    assert await room.deliveries() == {("held", "review"): 1}
    await room.add(letter(2, need(LEGAL), replaces="letters/1"))
    await gathering.sweep()
    assert await room.reviews() == [(1, LEGAL, "communication", "open", 2)]
    await _answer(pool, desk, 1, Verdict.APPROVE)
    await room.holds.carry_due()
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("queued", None): 1}
    assert (await verify(pool)).intact


async def test_a_correction_that_comes_after_a_rejection_is_a_question_of_its_own(
    room: Room, pool: Pool, desk: ReviewDesk
) -> None:
    gathering = room.gathering(desk=desk, policies=_book())
    await room.add(letter(1, need(LEGAL)))
    await gathering.sweep()
    await _answer(pool, desk, 1, Verdict.REJECT, "no")
    await room.add(letter(2, need(LEGAL), replaces="letters/1"))
    await gathering.sweep()
    await gathering.sweep()
    await room.holds.carry_due()
    states = [(policy, state) for _, policy, _, state, _ in await room.reviews()]
    assert states == [(LEGAL, "rejected"), (LEGAL, "open")]
    assert (await room.deliveries())["held", "review"] == 1


async def test_the_same_under_another_key_is_asked_about_again(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    gathering = room.gathering(desk=desk, policies=_book())
    await room.add(letter(1, need(LEGAL), text="The same"))
    await gathering.sweep()
    await _answer(pool, desk, 1, Verdict.CHANGE, "please change it")
    await room.add(letter(2, need(LEGAL), text="The same", replaces="letters/1"))
    await gathering.sweep()
    await gathering.sweep()
    waiting = (await room.holds_by())["letters/2 legal"]
    open_reviews = {number for number, _, _, state, _ in await room.reviews() if state == "open"}
    assert waiting[0] in open_reviews


async def test_a_run_grows_is_decided_and_grows_again(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    gathering = room.gathering(desk=desk, policies=_book())
    await room.add(letter(1, need(BATCH)), letter(2, need(BATCH)))
    await gathering.sweep()
    await room.add(letter(3, need(BATCH)))
    await gathering.sweep()
    await _answer(pool, desk, 1, Verdict.APPROVE)
    await room.add(letter(4, need(BATCH)))
    await gathering.sweep()
    await room.holds.carry_due()
    assert await room.deliveries() == {("queued", None): 3, ("held", "review"): 1}
    assert [(state, round_) for _, _, _, state, round_ in await room.reviews()] == [("approved", 2), ("open", 1)]


async def test_a_cancelled_run_is_asked_about_no_more(room: Room, pool: Pool, desk: ReviewDesk) -> None:
    gathering = room.gathering(desk=desk, policies=_book())
    await room.add(letter(1, need(BATCH)))
    await gathering.sweep()
    await room.runs.change_state("letters", RunState.CANCELLED, actor="test")
    await LaneStore(pool).cancel_queued()
    await gathering.withdraw()
    [(_, _, _, state, _)] = await room.reviews()
    assert state in {"rejected", "cancelled"}
