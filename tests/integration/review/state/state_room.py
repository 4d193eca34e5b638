"""A desk with a clock of its own, and what it finished."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from millstream.drill import Drill
from millstream.review.desk import ReviewDesk
from millstream.review.model import (
    Answered,
    Content,
    Decision,
    Happening,
    How,
    Review,
    Subject,
    SubjectKind,
    Verdict,
)
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, PolicyFile
from millstream.review.ports import Applied
from millstream.storage.pool import Connection, Pool, transaction

ANNA, BEN, CARL = "anna@bank.example", "ben@bank.example", "carl@bank.example"
LEGAL = "legal@bank.example"


@dataclass
class Room:
    """A desk, what it decided, and a clock that stands until it is moved."""

    pool: Pool
    desk: ReviewDesk
    now: datetime
    decisions: list[tuple[int | None, Decision]] = field(default_factory=list)
    begun: bool = False
    broken: int | None = None
    """The review whose decision cannot be finished."""

    def pass_time(self, **length: float) -> None:
        self.now += timedelta(**length)

    async def open(self, ref: str = "1", content: str = "1", author: tuple[str, ...] = ()) -> int | None:
        async with transaction(self.pool) as conn:
            return await self.desk.open(
                conn, "letters", subject(ref), content_of(content), author=author, origin="test"
            )

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(sql, values)).fetchall()


def subject(ref: str) -> Subject:
    return Subject(SubjectKind.COMMUNICATION, ref, name="Letter")


def content_of(word: str) -> Content:
    return Content(word * 64, facts={"customer": "C-1", "type": "letter"}, text=f"as it stands: {word}")


def book(**policy: Any) -> PolicyBook:
    wanted = {
        "concerns": "communication",
        "stages": [{"ask": ["approvers"], "need": "2 of 3"}],
        "time": {"deadline": "8h", "reminders": ["4h"]},
        "ladder": [{"after": "10h", "ask": ["legal"]}],
        "people": {"may_overrule": ["legal"], "may_reassign": ["legal"]},
        **policy,
    }
    file = PolicyFile.model_validate(
        {
            "people": {
                "anna": {"address": ANNA, "name": "Anna Ample", "aliases": ["a.ample@bank.example"]},
                "ben": {"address": BEN},
                "carl": {"address": CARL},
            },
            "groups": {"approvers": ["anna", "ben", "carl"], "legal": [LEGAL]},
            "policy": {"letters": wanted},
        }
    )
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)


def make_room(pool: Pool, *, drill: Drill | None = None, **policy: Any) -> Room:
    """A room with a policy of these tables beside the usual ones."""
    made = book(**policy)

    async def finish(_conn: Connection, review: Review, decision: Decision, _policy: Policy) -> None:
        if review.id == room.broken:
            raise RuntimeError("cannot be finished")
        room.decisions.append((review.id, decision))

    async def begun(_conn: Connection, _review: Review) -> bool:
        return room.begun

    desk = ReviewDesk(made, People(made), finish=finish, begun=begun, clock=lambda: room.now, drill=drill)
    room = Room(pool, desk, datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    return room


def says(address: str, verdict: Verdict = Verdict.APPROVE, text: str = "as said", **more: object) -> Answered:
    """An answer by mail to the first round, or as given."""
    values = {"how": How.MAIL, "round": 1, "hash": "1" * 64, **more}
    return Answered(address, verdict, text, **values)  # type: ignore[arg-type]  # by name


async def apply(room: Room, number: int | None, happening: Happening) -> Applied:
    """Let something happen in a transaction of its own."""
    assert number is not None
    async with transaction(room.pool) as conn:
        return await room.desk.apply(conn, number, happening)
