"""The store keeps what the machine says, whatever happens and whatever is rolled back."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from state_room import ANNA, BEN, CARL, LEGAL, Room, content_of, says, subject

from millstream.audit.chain import verify
from millstream.review.due import Due as Sweep
from millstream.review.machine import start, step
from millstream.review.model import (
    Answered,
    Cancelled,
    DecidedElsewhere,
    Due,
    Happening,
    How,
    NewContent,
    Overruled,
    Reassigned,
    Refusal,
    Review,
    Undeliverable,
    Verdict,
)
from millstream.storage.pool import transaction

PEOPLE = (ANNA, BEN, CARL, LEGAL, "stranger@mail.example")
POLICY = {
    "stages": [{"ask": ["approvers"], "need": "2 of 3"}, {"ask": ["legal", "anna"]}],
    "rules": {"veto": False, "four_eyes": True},
}


def anything(dice: random.Random, review: Review) -> Happening:
    """Something that can happen, mostly something that counts."""
    who, other, verdict = dice.choice(PEOPLE), dice.choice(PEOPLE), dice.choice([*Verdict, Verdict.APPROVE])
    answer = says(who, verdict, round=review.round, hash=review.content.hash)
    rare = [
        NewContent(content_of(dice.choice("123"))),
        Reassigned(who, other, LEGAL),
        Undeliverable(who, "550"),
        Overruled(LEGAL, verdict, "as I say", How.COMMAND),
        DecidedElsewhere("aample", verdict, "in Exstream"),
        Cancelled("operator", "taken back"),
    ]
    weights = [12, 8, 3, 3, 2, 1, 1, 0.2]
    return dice.choices([answer, Due(), *rare], weights)[0]


def bare(review: Review) -> Review:
    """Without the numbers that only the store gives, and what it does not keep of a decision."""
    decision = review.decision and replace(review.decision, evidence={})
    return replace(review, id=None, seats=tuple(replace(seat, id=None) for seat in review.seats), decision=decision)


@pytest.mark.parametrize("seed", range(12))
async def test_the_store_and_the_machine_never_differ(room_of: Callable[..., Room], seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  no secret
    room = room_of(**POLICY)
    who = room.desk.people
    policy = who.settled(room.desk.book.policies["letters"], subject("1"))
    number = await room.open(author=("carl@bank.example",) if seed % 3 == 0 else ())
    assert number is not None
    author = ("carl@bank.example",) if seed % 3 == 0 else ()
    expected, _ = start(policy, subject("1"), content_of("1"), who=who, author=author, now=room.now)
    finished = 0
    for _ in range(60):
        room.pass_time(minutes=dice.choice([0, 1, 60, 240]))
        happening, killed = anything(dice, expected), dice.random() < 0.3
        async with transaction(room.pool) as conn:
            before = len(room.decisions)
            applied = await room.desk.apply(conn, number, happening)
            if killed:
                await conn.rollback()
                del room.decisions[before:]
        outcome = step(expected, happening, policy, who=who, now=room.now)
        assert (applied.refusal is not None) is isinstance(outcome, Refusal)
        if not killed and not isinstance(outcome, Refusal):
            expected = outcome[0]
        async with transaction(room.pool) as conn:
            assert bare(await room.desk.find(conn, number)) == bare(expected)
        finished = len(room.decisions)
    [row] = await room.rows("SELECT count(*) AS n FROM review_decision WHERE how <> 'exstream'")
    assert row["n"] == finished
    [row] = await room.rows("SELECT count(*) AS n FROM review_answer WHERE counted AND how = 'mail'")
    assert row["n"] == len([seat for seat in expected.seats if seat.answered])
    assert (await verify(room.pool)).intact


async def test_everything_at_once_from_many_sides_still_decides_once_a_round(room_of: Callable[..., Room]) -> None:
    room = room_of(**{**POLICY, "time": {"deadline": "1h", "at_expiry": "reject"}, "ladder": []})
    numbers = [await room.open(str(ref)) for ref in range(12)]
    room.pass_time(hours=1)
    sweep = Sweep(room.pool, room.desk, portion=3)

    async def side(seed: int) -> None:
        dice = random.Random(seed)  # noqa: S311  no secret
        for number in dice.sample(numbers, len(numbers)):
            assert number is not None
            async with transaction(room.pool) as conn:
                review = await room.desk.find(conn, number)
                await room.desk.apply(conn, number, anything(dice, review))

    await asyncio.gather(*(side(seed) for seed in range(6)), sweep.sweep(), sweep.sweep())
    await sweep.sweep()
    rows = await room.rows("SELECT count(*) AS n, count(DISTINCT (review_id, round)) AS rounds FROM review_decision")
    assert rows[0]["n"] == rows[0]["rounds"] > 0
    left = await room.rows("SELECT id FROM review WHERE state <> 'open' AND (due_at IS NOT NULL OR agenda <> '[]')")
    assert left == []
    waiting = await room.rows(
        "SELECT s.id FROM review_seat s JOIN review r ON r.id = s.review_id WHERE s.state = 'waiting' "
        "AND (r.state <> 'open' OR s.round <> r.round OR s.stage <> r.stage)"
    )
    assert waiting == []
    assert (await verify(room.pool)).intact


async def test_an_answer_can_be_anything_and_is_kept(room_of: Callable[..., Room]) -> None:
    room = room_of()
    number = await room.open()
    assert number is not None
    rubbish = ["\x00", "\ud83d", "\\u0000", "x" * 100_000, "'; DROP TABLE review; --", "{}", "\N{PILE OF POO}"]
    for text in rubbish:
        async with transaction(room.pool) as conn:
            evidence = {"message_id": text, "sighting": text}
            await room.desk.apply(conn, number, Answered(text, Verdict.REJECT, text, How.MAIL, 10**12, text, evidence))
            await room.desk.tell(
                conn, number, address=ANNA, kind="question", facts={"words": text, "x": {text: [text]}}
            )
    [row] = await room.rows("SELECT count(*) AS n, bool_or(counted) AS counted FROM review_answer")
    assert row == {"n": len(rubbish), "counted": False}
