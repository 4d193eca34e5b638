"""The watch on Exstream: what waits there for review is put to people, and what was settled there ends its question.

One process at a time looks. Whatever dies between two steps of a look is found again by the next one: a thing is marked
as seen after everything about it is durable, and the desk opens no question twice.

What we carried out ourselves is never read as somebody else's decision: a review that is decided is not touched, an
open one has asked Exstream for nothing yet, and it is looked at again under its lock before anything happens to it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import aiosql

from millstream.exstream.errors import ExstreamError, Refused, Unclear
from millstream.exstream.model import Domain, StepStatus
from millstream.exstream.paging import Walked
from millstream.log import get_logger
from millstream.review.desk import ReviewDesk
from millstream.review.model import (
    Cancelled,
    Content,
    DecidedElsewhere,
    Happening,
    NewContent,
    Review,
    State,
    Subject,
    SubjectKind,
    Verdict,
)
from millstream.review.sampling import Looked, Sampler
from millstream.review.store import Stored, legible
from millstream.review.watched import Levels, Listed, Seen, Standing, Watched, resource_listed, step_listed
from millstream.storage.errors import DatabaseError
from millstream.storage.pool import Connection, Pool, transaction

if TYPE_CHECKING:
    from millstream.exstream.client import Exstream

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("watch.sql"), "apsycopg", mandatory_parameters=False)

_PENDING: Final = frozenset({"due", "unclear"})
_ORIGIN: Final = "exstream"
_DOMAINS_EVERY = 300.0
_AGAIN = 60.0
_IN_A_ROW = 3
"""So many things in a row that Exstream has no clear answer about: it is away, and not they are broken."""
_ENOUGH = 40
"""Characters of one of our comments by which it is known again, should Exstream keep no more of it."""
_KINDS = (SubjectKind.RESOURCE, SubjectKind.FLOW_STEP)
_RELEASED = frozenset({"started", "waiting", "executed", "complete"})
_LOST = {
    "DRAFT": "it was taken back to DRAFT in Exstream",
    "expired": "nobody released it in time, so Exstream ended it",
    "error": "it failed in Exstream",
    "filtered": "Exstream left it out",
}


class Withdraws(Protocol):
    """The part of `steps.Steps` that is needed here."""

    async def withdraw(self, conn: Connection, review: Review, *, why: str) -> bool:
        """Ask no more for what a decision asked for; False where it has begun."""

    async def give_up(self, conn: Connection, review: Review, *, why: str) -> None:
        """Nothing passes any more of what waited for this review."""


@dataclass(frozen=True, slots=True)
class Look:
    """Something that waits, and all that there is to weigh before people are asked."""

    seen: Seen
    content: Content
    new: bool
    """It was not there at the look before."""
    last: str
    """Exstream's last words about its state."""


class Watch:
    """Looks at Exstream. `look` is for one process at a time; `sweep` sees to that.

    Args:
        pool: where reviews lie.
        desk: opens them, and lets things happen to them.
        steps: takes back what was asked for about content that is not there any more.
        server: Exstream.
        watched: reads what waits there.
        levels: is told who approves in which domain.
        hold: takes or keeps the duty; False where another process has it.
        clock: seconds, by which what failed is put off.
    """

    def __init__(  # noqa: PLR0913  it joins the desk to Exstream
        self,
        pool: Pool,
        desk: ReviewDesk,
        steps: Withdraws,
        *,
        server: Exstream,
        watched: Watched,
        levels: Levels,
        hold: Callable[[], Awaitable[bool]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pool = pool
        self._desk = desk
        self._steps = steps
        self._server = server
        self._watched = watched
        self._levels = levels
        self._hold = hold
        self._clock = clock
        self._sampler = Sampler(desk.book)
        policies = desk.book.policies.values()
        self._kinds = tuple(kind for kind in _KINDS if any(each.concerns == kind for each in policies))
        self._globs = tuple(glob for each in policies if each.concerns in _KINDS for glob in (each.domains,) if glob)
        self._domains: tuple[str, ...] = ()
        self._domains_due = 0.0
        self._put_off: dict[tuple[str, str], float] = {}
        self._away = False
        self._unclear = 0

    async def sweep(self) -> None:
        """Look, where this process has the duty. Exstream being away is no failure: the next sweep looks again.

        Raises:
            DatabaseError: the database is away.
        """
        try:
            # Whoever begins a round asks who approves, so every process knows it, whoever looks.
            await self._know_domains()
            if await self._hold():
                await self.look()
        except ExstreamError as error:
            if not self._away:
                log.warning("review.watch_failed", error=str(error))
            self._away = True
        else:
            self._away = False

    async def look(self) -> None:
        """Look at every domain once.

        Raises:
            ExstreamError: it cannot be asked.
            DatabaseError: the database is away.
        """
        await self._know_domains()
        async with transaction(self._pool) as conn:
            waiting = {row["domain"] async for row in queries.domains(conn)}
        for domain in dict.fromkeys((*self._domains, *sorted(waiting))):
            for kind in _KINDS:
                # An account may have a right to one and not to the other.
                await self._guarded(domain, f"list:{kind}", partial(self._look_at, domain, kind), one=False)

    async def _look_at(self, domain: str, kind: SubjectKind) -> None:
        place = {"domain": domain, "kind": kind}
        async with transaction(self._pool) as conn:
            # Before Exstream is asked: what is open now has asked Exstream for nothing.
            waiting = [row async for row in queries.waiting(conn, **place)]
            marks = {row["id"]: row["mark"] async for row in queries.marks(conn, **place)}
        if not waiting and not marks and kind not in self._kinds:
            return
        walked = Walked()
        listed = {each.id: each for each in await self._list(domain, kind, walked)}
        for each in listed.values():
            if not each.mark or marks.get(each.id) != each.mark:
                await self._guarded(domain, each.id, partial(self._put, domain, each, new=each.id not in marks))
        for row in waiting:
            if row["ref"] not in listed:
                await self._guarded(domain, _gone_key(row), partial(self._gone, domain, kind, row))
        if walked.complete:
            async with transaction(self._pool) as conn:
                await queries.forget(conn, **place, listed=list(listed))

    async def _list(self, domain: str, kind: SubjectKind, walked: Walked) -> list[Listed]:
        if kind is SubjectKind.RESOURCE:
            found = self._server.design(domain).resources(states="REVIEW", walked=walked)
            return [resource_listed(each) async for each in found]
        steps = self._server.runtime(domain).flow_steps(statuses=StepStatus.HOLDING, walked=walked)
        return [step_listed(each) async for each in steps]

    async def _guarded(
        self, domain: str, number: str, work: Callable[[], Awaitable[None]], *, one: bool = True
    ) -> None:
        """What fails is put off alone, so that it hides nothing else; where Exstream or the database is away, raise.

        Exstream is away when it answers not even what there is, or nothing clear about several things in a row. A
        server that fails about one of many (500, a broken connection) is there for the others.
        """
        now, key = self._clock(), (domain, number)
        self._put_off = {each: until for each, until in self._put_off.items() if until > now}
        if key in self._put_off or not await self._hold():
            return
        try:
            await work()
        except DatabaseError:
            raise
        except ExstreamError as error:
            if not isinstance(error, Refused) and not (one and self._about_one(error)):
                self._unclear = 0
                raise
            log.warning("review.watch_refused", domain=domain, id=number, error=str(error), again_in=_AGAIN)
            self._put_off[key] = now + _AGAIN
        except Exception:
            log.exception("review.watch_failed", domain=domain, id=number, again_in=_AGAIN)
            self._put_off[key] = now + _AGAIN
        else:
            self._unclear = 0 if one else self._unclear

    def _about_one(self, error: ExstreamError) -> bool:
        """Whether what failed about one thing says nothing about the others."""
        self._unclear += 1
        return isinstance(error, Unclear) and self._unclear < _IN_A_ROW

    # Where to look, and who approves there

    async def _know_domains(self) -> None:
        now = self._clock()
        if now < self._domains_due:
            return
        own = self._server.options.domain
        try:
            found = await self._server.design().domains() if own else ()
        except Refused as error:
            log.warning("review.domains_unknown", error=str(error))
            found = ()
        self._levels.keep(found)
        self._domains = self._wanted(own, found)
        self._domains_due = now + _DOMAINS_EVERY

    def _wanted(self, own: str, found: tuple[Domain, ...]) -> tuple[str, ...]:
        """Our own, and those that a policy names."""
        policies = self._desk.book.policies.values()
        named = [
            each.id
            for each in found
            if any(policy.fits(globs, each.id) for policy in policies for globs in self._globs)
        ]
        return tuple(dict.fromkeys((own, *named))) if own else tuple(named)

    # What waits in Exstream

    async def _put(self, domain: str, listed: Listed, *, new: bool) -> None:
        """Put it to the people of every policy that asks about it."""
        seen = await self._watched.seen(domain, listed)
        looked = Looked(listed.kind, listed.edition, domain, seen.fields, today=datetime.now(UTC).date())
        asking = self._sampler.asking(looked)
        place = _place(seen.subject)
        async with transaction(self._pool) as conn:
            newest = {row["policy"]: row async for row in queries.newest(conn, **place)}
        running = [name for name, row in newest.items() if row["state"] in {State.OPEN, State.CHANGES}]
        if names := tuple(dict.fromkeys((*asking, *running))):
            content = await self._watched.content(domain, seen)
            if content is None:
                return  # it moves just now; the next look sees where to
            last = await self._watched.last_word(domain, listed) if newest else None
            look = Look(seen, content, new, (last.comment if last else None) or "")
            if not all([await self._ask(name, look) for name in names]):
                return  # the next look comes back to it
        async with transaction(self._pool) as conn:
            values = {"domain": place["domain"], "kind": listed.kind, "id": place["ref"]}
            await queries.mark(conn, **values, mark=legible(listed.mark))

    async def _ask(self, policy: str, look: Look) -> bool:
        """Open a question, or let it go on; False where the next look must come back to it."""
        seen = look.seen
        place = _place(seen.subject)
        async with transaction(self._pool) as conn:
            newest = {row["policy"]: row async for row in queries.newest(conn, **place)}
            before = newest.get(policy) or await self._edition_before(conn, policy, seen.subject)
            if before is not None:
                await self._desk.lock(conn, [before["id"]])
                stored = await self._desk.stored(conn, before["id"])
                if stored.review.state in {State.OPEN, State.CHANGES}:
                    return await self._go_on(conn, stored, look)
                done = await self._ended(conn, stored, newest, look)
                if done is not None:
                    return done
        if policy in self._desk.book.policies:
            async with transaction(self._pool) as conn:
                await self._open(conn, policy, look)
        return True

    @staticmethod
    async def _edition_before(conn: Connection, policy: str, subject: Subject) -> Mapping[str, Any] | None:
        """A held flow step for which changes were asked, and of which this one is the next edition."""
        external, channel = subject.facts.get("external_id"), subject.facts.get("channel", "")
        if subject.kind is not SubjectKind.FLOW_STEP or not external:
            return None
        values = {"domain": legible(subject.domain), "ref": legible(subject.ref), "policy": policy}
        found: Mapping[str, Any] | None = await queries.replaced(
            conn, **values, external_id=legible(external), channel=legible(channel)
        )
        return found

    async def _go_on(self, conn: Connection, stored: Stored, look: Look) -> bool:
        review, seen = stored.review, look.seen
        assert review.id is not None  # noqa: S101  it came out of the store
        if review.state is State.CHANGES and stored.step_state in _PENDING:
            return False  # what its decision asked for comes first
        if review.content.hash != look.content.hash:
            if review.subject.ref != seen.subject.ref:
                await self._desk.about(conn, review.id, seen.subject)
            await self._desk.apply(conn, review.id, NewContent(look.content, seen.author))
        elif review.state is State.CHANGES and stored.step_state != "refused":
            # The machine knows new content alone, so what comes again as it was is another question; in one
            # transaction, so that nobody finds a moment in which the policy asks nothing.
            who = seen.author[-1] if seen.author else _ORIGIN
            await self._desk.apply(conn, review.id, Cancelled(who, "it was handed in again as it was"))
            if review.policy in self._desk.book.policies:
                await self._open(conn, review.policy, look)
        return True

    async def _open(self, conn: Connection, policy: str, look: Look) -> None:
        await self._desk.open(conn, policy, look.seen.subject, look.content, author=look.seen.author, origin=_ORIGIN)

    async def _ended(
        self, conn: Connection, stored: Stored, newest: Mapping[str, Mapping[str, Any]], look: Look
    ) -> bool | None:
        """Of a question that has ended. None: ask again. True: nothing is to be done. False: not yet.

        It comes again with other content, or when its subject was away and is handed in again.
        """
        review, same = stored.review, stored.review.content.hash == look.content.hash
        if review.state is State.CANCELLED:
            return None if look.new or not same else True
        if not same and stored.step_state in {*_PENDING, "refused"}:
            why = "its content was changed after the decision: what was decided on is not there any more"
            return None if await self._steps.withdraw(conn, review, why=why) else False
        if look.new and stored.step_state == "refused":
            why = "it was handed in again after Exstream had refused the step"
            return None if await self._steps.withdraw(conn, review, why=why) else False
        if not same:
            return None
        waits = any(
            row["hash"] == look.content.hash
            and (row["step_state"] in {*_PENDING, "refused"} or row["state"] in {State.OPEN, State.CHANGES})
            for row in newest.values()
        )
        # A released flow step never waits again; a resource does, also when one of several approvals was ours.
        over = look.seen.listed.kind is SubjectKind.FLOW_STEP or await _is_ours(conn, look.seen.subject, look.last)
        return True if waits or over else None

    # What waits there no more

    async def _gone(self, domain: str, kind: SubjectKind, row: Mapping[str, Any]) -> None:
        if row["state"] == State.CHANGES and row["step_state"] in _PENDING:
            return
        standing = await self._watched.standing(domain, kind, row["ref"])
        async with transaction(self._pool) as conn:
            place = {"domain": legible(domain), "kind": kind, "ref": row["ref"]}
            asked = [step async for step in queries.ours(conn, **place)]
        by = _ours(asked, kind, standing)
        happening = _happening(kind, standing, by, changes=row["state"] == State.CHANGES)
        if happening is None:  # what waits for a new edition may do so for weeks
            self._put_off[domain, _gone_key(row)] = self._clock() + _AGAIN
            return
        async with transaction(self._pool) as conn:
            await self._desk.lock(conn, [row["id"]])
            stored = await self._desk.stored(conn, row["id"])
            # Whatever has happened since has asked Exstream for something, so that what we saw may be our own doing.
            if stored.review.version == row["version"] and stored.step_state == row["step_state"]:
                if isinstance(happening, Cancelled):
                    await self._steps.give_up(conn, stored.review, why=happening.why)
                await self._desk.apply(conn, row["id"], happening)


async def _is_ours(conn: Connection, subject: Subject, words: str) -> bool:
    """Whether the last word about a resource's state is ours."""
    return any([_same_words(step["comment"], words) async for step in queries.ours(conn, **_place(subject))])


def _ours(asked: Sequence[Mapping[str, Any]], kind: SubjectKind, standing: Standing) -> str | None:
    """Who decided what Exstream shows, where another review of ours asked for it; else None."""
    for step in asked:
        if kind is SubjectKind.RESOURCE:
            did = _same_words(step["comment"], standing.why)
        else:
            did = step["state"] in {"doing", "done", "uncertain"} and (
                (step["verb"] == "release_step") == (standing.word in _RELEASED)
            )
        if did:
            return f"{step['actor']} (review {step['id']})"
    return None


def _gone_key(row: Mapping[str, Any]) -> str:
    return f"gone:{row['id']}:{row['version']}:{row['step_state']}"


def _place(subject: Subject) -> dict[str, str]:
    return {"domain": legible(subject.domain), "kind": subject.kind, "ref": legible(subject.ref)}


def _happening(kind: SubjectKind, standing: Standing, by: str | None, *, changes: bool) -> Happening | None:
    """What it means for a review that its subject waits no more; None: nothing, or nobody knows."""
    word, who = standing.word, by or standing.by
    why = standing.why or f"Exstream shows it as {word}"
    if word == "deleted":
        return Cancelled(who, "Exstream has it no more")
    if word == "APPROVED" or (word in _RELEASED and kind is SubjectKind.FLOW_STEP):
        return DecidedElsewhere(who, Verdict.APPROVE, why)
    if changes:
        return None  # that it waits no more is what was asked for
    if word in {"REJECTED", "canceled"}:
        return DecidedElsewhere(who, Verdict.REJECT, why)
    return Cancelled(who, f"{_LOST[word]}: {why}") if word in _LOST else None


def _same_words(ours: str | None, theirs: str) -> bool:
    """Whether Exstream's words are ours, also where it keeps fewer of them."""
    kept = " ".join(theirs.rstrip("…").split())
    return len(kept) >= _ENOUGH and " ".join((ours or "").split()).startswith(kept)
