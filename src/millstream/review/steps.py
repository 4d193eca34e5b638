"""What follows from a decision: wishes for Exstream, orders for held deliveries, and what comes back of them.

Both are rows, written in the transaction that makes the decision true: if Exstream is down the decision stands and the
step follows. What Exstream refuses is told to whoever decided, in their thread, and to other rooms as an event.

| subject | approve | reject | change |
|---|---|---|---|
| communication, case, run | release what is held | cancel it | it stays held and waits for what takes its place |
| flow step | release it | stop it, or what the policy says | the correction job that the policy names, else stop it |
| resource | APPROVED | REJECTED | DRAFT, or REJECTED by the policy, with the wish in the audited comment |
| case of an event | what the policy names | what the policy names | what the policy names |
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import aiosql

from millstream.review.model import Decision, How, Review, SeatState, SubjectKind, Verdict
from millstream.review.policy import Policy, StepAsked
from millstream.review.store import dumps, legible
from millstream.storage.pool import Connection

queries = aiosql.from_path(Path(__file__).with_name("steps.sql"), "apsycopg", mandatory_parameters=False)

MOST_COMMENT: Final = 500
"""How long an audited comment may be is told nowhere; as `nextstep.resources` has it."""
_SUBJECT: Final = "review:"
_LONGEST_NAME: Final = 120
_HELD = frozenset({SubjectKind.COMMUNICATION, SubjectKind.RUN, SubjectKind.CASE})
_WORDS = {Verdict.APPROVE: "Approved", Verdict.REJECT: "Rejected", Verdict.CHANGE: "Changes asked"}
_STATES = {Verdict.APPROVE: "APPROVED", Verdict.REJECT: "REJECTED"}
_ACTIONS = {Verdict.APPROVE: "release", Verdict.REJECT: "cancel"}
_ADVICE = {
    "release_step": "Look at the flow step in Exstream, then `millstream step retry {step}`",
    "stop_step": "Look at the flow step in Exstream, then `millstream step retry {step}`",
    "set_state": "Free the resource in Exstream (who has it locked, which children are not approved, in which state it "
    "is), then `millstream step retry {step}`",
}
_USUAL_ADVICE = "Mend the cause in Exstream, then `millstream step retry {step}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWish:
    """What Exstream is to do, as the room of next steps takes it (`nextstep.model.Wish`)."""

    key: str
    verb: str
    target: str
    subject: str
    actor: str
    domain: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


Ask = Callable[[Connection, StepWish], Awaitable[int | None]]
"""Writes a wish down in the caller's transaction; None where its key was asked before."""


class Noted(Protocol):
    """The part of the desk that steps need."""

    async def note_step(self, conn: Connection, review_id: int, state: Any, facts: Mapping[str, Any], /) -> None:
        """Note how far the step of a decision has come."""

    async def find(self, conn: Connection, review_id: int) -> Review:
        """A review as it stands."""

    async def tell(
        self, conn: Connection, review_id: int, *, address: str, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Put a mail to a seat's person into the outbox."""


class StepEvent(Protocol):
    """An event as `work` hands it out."""

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
        wishes = wishes_of(review, decision, policy)
        for wish in wishes:
            await self._ask(conn, wish)
        ordered = await self._order(conn, review, decision)
        if not wishes and not ordered:
            await self.desk.note_step(conn, review.id, "none", {})
        if "overrules" in decision.evidence:
            await self._take_back(conn, review.id, int(decision.evidence["overrules"]), by=decision.by)

    async def begun(self, conn: Connection, review: Review) -> bool:
        """Whether anything of what the decision asked for has begun; locked, so that it begins not meanwhile."""
        steps = [row async for row in queries.lock_steps(conn, subject=f"{_SUBJECT}{review.id}", key=_prefix(review))]
        orders = [row async for row in queries.lock_orders(conn, id=review.id, round=review.round)]
        return any(row["state"] not in {"due", "cancelled"} or row["held"] for row in steps) or any(
            row["moved"] or row["done_at"] for row in orders
        )

    async def _order(self, conn: Connection, review: Review, decision: Decision) -> bool:
        action = _ACTIONS.get(decision.verdict)
        if review.subject.kind not in _HELD or action is None:
            return False
        detail = f"review {review.id}: {_who(review, decision)}"
        if decision.text:
            detail = f"{detail}: {decision.text}"
        row = await queries.order(
            conn, id=review.id, round=decision.round, action=action, detail=legible(detail), actor=decision.by
        )
        return row is not None

    async def _take_back(self, conn: Connection, review_id: int, number: int, *, by: str) -> None:
        values = {"subject": f"{_SUBJECT}{review_id}", "key": f"review:{review_id}:{number}:%", "actor": by}
        await queries.take_back_steps(conn, **values, why=f"overruled by {by}")
        await queries.take_back_orders(conn, id=review_id, round=number)

    # What comes of it

    def listeners(self) -> dict[str, Listener]:
        """Kind of event to who answers it, for `work.events.Events`."""
        return {
            "step.done": self._done,
            "step.failed": self._failed,
            "step.unclear": self._unclear,
            "delivery.released": self._released,
        }

    async def _done(self, conn: Connection, event: StepEvent) -> None:
        number = _review_of(event)
        if number is None:
            return
        review = await self.desk.find(conn, number)
        before = await queries.step_state(conn, id=number)
        facts = _facts(event)
        await self.desk.note_step(conn, number, "done", facts)
        if before is not None and before["step_state"] in {"refused", "unclear"}:
            await self._tell(conn, review, {"what": "done", **facts})

    async def _failed(self, conn: Connection, event: StepEvent) -> None:
        await self._trouble(conn, event, "refused")

    async def _unclear(self, conn: Connection, event: StepEvent) -> None:
        await self._trouble(conn, event, "unclear")

    async def _trouble(self, conn: Connection, event: StepEvent, state: str) -> None:
        number = _review_of(event)
        if number is None:
            return
        review = await self.desk.find(conn, number)
        facts = _facts(event)
        if not str(facts.get("key", "")).startswith(_prefix(review)):
            return  # of a round that was overruled: nobody waits for it
        verb = str(facts.get("verb", ""))
        advice = _ADVICE.get(verb, _USUAL_ADVICE).format(step=facts.get("step", ""))
        if state == "unclear":
            advice = f"Look in Exstream whether it happened, then `millstream step settle {facts.get('step', '')}`"
        error = str(facts.get("reason") or "it gave no reason")
        await self._tell(conn, review, {"what": state, "error": error, "action": advice, **facts})
        await queries.raise_event(
            conn,
            kind="review.step_refused" if state == "refused" else "review.step_unclear",
            subject=f"{_SUBJECT}{number}",
            payload=dumps(
                {
                    "review": number,
                    "policy": review.policy,
                    "name": review.subject.name,
                    "domain": review.subject.domain,
                    "customer": review.content.facts.get("customer", ""),
                    "type": review.content.facts.get("type", ""),
                    "error": error,
                    "action": advice,
                    "step": facts.get("step"),
                    "verb": verb,
                }
            ),
        )
        await self.desk.note_step(conn, number, state, facts)

    async def _released(self, conn: Connection, event: StepEvent) -> None:
        number = _review_of(event)
        if number is None:
            return
        names = ("action", "moved", "round")
        facts = {name: event.payload[name] for name in names if name in event.payload}
        await self.desk.note_step(conn, number, "done", facts)

    async def _tell(self, conn: Connection, review: Review, facts: Mapping[str, Any]) -> None:
        """Tell whoever decided; where nobody of the seats did, those who approved on the way."""
        assert review.id is not None  # noqa: S101  it came out of the store
        by = review.decision.by if review.decision else ""
        answered = [seat for seat in review.seats if seat.round == review.round and seat.state is SeatState.ANSWERED]
        for seat in [each for each in answered if each.address == by] or answered:
            await self.desk.tell(conn, review.id, address=seat.address, kind="tell", facts=facts)


def wishes_of(review: Review, decision: Decision, policy: Policy) -> tuple[StepWish, ...]:
    """What Exstream is asked for; nothing where only deliveries are concerned."""
    usual = _usual(review, decision, policy)
    named = {
        Verdict.APPROVE: policy.steps.on_approve,
        Verdict.REJECT: policy.steps.on_reject,
        Verdict.CHANGE: policy.steps.on_change,
    }[decision.verdict]
    found = [usual] if usual is not None else []
    if named is not None:
        beside = decision.verdict is Verdict.APPROVE or review.subject.kind is SubjectKind.RESOURCE
        found = [*(found if beside else []), _named(review, decision, named, number=2 if beside and found else 1)]
    return tuple(found)


def comment_of(review: Review, decision: Decision) -> str:
    """The audited comment: who decided what, when, by which mail, on which content; the words are cut, never that."""
    message = decision.evidence.get("message_id")
    how = {
        How.MAIL: f"by mail; Gmail message {message}" if message else "by mail",
        How.PAGE: "by page",
        How.ONE_CLICK: "by one click",
        How.COMMAND: f"by command of {decision.evidence.get('actor', 'an operator')}",
        How.POLICY: "by the policy, because the deadline passed",
        How.EXSTREAM: "in Exstream",
    }[decision.how]
    signed = decision.evidence.get("signed_in")
    if signed:
        how = f"{how}, signed in as {signed}"
    head = f"{_who(review, decision)} {how}; content {decision.hash}; review {review.id} round {decision.round}"
    text = f"{head}: {' '.join(decision.text.split())}" if decision.text else head
    return text if len(text) <= MOST_COMMENT else f"{text[: MOST_COMMENT - 1]}…"


def _usual(review: Review, decision: Decision, policy: Policy) -> StepWish | None:
    subject, verdict = review.subject, decision.verdict
    if subject.kind is SubjectKind.RESOURCE:
        state = _STATES.get(verdict, policy.steps.change_state)
        return _wish(
            review, decision, "set_state", subject.ref, {"state": state, "comment": comment_of(review, decision)}
        )
    if subject.kind is SubjectKind.FLOW_STEP:
        verb = "release_step" if verdict is Verdict.APPROVE else "stop_step"
        return _wish(review, decision, verb, subject.ref, {})
    return None


def _named(review: Review, decision: Decision, asked: StepAsked, *, number: int) -> StepWish:
    facts = review.subject.facts
    places = {
        "stop_step": review.subject.ref,
        "stop_flow": facts.get("flow", ""),
        "stop_job": facts.get("job", ""),
        "reprocess": facts.get("job", ""),
        "trigger": facts.get("channel", ""),
    }
    arguments = dict(asked.arguments)
    if asked.verb in {"trigger", "generate", "drop_file"}:
        correction = {
            "review": review.id,
            "round": decision.round,
            "verdict": decision.verdict,
            "wish": decision.text,
            "by": decision.by,
            "subject": {"kind": review.subject.kind, "ref": review.subject.ref, "name": review.subject.name, **facts},
        }
        arguments.setdefault("driver", dumps(correction))
    return _wish(review, decision, asked.verb, asked.target or places.get(asked.verb, ""), arguments, number=number)


def _wish(
    review: Review, decision: Decision, verb: str, target: str, arguments: Mapping[str, Any], *, number: int = 1
) -> StepWish:
    return StepWish(
        key=f"review:{review.id}:{decision.round}:{number}",
        verb=verb,
        target=target,
        subject=f"{_SUBJECT}{review.id}",
        actor=decision.by,
        domain=review.subject.domain,
        arguments=arguments,
    )


def _prefix(review: Review) -> str:
    return f"review:{review.id}:{review.round}:"


def _who(review: Review, decision: Decision) -> str:
    name = next((seat.name for seat in review.seats if seat.address == decision.by and seat.name), "")
    person = f"{name[:_LONGEST_NAME]} <{decision.by}>" if name else decision.by
    return f"{_WORDS[decision.verdict]} by {person} at {decision.at:%Y-%m-%dT%H:%M:%SZ}"


def _review_of(event: StepEvent) -> int | None:
    number = event.subject.removeprefix(_SUBJECT)
    return int(number) if event.subject.startswith(_SUBJECT) and number.isdigit() else None


def _facts(event: StepEvent) -> dict[str, Any]:
    names = ("step", "key", "verb", "domain", "target", "reason")
    return {name: event.payload[name] for name in names if event.payload.get(name) not in (None, "")}
