"""Where a policy wants a sign-in above an amount, the amount comes with the record: from the gate to the answer."""

import json
from collections.abc import Awaitable, Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from answer_room import ANNA, AnswerRoom

from millstream.communication.model import Mode, Policy
from millstream.communication.store import RunStore
from millstream.delivery.holds import Holds
from millstream.intake.driver import Driver
from millstream.intake.submit import IntakeOptions, Services, submit
from millstream.review.gate import Gate
from millstream.review.gathering import Gathering, GatheringOptions
from millstream.review.limits import named_values, needs_sign_in
from millstream.review.model import Content, State, Subject, SubjectKind
from millstream.review.rules.pack import Packs
from millstream.storage.objects import open_store

OpenRoom = Callable[..., Awaitable[AnswerRoom]]
LIMIT = {"sign_in": {"above": {"field": "data.amount_cents", "value": 500_000}}}


async def _asked(room: AnswerRoom, folder: Path, *records: dict[str, Any], reviews: int | None = None) -> list[int]:
    """Bring letters in through the gate, and put them to people; answers the numbers of the reviews."""
    gate = Gate(room.policies, Packs(), lambda *_: [], today=lambda: date(2026, 11, 23))
    driver = folder / "letters.jsonl"
    driver.write_text("".join(json.dumps(each) + "\n" for each in records), encoding="utf-8")
    runs = RunStore(room.pool)
    run = await runs.open_run("letters", pool="default", mode=Mode.DRAFT, policy=Policy(), source="")
    services = Services(runs, open_store(str(folder / "kept")), gate=gate)
    receipt = await submit(Driver(driver), run, services, options=IntakeOptions(most_bytes=10_000_000))
    assert receipt.held == len(records)
    options = GatheringOptions(settle=0.0)
    gathering = Gathering(room.pool, room.desk, room.policies, holds=Holds(room.pool), options=options)
    assert await gathering.sweep() == (len(records) if reviews is None else reviews)
    await room.send_due()
    return [row["id"] for row in await room.rows("SELECT id FROM review ORDER BY id")]


def _letter(number: int, **data: Any) -> dict[str, Any]:
    return {
        "key": f"letters/{number}",
        "type": "regulatory_letter",
        "customer": {"id": "C-1"},
        "recipient": {"address": f"customer-{number}@mail.example"},
        "subject": "Your terms change",
        "text": "Your terms change on 1 January.",
        "data": data,
    }


async def test_above_the_amount_mail_decides_nothing_and_is_told_so(open_room: OpenRoom, tmp_path: Path) -> None:
    room = await open_room(rules=LIMIT)
    [number] = await _asked(room, tmp_path, _letter(1, amount_cents=500_001))
    await room.reply(ANNA, "Approved")
    assert (await room.review(number)).state is State.OPEN
    assert await room.answers(number) == [(ANNA, "approve", False, "sign_in")]
    assert await room.questions() == [(ANNA, "sign_in")]


@pytest.mark.parametrize("amount", [500_000, "499999.5", -1])
async def test_up_to_the_amount_mail_decides(open_room: OpenRoom, tmp_path: Path, amount: Any) -> None:
    room = await open_room(rules=LIMIT)
    [number] = await _asked(room, tmp_path, _letter(1, amount_cents=amount))
    await room.reply(ANNA, "Approved")
    assert (await room.review(number)).state is State.APPROVED
    assert await room.questions() == []


async def test_an_amount_that_nobody_can_read_counts_as_above(open_room: OpenRoom, tmp_path: Path) -> None:
    room = await open_room(rules=LIMIT)
    amounts = ["much", None, [1], {"cents": 1}, True, "nan", "1\x00", "0" * 300 + "9999999"]
    letters = [_letter(number, amount_cents=amount) for number, amount in enumerate(amounts)]
    for number in await _asked(room, tmp_path, *letters, _letter(99)):
        review = await room.review(number)
        policy = room.policies.policies["letters"]
        assert needs_sign_in(policy, review.subject, review.content), review.content.facts


async def test_what_takes_its_place_brings_its_own_amount(open_room: OpenRoom, tmp_path: Path) -> None:
    room = await open_room(rules=LIMIT)
    [number] = await _asked(room, tmp_path, _letter(1, amount_cents=1))
    [again] = await _asked(room, tmp_path, _letter(2, amount_cents=900_000) | {"replaces": "letters/1"})
    assert (again, (await room.review(number)).round) == (number, 2)
    await room.reply(ANNA, "Approved")
    assert await room.answers(number) == [(ANNA, "approve", False, "sign_in")]


@pytest.mark.parametrize(
    ("amounts", "asks"),
    [
        ([1, 500_000, "499999.5"], False),
        ([1, 500_000.5, 2], True),
        ([1, None, 2], True),
        ([1, "much"], True),
        ([-1_000_000], False),
    ],
    ids=["all within", "one above", "one unknown", "one that nobody can read", "a credit"],
)
async def test_of_a_run_the_largest_amount_counts(
    open_room: OpenRoom, tmp_path: Path, amounts: list[Any], *, asks: bool
) -> None:
    room = await open_room(rules=LIMIT, concerns="run")
    letters = [_letter(number, amount_cents=amount) for number, amount in enumerate(amounts)]
    [number] = await _asked(room, tmp_path, *letters, reviews=1)
    await room.reply(ANNA, "Approved")
    review = await room.review(number)
    assert (review.state is State.OPEN) == asks
    assert await room.questions() == ([(ANNA, "sign_in")] if asks else [])
    known = None not in amounts and "much" not in amounts
    assert ("largest data.amount_cents" in review.content.facts) == known


async def test_a_run_that_grows_past_the_amount_needs_a_sign_in_from_then_on(
    open_room: OpenRoom, tmp_path: Path
) -> None:
    room = await open_room(rules=LIMIT, concerns="run")
    [number] = await _asked(room, tmp_path, _letter(1, amount_cents=1), reviews=1)
    [again] = await _asked(room, tmp_path, _letter(2, amount_cents=500_001), reviews=1)
    assert (again, (await room.review(number)).round) == (number, 2)
    await room.reply(ANNA, "Approved")
    assert await room.answers(number) == [(ANNA, "approve", False, "sign_in")]


async def test_a_policy_keeps_what_it_names_of_a_record_and_nothing_else(open_room: OpenRoom) -> None:
    sampling = {"when": [{"field": "data.region", "equals": "south"}, {"field": "data.deep.one", "above": 1}]}
    policy = (await open_room(rules=LIMIT, sampling=sampling)).policies.policies["letters"]
    record = {"data": {"amount_cents": 7, "region": "so\x00uth\ud800", "deep": {"one": 2.5}, "secret": "x"}}
    assert named_values(policy, record) == {
        "data.amount_cents": "7",
        "data.region": "so\N{REPLACEMENT CHARACTER}uth?",
        "data.deep.one": "2.5",
    }


async def test_each_place_that_knows_the_amount_must_be_within(open_room: OpenRoom) -> None:
    policy = (await open_room(rules=LIMIT)).policies.policies["letters"]

    def asks(subject: dict[str, str], content: dict[str, str]) -> bool:
        about = Subject(SubjectKind.COMMUNICATION, "1", facts=subject)
        return needs_sign_in(policy, about, Content("1" * 64, facts=content))

    assert asks({}, {})
    assert not asks({"amount_cents": "1"}, {"data.amount_cents": "2"})
    assert asks({"amount_cents": "1"}, {"data.amount_cents": "500001"})
    assert asks({"data.amount_cents": "1"}, {"amount_cents": "?"})
