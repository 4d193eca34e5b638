"""A delivery: our duty to get one communication to one recipient, and the ways it may move."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from millstream.communication.model import Road
from millstream.delivery.errors import IllegalTransition
from millstream.gmail.errors import Effect


class Disposition(StrEnum):
    """Where a delivery stands with us; what the world reported is another axis."""

    HELD = "held"  # stopped for a named reason, until a person acts
    QUEUED = "queued"  # may be taken by a lane, or is held by one that has made no draft yet
    DRAFTED = "drafted"  # its draft lies in the lane's mailbox, and no send of it is under way
    SENDING = "sending"  # a send may be under way
    ACCEPTED = "accepted"  # Gmail has it: the message id is the proof
    UNCERTAIN = "uncertain"  # the send was called and no evidence has settled it yet
    FAILED = "failed"  # it will not leave; the reason says why
    CANCELLED = "cancelled"  # its run was cancelled before it left


D = Disposition

TRANSITIONS: dict[Disposition, frozenset[Disposition]] = {
    D.HELD: frozenset({D.QUEUED, D.CANCELLED}),
    D.QUEUED: frozenset({D.QUEUED, D.DRAFTED, D.SENDING, D.HELD, D.FAILED, D.CANCELLED}),
    D.DRAFTED: frozenset({D.DRAFTED, D.SENDING, D.UNCERTAIN, D.ACCEPTED, D.QUEUED, D.HELD, D.FAILED, D.CANCELLED}),
    D.SENDING: frozenset({D.SENDING, D.ACCEPTED, D.UNCERTAIN, D.DRAFTED, D.QUEUED, D.HELD, D.FAILED}),
    D.UNCERTAIN: frozenset({D.UNCERTAIN, D.ACCEPTED, D.DRAFTED, D.QUEUED}),
    D.ACCEPTED: frozenset({D.QUEUED}),  # a limit notice takes an acceptance back: truth 2
    D.FAILED: frozenset({D.QUEUED}),  # by a person who mended the cause
    D.CANCELLED: frozenset(),
}

FINAL = frozenset({D.CANCELLED})

_RELAY = "relay:"


def lane_name(address: str, road: Road) -> str:
    """The name of a mailbox's lane on a road: a mailbox may have one on each (docs/decisions/0028)."""
    return _RELAY + address if road is Road.RELAY else address


def lane_address(name: str) -> str:
    """The address of a lane's mailbox."""
    return name.removeprefix(_RELAY)


def lane_road(name: str) -> Road:
    """The road of a lane."""
    return Road.RELAY if name.startswith(_RELAY) else Road.API


class Kind(StrEnum):
    """What an attempt tried."""

    DRAFT = "draft"
    SEND = "send"
    PROBE = "probe"  # looked for evidence of a send
    WITHDRAW = "withdraw"  # removed a draft so that another lane may carry the delivery
    RELEASE = "release"  # let go without a draft
    NOTICE = "notice"  # found Gmail's word that an accepted message was not sent


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with its evidence; append-only, and what budgets are counted from."""

    kind: Kind
    outcome: str
    """`ok`, or the reason in a word."""
    effect: Effect
    units: int = 0
    """Gmail quota units that it and the reads before it cost."""
    bytes: int = 0
    """Uploaded, as Gmail counts them."""
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One row of the ledger, as a value. Every method returns the delivery as it stands after the move."""

    id: int
    token: str
    run_id: int
    disposition: Disposition
    version: int
    due_at: datetime | None
    mailbox: str | None = None
    epoch: int | None = None
    reason: str | None = None
    detail: str | None = None
    draft_id: str | None = None
    thread_id: str | None = None
    message_id: str | None = None
    rfc822_id: str | None = None
    history_id: int | None = None
    tries: int = 0
    uncertain_since: datetime | None = None
    accepted_at: datetime | None = None
    only_road: Road | None = None
    repeats: int = 0
    """How often it was sent again after a lost reply of the relay."""

    def _move(self, to: Disposition, **changes: object) -> Delivery:
        if to not in TRANSITIONS[self.disposition]:
            raise IllegalTransition(f"delivery {self.token} is {self.disposition} and can not become {to}")
        return replace(self, disposition=to, version=self.version + 1, **changes)  # type: ignore[arg-type]  # checked by the schema

    def drafted(self, draft_id: str, thread_id: str, *, history_id: int | None, release: bool) -> Delivery:
        """Its draft exists. With `release` the send comes next, allowed by this row (docs/decisions/0003)."""
        to = D.SENDING if release else D.DRAFTED
        return self._move(to, draft_id=draft_id, thread_id=thread_id, history_id=history_id, reason=None, detail=None)

    def sending(self, *, history_id: int | None = None, rfc822_id: str | None = None) -> Delivery:
        """A send is about to be called; evidence of it will lie after `history_id`, or under our own `rfc822_id`."""
        return self._move(
            D.SENDING,
            history_id=history_id or self.history_id,
            rfc822_id=rfc822_id or self.rfc822_id,
            reason=None,
            detail=None,
        )

    def again(self, *, due_at: datetime) -> Delivery:
        """It may have been sent, and is sent again by the relay under the same Message-ID: its run says so."""
        if self.rfc822_id is None:
            raise IllegalTransition(f"delivery {self.token} has no Message-ID of ours to be sent again under")
        return self._move(
            D.QUEUED,
            due_at=due_at,
            reason=None,
            detail=None,
            mailbox=None,
            epoch=None,
            uncertain_since=None,
            only_road=Road.RELAY,
            repeats=self.repeats + 1,
            tries=0,
        )

    def accepted(
        self, message_id: str, thread_id: str | None, at: datetime, *, rfc822_id: str | None = None
    ) -> Delivery:
        """Gmail has it; `rfc822_id` is the Message-ID that the recipient sees, where it is known.

        The relay has neither thread nor message id: there `message_id` is our own Message-ID.
        """
        return self._move(
            D.ACCEPTED,
            message_id=message_id,
            thread_id=thread_id,
            rfc822_id=rfc822_id,
            accepted_at=at,
            uncertain_since=None,
            reason=None,
            detail=None,
            due_at=None,
        )

    def uncertain(self, *, since: datetime, due_at: datetime | None, reason: str, detail: str) -> Delivery:
        """The send was called and nothing proves or disproves it. Without `due_at` a person decides."""
        first = self.uncertain_since or since
        return self._move(
            D.UNCERTAIN, uncertain_since=first, due_at=due_at, reason=reason, detail=detail, tries=self.tries + 1
        )

    def kept(self, *, due_at: datetime, reason: str, detail: str) -> Delivery:
        """Surely not sent; the same lane tries again at `due_at`, with the draft it has or without one."""
        to = D.DRAFTED if self.draft_id else D.QUEUED
        return self._move(to, due_at=due_at, reason=reason, detail=detail, tries=self.tries + 1, uncertain_since=None)

    def waiting(self) -> Delivery:
        """The draft stays and no send is under way: its run is paused, or its lane is."""
        if self.draft_id is None:
            raise IllegalTransition(f"delivery {self.token} has no draft to wait with")
        return self._move(D.DRAFTED)

    def freed(self, *, due_at: datetime, reason: str | None = None, detail: str | None = None) -> Delivery:
        """This try surely did not send it, and there is no draft that we would send: any lane may take it.

        What may have been sent before keeps its Message-ID, and its road.
        """
        return self._move(
            D.QUEUED,
            due_at=due_at,
            reason=reason,
            detail=detail,
            mailbox=None,
            epoch=None,
            draft_id=None,
            thread_id=None,
            message_id=None,
            rfc822_id=self.rfc822_id if self.repeats else None,
            history_id=None,
            uncertain_since=None,
            accepted_at=None,
        )

    def held(self, reason: str, detail: str) -> Delivery:
        """Stopped until a person acts."""
        return self._stop(D.HELD, reason, detail)

    def failed(self, reason: str, detail: str) -> Delivery:
        """It will not leave."""
        return self._stop(D.FAILED, reason, detail)

    def cancelled(self) -> Delivery:
        """Its run was cancelled and nothing of it left."""
        when = "was sent again; it may have been sent before" if self.repeats else "left"
        return self._stop(D.CANCELLED, "run_cancelled", f"its run was cancelled before it {when}")

    def _stop(self, to: Disposition, reason: str, detail: str) -> Delivery:
        return self._move(
            to, reason=reason, detail=detail, due_at=None, mailbox=None, epoch=None, draft_id=None, thread_id=None
        )
