"""What comes by itself comes once, whoever looks, and one that fails harms no other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from state_room import ANNA, BEN, CARL, LEGAL, Room, apply, says

from millstream.communication.model import Communication, Mode, Policy, Recipient
from millstream.communication.store import RunStore
from millstream.review.due import Due, listeners
from millstream.review.errors import BadDelegation, UnknownReview
from millstream.review.model import State
from millstream.review.shelf import Shelf
from millstream.storage.pool import transaction


@dataclass
class Bounced:
    """The event as the delivery room writes it."""

    subject: str
    payload: dict[str, Any] = field(default_factory=dict)


async def kinds(room: Room) -> dict[str, int]:
    rows = await room.rows("SELECT kind, count(*) AS n FROM review_mail GROUP BY 1")
    return {row["kind"]: row["n"] for row in rows}


async def test_who_is_climbed_to_gets_no_second_mail_in_the_same_moment(room_of: Callable[..., Room]) -> None:
    room = room_of(time={"deadline": "8h"}, ladder=[{"after": "8h", "ask": ["legal", "anna"]}])
    await room.open()
    room.pass_time(hours=8)
    await Due(room.pool, room.desk).sweep()
    rows = await room.rows("SELECT kind, address FROM review_mail WHERE kind <> 'ask' ORDER BY address, kind")
    assert [(row["kind"], row["address"]) for row in rows] == [
        ("climb", ANNA),
        ("tell", BEN),
        ("tell", CARL),
        ("climb", LEGAL),
    ]


async def test_reminders_rungs_and_deadlines_come_when_they_are_due(room: Room) -> None:
    number, due = await room.open(), Due(room.pool, room.desk)
    assert await due.sweep() == 0
    room.pass_time(hours=4)
    assert await due.sweep() == 1
    assert await kinds(room) == {"ask": 3, "remind": 3}
    room.pass_time(hours=4)
    await due.sweep()
    [row] = await room.rows("SELECT overdue, due_at FROM review")
    assert row["overdue"]
    [event] = await room.rows("SELECT kind, subject, payload FROM event")
    assert (event["kind"], event["subject"]) == ("review.overdue", f"review:{number}")
    room.pass_time(hours=2)
    await due.sweep()
    assert (await kinds(room))["climb"] == 1
    assert await due.sweep() == 0
    [row] = await room.rows("SELECT due_at FROM review")
    assert row["due_at"] is None
    assert (await apply(room, number, says(ANNA))).refusal is None
    late = await apply(room, number, says(LEGAL))
    assert late.review.decision is not None
    assert late.review.decision.late


async def test_many_sweeps_at_once_remind_once(room: Room) -> None:
    for ref in range(30):
        await room.open(str(ref))
    room.pass_time(hours=4)
    sweeps = [Due(room.pool, room.desk, portion=4) for _ in range(4)]
    assert sum(await asyncio.gather(*(each.sweep() for each in sweeps))) == 30
    assert await kinds(room) == {"ask": 90, "remind": 90}


async def test_what_somebody_has_in_hand_waits_and_holds_up_nobody(room: Room) -> None:
    first, _second = await room.open("1"), await room.open("2")
    room.pass_time(hours=4)
    due = Due(room.pool, room.desk)
    async with transaction(room.pool) as conn:
        await room.desk.lock(conn, [first or 0])
        assert await due.sweep() == 1
    assert await due.sweep() == 1


async def test_a_deadline_that_decides_is_finished_in_the_same_moment(room_of: Callable[..., Room]) -> None:
    room = room_of(time={"deadline": "1h", "at_expiry": "reject"}, ladder=[])
    for ref in range(120):
        await room.open(str(ref))
    room.pass_time(hours=2)
    assert await Due(room.pool, room.desk).sweep() == 120
    assert {decision.by for _, decision in room.decisions} == {"policy"}
    [row] = await room.rows("SELECT count(*) AS n FROM review WHERE state = 'rejected' AND step_state = 'due'")
    assert row["n"] == len(room.decisions) == 120


async def test_one_that_cannot_be_done_harms_no_other(room_of: Callable[..., Room]) -> None:
    room = room_of(time={"deadline": "1h", "at_expiry": "reject"}, ladder=[])
    numbers = [await room.open(str(ref)) for ref in range(5)]
    room.broken = numbers[2]
    room.pass_time(hours=2)
    await Due(room.pool, room.desk).sweep()
    left = await room.rows("SELECT id, due_at > %s AS later FROM review WHERE state = 'open'", room.now)
    assert left == [{"id": numbers[2], "later": True}]
    room.broken = None
    room.pass_time(hours=1)
    await Due(room.pool, room.desk).sweep()
    assert await room.rows("SELECT id FROM review WHERE state = 'open'") == []


async def test_a_question_that_came_back_is_known_by_its_delivery(room: Room) -> None:
    number = await room.open()
    await room.rows("UPDATE review_mail SET token = 't1', due_at = NULL WHERE address = %s RETURNING id", ANNA)
    answer = listeners(room.desk)["delivery.bounced"]
    for payload in ({"bounce": "soft"}, {"bounce": "hard", "status": "5.1.1"}, {"bounce": "hard"}):
        async with transaction(room.pool) as conn:
            await answer(conn, Bounced("delivery:t1", payload))
            await answer(conn, Bounced("delivery:unknown", payload))
    seats = await room.rows("SELECT address, state FROM review_seat ORDER BY id")
    assert [seat["state"] for seat in seats] == ["unreachable", "waiting", "waiting"]
    events = await room.rows("SELECT payload FROM event WHERE kind = 'review.undeliverable'")
    assert [event["payload"]["error"] for event in events] == ["5.1.1"]
    assert number == events[0]["payload"]["review"]


async def test_a_delegation_by_command_moves_what_waits_and_what_comes(room: Room) -> None:
    shelf = Shelf(room.desk.people, clock=lambda: room.now)
    await room.open("before")
    since = room.now + timedelta(hours=1)
    async with transaction(room.pool) as conn:
        await shelf.delegate(conn, "a.ample@bank.example", LEGAL, since=since, actor=ANNA)
        [made] = await shelf.delegations(conn)
    assert (made["address"], made["to_address"]) == (ANNA, LEGAL)
    due = Due(room.pool, room.desk)
    assert await due.sweep() == 0
    room.pass_time(hours=1)
    assert await due.sweep() == 1
    await room.open("after")
    seats = await room.rows(
        "SELECT review_id, address, instead_of FROM review_seat WHERE state = 'waiting' ORDER BY id"
    )
    assert [seat["address"] for seat in seats] == [BEN, CARL, LEGAL, LEGAL, BEN, CARL]
    async with transaction(room.pool) as conn:
        await shelf.end_delegation(conn, made["id"], actor=ANNA)
        assert await shelf.delegations(conn) == []
    await room.open("then")
    [row] = await room.rows("SELECT count(*) AS n FROM review_seat WHERE address = %s AND state = 'waiting'", ANNA)
    assert row["n"] == 1


async def test_delegations_that_cannot_hold_are_refused(room: Room) -> None:
    shelf = Shelf(room.desk.people, clock=lambda: room.now)
    later, week = room.now + timedelta(days=30), room.now + timedelta(days=7)

    async def delegate(giver: str, to: str, since: datetime = room.now, until: datetime | None = None) -> None:
        async with transaction(room.pool) as conn:
            await shelf.delegate(conn, giver, to, since=since, until=until, actor="test")

    await delegate(ANNA, BEN, until=week)
    await delegate(BEN, ANNA, since=later)  # at another time it is no circle
    for giver, to, until, told in (
        (BEN, ANNA, None, "circle"),
        (CARL, "stranger@mail.example", None, "no policy file"),
        (ANNA, "a.ample@bank.example", None, "one person"),
        (CARL, BEN, room.now, "later end"),
    ):
        with pytest.raises(BadDelegation, match=told):
            await delegate(giver, to, until=until)
    async with transaction(room.pool) as conn:
        with pytest.raises(BadDelegation, match="no delegation 99"):
            await shelf.end_delegation(conn, 99, actor="test")


async def test_reviews_are_listed_by_what_is_asked_for(room: Room) -> None:
    shelf = Shelf(room.desk.people)
    first, second = await room.open("1"), await room.open("2")
    await apply(room, first, says(ANNA))
    await apply(room, first, says(BEN))

    async def listed(**wanted: Any) -> list[int]:
        async with transaction(room.pool) as conn:
            return [row["id"] for row in await shelf.listed(conn, **wanted)]

    assert await listed() == [second, first]
    assert await listed(state=State.APPROVED) == [first]
    assert await listed(address="A.Ample@bank.example") == [second]
    assert await listed(overdue=True) == await listed(policy="other") == []
    assert await listed(before=second) == [first]
    async with transaction(room.pool) as conn:
        found = await shelf.history(conn, first or 0)
        assert len(await shelf.counted(conn)) == 2
        with pytest.raises(UnknownReview):
            await shelf.history(conn, 99)
    assert [answer["address"] for answer in found["answers"]] == [ANNA, BEN]
    assert [mail["kind"] for mail in found["mails"]] == ["ask", "ask", "ask", "tell", "tell"]
    assert (found["decisions"][0]["by"], len(found["rounds"]), found["steps"]) == (BEN, 1, [])
    assert found["opened_at"] == datetime(2026, 11, 23, 9, 0, tzinfo=UTC)


async def _on_their_way(room: Room, *addresses: str) -> None:
    """What the outbox has for these people becomes deliveries."""
    runs = RunStore(room.pool, reviews=True)
    run = await runs.open_run("reviews/2026-11", pool="review", mode=Mode.DRAFT, policy=Policy(), source="reviews")
    for number, address in enumerate(addresses, 1):
        letter = Communication(
            key=f"review/{number}",
            type="review",
            customer=address,
            recipient=Recipient(address),
            subject="Review 1",
            text="Please look.",
            html=None,
            locale="en",
            stream="review",
            source_hash="0" * 64,
        )
        await runs.add(run, [letter])
    await room.rows(
        "UPDATE review_mail m SET token = d.token, due_at = NULL FROM delivery d "
        "WHERE d.address = m.address RETURNING 1"
    )


async def test_a_question_that_was_stopped_on_its_way_is_a_lost_one(room: Room) -> None:
    await room.open()
    await _on_their_way(room, ANNA, BEN)
    due = Due(room.pool, room.desk)
    assert await due.lost() == 0
    await room.rows(
        "UPDATE delivery SET disposition = 'held', reason = 'suppressed', due_at = NULL WHERE address = %s RETURNING 1",
        BEN,
    )
    assert await due.lost() == 1
    assert await due.lost() == 0
    [event] = await room.rows("SELECT payload FROM event WHERE kind = 'review.undeliverable'")
    assert (event["payload"]["address"], event["payload"]["error"]) == (BEN, "suppressed")


async def test_a_question_that_could_not_be_written_is_a_lost_one(room: Room) -> None:
    number = await room.open()
    facts = {"mail": 2, "kind": "ask", "address": BEN, "round": 1, "error": "ComposeError: no"}
    lost = listeners(room.desk)["review.mail_lost"]
    for event in (
        Bounced(f"review:{number}", {**facts, "round": 7}),
        Bounced("review:none", facts),
        Bounced(f"review:{number}", facts),
    ):
        async with transaction(room.pool) as conn:
            await lost(conn, event)
    [raised] = await room.rows("SELECT payload FROM event WHERE kind = 'review.undeliverable'")
    assert (raised["payload"]["address"], raised["payload"]["round"]) == (BEN, 1)
    assert "could not be written: ComposeError" in raised["payload"]["error"]
    [seat] = await room.rows("SELECT state FROM review_seat WHERE address = %s", BEN)
    assert seat["state"] == "unreachable"


async def test_news_that_could_not_be_written_are_told_of_and_cost_nobody_their_seat(room: Room) -> None:
    number = await room.open()
    facts = {"mail": 2, "kind": "remind", "address": BEN, "round": 1, "error": "ComposeError: no"}
    async with transaction(room.pool) as conn:
        await listeners(room.desk)["review.mail_lost"](conn, Bounced(f"review:{number}", facts))
    [raised] = await room.rows("SELECT payload FROM event WHERE kind = 'review.undeliverable'")
    told = raised["payload"]
    assert (told["review"], told["address"], told["mail"], told["type"]) == (number, BEN, "remind", "letter")
    assert "could not be written: ComposeError" in told["error"]
    assert {seat["state"] for seat in await room.rows("SELECT state FROM review_seat")} == {"waiting"}


@pytest.mark.parametrize("kind", ["ask", "tell"])
async def test_one_lost_mail_that_cannot_be_seen_to_hides_no_other(room: Room, kind: str) -> None:
    numbers = [await room.open(ref) for ref in ("1", "2")]
    await room.rows("UPDATE review_mail SET kind = %s RETURNING 1", kind)
    runs = RunStore(room.pool, reviews=True)
    run = await runs.open_run("reviews/2026-11", pool="review", mode=Mode.DRAFT, policy=Policy(), source="reviews")
    mails = await room.rows("SELECT id, address FROM review_mail WHERE address = %s ORDER BY id", BEN)
    for mail in mails:
        letter = Communication(
            key=f"review/{mail['id']}", type="review", customer=BEN, recipient=Recipient(BEN), subject="Review",
            text="Please look.", html=None, locale="en", stream="review", source_hash="0" * 64,
        )  # fmt: skip
        await runs.add(run, [letter])
    await room.rows(
        "UPDATE review_mail m SET token = d.token, due_at = NULL FROM delivery d JOIN communication c "
        "ON c.id = d.communication_id WHERE c.key = 'review/' || m.id RETURNING 1"
    )
    await room.rows("UPDATE delivery SET disposition = 'held', reason = 'suppressed', due_at = NULL RETURNING 1")
    await room.rows("UPDATE review SET terms = '{}' WHERE id = %s RETURNING 1", numbers[0])
    await Due(room.pool, room.desk).lost()
    [event] = await room.rows("SELECT subject FROM event WHERE kind = 'review.undeliverable'")
    assert event["subject"] == f"review:{numbers[1]}"


async def test_news_that_were_stopped_are_told_of_once(room: Room) -> None:
    number = await room.open()
    await room.rows("UPDATE review_mail SET kind = 'tell' WHERE address = %s RETURNING 1", BEN)
    await _on_their_way(room, ANNA, BEN)
    held = "UPDATE delivery SET disposition = 'held', reason = 'missing_document', detail = 'letter.pdf', due_at = NULL"
    await room.rows(f"{held} WHERE address = %s RETURNING 1", BEN)
    due = Due(room.pool, room.desk)
    assert await due.lost() == 1
    assert await due.lost() == 0
    [event] = await room.rows("SELECT subject, payload FROM event WHERE kind = 'review.undeliverable'")
    facts = event["payload"]
    assert (event["subject"], facts["address"], facts["mail"]) == (f"review:{number}", BEN, "tell")
    assert (facts["customer"], facts["type"], facts["error"]) == ("C-1", "letter", "missing_document: letter.pdf")
    assert f"review show {number}" in facts["action"]
    assert {seat["state"] for seat in await room.rows("SELECT state FROM review_seat")} == {"waiting"}
    [entry] = await room.rows("SELECT payload FROM audit WHERE kind = 'review.undeliverable'")
    assert BEN in entry["payload"]
