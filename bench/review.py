"""How long it takes to see what is due among many open reviews, and to do it.

The reviews lie in a database of their own. One is opened by the desk; the others are rows like it, because only their
number matters to whoever looks for the few that are due. What is due is a reminder to two people each.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from millstream.review.desk import ReviewDesk
from millstream.review.due import Due
from millstream.review.model import Content, Decision, Review, Subject, SubjectKind
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, PolicyFile
from millstream.storage.embedded import embedded
from millstream.storage.migrate import migrate
from millstream.storage.pool import Connection, Pool, open_pool, transaction
from process import BenchFailed
from stage import emit, say, work_folder

_PAGE_MB = resource.getpagesize() / 1e6

_CLONE = (
    """
    INSERT INTO review (policy, terms, kind, domain, ref, name, facts, author, hash, asked_at, deadline, agenda, due_at)
    SELECT policy, terms, kind, domain, ref || ':' || n, name, facts, author, hash, asked_at, deadline, agenda, due_at
    FROM review, generate_series(2, %(most)s) n WHERE id = 1
    """,
    """
    INSERT INTO review_round (review_id, number, hash, content)
    SELECT r.id, o.number, o.hash, o.content FROM review r, review_round o WHERE o.review_id = 1 AND r.id <> 1
    """,
    """
    INSERT INTO review_seat (review_id, round, stage, address, locale)
    SELECT r.id, s.round, s.stage, s.address, s.locale FROM review r, review_seat s WHERE s.review_id = 1 AND r.id <> 1
    """,
    "ANALYZE review, review_round, review_seat",
)
# Reviews that nobody has reminded yet, spread over the table: their reminder was due a second ago.
_MAKE_DUE = """
    UPDATE review r SET due_at = %(at)s,
        agenda = (SELECT jsonb_agg(CASE e ->> 'what' WHEN 'remind' THEN e || jsonb_build_object('at', %(at)s)
                  ELSE e END) FROM jsonb_array_elements(r.agenda) e)
    WHERE id IN (SELECT id FROM review WHERE version < 2 AND id %% %(step)s = %(turn)s ORDER BY id LIMIT %(due)s)
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    open: int = 100_000
    due: int = 200
    looks: int = 500
    """Sweeps that find nothing."""
    rounds: int = 10
    """Sweeps that find `due` reviews."""


async def sweep(plan: Plan) -> None:
    """One line: milliseconds of a sweep with nothing due and with some due, and what the memory grew by."""
    async with work_folder() as folder, embedded(folder / "database") as url:
        await migrate(url)
        pool = await open_pool(url)
        try:
            emit({"name": "review.sweep", **await _measure(pool, plan)})
        finally:
            await pool.close()


async def _measure(pool: Pool, plan: Plan) -> dict[str, object]:
    desk = _desk()
    say(f"reviews: {plan.open:,} open ones")
    await _fill(pool, desk, plan)
    due = Due(pool, desk)
    await _timed(due.sweep)  # plans are made and prepared
    before = _rss_mb()
    idle = [await _timed(due.sweep, finds=0) for _ in range(plan.looks)]
    busy = []
    for turn in range(plan.rounds):
        async with transaction(pool) as conn:
            values = {"at": datetime.now(UTC) - timedelta(seconds=1), "due": plan.due}
            await conn.execute(_MAKE_DUE, {**values, "step": plan.rounds, "turn": turn})
        busy.append(await _timed(due.sweep, finds=plan.due))
    return {
        "open": plan.open,
        "median_ms": round(statistics.median(idle), 2),
        "max_ms": round(max(idle), 2),
        "due": plan.due,
        "due_median_ms": round(statistics.median(busy), 1),
        "due_max_ms": round(max(busy), 1),
        "rss_mb": round(_rss_mb(), 1),
        "grown_mb": round(_rss_mb() - before, 1),
    }


async def _fill(pool: Pool, desk: ReviewDesk, plan: Plan) -> None:
    async with transaction(pool) as conn:
        await desk.open(conn, "letters", Subject(SubjectKind.COMMUNICATION, "1", name="Letter"), Content("1" * 64))
        for statement in _CLONE:
            await conn.execute(statement, {"most": plan.open} if "%(" in statement else None)


async def _timed(work: Callable[[], Awaitable[int]], *, finds: int | None = None) -> float:
    began = time.perf_counter()
    found = await work()
    took = 1000 * (time.perf_counter() - began)
    if finds is not None and found != finds:
        raise BenchFailed(f"a sweep found {found} reviews, and {finds} were due")
    return took


def _desk() -> ReviewDesk:
    file = PolicyFile.model_validate(
        {
            "policy": {
                "letters": {
                    "concerns": "communication",
                    "stages": [{"ask": ["anna@bank.example", "ben@bank.example"], "need": "all"}],
                    "time": {"deadline": "5d", "reminders": ["1d"]},
                    "ladder": [{"after": "6d", "ask": ["legal@bank.example"]}],
                }
            }
        }
    )
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    book = PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)
    return ReviewDesk(book, People(book), finish=_finish, begun=_begun)


async def _finish(_conn: Connection, _review: Review, _decision: Decision, _policy: Policy) -> None:
    raise BenchFailed("a reminder decided something")


async def _begun(_conn: Connection, _review: Review) -> bool:
    return False


def _rss_mb() -> float:
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * _PAGE_MB
