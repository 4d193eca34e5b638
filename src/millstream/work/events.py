"""Events between rooms: written in the transaction that made them true, answered once, in a transaction of their own.

A room writes one by the SQL of its own change (`INSERT INTO event …`). `app` says who listens to which kind. Whatever
the listeners of one event do, and that it is answered, becomes durable together; a listener therefore works on the
connection it is given and waits for nothing else. What needs the network becomes a row that a job finds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiosql

from millstream.log import get_logger
from millstream.storage.errors import DatabaseAway, DatabaseBusy, DatabaseFull
from millstream.storage.pool import Connection, Pool, transaction

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("events.sql"), "apsycopg", mandatory_parameters=False)

MOST_TRIES: Final = 8
EXCEPTIONS: Final = ("exstream.", "intake.", "step.failed", "step.unclear", "review.policy_missing")
"""How kinds of exceptions begin. Their payloads name, as far as it is known: customer, type, error, source."""
_FIRST_GAP = 1.0
_LONGEST_GAP = 600.0
_TELLING = 1_000


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: its kind in the past tense, what it is about, and the facts."""

    id: int
    kind: str
    subject: str
    payload: Mapping[str, Any]
    at: datetime


Listener = Callable[[Connection, Event], Awaitable[None]]


class Events:
    """The one place where events are answered.

    Args:
        pool: where they lie.
        listeners: by kind; a kind nobody listens to is answered by nobody and stays as a record.
    """

    def __init__(self, pool: Pool, listeners: Mapping[str, Sequence[Listener]]) -> None:
        self._pool = pool
        self._listeners = listeners

    async def answer_due(self, most: int = 500) -> int:
        """Answer what is due; answers how many events were seen to. One that fails harms no other.

        Each is a transaction of its own: what it locks (a lane, the audit chain's head) it locks for a moment.

        Raises:
            DatabaseError: the database is away; what was answered before stays so.
        """
        for seen in range(most):
            if not await self._answer_one():
                return seen
        return most

    async def _answer_one(self) -> bool:
        async with transaction(self._pool) as conn:
            row = await queries.due_event(conn)
            if row is None:
                return False
            tries = row.pop("tries")
            event = Event(**row)
            problem = await self._answer(conn, event)
            if problem is None:
                await queries.event_answered(conn, id=event.id)
            else:
                await _put_off(conn, event, tries, problem)
        return True

    async def _answer(self, conn: Connection, event: Event) -> Exception | None:
        try:
            async with conn.transaction():  # a savepoint: what a failing listener had done is undone
                for listener in self._listeners.get(event.kind, ()):
                    await listener(conn, event)
        except (DatabaseAway, DatabaseBusy, DatabaseFull):
            raise
        except Exception as problem:
            if conn.closed:  # not the event's fault
                raise
            return problem
        return None


async def _put_off(conn: Connection, event: Event, tries: int, problem: Exception) -> None:
    last = tries + 1 >= MOST_TRIES
    log.error("event.failed", number=event.id, kind=event.kind, subject=event.subject, last=last, exc_info=problem)
    gap = min(_LONGEST_GAP, _FIRST_GAP * 4**tries)
    failure = f"{type(problem).__name__}: {problem}".replace("\x00", "")[:_TELLING]
    await queries.event_failed(conn, id=event.id, last=last, gap=gap, failure=failure)


async def waiting(pool: Pool) -> int:
    """How many events are not answered yet."""
    async with transaction(pool) as conn:
        row = await queries.events_waiting(conn)
    return int(row["events"])


async def newest(
    pool: Pool,
    *,
    kinds: Sequence[str] | None = None,
    since: datetime | None = None,
    aside: bool = False,
    most: int = 100,
) -> list[dict[str, Any]]:
    """What happened, for people, the newest first.

    Args:
        pool: where events lie.
        kinds: only kinds that begin so; None: of every kind.
        since: only what happened then or later.
        aside: only what no room could answer.
        most: rows at most.
    """
    values = {"kinds": None if kinds is None else list(kinds), "since": since, "aside": aside, "most": most}
    async with transaction(pool) as conn:
        return [row async for row in queries.events_newest(conn, **values)]


async def find(pool: Pool, number: int) -> dict[str, Any] | None:
    """One event, whole; None where there is none of this number."""
    async with transaction(pool) as conn:
        row = await queries.event_by_number(conn, id=number)
    return None if row is None else dict(row)


async def again(pool: Pool) -> int:
    """Have what was put aside answered again; answers how many."""
    async with transaction(pool) as conn:
        row = await queries.events_again(conn)
    return int(row["events"])
