"""One delivery's way through a lane: draft, make it durable, send, make it durable.

Every branch ends in a row: what Gmail did is in the ledger before anything else happens to the delivery.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from millstream.communication.model import RunState
from millstream.delivery.errors import NoAnswerPage, StaleEpoch
from millstream.delivery.holding import Holding
from millstream.delivery.model import Attempt, Delivery, Disposition, Kind
from millstream.delivery.options import Point
from millstream.delivery.parcel import Parcel, write_letter
from millstream.delivery.policy import Lane, Next, Verdict, backoff, judge, probe_gap
from millstream.delivery.transport import Guarantee, Sent, Staged, Unsent, find_sent
from millstream.gmail.errors import Effect, Fault, GmailError, NotFound, ScopeMissing
from millstream.mime.errors import MimeError
from millstream.quota import Ticket
from millstream.storage.errors import DocumentDamaged, DocumentMissing, DocumentStoreError

_WITHDRAWING = "withdrawing"
"""The reason of a draft whose deletion was called: if it is gone then, that was us."""
_WITHDRAWN = "withdrawn"
"""The reason of a draft that is gone by our deletion, as far as SENT, which shows a message late, can tell."""

Then = Callable[[Delivery], Delivery]


class Carrier:
    """Carries deliveries for one holding of a lane."""

    def __init__(self, holding: Holding) -> None:
        self._lane = holding

    async def carry(self, parcel: Parcel) -> None:
        """Take one delivery as far as it goes now."""
        match parcel.delivery.disposition:
            case Disposition.SENDING | Disposition.UNCERTAIN:
                await self._settle(parcel)
            case Disposition.DRAFTED:
                await self._carry_draft(parcel)
            case _:
                await self._carry_queued(parcel)

    def _run_state(self, parcel: Parcel) -> RunState:
        return self._lane.tools.board.state_of(parcel.delivery.run_id)

    def _may_go(self, parcel: Parcel) -> bool:
        return self._lane.sends and self._run_state(parcel) is RunState.OPEN

    async def _carry_queued(self, parcel: Parcel) -> None:
        if self._run_state(parcel) is RunState.CANCELLED:
            await self._record(parcel, parcel.delivery.cancelled(), Attempt(Kind.RELEASE, "run_cancelled", Effect.NO))
        elif parcel.barred:
            await self._hold(parcel, "suppressed", parcel.barred)
        elif not self._may_go(parcel):
            await self._free(parcel, "not_now")
        else:
            await self._start(parcel)

    async def _carry_draft(self, parcel: Parcel) -> None:
        if self._run_state(parcel) is RunState.CANCELLED:
            await self._withdraw(parcel, then=lambda d: d.cancelled())
        elif (barred := parcel.barred) is not None:
            await self._withdraw(parcel, then=lambda d: d.held("suppressed", barred))
        elif self._lane.row.state == "parked" or parcel.delivery.reason in {_WITHDRAWING, _WITHDRAWN}:
            await self._withdraw(parcel, then=lambda d: d.freed(due_at=_now()))
        elif self._may_go(parcel):
            parcel = await self._intend(parcel)
            await self._send(parcel, None)

    async def _start(self, parcel: Parcel) -> None:
        raw = await self._write(parcel)
        if raw is None:
            return
        if self._lane.transport(parcel.mode).guarantee is Guarantee.EVIDENCE:  # nothing to stage
            parcel = await self._intend(parcel)
            await self._send(parcel, raw)
            return
        drafted = await self._draft(parcel, raw)
        if drafted is None:
            return
        if drafted.delivery.disposition is Disposition.SENDING:
            await self._send(drafted, None)

    def _message_id(self, parcel: Parcel) -> str | None:  # noqa: ARG002  other roads ask for it
        """A Message-ID of our own, where the road keeps it; Gmail's API replaces it."""
        return None

    async def _write(self, parcel: Parcel) -> bytes | None:
        """The letter, or None where it cannot be written or sent; then the delivery is held with the reason."""
        lane = self._lane
        try:
            raw = await write_letter(
                parcel,
                mailbox=lane.address,
                options=lane.options,
                documents=lane.tools.documents,
                message_id=self._message_id(parcel),
            )
        except (MimeError, NoAnswerPage) as error:
            await self._hold(parcel, "bad_content", str(error))
            return None
        except (DocumentMissing, DocumentDamaged) as error:
            await self._hold(parcel, "missing_document", str(error))
            return None
        except DocumentStoreError as error:  # the store is away, not the document
            await self._store_away(parcel, error)
            return None
        limit = lane.options.limits.max_message_bytes
        if len(raw) > limit:
            detail = (
                f"the message to {parcel.recipient.address} has {len(raw):,} bytes on the wire, "
                f"the limit is {limit:,}; make its documents smaller or send a link"
            )
            await self._hold(parcel, "too_large", detail)
            return None
        if len(raw) > lane.meter.bytes_left():
            await lane.park("upload_budget", lane.meter.day_frees_at())
            await self._free(parcel, "upload_budget")
            return None
        return raw

    async def _store_away(self, parcel: Parcel, error: DocumentStoreError) -> None:
        due = _now() + backoff(parcel.delivery.tries)
        after = parcel.delivery.kept(due_at=due, reason="store_away", detail=str(error))
        await self._record(parcel, after, Attempt(Kind.RELEASE, "store_away", Effect.NO))

    async def _draft(self, parcel: Parcel, raw: bytes) -> Parcel | None:
        lane, before = self._lane, parcel.delivery
        ticket = await lane.meter.acquire("drafts.create")
        lane.meter.uploaded(len(raw))
        lane.tools.drill.passes(Point.BEFORE_DRAFT)
        try:
            staged = await lane.transport(parcel.mode).stage(raw, thread_id=parcel.thread_in(lane.grip.mailbox))
        except GmailError as error:
            if error.effect is Effect.UNKNOWN:
                lane.strayed()
            await self._failed(parcel, error, Kind.DRAFT, size=len(raw))
            return None
        finally:
            lane.meter.release(ticket)
        lane.tools.drill.passes(Point.AFTER_DRAFT_BEFORE_COMMIT)
        lane.own_drafts.add(staged.draft_id)
        release = self._may_go(parcel)
        after = before.drafted(staged.draft_id, staged.thread_id, history_id=lane.history_id, release=release)
        try:
            return await self._record(parcel, after, Attempt(Kind.DRAFT, "ok", Effect.YES, bytes=len(raw)))
        except StaleEpoch:
            await self._forsake(staged)
            raise

    async def _forsake(self, staged: Staged) -> None:
        """The lane is another's, who may have looked for strays already: nobody will ever send this draft."""
        with suppress(GmailError):
            await self._lane.tools.gmail.mailbox(self._lane.grip.mailbox).delete_draft(staged.draft_id)

    async def _intend(self, parcel: Parcel) -> Parcel:
        """Make it durable that a send comes next."""
        after = parcel.delivery.sending(history_id=parcel.delivery.history_id or self._lane.history_id)
        return await self._record(parcel, after, Attempt(Kind.SEND, "intended", Effect.NO))

    async def _send(self, parcel: Parcel, raw: bytes | None) -> None:
        lane, before = self._lane, parcel.delivery
        ticket = await self._ticket(parcel, lane.transport(parcel.mode).sending)
        if ticket is None:
            return
        lane.meter.sent()
        if raw is not None:
            lane.meter.uploaded(len(raw))
        lane.tools.drill.passes(Point.AFTER_COMMIT_BEFORE_SEND)
        try:
            thread_id = parcel.thread_in(lane.grip.mailbox)
            sent = await lane.transport(parcel.mode).send(before, raw, thread_id=thread_id)
        except GmailError as error:
            await self._failed(parcel, error, Kind.SEND, size=len(raw or b""))
            return
        finally:
            lane.meter.release(ticket)
        lane.tools.drill.passes(Point.AFTER_SEND_BEFORE_COMMIT)
        attempt = Attempt(Kind.SEND, "ok", Effect.YES, bytes=len(raw or b""), evidence=sent.how)
        await self._accept(parcel, sent, attempt)
        lane.went_well()

    async def _ticket(self, parcel: Parcel, method: str) -> Ticket | None:
        """What a send needs; None where it may not be called after all, and the ledger says so."""
        lane = self._lane
        try:
            ticket = await lane.meter.acquire(method)
        except Exception:
            await self._step_back(parcel)
            raise
        try:
            await lane.assure()
            if lane.meter.messages_left() < 1:  # drafts of another day count on this one
                await lane.park("day_budget", lane.meter.day_frees_at())
        except Exception:
            lane.meter.release(ticket)
            raise
        if self._may_go(parcel):
            return ticket
        lane.meter.release(ticket)
        await self._step_back(parcel)
        return None

    async def _accept(self, parcel: Parcel, sent: Sent, attempt: Attempt) -> None:
        after = parcel.delivery.accepted(sent.message_id, sent.thread_id, _now(), rfc822_id=sent.rfc822_id)
        await self._record(parcel, after, attempt)
        self._lane.own_drafts.discard(parcel.delivery.draft_id or "")

    async def _step_back(self, parcel: Parcel) -> None:
        """The send was not called after all: say so."""
        before = parcel.delivery
        if before.draft_id:
            await self._record(parcel, before.waiting(), Attempt(Kind.SEND, "not_called", Effect.NO))
        else:
            await self._free(parcel, "not_called")

    async def _failed(self, parcel: Parcel, error: GmailError, kind: Kind, *, size: int = 0) -> None:
        """An error met a draft or a send: decide, do, and write both down."""
        lane, before, now = self._lane, parcel.delivery, _now()
        verdict = judge(error, calling=kind, tries=before.tries, now=now, options=lane.options)
        await lane.obey(verdict)
        if error.effect is not Effect.NO:
            lane.own_drafts.discard(before.draft_id or "")  # the call may still be on its way to Google
        attempt = Attempt(kind, verdict.reason, error.effect, bytes=size, evidence=str(error))
        after = await self._record(parcel, self._after(before, verdict, error, now), attempt)
        if after.delivery.disposition is Disposition.DRAFTED and verdict.next in {Next.HOLD, Next.FAIL}:
            stop = Delivery.held if verdict.next is Next.HOLD else Delivery.failed
            await self._withdraw(after, then=lambda d: stop(d, verdict.reason, str(error)))

    def _after(self, before: Delivery, verdict: Verdict, error: GmailError, now: datetime) -> Delivery:
        detail, due = str(error), now + verdict.delay
        if verdict.next is Next.PROBE:
            return before.uncertain(since=now, due_at=due, reason=verdict.reason, detail=detail)
        if before.draft_id:
            return self._after_with_draft(before, verdict, detail, now)
        if verdict.next is Next.HOLD:
            return before.held(verdict.reason, detail)
        if verdict.next is Next.FAIL:
            return before.failed(verdict.reason, detail)
        if verdict.next is Next.FREE or verdict.lane is Lane.REST:
            free_at = due if verdict.next is Next.KEEP and error.fault is not Fault.MAILBOX else now
            return before.freed(due_at=free_at, reason=verdict.reason, detail=detail)
        return before.kept(due_at=due, reason=verdict.reason, detail=detail)

    def _after_with_draft(self, before: Delivery, verdict: Verdict, detail: str, now: datetime) -> Delivery:
        """A draft must be gone before anyone else may have its delivery, unless nobody but us could ever send it."""
        lane, own = self._lane, before.draft_id in self._lane.own_drafts
        if verdict.next is Next.FREE and own and not lane.reachable:
            lane.own_drafts.discard(before.draft_id or "")
            lane.strayed()  # surely not sent; the draft is removed when the mailbox can be reached again
            return before.freed(due_at=now, reason=verdict.reason, detail=detail)
        due = now + verdict.delay if verdict.next is Next.KEEP else now
        return before.kept(due_at=due, reason=verdict.reason, detail=detail)

    async def _settle(self, parcel: Parcel) -> None:
        """A send may have happened: let evidence decide, and nothing else."""
        lane, before = self._lane, parcel.delivery
        lane.tools.drill.passes(Point.IN_SETTLE)
        try:
            found = await lane.transport(parcel.mode).evidence(before)
        except GmailError as error:
            await self._unsettled(parcel, str(error), error=error)
            return
        if found is not Unsent.STAGED and before.disposition is Disposition.SENDING:
            lane.meter.sent()  # whoever called that send died before it was counted
        if isinstance(found, Sent):
            await self._accept(parcel, found, Attempt(Kind.PROBE, "sent", Effect.YES, evidence=found.how))
        elif found is Unsent.STAGED:
            after = before.kept(due_at=_now(), reason="draft_exists", detail="the draft exists, so it was not sent")
            await self._record(parcel, after, Attempt(Kind.PROBE, "unsent", Effect.NO, evidence="draft"))
        else:
            detail = f"neither a draft nor a sent message of delivery {before.token} is in {lane.grip.mailbox}"
            await self._unsettled(parcel, detail)

    async def _unsettled(self, parcel: Parcel, detail: str, *, error: GmailError | None = None) -> None:
        lane, before, now = self._lane, parcel.delivery, _now()
        gap = probe_gap(now - (before.uncertain_since or now), lane.options)
        reason = "no_evidence"
        if isinstance(error, ScopeMissing):  # `gmail.send` alone sends, and can not look: only a person can
            gap, reason = None, "may_not_look"
        elif error is not None:
            verdict = judge(error, calling=Kind.PROBE, tries=0, now=now, options=lane.options)
            await lane.obey(verdict)
            gap, reason = max(verdict.delay, timedelta(seconds=lane.options.probe_floor)), verdict.reason
        due = None if gap is None else now + gap
        after = before.uncertain(since=now, due_at=due, reason=reason, detail=detail)
        await self._record(parcel, after, Attempt(Kind.PROBE, reason, Effect.UNKNOWN, evidence=detail))

    async def _withdraw(self, parcel: Parcel, *, then: Then) -> None:
        """Delete the draft: the proof that it was not sent and never will be."""
        lane, tried = self._lane, parcel.delivery.reason in {_WITHDRAWING, _WITHDRAWN}
        if not tried:  # whoever finds the draft gone after our death must know that it was us
            after = parcel.delivery.kept(due_at=_now(), reason=_WITHDRAWING, detail="its draft is being removed")
            parcel = await self._record(parcel, after, Attempt(Kind.WITHDRAW, "intended", Effect.NO))
        before = parcel.delivery
        try:
            await lane.transport(parcel.mode).withdraw(before)
        except NotFound as error:
            await self._withdrawn_before(parcel, error, then=then, tried=tried)
        except GmailError as error:
            await self._not_withdrawn(parcel, error)
        else:
            await self._record(parcel, then(before), Attempt(Kind.WITHDRAW, "ok", Effect.YES))

    async def _not_withdrawn(self, parcel: Parcel, error: GmailError) -> None:
        """The draft is there still, or nobody knows: the same lane tries again."""
        lane, before = self._lane, parcel.delivery
        verdict = judge(error, calling=Kind.WITHDRAW, tries=0, now=_now(), options=lane.options)
        await lane.obey(verdict)
        due = _now() + max(verdict.delay, timedelta(seconds=1))
        after = before.kept(due_at=due, reason=before.reason or _WITHDRAWING, detail=str(error))
        await self._record(parcel, after, Attempt(Kind.WITHDRAW, verdict.reason, error.effect))

    async def _withdrawn_before(self, parcel: Parcel, gone: NotFound, *, then: Then, tried: bool) -> None:
        """The draft is gone already: we deleted it and never heard so, or somebody sent or deleted it by hand."""
        before, now = parcel.delivery, _now()
        try:
            found = await find_sent(self._lane.mail, before)
        except GmailError as error:
            if tried:
                await self._not_withdrawn(parcel, error)
            else:
                await self._unsettled(parcel, str(error), error=error)
            return
        if isinstance(found, Sent):
            await self._accept(parcel, found, Attempt(Kind.WITHDRAW, "sent", Effect.YES, evidence=found.how))
        elif not tried:
            after = before.uncertain(since=now, due_at=now, reason="draft_gone", detail=str(gone))
            await self._record(parcel, after, Attempt(Kind.WITHDRAW, "draft_gone", Effect.UNKNOWN))
        elif before.reason == _WITHDRAWING:
            due = now + timedelta(seconds=self._lane.options.probe_floor)
            after = before.kept(due_at=due, reason=_WITHDRAWN, detail="the draft is gone; SENT is looked at once more")
            await self._record(parcel, after, Attempt(Kind.WITHDRAW, "gone", Effect.YES))
        else:
            await self._record(parcel, then(before), Attempt(Kind.WITHDRAW, "gone", Effect.YES))

    async def _hold(self, parcel: Parcel, reason: str, detail: str) -> None:
        await self._record(parcel, parcel.delivery.held(reason, detail), Attempt(Kind.RELEASE, reason, Effect.NO))

    async def _free(self, parcel: Parcel, why: str) -> None:
        await self._record(parcel, parcel.delivery.freed(due_at=_now()), Attempt(Kind.RELEASE, why, Effect.NO))

    async def _record(self, parcel: Parcel, after: Delivery, attempt: Attempt) -> Parcel:
        return parcel.at(await self._lane.record(parcel.delivery, after, attempt))


def _now() -> datetime:
    return datetime.now(UTC)
