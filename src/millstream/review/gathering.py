"""What waits is put to people: communication by communication, run by run, and what went wrong.

Intake writes holds and knows of no reviews. Here each hold gets its review, in one transaction with it, so that a
process that dies asks nobody twice and forgets nothing. What takes the place of a communication that waits goes on with
its review as new content.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Protocol

import aiosql

from millstream.log import get_logger
from millstream.review.contents import MOST_SHOWN, content_of, makers_of, of_communication, of_event, of_run
from millstream.review.limits import limited_field
from millstream.review.model import (
    Cancelled,
    Content,
    DecidedElsewhere,
    NewContent,
    State,
    Subject,
    SubjectKind,
    Verdict,
)
from millstream.review.policy import Policy, PolicyBook
from millstream.review.ports import Desk
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import Connection, Pool, transaction

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("gathering.sql"), "apsycopg", mandatory_parameters=False)

EXCEPTIONS: Final = (
    "delivery.bounced",
    "exstream.job_failed",
    "exstream.message_raised",
    "exstream.step_failed",
    "intake.failed",
    "intake.rejected",
    "intake.rejected_more",
    "mailbox.quarantined",
    "run.paused",
    "step.failed",
    "step.unclear",
)
"""The events that a policy can put to people by `events`."""

_OWN_RUNS = "reviews/"
_OWN = "review:"
_AGAIN = 60.0
_LOOKS_WHILE_SETTLING = 4
_PLAIN: Final = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?$"
"""Numbers of which the largest is known: the database would stumble over others."""


class Occurrence(Protocol):
    """An event as `work` hands it out."""

    @property
    def id(self) -> int: ...  # noqa: D102  named by the class

    @property
    def kind(self) -> str: ...  # noqa: D102  named by the class

    @property
    def subject(self) -> str: ...  # noqa: D102  named by the class

    @property
    def payload(self) -> Mapping[str, Any]: ...  # noqa: D102  named by the class

    @property
    def at(self) -> datetime: ...  # noqa: D102  named by the class


class Written(Protocol):
    """Deliveries that were cancelled because others take their place."""

    async def write(self, conn: Connection) -> None:
        """Append it to the audit chain."""


class Holding(Protocol):
    """What holds deliveries (`delivery.holds.Holds`); answers are written when nothing else is left to lock."""

    async def replace(self, conn: Connection, communications: Sequence[int], *, detail: str, actor: str) -> Written:
        """Cancel what waits of communications, in the caller's transaction."""

    async def spare(self, conn: Connection, communication: int, holds: Sequence[int], *, actor: str) -> Written:
        """Take holds of a communication away that nobody has to be asked for."""


@dataclass(frozen=True, slots=True)
class GatheringOptions:
    """How holds are gathered. Times are in seconds."""

    settle: float = 10.0
    """How long a run must be quiet before it is put to people as a whole."""
    portion: int = 500
    """Holds looked at in one sweep."""


class Gathering:
    """Finds what waits and was put to nobody yet; for as many processes as there are."""

    def __init__(self, pool: Pool, desk: Desk, book: PolicyBook, *, holds: Holding, options: GatheringOptions) -> None:
        self._pool = pool
        self._desk = desk
        self._policies = book.policies
        self._holds = holds
        self._options = options
        self._alone = [name for name, each in self._policies.items() if each.concerns in {"communication", "case"}]
        self._whole = [name for name, each in self._policies.items() if each.concerns == "run"]
        self._look_at_runs = 0.0
        self._put_off: dict[tuple[str, int], float] = {}

    async def sweep(self) -> int:
        """Put to people what waits; answers how many reviews were opened or went on. One that fails harms no other.

        Raises:
            DatabaseError: the database is away.
        """
        done = 0
        for row in await self._find(queries.undecided, "undecided"):
            await self._guarded("undecided", row["id"], partial(self._inherits, row["id"]))
        for change in await self._find(queries.replacements, "replaced"):
            done += await self._guarded("replaced", change["id"], partial(self._replaced, change))
        for hold in await self._find(queries.unseen_holds, "hold", policies=self._alone):
            done += await self._guarded("hold", hold["id"], partial(self._ask, hold["id"]))
        now = asyncio.get_running_loop().time()
        if self._whole and now >= self._look_at_runs:
            self._look_at_runs = now + self._options.settle / _LOOKS_WHILE_SETTLING
            async with transaction(self._pool) as conn:
                rows = queries.unseen_runs(conn, policies=self._whole, settle=self._options.settle)
                runs = [row async for row in rows]
            for run in runs:
                done += await self._guarded("run", run["run_id"], partial(self._ask_about_run, **run))
        return done

    async def withdraw(self) -> int:
        """Take back questions about what can leave no more; answers how many holds that settled.

        Raises:
            DatabaseError: the database is away.
        """
        async with transaction(self._pool) as conn:
            rows = [row async for row in queries.withdrawn(conn, most=self._options.portion)]
        done = 0
        for review_id, group in groupby(rows, key=itemgetter("review_id")):
            holds = list(group)
            async with transaction(self._pool) as conn:
                if review_id is not None:
                    await queries.lock_reviews(conn, ids=[review_id])
                refused = await queries.refuse_holds(conn, ids=[row["id"] for row in holds])
                done += refused
                if refused and review_id is not None and not await self._waits(conn, review_id):
                    why = holds[0]["detail"] or holds[0]["reason"]
                    await self._desk.apply(conn, review_id, DecidedElsewhere("deliveries", Verdict.REJECT, why))
        return done

    def listeners(self) -> dict[str, Callable[[Connection, Occurrence], Awaitable[None]]]:
        """Kind of event to who answers it: those that a policy puts to people."""
        return {
            kind: self.answer
            for kind in EXCEPTIONS
            if any(each.events and each.fits(each.events, kind) for each in self._policies.values())
        }

    async def answer(self, conn: Connection, event: Occurrence) -> None:
        """Put something that went wrong to people; never what went wrong with a review itself."""
        payload = event.payload
        if event.subject.startswith(_OWN) or str(payload.get("run") or "").startswith(_OWN_RUNS):
            return
        subject, content = of_event(event.id, event.kind, event.subject, payload)
        for name, policy in self._policies.items():
            if policy.concerns == "case" and policy.events and _puts(policy, event.kind, payload):
                await self._desk.open(conn, name, subject, content, origin=f"event:{event.id}")

    async def _find(self, query: Any, what: str, **values: Any) -> list[dict[str, Any]]:
        """What is there to do, without what failed a moment ago."""
        now = asyncio.get_running_loop().time()
        self._put_off = {key: until for key, until in self._put_off.items() if until > now}
        put_off = [number for kind, number in self._put_off if kind == what]
        async with transaction(self._pool) as conn:
            return [row async for row in query(conn, put_off=put_off, most=self._options.portion, **values)]

    async def _guarded(self, what: str, number: int, work: Callable[[], Awaitable[bool]]) -> bool:
        if (what, number) in self._put_off:
            return False
        try:
            return await work()
        except DatabaseError:
            raise
        except Exception:
            log.exception("gathering.failed", what=what, number=number, again_in=_AGAIN)
            self._put_off[what, number] = asyncio.get_running_loop().time() + _AGAIN
            return False

    async def _ask(self, hold_id: int) -> bool:
        async with transaction(self._pool) as conn:
            row = await queries.take_hold(conn, id=hold_id)
            if row is None:
                return False
            subject, content = of_communication(row, self._policies[row["policy"]])
            review_id = await self._open(conn, row["policy"], subject, content, author=makers_of(row["source"]))
            await queries.put_to(conn, id=hold_id, review_id=review_id)
        return True

    async def _open(
        self, conn: Connection, policy: str, subject: Subject, content: Content, *, author: Sequence[str] = ()
    ) -> int:
        """The number of the review, also where the same was put to people by hand before."""
        review_id = await self._desk.open(conn, policy, subject, content, author=author, origin="gathering")
        if review_id is None:
            row = await queries.open_review(conn, kind=subject.kind.value, ref=subject.ref, policy=policy)
            review_id = row["id"]
        return review_id

    async def _ask_about_run(self, run_id: int, policy: str) -> bool:
        async with transaction(self._pool) as conn:
            run = await queries.take_run(conn, run_id=run_id)
            if run is None or not (await queries.any_unseen(conn, run_id=run_id, policy=policy))["unseen"]:
                return False  # another process asks, or has asked since
            found = await queries.open_review(conn, kind=SubjectKind.RUN.value, ref=run["key"], policy=policy)
            subject, content = await self._run_content(conn, run, policy, found["id"] if found else None, unseen=True)
            review_id = await self._open(conn, policy, subject, content)
            put = await queries.put_run_to(conn, run_id=run_id, policy=policy, review_id=review_id)
            what = {"run_id": run_id, "policy": policy, "review_id": review_id, "unseen": False}
            now = await queries.run_content(conn, **what, limited=None, plain=_PLAIN)
            if not put or now["hash"] != content.hash:
                # Another process was faster, or something came in since it was counted, or somebody has some of it in
                # hand: nothing of this happened, and the next sweep counts again.
                await conn.rollback()
                return False
        return True

    async def _run_content(
        self, conn: Connection, run: Mapping[str, Any], policy: str, review_id: int | None, *, unseen: bool
    ) -> tuple[Subject, Content]:
        what = {"run_id": run["id"], "policy": policy, "review_id": review_id, "unseen": unseen}
        limited = self._limited(policy)
        totals = await queries.run_content(conn, **what, limited=limited, plain=_PLAIN)
        sample = [row async for row in queries.run_sample(conn, **what, most=MOST_SHOWN)]
        return of_run(run, totals, sample, limited=limited)

    def _limited(self, policy: str) -> str | None:
        terms = self._policies.get(policy)  # None: it asks nobody any more, and what it asked goes on
        return limited_field(terms) if terms is not None else None

    async def _inherits(self, communication: int) -> bool:
        """What takes the place of another is asked of those policies that held it.

        Where one of them is gone from the files, of every policy: somebody has to look at it.
        """
        async with transaction(self._pool) as conn:
            if await queries.take_communication(conn, id=communication) is None:
                return False
            rows = [row async for row in queries.held_before(conn, id=communication)]
            lost = any(name not in self._policies for row in rows for name in row["before"])
            kept = [row["id"] for row in rows if lost or row["policy"] in row["before"]]
            await queries.inherit(conn, ids=kept)
            spared = [row["id"] for row in rows if row["id"] not in kept]
            written = await self._holds.spare(conn, communication, spared, actor="reviews")
            await written.write(conn)
        return True

    async def _replaced(self, change: Mapping[str, Any]) -> bool:
        """A communication takes the place of one that waits: its reviews go on with it, or end."""
        async with transaction(self._pool) as conn:
            reviews = [row["review_id"] async for row in queries.reviews_of(conn, before=change["before"])]
            await queries.lock_reviews(conn, ids=reviews)
            before = [row async for row in queries.replaced_holds(conn, before=change["before"])]
            if not before or not {row["review_id"] for row in before} <= {None, *reviews}:
                return False  # it waits no more; or it was put to people a moment ago: the next sweep sees that
            named = await queries.key_of(conn, id=change["id"])
            detail = f"{named['key']} takes its place"
            waiting = {row["policy"]: row["id"] async for row in queries.holds_of(conn, communication=change["id"])}
            written = await self._holds.replace(conn, [change["before"]], detail=detail, actor="intake")
            for old in before:
                if old["state"] in {State.OPEN, State.CHANGES}:
                    await self._go_on(conn, old, waiting.get(old["policy"]), detail)
            await written.write(conn)
        return True

    async def _go_on(self, conn: Connection, old: Mapping[str, Any], hold_id: int | None, detail: str) -> None:
        review_id, policy = old["review_id"], old["policy"]
        whole = old["kind"] == SubjectKind.RUN
        if whole and hold_id is not None:
            return  # what is new in the run is put to its people when the run is quiet
        content = await self._rest_of(conn, old) if whole else await self._shown(conn, hold_id)
        if content is not None:
            review = (await self._desk.apply(conn, review_id, NewContent(content))).review
            if review.state is State.OPEN and review.content.hash == content.hash:
                if hold_id is not None:
                    await queries.put_to(conn, id=hold_id, review_id=review_id)
                return
        await self._desk.apply(conn, review_id, Cancelled("intake", f"{detail}, and {policy} is not asked about that"))

    async def _shown(self, conn: Connection, hold_id: int | None) -> Content | None:
        row = await queries.take_hold(conn, id=hold_id) if hold_id is not None else None
        return content_of(row) if row is not None else None

    async def _rest_of(self, conn: Connection, old: Mapping[str, Any]) -> Content | None:
        """What is left of a run after one of its communications was replaced by one that needs nobody."""
        if not await self._waits(conn, old["review_id"]):
            return None
        run = {"id": old["run_id"], "key": old["run"], "source": old["source"]}
        _, content = await self._run_content(conn, run, old["policy"], old["review_id"], unseen=False)
        return content

    async def _waits(self, conn: Connection, review_id: int) -> bool:
        return bool((await queries.left_of(conn, review_id=review_id))["holds"])


def _puts(policy: Policy, kind: str, payload: Mapping[str, Any]) -> bool:
    """Whether a policy puts such an event to people."""
    named = {
        "types": "type",
        "streams": "stream",
        "templates": "template",
        "runs": "run",
        "domains": "domain",
        "channels": "channel",
    }
    return policy.fits(policy.events, kind) and all(
        policy.fits(getattr(policy, globs), str(payload.get(field) or "")) for globs, field in named.items()
    )


async def templates_since(pool: Pool) -> dict[tuple[str, str], date]:
    """Since when each template's version is in use, by what came in. It reads the whole ledger: once for a process."""
    async with transaction(pool) as conn:
        rows = queries.templates_since(conn)
        return {(row["template"], row["version"] or ""): row["since"] async for row in rows}
