"""One delivery's way through a lane of the relay: hand over, make it durable, send the dot, make it durable.

The dot is the send. Until the row `sending` is written nothing can have been sent, whoever dies; after it, only a
reply, or evidence, or the run's policy says what becomes of the delivery (docs/decisions/0029).
"""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime

from millstream.communication.model import RunState
from millstream.delivery.carry import Carrier
from millstream.delivery.errors import LaneResting
from millstream.delivery.model import Attempt, Delivery, Disposition, Kind
from millstream.delivery.options import Point
from millstream.delivery.organisation import Setbacks
from millstream.delivery.parcel import Parcel
from millstream.delivery.policy import Lane, Next, Verdict
from millstream.delivery.relay_meter import RelayMeter
from millstream.delivery.relay_policy import REPLY_LOST, Again, Hold, judge_relay, unclear_next
from millstream.delivery.transport import Sent, bare_id, find_sent
from millstream.gmail.errors import Effect, GmailError
from millstream.gmail.relay import Envelope, Relay, RelayError, Slip, Taken
from millstream.gmail.relay.errors import RelayRateLimited
from millstream.log import get_logger
from millstream.mime.message_id import message_id
from millstream.storage.errors import DocumentStoreError

log = get_logger(__name__)


class RelayCarrier(Carrier):
    """Carries deliveries for one holding of a relay's lane."""

    async def _start(self, parcel: Parcel) -> None:
        lane = self._lane
        raw = await self._write(parcel)
        if raw is None or not await self._fits(parcel, raw):
            return
        try:
            kept = await self._kept(parcel, raw)
            async with lane.tools.slots or nullcontext():
                await self._hand_over(parcel, raw, kept)
        except DocumentStoreError as error:
            await self._store_away(parcel, error)
        except LaneResting as rest:
            lane.meter.rest(rest.until)
            raise

    def _message_id(self, parcel: Parcel) -> str:
        """The same at every try: whoever has it already can drop the second."""
        known = parcel.delivery.rfc822_id
        if known is not None:
            return f"<{known}>"
        own = self._lane.options.sender.address or self._lane.address
        return message_id(parcel.delivery.token, own.rpartition("@")[2])

    @property
    def _relay(self) -> Relay:
        relay = self._lane.tools.relay
        assert relay is not None  # noqa: S101  `Holding.sends` looked
        return relay

    @property
    def _meter(self) -> RelayMeter:
        meter = self._lane.meter
        assert isinstance(meter, RelayMeter)  # noqa: S101  `Holding` makes it so on this road
        return meter

    @property
    def _setbacks(self) -> Setbacks:
        organisation = self._lane.tools.organisation
        return organisation.setbacks[self._lane.grip.mailbox] if organisation is not None else Setbacks()

    async def _kept(self, parcel: Parcel, raw: bytes) -> str | None:
        """What is one of a conversation is kept as it leaves: on this road nobody can fetch it afterwards."""
        if parcel.hints is None:
            return None
        documents = self._lane.tools.documents
        stored = await documents.put(raw)
        await documents.flush()
        return f"raw:{stored.sha256}"

    async def _fits(self, parcel: Parcel, raw: bytes) -> bool:
        """Whether the relay can carry these bytes as they are; else it is held, and no connection was asked."""
        if b"\0" in raw or not raw.count(b"\r\n") == raw.count(b"\n") == raw.count(b"\r"):
            detail = f"the message to {parcel.recipient.address} holds NUL, or CR or LF alone, which SMTP cannot carry"
            await self._hold(parcel, "bad_content", detail)
            return False
        if self._relay.fits(len(raw)):
            return True
        detail = (
            f"the message to {parcel.recipient.address} has {len(raw):,} bytes on the wire, more than the relay takes; "
            "make its documents smaller or send a link"
        )
        await self._hold(parcel, "too_large", detail)
        return False

    async def _permitted(self, parcel: Parcel) -> bool:
        """Whether the user's day has room; else the lane is parked, and others may have the delivery."""
        lane = self._lane
        self._meter.check()
        if lane.meter.messages_left() < 1:
            await lane.park("day_budget", lane.meter.day_frees_at())
            await self._free(parcel, "day_budget")
            return False
        return True

    async def _hand_over(self, parcel: Parcel, raw: bytes, kept: str | None) -> None:
        """Everything but the dot, the row that allows it, and the dot; `kept` says where its copy lies."""
        lane, slip = self._lane, None
        if not await self._permitted(parcel):
            return
        lane.meter.sent()  # before anything is waited for: others of this lane ask what is left
        try:
            if lane.tools.organisation is not None:
                await lane.tools.organisation.acquire(stopped=lambda: lane.ending)
            slip = await self._open(parcel, raw)
            intended = await self._intended(parcel, slip, kept) if slip is not None else None
        except BaseException:
            if slip is not None:
                self._relay.drop(slip)
            self._meter.unsent()
            raise
        if slip is None or intended is None:
            self._meter.unsent()
            return
        await self._dot(intended, slip)

    async def _open(self, parcel: Parcel, raw: bytes) -> Slip | None:
        """The message lies with the relay, but for its end; None where it was not taken, and the ledger says so."""
        lane, token = self._lane, parcel.delivery.token
        sender = lane.tools.verp.sender_of(lane.address, token) if lane.tools.verp is not None else lane.address
        lane.tools.drill.passes(Point.BEFORE_ENVELOPE)
        try:
            slip = await self._relay.open(Envelope(sender, parcel.recipient.address), raw)
        except RelayError as error:
            await self._refused(parcel, error, size=len(raw))
            return None
        lane.tools.drill.passes(Point.AFTER_BODY_BEFORE_COMMIT)
        return slip

    async def _intended(self, parcel: Parcel, slip: Slip, kept: str | None) -> Parcel | None:
        """Make it durable that the dot comes next; None where it must not come after all."""
        lane = self._lane
        await lane.assure()
        if not self._may_go(parcel):
            self._relay.drop(slip)
            await self._free(parcel, "not_called")
            return None
        after = parcel.delivery.sending(history_id=lane.history_id, rfc822_id=bare_id(self._message_id(parcel)))
        attempt = Attempt(Kind.SEND, "intended", Effect.NO, evidence=kept or slip.connection)
        return await self._record(parcel, after, attempt)

    async def _dot(self, parcel: Parcel, slip: Slip) -> None:
        lane, size = self._lane, slip.size
        lane.tools.drill.passes(Point.AFTER_COMMIT_BEFORE_DOT)
        try:
            await lane.assure()  # whoever stood still after the commit may have been settled as lost meanwhile
        except BaseException:
            self._relay.drop(slip)
            self._meter.unsent()
            raise
        try:
            taken = await self._relay.finish(slip, dotted=lambda: lane.tools.drill.passes(Point.AFTER_DOT_BEFORE_REPLY))
        except RelayError as error:
            if error.effect is Effect.NO:
                self._meter.unsent()
            await self._refused(parcel, error, size=size)
            return
        lane.tools.drill.passes(Point.AFTER_REPLY_BEFORE_COMMIT)
        await self._taken(parcel, taken, size)
        self._setbacks.over()
        lane.went_well()

    async def _taken(self, parcel: Parcel, taken: Taken, size: int) -> None:
        attempt = Attempt(Kind.SEND, "ok", Effect.YES, bytes=size, evidence=taken.words)
        await self._record(parcel, self._accepted(parcel.delivery), attempt)

    def _accepted(self, before: Delivery) -> Delivery:
        own = before.rfc822_id or ""
        return before.accepted(own, None, _now(), rfc822_id=own)

    async def _refused(self, parcel: Parcel, error: RelayError, *, size: int) -> None:
        """The relay said no, or nothing: decide, do, and write both down."""
        lane, before, now = self._lane, parcel.delivery, _now()
        verdict = judge_relay(error, tries=before.tries, now=now, options=lane.rules, in_a_row=self._setbacks.in_a_row)
        attempt = Attempt(Kind.SEND, verdict.reason, error.effect, bytes=size, evidence=str(error))
        after = self._after_refusal(before, verdict, str(error), now)
        if verdict.next is Next.PROBE:  # the doubt is written down before anything else
            await self._record(parcel, after, attempt)
            return
        await self._obey(verdict, error)
        await self._record(parcel, after, attempt)

    async def _obey(self, verdict: Verdict, error: RelayError) -> None:
        """Do to the lane, or to all of them, what the relay's answer asks for."""
        lane = self._lane
        if verdict.until is not None or verdict.reason == "relay_closing":
            self._setbacks.met(verdict.until)
        if isinstance(error, RelayRateLimited):
            lane.slower()
        if verdict.lane is Lane.ORGANISATION and verdict.until is not None:
            if lane.tools.organisation is not None:
                await lane.tools.organisation.rest(verdict.until, verdict.reason)
            lane.meter.rest(verdict.until)
            await lane.beat()
        else:
            await lane.obey(verdict)

    def _after_refusal(self, before: Delivery, verdict: Verdict, detail: str, now: datetime) -> Delivery:
        if verdict.next is Next.PROBE:
            return before.uncertain(since=now, due_at=now + verdict.delay, reason=verdict.reason, detail=detail)
        if verdict.next is Next.HOLD:
            return before.held(verdict.reason, detail + _before(before))
        if verdict.next is Next.FAIL:
            return before.failed(verdict.reason, detail + _before(before))
        if verdict.next is Next.FREE or verdict.lane in {Lane.REST, Lane.ORGANISATION}:
            return before.freed(due_at=now, reason=verdict.reason, detail=detail)  # no trouble of the message's own
        return before.kept(due_at=now + verdict.delay, reason=verdict.reason, detail=detail)

    async def _settle(self, parcel: Parcel) -> None:
        """The dot may have been sent, and no reply came: a copy in the mailbox first, then the run's policy."""
        lane, before, now = self._lane, parcel.delivery, _now()
        lane.tools.drill.passes(Point.IN_SETTLE)
        if before.disposition is Disposition.SENDING:
            lane.meter.sent()  # whoever sent it died before it was counted
            detail = f"the process that sent message <{before.rfc822_id}> ended before it wrote the relay's reply down"
            after = before.uncertain(since=now, due_at=now, reason=REPLY_LOST, detail=detail)
            parcel = await self._record(parcel, after, Attempt(Kind.SEND, REPLY_LOST, Effect.UNKNOWN, evidence=detail))
        if lane.rules.sent_copies and await self._found(parcel):
            return
        await self._decide(parcel, now)

    async def _found(self, parcel: Parcel) -> bool:
        """Whether the sender's mailbox has a copy: then the relay took it, and the ledger says so."""
        lane = self._lane
        try:
            found = await find_sent(lane.mail, parcel.delivery)
        except (GmailError, LaneResting) as error:  # not being able to look is no evidence
            log.warning("lane.may_not_look", mailbox=lane.grip.mailbox, error=str(error))
            return False
        if not isinstance(found, Sent):
            return False
        evidence = f"copy {found.message_id}, found by {found.how}"
        attempt = Attempt(Kind.PROBE, "sent", Effect.YES, evidence=evidence)
        await self._record(parcel, self._accepted(parcel.delivery), attempt)
        return True

    async def _decide(self, parcel: Parcel, now: datetime) -> None:
        """Nothing proves that it was sent, and nothing can prove that it was not: the run says what follows."""
        lane, before = self._lane, parcel.delivery
        what = unclear_next(before, unclear=parcel.policy.unclear, rules=lane.rules, now=now)
        if isinstance(what, Again) and self._run_state(parcel) is RunState.CANCELLED:
            what = Hold()  # nothing of a cancelled run is sent again
        if isinstance(what, Again) and await lane.tools.store.proven(before.token):
            # The event of it waits for its turn, behind the gaps between tries.
            await self._record(parcel, self._accepted(before), Attempt(Kind.PROBE, "sighting", Effect.YES))
            return
        if isinstance(what, Again):
            attempt = Attempt(Kind.PROBE, "again", Effect.UNKNOWN, evidence=f"sent again as <{before.rfc822_id}>")
            await self._record(parcel, before.again(due_at=now), attempt)
            return
        due = None if isinstance(what, Hold) else what.due
        detail = before.detail or ""
        if due is None:
            detail = _asked(before, detail)
            log.warning("delivery.reply_lost", token=before.token, message_id=before.rfc822_id)
        after = before.uncertain(since=now, due_at=due, reason=REPLY_LOST, detail=detail)
        await self._record(parcel, after, Attempt(Kind.PROBE, REPLY_LOST, Effect.UNKNOWN))


def _asked(before: Delivery, detail: str) -> str:
    """What a person must know to decide."""
    since = before.uncertain_since.isoformat(timespec="seconds") if before.uncertain_since else "before"
    return (
        f"{detail} Message <{before.rfc822_id}> may have been sent at {since}{_before(before)}; ask the recipient or "
        f"the relay's log, then `millstream communication settle {before.token} --sent` or `--not-sent`."
    )


def _before(delivery: Delivery) -> str:
    """What a reader of a refusal must know of the tries before it."""
    if not delivery.repeats:
        return ""
    times = "once" if delivery.repeats == 1 else f"{delivery.repeats} times"
    return f" (it was sent again {times} under the same Message-ID, and may have arrived by an earlier try)"


def _now() -> datetime:
    return datetime.now(UTC)
