"""What happens to a review is durable with all that follows, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from state_room import ANNA, BEN, CARL, LEGAL, Room, apply, content_of, says, subject

from millstream.audit.chain import verify
from millstream.review.errors import UnknownPolicy, UnknownReview
from millstream.review.model import (
    Cancelled,
    DecidedElsewhere,
    How,
    NewContent,
    Overruled,
    Reassigned,
    State,
    Undeliverable,
    Verdict,
)
from millstream.review.ports import Uncounted
from millstream.storage.pool import transaction


async def test_a_question_is_put_to_everybody_once(room: Room) -> None:
    number = await room.open()
    assert await room.open() is None
    mails = await room.rows("SELECT kind, address, thread FROM review_mail ORDER BY id")
    assert [(mail["kind"], mail["address"]) for mail in mails] == [("ask", ANNA), ("ask", BEN), ("ask", CARL)]
    assert mails[0]["thread"] == f"review:{number}:{ANNA}"
    cases = await room.rows("SELECT c.round, s.address FROM review_mail_case c JOIN review_seat s ON s.id = c.seat_id")
    assert sorted(case["address"] for case in cases) == [ANNA, BEN, CARL]
    [row] = await room.rows("SELECT state, due_at, deadline FROM review")
    assert (row["state"], row["due_at"].hour, row["deadline"].hour) == ("open", 13, 17)


async def test_a_question_stored_reads_back_as_it_was(room: Room) -> None:
    number = await room.open(author=("maker",))
    assert number is not None
    await apply(room, number, says("A.Ample@bank.example", text="gut \x00 \ud800", evidence={"sighting": "7"}))
    async with transaction(room.pool) as conn:
        review = await room.desk.find(conn, number)
    assert review.author == ("maker",)
    assert review.content == content_of("1")
    [anna, *_] = review.seats
    assert anna.answered is not None
    assert (anna.answered.verdict, anna.answered.evidence["sighting"]) == (Verdict.APPROVE, "7")
    assert anna.answered.text.startswith("gut")


async def test_enough_approvals_decide_and_the_others_hear_of_it(room: Room) -> None:
    number = await room.open()
    await apply(room, number, says(ANNA, evidence={"message_id": "18f", "sighting": "1"}))
    done = await apply(room, number, says(BEN))
    assert done.review.state is State.APPROVED
    [(finished, decision)] = room.decisions
    assert (finished, decision.by, decision.votes) == (number, BEN, (f"{ANNA}: approve",))
    told = await room.rows("SELECT address, facts FROM review_mail WHERE kind = 'tell' ORDER BY id")
    assert [(mail["address"], mail["facts"]["by"]) for mail in told] == [(CARL, BEN), (ANNA, BEN)]
    [row] = await room.rows("SELECT state, step_state, due_at, agenda FROM review")
    assert row == {"state": "approved", "step_state": "due", "due_at": None, "agenda": []}
    late = await apply(room, number, says(CARL, Verdict.REJECT))
    assert late.refusal is not None
    assert (late.refusal.why, late.refusal.told["by"]) == ("decided", BEN)
    answers = await room.rows("SELECT address, counted, why FROM review_answer ORDER BY id")
    assert answers[-1] == {"address": CARL, "counted": False, "why": "decided"}
    assert len(room.decisions) == 1
    async with transaction(room.pool) as conn:
        kinds = [row["kind"] for row in await (await conn.execute("SELECT kind FROM audit ORDER BY seq")).fetchall()]
    assert kinds.count("review.decided") == 1
    assert kinds[-1] == "review.not_counted"
    assert (await verify(room.pool)).intact


async def test_two_people_in_the_same_second_decide_once(room_of: Callable[..., Room]) -> None:
    room = room_of(stages=[{"ask": ["approvers"], "need": "any"}])
    for ref in range(20):
        number = await room.open(str(ref))
        answers = (says(ANNA), says(BEN, Verdict.REJECT), says(CARL, Verdict.CHANGE))
        applied = await asyncio.gather(*(apply(room, number, each) for each in answers))
        assert [each.refusal is None for each in applied].count(True) == 1
    assert len(room.decisions) == 20
    [row] = await room.rows("SELECT count(*) AS n FROM review_decision")
    assert row["n"] == 20


async def test_the_last_two_approvals_at_once_decide_once(room_of: Callable[..., Room]) -> None:
    room = room_of(stages=[{"ask": ["approvers"], "need": "all"}])
    for ref in range(20):
        number = await room.open(str(ref))
        applied = await asyncio.gather(*(apply(room, number, says(each)) for each in (ANNA, BEN, CARL)))
        assert all(each.refusal is None for each in applied)
    assert len(room.decisions) == 20


async def test_the_same_subject_opened_twice_at_once_is_one_question(room: Room) -> None:
    numbers = await asyncio.gather(*(room.open() for _ in range(6)))
    assert len([number for number in numbers if number is not None]) == 1


async def test_a_message_answers_once_however_often_its_event_comes(room: Room) -> None:
    number = await room.open()
    await apply(room, number, says(ANNA, evidence={"sighting": "4"}))
    again = await apply(room, number, says(ANNA, evidence={"sighting": "4"}))
    assert again.refusal is not None
    assert again.refusal.told["seen"]
    [row] = await room.rows("SELECT count(*) AS n FROM review_answer")
    assert row["n"] == 1


async def test_an_answer_that_is_rolled_back_never_happened(room: Room) -> None:
    number = await room.open()
    assert number is not None
    async with transaction(room.pool) as conn:
        await room.desk.apply(conn, number, says(ANNA, Verdict.REJECT))
        await conn.rollback()
    room.decisions.clear()
    await apply(room, number, says(BEN, Verdict.REJECT))
    assert [decision.by for _, decision in room.decisions] == [BEN]


async def test_new_content_begins_a_round_and_old_answers_count_no_more(room: Room) -> None:
    number = await room.open()
    await apply(room, number, says(ANNA))
    assert await room.open(content="2") == number
    old = await apply(room, number, says(BEN))
    assert old.refusal is not None
    assert old.refusal.why == "old_round"
    await apply(room, number, says(BEN, round=2, hash="2" * 64))
    done = await apply(room, number, says(CARL, round=2, hash="2" * 64))
    assert done.review.decision is not None
    assert (done.review.decision.round, done.review.decision.hash) == (2, "2" * 64)
    rounds = await room.rows("SELECT number, ended_by FROM review_round ORDER BY number")
    assert [row["ended_by"] for row in rounds] == ["superseded", f"approve by {CARL}"]
    asks = await room.rows("SELECT facts FROM review_mail WHERE kind = 'ask' ORDER BY id")
    assert [mail["facts"].get("replaces_round") for mail in asks] == [None, None, None, 1, 1, 1]


async def test_changes_wait_for_new_content(room: Room) -> None:
    number = await room.open()
    asked = await apply(room, number, says(ANNA, Verdict.CHANGE, "please use the new logo"))
    assert asked.review.state is State.CHANGES
    assert await room.open() is None
    assert await room.open(content="2") == number
    async with transaction(room.pool) as conn:
        review = await room.desk.find(conn, number or 0)
    assert (review.state, review.round, review.decision) == (State.OPEN, 2, None)
    assert review.due_at is not None


async def test_a_decided_subject_with_new_content_is_a_new_question(room: Room) -> None:
    first = await room.open()
    await apply(room, first, says(ANNA, Verdict.REJECT, "no"))
    refused = await apply(room, first, NewContent(content_of("2")))
    assert refused.refusal is not None
    second = await room.open(content="2")
    assert second is not None
    assert second != first


async def test_an_overrule_after_a_decision_is_a_round_of_its_own(room: Room) -> None:
    number = await room.open()
    await apply(room, number, says(ANNA, Verdict.REJECT, "no"))
    nobody = await apply(room, number, Overruled(ANNA, Verdict.APPROVE, "but", How.COMMAND))
    assert nobody.refusal is not None
    done = await apply(room, number, Overruled(LEGAL, Verdict.APPROVE, "it is right", How.COMMAND))
    assert (done.review.state, done.review.round) == (State.APPROVED, 2)
    assert [decision.verdict for _, decision in room.decisions] == [Verdict.REJECT, Verdict.APPROVE]
    assert room.decisions[1][1].evidence == {"overrules": "1"}
    told = await room.rows("SELECT address FROM review_mail WHERE facts ->> 'by' = %s ORDER BY 1", LEGAL)
    assert [mail["address"] for mail in told] == [ANNA, BEN, CARL]
    room.begun = True
    late = await apply(room, number, Overruled(LEGAL, Verdict.REJECT, "after all", How.COMMAND))
    assert late.refusal is not None
    assert late.refusal.why == "decided"
    assert len(room.decisions) == 2


async def test_what_was_decided_in_exstream_has_no_step_of_ours(room: Room) -> None:
    number = await room.open()
    done = await apply(room, number, DecidedElsewhere("aample", Verdict.APPROVE, "approved in Exstream"))
    assert done.review.state is State.APPROVED
    assert room.decisions == []
    [row] = await room.rows("SELECT step_state FROM review")
    assert row["step_state"] == "none"


async def test_a_cancelled_question_tells_everybody_and_ends(room: Room) -> None:
    number = await room.open()
    await apply(room, number, Cancelled("operator", "the run was taken back"))
    told = await room.rows("SELECT facts FROM review_mail WHERE kind = 'tell'")
    assert [mail["facts"]["what"] for mail in told] == ["cancelled"] * 3
    late = await apply(room, number, says(ANNA))
    assert late.refusal is not None
    assert late.refusal.why == "closed"
    assert await room.open() is not None


async def test_a_seat_is_handed_on_and_back(room: Room) -> None:
    number = await room.open()
    await apply(room, number, Reassigned(ANNA, LEGAL, ANNA))
    await apply(room, number, Reassigned(LEGAL, ANNA, LEGAL))
    seats = await room.rows("SELECT address, state, instead_of FROM review_seat ORDER BY id")
    assert [(seat["address"], seat["state"]) for seat in seats if seat["address"] in {ANNA, LEGAL}] == [
        (ANNA, "waiting"),
        (LEGAL, "replaced"),
    ]
    done = await apply(room, number, says(ANNA))
    assert done.refusal is None


async def test_a_question_that_came_back_climbs_when_too_few_are_left(room: Room) -> None:
    number = await room.open()
    await apply(room, number, Undeliverable(ANNA, "550 no such user"))
    await apply(room, number, Undeliverable(BEN, "550 no such user"))
    climbed = await room.rows("SELECT address FROM review_mail WHERE kind = 'climb'")
    assert climbed == [{"address": LEGAL}]
    events = await room.rows("SELECT kind, payload FROM event ORDER BY id")
    assert [event["kind"] for event in events] == ["review.undeliverable", "review.undeliverable", "review.no_quorum"]
    assert (events[0]["payload"]["customer"], events[0]["payload"]["review"]) == ("C-1", number)


async def test_what_does_not_count_is_kept_once_for_a_message(room: Room) -> None:
    number = await room.open()
    assert number is not None
    said = Uncounted(address=ANNA, why="unclear", words="hm?", how=How.MAIL, sighting=9)
    async with transaction(room.pool) as conn:
        assert await room.desk.note_uncounted(conn, number, said)
        assert not await room.desk.note_uncounted(conn, number, said)
        await room.desk.tell(conn, number, address=ANNA, kind="question", facts={"words": "hm?"})
    [mail] = await room.rows(
        "SELECT c.seat_id, m.thread FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id "
        "WHERE kind = 'question'"
    )
    assert mail["seat_id"] is not None
    assert mail["thread"] == f"review:{number}:{ANNA}"


async def test_unknown_numbers_and_policies_are_named(room: Room) -> None:
    with pytest.raises(UnknownReview, match="no review 99"):
        await apply(room, 99, says(ANNA))
    async with transaction(room.pool) as conn:
        with pytest.raises(UnknownPolicy, match="nothing"):
            await room.desk.open(conn, "nothing", subject("1"), content_of("1"))
