"""What follows from a decision: wishes for Exstream, orders for held deliveries, and what comes back of them.

Both are rows, written in the transaction that makes the decision true: if Exstream is down the decision stands and the
step follows. What Exstream refuses is told to whoever decided, in their thread, and to other rooms as an event.

| subject | approve | reject | change |
|---|---|---|---|
| communication, case, run | release what is held | cancel it | it stays held and waits for what takes its place |
| flow step | release it | stop it, or what the policy says | the correction job that the policy names, else stop it |
| resource | APPROVED | REJECTED | DRAFT, or REJECTED by the policy, with the wish in the audited comment |
| case of an event | what the policy names | what the policy names | what the policy names |

Where several policies concern one flow step or resource, it passes when the last of them has let it pass. In a domain
that approves in levels, APPROVED is asked for once for each level that is left.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any, Final, Protocol

import aiosql

from millstream.review.errors import UnknownReview
from millstream.review.model import HELD, Decision, Review, Seat, SeatState, State, SubjectKind, Verdict
from millstream.review.policy import Policy
from millstream.review.store import dumps, legible
from millstream.review.wishes import StepWish, prefix_of, who_of, wishes_of
from millstream.storage.pool import Connection

queries = aiosql.from_path(Path(__file__).with_name("steps.sql"), "apsycopg", mandatory_parameters=False)

_SUBJECT: Final = "review:"
_LONGEST_REASON: Final = 120
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_TROUBLES: Final = {"step.failed": "refused", "step.unclear": "unclear"}
_IN_EXSTREAM = frozenset({SubjectKind.FLOW_STEP, SubjectKind.RESOURCE})
_ACTIONS = {Verdict.APPROVE: "release", Verdict.REJECT: "cancel"}
_ADVICE = {
    "release_step": "Look at the flow step in Exstream, then `millstream step retry {step}`",
    "stop_step": "Look at the flow step in Exstream, then `millstream step retry {step}`",
    "set_state": "Free the resource in Exstream (who has it locked, which children are not approved, in which state it "
    "is), then `millstream step retry {step}`",
}
_USUAL_ADVICE = "Mend the cause in Exstream, then `millstream step retry {step}`"


Ask = Callable[[Connection, StepWish], Awaitable[int | None]]
"""Writes a wish down in the caller's transaction; None where its key was asked before."""


class Kept(Protocol):
    """A review as the store has it (`review.store.Stored`)."""

    @property
    def review(self) -> Review: ...  # noqa: D102  named by the class

    @property
    def policy(self) -> Policy: ...  # noqa: D102  named by the class


class Noted(Protocol):
    """The part of the desk that steps need."""

    async def note_step(self, conn: Connection, review_id: int, state: Any, facts: Mapping[str, Any], /) -> None:
        """Note how far the step of a decision has come."""

    async def lock(self, conn: Connection, ids: Sequence[int], /) -> None:
        """Lock reviews before anything of them is written."""

    async def stored(self, conn: Connection, review_id: int, /) -> Kept:
        """A review as it stands, with the policy of its round. Raises UnknownReview."""

    async def tell(
        self, conn: Connection, review_id: int, *, address: str, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Put a mail to a seat's person into the outbox."""


class StepEvent(Protocol):
    """An event as `work` hands it out."""

    @property
    def kind(self) -> str:
        """What happened, as step.done."""

    @property
    def subject(self) -> str:
        """`review:<id>`, where it is one of ours."""

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the room of next steps wrote: step, key, verb, domain, target, reason, result."""


Listener = Callable[[Connection, StepEvent], Awaitable[None]]


class Steps:
    """Writes down what follows, and answers what comes of it. `desk` is given once it is there (`attach`)."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._desk: Noted | None = None

    def attach(self, desk: Noted) -> None:
        """The desk that this works for; the desk needs `finish` before it can be made."""
        self._desk = desk

    @property
    def desk(self) -> Noted:
        """The desk."""
        if self._desk is None:
            raise RuntimeError("Steps has no desk: call attach first")
        return self._desk

    # What a decision asks for

    async def finish(self, conn: Connection, review: Review, decision: Decision, policy: Policy) -> None:
        """Write the wishes for Exstream and the orders for held deliveries."""
        assert review.id is not None  # noqa: S101  it came out of the store
        waits_for = await self._other_gates(conn, review, decision)
        wishes = () if waits_for else wishes_of(review, decision, policy)
        for wish in wishes:
            await self._ask(conn, wish)
        if wishes and decision.verdict is Verdict.APPROVE and review.subject.kind in _IN_EXSTREAM:
            await self._pass(conn, await self._gates(conn, review, "waiting"))
        ordered = await self._order(conn, review, decision)
        if not wishes and not ordered:
            await self.desk.note_step(conn, review.id, "none", {"waits_for": waits_for} if waits_for else {})
        if "overrules" in decision.evidence:
            await self._take_back(conn, review.id, int(decision.evidence["overrules"]), by=decision.by)

    async def _other_gates(self, conn: Connection, review: Review, decision: Decision) -> list[int]:
        """Reviews of the same thing by other policies that keep it from passing."""
        if decision.verdict is not Verdict.APPROVE or review.subject.kind not in _IN_EXSTREAM:
            return []
        found = await self._gates(conn, review, "shut")
        if found:
            subject = review.subject
            await queries.lock_gate(conn, kind=subject.kind, domain=subject.domain, ref=subject.ref)
            found = await self._gates(conn, review, "shut")
        return found

    async def _gates(self, conn: Connection, review: Review, how: str) -> list[int]:
        rows = [row async for row in queries.gates(conn, id=review.id)]
        return [row["id"] for row in rows if row[how] and row["id"] != review.id]

    async def _pass(self, conn: Connection, ids: Sequence[int], *, whole: int | None = None) -> None:
        """Ask for what reviews that waited for others want beside the release; `whole` is the one that asks for it."""
        await self.desk.lock(conn, ids)
        for each in ids:
            stored = await self.desk.stored(conn, each)
            if stored.review.decision is None or stored.review.state is not State.APPROVED:
                continue
            named_only = each != whole
            wishes = wishes_of(stored.review, stored.review.decision, stored.policy, named_only=named_only)
            for wish in wishes:
                await self._ask(conn, wish)
            if wishes:
                await self.desk.note_step(conn, each, "due", {})

    async def begun(self, conn: Connection, review: Review) -> bool:
        """Whether anything of what the decision asked for has begun; locked, so that it begins not meanwhile.

        Of a review that was taken back: whether all that it held is settled otherwise.
        """
        if review.state is State.CANCELLED:
            return not [row async for row in queries.lock_held(conn, id=review.id)]
        steps = [row async for row in queries.lock_steps(conn, subject=f"{_SUBJECT}{review.id}", key=prefix_of(review))]
        orders = [row async for row in queries.lock_orders(conn, id=review.id, round=review.round)]
        return any(row["state"] not in {"due", "cancelled"} or row["held"] for row in steps) or any(
            row["begun_at"] or row["done_at"] for row in orders
        )

    async def _order(self, conn: Connection, review: Review, decision: Decision) -> bool:
        action = _ACTIONS.get(decision.verdict)
        if review.subject.kind not in HELD or action is None:
            return False
        detail = f"review {review.id}: {who_of(review, decision)}"
        if decision.text:
            # It goes into each delivery and its record, and a run has many; the whole of it stands with the decision.
            detail = f"{detail}: {shorten(decision.text, _LONGEST_REASON, placeholder=' …')}"
        row = await queries.order(
            conn, id=review.id, round=decision.round, action=action, detail=legible(detail), actor=decision.by
        )
        return row is not None

    async def _take_back(self, conn: Connection, review_id: int, number: int, *, by: str) -> None:
        await self._cancel(conn, review_id, number, by=by, why=f"overruled by {by}", states=("due",))
        await queries.take_back_orders(conn, id=review_id, round=number)

    async def _cancel(
        self, conn: Connection, review_id: int, number: int, *, by: str, why: str, states: Sequence[str]
    ) -> None:
        values = {"subject": f"{_SUBJECT}{review_id}", "key": f"review:{review_id}:{number}:", "actor": by}
        await queries.take_back_steps(conn, **values, why=why, states=list(states))

    async def withdraw(self, conn: Connection, review: Review, *, why: str) -> bool:
        """Ask no more for what an approval asked for, because what was approved is not what is there now.

        Answers False where it has begun. The caller holds the review's lock.
        """
        assert review.id is not None  # noqa: S101  it came out of the store
        rows = queries.lock_steps(conn, subject=f"{_SUBJECT}{review.id}", key=prefix_of(review))
        steps = [row async for row in rows]
        if any(row["state"] not in {"due", "failed", "cancelled"} or row["held"] for row in steps):
            return False
        if any(row["state"] in {"due", "failed"} for row in steps):
            action = "Nothing: what is there now is put to its people as a question of its own"
            await self._refused(conn, review, "refused", {"error": why, "action": action})
            await self._cancel(conn, review.id, review.round, by="exstream", why=why, states=("due", "failed"))
        return True

    async def give_up(self, conn: Connection, review: Review, *, why: str) -> None:
        """What has let a thing pass, and waits for this review, waits in vain: the thing is not there any more.

        The caller holds this review's lock, and has written nothing.
        """
        waiting = await self._gates(conn, review, "waiting")
        await self.desk.lock(conn, waiting)
        for each in waiting:
            stored = await self.desk.stored(conn, each)
            action = "Nothing: it is put to people again when it is handed in again"
            await self._refused(conn, stored.review, "refused", {"error": why, "action": action})

    # What comes of it

    def listeners(self) -> dict[str, Listener]:
        """Kind of event to who answers it, for `work.events.Events`."""
        return {
            "step.done": self._moved,
            "step.failed": self._moved,
            "step.unclear": self._moved,
            "delivery.released": self._moved,
            "review.cancelled": self._gate_gone,
        }

    async def _moved(self, conn: Connection, event: StepEvent) -> None:
        """Something that was asked for is done, refused or unclear: all of the round counts together."""
        review = await self._review_of(conn, event)
        if review is None or review.id is None:
            return
        facts = _facts(event)
        if event.kind != "delivery.released" and not str(facts.get("key", "")).startswith(prefix_of(review)):
            return  # of a round that is over, or asked for by a person: nobody waits for it
        if event.kind == "delivery.released" and event.payload.get("round") not in {None, review.round}:
            return
        if event.kind in _TROUBLES:
            state = _TROUBLES[event.kind]
            await self._refused(conn, review, state, {**facts, **_trouble(event, state, facts)})
            return
        before = await queries.step_state(conn, id=review.id)
        asked = {"id": review.id, "round": review.round, "subject": f"{_SUBJECT}{review.id}", "key": prefix_of(review)}
        standing = await queries.standing(conn, **asked)
        if any(standing.values()):
            return  # more of it is to come, or was refused and told
        await self.desk.note_step(conn, review.id, "done", facts)
        if before["step_state"] in {"refused", "unclear"}:
            await self._tell(conn, review, {"what": "done", **facts})

    async def _refused(self, conn: Connection, review: Review, state: str, facts: Mapping[str, Any]) -> None:
        """Note it, tell whoever decided, and raise it for other rooms. The caller holds the review's lock."""
        assert review.id is not None  # noqa: S101  it came out of the store
        about = {
            "review": review.id,
            "policy": review.policy,
            "name": review.subject.name,
            "domain": review.subject.domain,
            "customer": review.content.facts.get("customer", ""),
            "type": review.content.facts.get("type", ""),
            **{name: facts.get(name) for name in ("error", "action", "step", "verb")},
        }
        kind = "review.step_refused" if state == "refused" else "review.step_unclear"
        await queries.raise_event(conn, kind=kind, subject=f"{_SUBJECT}{review.id}", payload=dumps(about))
        await self.desk.note_step(conn, review.id, state, facts)
        await self._tell(conn, review, {"what": state, **facts})

    async def _gate_gone(self, conn: Connection, event: StepEvent) -> None:
        """A review was taken back: what others have let pass, and waited for it alone, passes now."""
        review = await self._review_of(conn, event)
        if review is None or review.id is None or review.subject.kind not in _IN_EXSTREAM:
            return
        waiting = await self._gates(conn, review, "waiting")
        if waiting and not await self._gates(conn, review, "shut") and not await self._gates(conn, review, "asked"):
            await self._pass(conn, waiting, whole=max(waiting))

    async def _review_of(self, conn: Connection, event: StepEvent) -> Review | None:
        """The review that an event is about, locked; None where it is about none."""
        number = event.subject.removeprefix(_SUBJECT)
        if not event.subject.startswith(_SUBJECT) or not _NUMBER.fullmatch(number):
            return None
        await self.desk.lock(conn, [int(number)])
        try:
            return (await self.desk.stored(conn, int(number))).review
        except UnknownReview:
            return None

    async def _tell(self, conn: Connection, review: Review, facts: Mapping[str, Any]) -> None:
        """Tell whoever decided; where nobody who was asked did, those who answered, else all who were asked."""
        assert review.id is not None  # noqa: S101  it came out of the store
        by = review.decision.by if review.decision else ""
        for address in _audience(review.seats, by):
            await self.desk.tell(conn, review.id, address=address, kind="tell", facts=facts)


def _audience(seats: Sequence[Seat], by: str) -> list[str]:
    if any(seat.address == by for seat in seats):
        return [by]
    last = max((seat.round for seat in seats), default=0)
    asked = [seat for seat in seats if seat.round == last]
    answered = [seat for seat in asked if seat.state is SeatState.ANSWERED]
    return list(dict.fromkeys(seat.address for seat in answered or asked))


def _facts(event: StepEvent) -> dict[str, Any]:
    names = ("step", "key", "verb", "domain", "target", "reason", "action", "moved", "round")
    return {name: event.payload[name] for name in names if event.payload.get(name) not in (None, "")}


def _trouble(event: StepEvent, state: str, facts: Mapping[str, Any]) -> dict[str, str]:
    """What went wrong, in Exstream's words, and what to do about it."""
    error, number = str(facts.get("reason") or "it gave no reason"), facts.get("step", "")
    if by := event.payload.get("by"):
        return {"error": f"{by} ended the step: {error}", "action": f"Ask {by}; the decision stands"}
    if state == "unclear":
        return {
            "error": error,
            "action": f"Look in Exstream whether it happened, then `millstream step settle {number}`",
        }
    advice = _ADVICE.get(str(facts.get("verb", "")), _USUAL_ADVICE)
    return {"error": error, "action": advice.format(step=number)}
