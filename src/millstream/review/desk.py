"""The only writer of reviews: what happens to one becomes durable with all that follows, in the caller's transaction.

The order of locks, for all that reviews touch. Each transaction takes those it needs in this order, and several of one
kind by number:

1. `run`, where a whole run is put to people; skipped where another process has it
2. `review`, all that the transaction will change (`lock`), with seats and mails behind it
3. `next_step` and then `hold_order` of a review
4. `hold`, each with its `communication`
5. `delivery`
6. `audit_head`: the first entry of a transaction locks the chain for everybody, and behind it nothing is waited for

An answer or an overruling takes 2, 3, 6; an order that is carried (`delivery.holds`) 3, 4, 5, 6; a letter that takes
another's place, and what is withdrawn (`gathering`), 2, 4, 5, 6. Only a hold that was put to nobody yet is taken before
the review that it opens, and only where nobody else has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

from millstream.drill import Drill
from millstream.review import store
from millstream.review.errors import UnknownPolicy, UnknownReview
from millstream.review.machine import start, step
from millstream.review.model import (
    Answered,
    Cancelled,
    Consequence,
    Content,
    Decided,
    DecidedElsewhere,
    Due,
    Happening,
    How,
    NewContent,
    Note,
    Overruled,
    Raise,
    Reassigned,
    Refusal,
    Review,
    State,
    Subject,
    Tell,
)
from millstream.review.moves import told_of
from millstream.review.options import Point
from millstream.review.people import People, stand_in_of
from millstream.review.policy import PolicyBook
from millstream.review.ports import Applied, Clock, Finish, StepBegun, Uncounted
from millstream.review.store import Change, Stored, dumps, legible, queries, sighting_of
from millstream.storage.pool import Connection

ACTOR = "reviews"
StepState = Literal["none", "due", "done", "refused", "unclear"]


def _now() -> datetime:
    return datetime.now(UTC)


class ReviewDesk:
    """Opens reviews and lets things happen to them.

    Args:
        book: the policies as they stand now; a running round keeps those it began with.
        people: who they name.
        finish: what follows from a decision.
        begun: whether it has begun.
        clock: what time it is.
        drill: for recovery drills: BEFORE_DECISION before anything of a decision is written, AFTER_DECISION when all of
            it is, and nothing is durable yet.
    """

    def __init__(
        self,
        book: PolicyBook,
        people: People,
        *,
        finish: Finish,
        begun: StepBegun,
        clock: Clock = _now,
        drill: Drill | None = None,
    ) -> None:
        self._book = book
        self._people = people
        self._finish = finish
        self._begun = begun
        self._clock = clock
        self._drill = drill or Drill(None, Point)

    @property
    def book(self) -> PolicyBook:
        """The policies as they stand now."""
        return self._book

    @property
    def people(self) -> People:
        """Who they name; without the delegations that were made by command."""
        return self._people

    def now(self) -> datetime:
        """What time it is here."""
        return self._clock()

    # What happens

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
        """Put a question to people; answers its number, or None where the same is open already.

        The same subject under other content is new content of the review that is open.

        Raises:
            UnknownPolicy: no policy has this name now.
        """
        wanted = self._book.policies.get(policy)
        if wanted is None:
            raise UnknownPolicy(f"no policy is called {policy!r}; `millstream review policy show` lists them")
        now, who = self._clock(), await self._panel(conn)
        settled = who.settled(wanted, subject)
        review, follows = start(settled, subject, content, who=who, author=author, now=now)
        values = {
            "policy": policy,
            "terms": dumps(store.terms_of(settled)),
            "kind": subject.kind,
            "domain": legible(subject.domain),
            "ref": legible(subject.ref),
            "name": legible(subject.name),
            "facts": dumps(subject.facts),
            "author": [legible(each) for each in review.author],
            "hash": content.hash,
            "origin": legible(origin),
            "now": now,
        }
        made = await queries.open_review(conn, **values)
        if made is None:
            return await self._open_again(conn, policy, subject, NewContent(content, tuple(author)))
        change = Change(None, replace(review, id=made["id"]), follows, settled)
        await store.write(conn, [change], now=now)
        await self._audit(conn, [change], actor=origin or ACTOR)
        return int(made["id"])

    async def apply(self, conn: Connection, review_id: int, happening: Happening) -> Applied:
        """Let something happen to a review: state, seats, mails, steps and audit in the caller's transaction.

        A message that has answered this review before changes nothing: a refusal `answered` with told["seen"].

        Raises:
            UnknownReview: no review has the number.
        """
        if await queries.lock_review(conn, id=review_id) is None:
            raise _unknown(review_id)
        [stored] = await store.read(conn, [review_id])
        sighting = sighting_of(happening.evidence) if isinstance(happening, Answered) else None
        if sighting is not None and await queries.seen(conn, id=review_id, sighting=sighting) is not None:
            return Applied(stored.review, Refusal("answered", {"seen": True, **told_of(stored.review)}))
        return await self._apply(conn, stored, happening, await self._panel(conn))

    async def apply_due(self, conn: Connection, most: int) -> int:
        """Do what comes by itself now, for so many reviews at most; answers how many. What others hold waits."""
        now = self._clock()
        ids = [row["id"] async for row in queries.lock_due(conn, now=now, most=most)]
        if not ids:
            return 0
        who = await self._panel(conn)
        changes = []
        for stored in await store.read(conn, ids):
            policy = stored.policy
            outcome = step(stored.review, Due(), policy, who=who, now=now)
            if not isinstance(outcome, Refusal):
                changes.append(Change(stored.review, outcome[0], outcome[1], policy))
        await self._write(conn, changes, actor=ACTOR, now=now)
        return len(ids)

    async def lock(self, conn: Connection, ids: Sequence[int]) -> None:
        """Lock reviews in order, before something happens to several of them in one transaction."""
        async for _ in queries.lock_reviews(conn, ids=list(ids)):
            pass

    async def about(self, conn: Connection, review_id: int, subject: Subject) -> None:
        """Let a question go on about the next edition of its subject; the caller holds its lock and brings the content.

        Raises:
            UnknownReview: no review has the number.
        """
        values = {"ref": legible(subject.ref), "name": legible(subject.name), "facts": dumps(subject.facts)}
        if await queries.set_subject(conn, id=review_id, **values) is None:
            raise _unknown(review_id)

    async def _apply(self, conn: Connection, stored: Stored, happening: Happening, who: People) -> Applied:
        review, now = stored.review, self._clock()
        policy, settled = stored.policy, False
        if isinstance(happening, NewContent) and happening.content.hash != review.content.hash:
            policy = who.settled(self._book.policies.get(review.policy, policy), review.subject)
            settled = True
        outcome = step(review, happening, policy, who=who, now=now)
        ended = review.decision is not None or review.state is State.CANCELLED
        again = isinstance(happening, Overruled) and ended and not isinstance(outcome, Refusal)
        if again and await self._begun(conn, review):
            told = {"state": review.state, "round": review.round, **told_of(review)}
            outcome = Refusal("decided" if review.decision is not None else "closed", told)
        if isinstance(outcome, Refusal):
            await self._refused(conn, review, happening, outcome)
            return Applied(review, outcome)
        after, follows = outcome
        if after is review:
            return Applied(review)
        overruled = happening if isinstance(happening, Overruled) else None
        change = Change(review, after, follows, policy, settled, overruled)
        [written] = await self._write(conn, [change], actor=_actor(happening), now=now)
        return Applied(written, None, tuple(follows))

    async def _write(self, conn: Connection, changes: Sequence[Change], *, actor: str, now: datetime) -> list[Review]:
        decided = [_decided(change.follows) for change in changes]
        if any(decided):
            self._drill.passes(Point.BEFORE_DECISION)
        written = await store.write(conn, changes, now=now)
        for review, decision, change in zip(written, decided, changes, strict=True):
            if decision is not None and decision.decision.how is not How.EXSTREAM:
                await self._finish(conn, review, decision.decision, change.policy)
        await self._audit(conn, changes, actor=actor)
        if any(decided):
            self._drill.passes(Point.AFTER_DECISION)
        return written

    async def _open_again(self, conn: Connection, policy: str, subject: Subject, new: NewContent) -> int | None:
        values = {"kind": subject.kind, "domain": legible(subject.domain), "ref": legible(subject.ref)}
        found = await queries.lock_subject(conn, policy=policy, **values)
        if found is None:  # it ended between two statements: whoever watches the subject comes again
            return None
        [stored] = await store.read(conn, [found["id"]])
        applied = await self._apply(conn, stored, new, await self._panel(conn))
        return None if applied.review.round == stored.review.round else int(found["id"])

    # What is said beside

    async def note_uncounted(self, conn: Connection, review_id: int, said: Uncounted) -> bool:
        """Keep what somebody said that does not count; False where this very message was kept before."""
        return await self._note_uncounted(conn, review_id, said, round_of=None)

    async def tell(
        self, conn: Connection, review_id: int, *, address: str, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Put a mail to a seat's person into the outbox: `question`, or `tell` with a word in facts["what"]."""
        values = {
            "id": review_id,
            "address": legible(address.strip().lower()),
            "kind": kind,
            "facts": dumps(dict(facts)),
        }
        await queries.put_mail(conn, **values)
        about = {"address": values["address"], "what": facts.get("what", ""), "why": facts.get("why", "")}
        entry = _entry("told" if kind == "tell" else kind, review_id, about, actor=ACTOR)
        await queries.audit(conn, entries=dumps([entry]))

    async def lose_word(self, conn: Connection, review_id: int, *, address: str, kind: str, why: str) -> None:
        """Note that a mail that asks nothing did not reach its reader, and raise `review.undeliverable`.

        Raises:
            UnknownReview: no review has the number.
        """
        review = await self.find(conn, review_id)
        facts = {"address": legible(address), "mail": kind, "round": review.round, "error": legible(why)}
        action = f"tell them another way; what it was about stands in `millstream review show {review_id}`"
        row = store.event_row(review, Raise("undeliverable", {**facts, "action": action}))
        await queries.raise_event(conn, kind=row["kind"], subject=row["subject"], payload=dumps(row["payload"]))
        await queries.audit(conn, entries=dumps([_entry("undeliverable", review_id, facts, actor=ACTOR)]))

    async def note_step(
        self, conn: Connection, review_id: int, state: StepState, facts: Mapping[str, Any], *, actor: str = ACTOR
    ) -> None:
        """Note how far the step of a decision has come, as `review.step_<state>` in the audit chain.

        Raises:
            UnknownReview: no review has the number.
        """
        row = await queries.set_step_state(conn, id=review_id, state=state)
        if row is None:
            raise _unknown(review_id)
        entry = _entry(f"step_{state}", review_id, {"round": row["round"], **facts}, actor=actor)
        await queries.audit(conn, entries=dumps([entry]))

    async def _refused(self, conn: Connection, review: Review, happening: Happening, refusal: Refusal) -> None:
        assert review.id is not None  # noqa: S101  it came out of the store
        if isinstance(happening, Answered):
            said = Uncounted(
                address=self._canonical(happening.address),
                why=refusal.why,
                words=happening.text,
                how=happening.how,
                verdict=happening.verdict,
                evidence=happening.evidence,
                sighting=sighting_of(happening.evidence),
            )
            await self._note_uncounted(conn, review.id, said, round_of=happening.round)
        elif isinstance(happening, Reassigned | Overruled | Cancelled):
            about = {"what": type(happening).__name__.lower(), "by": happening.by, "why": refusal.why}
            entry = _entry("not_counted", review.id, {**about, **refusal.told}, actor=happening.by)
            await queries.audit(conn, entries=dumps([entry]))

    async def _note_uncounted(self, conn: Connection, review_id: int, said: Uncounted, *, round_of: int | None) -> bool:
        address = legible(said.address.strip().lower())
        values = {
            "id": review_id,
            "round": round_of,
            "address": address,
            "verdict": said.verdict,
            "words": legible(said.words),
            "how": said.how,
            "why": said.why,
            "evidence": dumps(dict(said.evidence)),
            "sighting": said.sighting,
            "now": self._clock(),
        }
        if await queries.note_uncounted(conn, **values) is None:
            return False
        spoken = {"address": address, "how": said.how, "verdict": said.verdict, "why": said.why, "round": round_of}
        entry = _entry("not_counted", review_id, {**said.evidence, **spoken}, actor=address or ACTOR)
        await queries.audit(conn, entries=dumps([entry]))
        return True

    # What stands

    async def find(self, conn: Connection, review_id: int) -> Review:
        """A review as it stands.

        Raises:
            UnknownReview: no review has the number.
        """
        return (await self.stored(conn, review_id)).review

    async def stored(self, conn: Connection, review_id: int) -> Stored:
        """A review with the policy of its round, and how far its step is.

        Raises:
            UnknownReview: no review has the number.
        """
        found = await store.read(conn, [review_id])
        if not found:
            raise _unknown(review_id)
        return found[0]

    async def _panel(self, conn: Connection) -> People:
        rows = [row async for row in queries.delegations_now(conn, now=self._clock())]
        return self._people.with_made([stand_in_of(row) for row in rows])

    def _canonical(self, address: str) -> str:
        person = self._people.person(address)
        return person.address if person else address.strip().lower()

    async def _audit(self, conn: Connection, changes: Sequence[Change], *, actor: str) -> None:
        entries = [entry for change in changes for entry in _entries(change, actor)]
        await queries.audit(conn, entries=dumps(entries))


def _entries(change: Change, actor: str) -> list[dict[str, str]]:
    number = change.after.id
    found = [_entry(note.kind, number, note.facts, actor=actor) for note in change.follows if isinstance(note, Note)]
    told: dict[str, list[str]] = {}
    for each in change.follows:
        if isinstance(each, Tell):
            told.setdefault(each.what, []).append(each.seat.address)
    return found + [_entry("told", number, {"what": what, "people": who}, actor=actor) for what, who in told.items()]


def _entry(kind: str, review_id: int | None, facts: Mapping[str, Any], *, actor: str) -> dict[str, str]:
    payload = dumps({name: value for name, value in facts.items() if value not in (None, "")})
    return {"actor": actor, "kind": f"review.{kind}", "subject": f"review:{review_id}", "payload": payload}


def _actor(happening: Happening) -> str:
    match happening:
        case Answered(address=by) | Reassigned(by=by) | Overruled(by=by) | Cancelled(by=by) | DecidedElsewhere(by=by):
            return by or ACTOR
        case _:
            return ACTOR


def _decided(follows: Sequence[Consequence]) -> Decided | None:
    return next((each for each in follows if isinstance(each, Decided)), None)


def _unknown(number: int) -> UnknownReview:
    return UnknownReview(f"there is no review {number}; `millstream review list` shows those there are")
