"""What waits is put to people once, goes on with what takes its place, and is taken back when it can leave no more."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from gathered import BATCH, FINDING, LEGAL, RISK, Room, book, letter, need
from recorder import Recorder

from millstream.audit.chain import verify
from millstream.communication.model import Document, Hold, RunState
from millstream.delivery.store import LaneStore
from millstream.review.model import Content, Subject, SubjectKind
from millstream.storage.pool import Connection, Pool, transaction


@dataclass(frozen=True)
class Happened:
    id: int
    kind: str
    subject: str
    payload: dict[str, Any]
    at: datetime = datetime(2026, 12, 1, tzinfo=UTC)


class Strict(Recorder):
    """Refuses one customer's letters, as a broken policy would."""

    async def open(
        self,
        conn: Connection,
        policy: str,
        subject: Subject,
        content: Content,
        *,
        author: Sequence[str] = (),
        origin: str = "",
    ) -> int | None:
        if subject.facts.get("key") == "letters/1":
            raise ValueError("nobody can be asked")
        return await super().open(conn, policy, subject, content, author=author, origin=origin)


class Overtaken(Recorder):
    """Before its first question is open, another process has asked about all else and people have decided."""

    def __init__(self, room: Room) -> None:
        super().__init__()
        self.room = room
        self.others = 0

    async def open(
        self,
        conn: Connection,
        policy: str,
        subject: Subject,
        content: Content,
        *,
        author: Sequence[str] = (),
        origin: str = "",
    ) -> int | None:
        if not self.others:
            self.others = await self.room.gathering().sweep()
            await self.room.order(1)
        return await super().open(conn, policy, subject, content, author=author, origin=origin)


async def test_each_letter_that_waits_is_put_to_people_once(room: Room) -> None:
    await room.add(letter(1, need(LEGAL)), letter(2, need(RISK, found=True)), letter(3))
    gathering = room.gathering()
    assert await gathering.sweep() == 2
    assert await gathering.sweep() == 0
    assert await room.reviews() == [(1, LEGAL, "communication", "open", 1), (2, RISK, "case", "open", 1)]
    assert await room.holds_by() == {"letters/1 legal": (1, "waiting"), "letters/2 risk": (2, "waiting")}


async def test_people_see_what_leaves_what_was_found_and_whom_it_is_for(room: Room) -> None:
    await room.add(letter(1, need(RISK, found=True), source={"author": "Anna@bank.example", "job": 7}))
    await room.gathering().sweep()
    [(_, subject, content, author)] = room.desk.opened
    [row] = await room.all("SELECT id, content_hash FROM communication")
    assert (subject.kind, subject.ref, content.hash) == (SubjectKind.CASE, str(row["id"]), row["content_hash"])
    assert subject.facts["key"] == "letters/1"
    assert content.text.startswith("Your terms change on 1 January.")
    assert [paper.name for paper in content.papers] == ["letter.pdf"]
    assert content.findings == (FINDING.to_json(),)
    assert content.facts["recipient"] == "Customer 1 <customer-1@mail.example>"
    assert author == ("Anna@bank.example",)


async def test_a_document_under_a_password_is_shown_by_its_unprotected_copy(room: Room) -> None:
    copy = Document("letter.pdf", "application/pdf", 9, "2" * 64)
    await room.add(letter(1, need(LEGAL, papers=(copy,))))
    await room.gathering().sweep()
    assert [paper["sha256"] for paper in (await room.content(1))["papers"]] == ["2" * 64]


async def test_two_policies_on_one_letter_are_two_questions(room: Room) -> None:
    await room.add(letter(1, need(LEGAL), need(RISK)))
    assert await room.gathering().sweep() == 2
    assert {review[1] for review in await room.reviews()} == {LEGAL, RISK}


async def test_two_processes_ask_once(room: Room) -> None:
    await room.add(*(letter(number, need(LEGAL)) for number in range(30)), letter(31, need(BATCH)))
    done = await asyncio.gather(*(room.gathering().sweep() for _ in range(4)))
    assert sum(done) == 31
    assert len(await room.reviews()) == 31


async def test_a_run_that_another_process_has_asked_about_meanwhile_is_no_empty_question(room: Room) -> None:
    await room.add(letter(1, need(BATCH)), run="first")
    await room.add(letter(2, need(BATCH)), run="second")
    desk = Overtaken(room)
    assert (await room.gathering(desk=desk).sweep(), desk.others) == (1, 1)
    assert [(state, round_) for *_, state, round_ in await room.reviews()] == [("approved", 1), ("open", 1)]


async def test_one_letter_that_nobody_can_be_asked_about_does_not_stand_in_the_way_of_others(room: Room) -> None:
    await room.add(letter(1, need(LEGAL)), letter(2, need(LEGAL)))
    gathering = room.gathering(desk=Strict())
    assert await gathering.sweep() == 1
    assert await gathering.sweep() == 0
    assert (await room.holds_by())["letters/1 legal"] == (None, "waiting")
    assert await room.deliveries() == {("held", "review"): 2}


async def test_what_waits_for_a_policy_that_is_gone_stays_held(room: Room) -> None:
    await room.add(letter(1, need("gone")), letter(2, need(LEGAL)))
    assert await room.gathering().sweep() == 1
    assert await room.deliveries() == {("held", "review"): 2}


async def test_a_run_is_put_to_people_as_a_whole(room: Room) -> None:
    await room.add(*(letter(number, need(BATCH), customer=f"C-{number}") for number in range(40)))
    assert await room.gathering().sweep() == 1
    assert await room.reviews() == [(1, BATCH, "run", "open", 1)]
    assert set((await room.holds_by()).values()) == {(1, "waiting")}
    content = await room.content(1)
    assert (content["facts"]["communications"], content["facts"]["customers"]) == ("40", "40")
    assert len(content["papers"]) == 10
    await room.order(1)
    assert await room.deliveries() == {("queued", None): 40}


async def test_of_a_run_the_sampled_ones_are_shown_first(room: Room) -> None:
    sampled = Document("letter.pdf", "application/pdf", 4, "3" * 64)
    marked = {7, 21}
    await room.add(
        *(letter(number, need(BATCH, papers=(sampled,) if number in marked else ())) for number in range(40))
    )
    await room.gathering().sweep()
    hashes = [paper["sha256"] for paper in (await room.content(1))["papers"]]
    assert hashes[:2] == ["3" * 64] * 2
    assert len(hashes) == 10


async def test_a_run_is_put_to_people_when_it_grows_no_more(room: Room, eventually: Callable[..., Any]) -> None:
    await room.add(letter(1, need(BATCH)))
    await room.add(letter(2))
    assert await room.gathering(settle=3600).sweep() == 0
    gathering = room.gathering(settle=0.2)
    assert await eventually(gathering.sweep) == 1


async def test_what_comes_later_in_a_run_is_new_content(room: Room) -> None:
    await room.add(letter(1, need(BATCH)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(letter(2, need(BATCH)))
    assert await gathering.sweep() == 1
    assert await room.reviews() == [(1, BATCH, "run", "open", 2)]
    assert (await room.content(1))["facts"]["communications"] == "2"
    assert set((await room.holds_by()).values()) == {(1, "waiting")}


async def test_what_comes_after_a_run_was_let_go_is_a_question_of_its_own(room: Room) -> None:
    await room.add(letter(1, need(BATCH)))
    await room.gathering().sweep()
    await room.order(1)
    await room.add(letter(2, need(BATCH)))
    await room.gathering().sweep()
    assert await room.reviews() == [(1, BATCH, "run", "approved", 1), (2, BATCH, "run", "open", 1)]
    assert (await room.content(2))["facts"]["communications"] == "1"


async def test_a_letter_that_takes_the_place_of_one_that_waits_goes_on_with_its_review(room: Room, pool: Pool) -> None:
    await room.add(letter(1, need(LEGAL), need(RISK, found=True)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(letter(2, need(LEGAL), need(RISK), replaces="letters/1", text="The right terms"))
    await gathering.sweep()
    assert await room.reviews() == [(1, LEGAL, "communication", "open", 2), (2, RISK, "case", "open", 2)]
    assert await room.holds_by() == {
        "letters/1 legal": (1, "replaced"),
        "letters/1 risk": (2, "replaced"),
        "letters/2 legal": (1, "waiting"),
        "letters/2 risk": (2, "waiting"),
    }
    assert (await room.content(1))["text"] == "The right terms"
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("held", "review"): 1}
    assert (await verify(pool)).intact
    await room.order(1, round_=2)
    await room.order(2, round_=2)
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("queued", None): 1}


async def test_a_chain_of_replacements_ends_at_the_last(room: Room) -> None:
    await room.add(letter(1, need(LEGAL)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(
        letter(2, need(LEGAL), replaces="letters/1"),
        letter(3, need(LEGAL), replaces="letters/2"),
    )
    await gathering.sweep()
    await gathering.sweep()
    assert [review[0] for review in await room.reviews()] == [1]
    assert (await room.holds_by())["letters/3 legal"] == (1, "waiting")
    assert await room.deliveries() == {("cancelled", "replaced"): 2, ("held", "review"): 1}


async def test_a_review_whose_letter_is_replaced_by_one_that_needs_nobody_is_taken_back(room: Room) -> None:
    await room.add(letter(1, need(LEGAL)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(letter(2, replaces="letters/1"))
    await gathering.sweep()
    assert await room.reviews() == [(1, LEGAL, "communication", "cancelled", 1)]
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("queued", None): 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"replaces": "letters/2"},
        {"replaces": "letters/9"},
        {"replaces": "letters/1", "customer": "C-2"},
        {"replaces": "letters/1", "hold": Hold("bad_content", "It holds a NUL."), "needs": ()},
    ],
    ids=["itself", "nothing", "another customer's", "by one that cannot leave"],
)
async def test_nothing_is_replaced_that_should_not_be(room: Room, wrong: dict[str, Any]) -> None:
    await room.add(letter(1, need(LEGAL)))
    gathering = room.gathering()
    await gathering.sweep()
    given = {"needs": (need(LEGAL),)} | wrong
    await room.add(letter(2, needs=given.pop("needs"), **given))
    await gathering.sweep()
    await gathering.sweep()
    assert (await room.holds_by())["letters/1 legal"] == (1, "waiting")
    assert ("cancelled", "replaced") not in await room.deliveries()


async def test_a_letter_of_a_run_that_is_replaced_is_new_content_of_the_run(room: Room) -> None:
    await room.add(letter(1, need(BATCH)), letter(2, need(BATCH)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(letter(3, need(BATCH), replaces="letters/1"))
    await gathering.sweep()
    assert await room.reviews() == [(1, BATCH, "run", "open", 2)]
    assert (await room.content(1))["facts"]["communications"] == "2"
    await room.order(1, round_=2)
    assert await room.deliveries() == {("cancelled", "replaced"): 1, ("queued", None): 2}


async def test_a_letter_of_a_run_replaced_by_one_that_needs_nobody_leaves_the_rest_to_decide(room: Room) -> None:
    await room.add(letter(1, need(BATCH)), letter(2, need(BATCH)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.add(letter(3, replaces="letters/1"))
    await gathering.sweep()
    assert await room.reviews() == [(1, BATCH, "run", "open", 2)]
    assert (await room.content(1))["facts"]["communications"] == "1"


async def test_questions_about_a_cancelled_run_are_taken_back(room: Room, pool: Pool) -> None:
    await room.add(letter(1, need(LEGAL)), letter(2, need(BATCH)))
    await room.add(letter(3, need(LEGAL)), run="others")
    gathering = room.gathering()
    await gathering.sweep()
    assert await gathering.withdraw() == 0
    await room.runs.change_state("letters", RunState.CANCELLED, actor="test")
    await LaneStore(pool).cancel_queued()
    assert await gathering.withdraw() == 2
    states = {(policy, state) for _, policy, _, state, _ in await room.reviews()}
    assert states == {(LEGAL, "rejected"), (BATCH, "rejected"), (LEGAL, "open")}
    assert await gathering.withdraw() == 0


async def test_a_letter_refused_by_one_gate_asks_nobody_at_the_other_any_more(room: Room) -> None:
    await room.add(letter(1, need(LEGAL), need(RISK)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.order(1, "cancel")
    assert await gathering.withdraw() == 1
    assert [(policy, state) for _, policy, _, state, _ in await room.reviews()] == [
        (LEGAL, "rejected"),
        (RISK, "rejected"),
    ]


async def test_what_waits_for_two_gates_of_which_one_is_open_is_not_taken_back(room: Room) -> None:
    await room.add(letter(1, need(LEGAL), need(RISK)))
    gathering = room.gathering()
    await gathering.sweep()
    await room.order(1, "release")
    assert await gathering.withdraw() == 0
    assert await room.deliveries() == {("held", "review"): 1}


async def test_what_went_wrong_is_put_to_people_where_a_policy_names_it(room: Room, pool: Pool) -> None:
    gathering = room.gathering()
    assert set(gathering.listeners()) == {
        "delivery.bounced",
        "exstream.job_failed",
        "exstream.message_raised",
        "exstream.step_failed",
        "intake.rejected",
    }
    event = Happened(
        5, "intake.rejected", "consignment:7", {"run": "october", "customer": "C-9", "error": "no address", "line": 3}
    )
    async with transaction(pool) as conn:
        await gathering.listeners()["intake.rejected"](conn, event)
        await gathering.answer(conn, event)
    [(policy, subject, content, _)] = room.desk.opened
    assert (policy, subject.kind, subject.ref) == ("trouble", SubjectKind.CASE, "event:5")
    assert content.facts["customer"] == "C-9"
    assert content.facts["line"] == "3"
    assert content.text == "no address"


@pytest.mark.parametrize(
    ("subject", "payload"),
    [
        ("delivery:abc", {"run": "reviews/2026-12", "type": "statement"}),
        ("review:7", {"error": "locked"}),
        ("consignment:7", {"type": "offer", "error": "no address"}),
    ],
    ids=["a review's own mail", "a review's own step", "a type that no policy names"],
)
async def test_what_concerns_no_policy_or_a_review_itself_asks_nobody(
    room: Room, pool: Pool, subject: str, payload: dict[str, Any]
) -> None:
    async with transaction(pool) as conn:
        await room.gathering().answer(conn, Happened(5, "intake.rejected", subject, payload))
    assert room.desk.opened == []


def test_without_policies_nothing_is_listened_to(pool: Pool) -> None:
    quiet = book(legal={"concerns": "run", "stages": [{"ask": ["anna"]}], "time": {"deadline": "1h"}})
    assert Room(pool).gathering(policies=quiet).listeners() == {}
