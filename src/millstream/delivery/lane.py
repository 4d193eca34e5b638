"""A lane: the serial road out of one sender mailbox, run by one process at a time."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from millstream.communication.model import Road
from millstream.delivery.carry import Carrier
from millstream.delivery.errors import LaneResting, LaneStopped, StaleEpoch
from millstream.delivery.holding import Holding, Tools
from millstream.delivery.model import Attempt, Disposition, Kind
from millstream.delivery.parcel import Parcel
from millstream.delivery.policy import judge
from millstream.delivery.relay_carry import RelayCarrier
from millstream.delivery.watch import Watch
from millstream.gmail.errors import Effect, GmailError, ScopeMissing
from millstream.log import get_logger
from millstream.storage.errors import DatabaseAway, DatabaseBusy, DatabaseFull, DatabaseRefused

log = get_logger(__name__)

_POLL = 0.25
_DAY = 86_400.0


class Lane:
    """One run of a lane's job: take it, settle, carry, leave."""

    def __init__(self, holding: Holding) -> None:
        self._lane = holding
        self._carrier = RelayCarrier(holding) if holding.road is Road.RELAY else Carrier(holding)
        self._watch = Watch(holding)
        self._buffer: deque[Parcel] = deque()
        self._hand: set[int] = set()
        self._refilling = asyncio.Lock()
        self._ask_again_at = 0.0
        self._bound_at = 0.0
        self._asked = False
        self._busy_at = _clock()
        self._ends_at = _clock() + holding.options.slice
        self._quiet = False
        self._over = False

    @classmethod
    async def run_once(cls, mailbox: str, tools: Tools) -> None:
        """Hold the lane for one slice.

        Raises:
            UnknownMailbox: no lane has this address.
            DatabaseAway: the database did not come back in time.
        """
        holder = f"{socket.gethostname()}:{os.getpid()}"
        row = await tools.store.take(mailbox, holder=holder)
        first = await tools.store.first_sent(mailbox)
        age = tools.options.warm.get(mailbox, 0) + ((datetime.now(UTC) - first).days if first else 0)
        holding = Holding(row, tools, age_days=age)
        lane = cls(holding)
        try:
            await tools.store.free_queued(holding.grip)  # what a dead predecessor had claimed
            if holding.reachable:
                holding.meter.restore(await tools.store.spent(mailbox, seconds=_DAY))
                await lane._work()
        except (LaneResting, LaneStopped):
            pass
        except StaleEpoch as error:
            holding.stale = True
            log.warning("lane.stale", mailbox=mailbox, error=str(error))
        except BaseException:
            holding.strayed()  # whatever was under way was broken off: a draft of it may be there
            raise
        finally:
            await lane._leave()

    async def _leave(self) -> None:
        lane = self._lane
        if lane.stale:
            return
        try:
            await lane.tools.store.free_queued(lane.grip)
            await lane.beat()
            await lane.tools.store.leave(lane.grip)
        except StaleEpoch:
            lane.stale = True

    async def _work(self) -> None:
        if not await self._begin():
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            for number in range(self._lane.most):
                group.create_task(self._serve(number))

    async def _begin(self) -> bool:
        """Whether the mailbox answers; where it does not, the lane does what the error asks for."""
        if self._lane.road is Road.RELAY:
            await self._begin_relay()
            return True
        try:
            await self._watch.begin()
            await self._lane.beat()
        except GmailError as error:
            await self._complain(error)
            return False
        return True

    async def _begin_relay(self) -> None:
        """A relay's lane needs no mailbox; where copies lie in it, the place from which to look for them is noted."""
        if self._lane.rules.sent_copies:
            try:
                await self._watch.begin()
            except (GmailError, LaneResting) as error:
                log.warning("lane.may_not_look", mailbox=self._lane.grip.mailbox, error=str(error))
        await self._lane.beat()

    async def _complain(self, error: GmailError) -> None:
        """A look into the mailbox failed; nothing was sent by it."""
        lane = self._lane
        verdict = judge(error, calling=Kind.PROBE, tries=0, now=datetime.now(UTC), options=lane.options)
        log.info("lane.look_failed", mailbox=lane.grip.mailbox, error=str(error))
        await lane.obey(verdict)

    async def _keep(self) -> None:
        """Heartbeats, and looks into the mailbox when they are due; ends when the lane is over.

        A lane that waits for answers is alive: nobody may take it over and settle what is under way.
        """
        beat_at = 0.0
        while not self._over:
            if _clock() >= beat_at:
                beat_at = _clock() + self._lane.options.heartbeat
                if not await self._alive():
                    break
            await self._look_around()
            if self._lane.ending or _clock() >= self._ends_at or not self._lane.reachable or self._idle():
                break
            await asyncio.sleep(_POLL)
        self._over = True
        while self._hand and not self._lane.stale:
            if _clock() >= beat_at:
                beat_at = _clock() + self._lane.options.heartbeat
                await self._alive()
            await asyncio.sleep(_POLL)

    async def _alive(self) -> bool:
        try:
            await self._lane.beat()
        except StaleEpoch as error:
            self._lane.stale = True
            log.warning("lane.stale", mailbox=self._lane.grip.mailbox, error=str(error))
        return not self._lane.stale

    async def _look_around(self) -> None:
        lane, now = self._lane, datetime.now(UTC)
        try:
            if lane.row.strays_at is not None and lane.row.strays_at <= now:
                await self._strays()
        except ScopeMissing as error:  # the tenant lets us send and not look: say so once, and go on
            log.warning("lane.may_not_look", mailbox=lane.grip.mailbox, error=str(error))
            lane.row = replace(lane.row, strays_at=None)
        except GmailError as error:
            await self._put_off(error)
        except (LaneResting, LaneStopped):
            pass
        except StaleEpoch:
            lane.stale = True

    async def _put_off(self, error: GmailError) -> None:
        """A look failed: it is tried again after a while, and the lane goes on until then."""
        lane, later = self._lane, datetime.now(UTC) + timedelta(seconds=self._lane.options.stray_grace)
        self._quiet = False
        lane.row = replace(lane.row, strays_at=lane.row.strays_at and max(lane.row.strays_at, later))
        try:
            await self._complain(error)
        except StaleEpoch:
            lane.stale = True

    async def _strays(self) -> None:
        """A draft under way looks like a stray: let what is in hand end first."""
        self._quiet = True
        if self._hand:
            return  # come back at the next look around; nothing new is begun until then
        try:
            await self._watch.remove_strays()
        finally:
            self._quiet = False

    def _idle(self) -> bool:
        if self._hand or self._buffer or not self._asked:
            self._busy_at = _clock()
        return _clock() - self._busy_at > self._lane.options.linger

    async def _serve(self, number: int) -> None:
        """Carry one delivery after the other; lanes that Gmail asked to be slower use fewer of these."""
        while not self._over:
            parcel = None if self._quiet or number >= self._lane.width else await self._next()
            if parcel is None:
                await asyncio.sleep(_POLL)
                continue
            try:
                await self._carry(parcel)
            finally:
                self._hand.discard(parcel.delivery.id)

    async def _carry(self, parcel: Parcel) -> None:
        try:
            await self._carrier.carry(parcel)
        except (LaneResting, LaneStopped):
            self._ask_again_at = _clock() + 1.0
        except StaleEpoch as error:
            await self._check_stale(error)
        except (DatabaseAway, DatabaseBusy, DatabaseFull, DatabaseRefused):
            self._over = True  # the ledger gave up: stop here, the next holder settles
            raise
        except Exception as error:
            log.exception("delivery.poison", token=parcel.delivery.token)
            await self._put_aside(parcel, error)

    async def _check_stale(self, error: StaleEpoch) -> None:
        """A write found its delivery elsewhere: is the lane lost, or was only this delivery moved by a person?"""
        if await self._alive():
            log.warning("delivery.moved_elsewhere", error=str(error))

    async def _put_aside(self, parcel: Parcel, error: Exception) -> None:
        """An error of ours: this delivery waits for a person, the others go on."""
        lane = self._lane
        now = await lane.tools.store.current(parcel.delivery.id)
        if now.mailbox != lane.grip.mailbox or now.disposition is Disposition.ACCEPTED:
            return
        detail = f"{type(error).__name__}: {error}; please report it with the log"
        attempt = Attempt(Kind.RELEASE, "internal_error", Effect.NO, evidence=detail)
        if now.disposition is Disposition.QUEUED:
            lane.strayed()  # it may have a draft that the ledger does not know
            await lane.record(now, now.held("internal_error", detail), attempt)
        else:
            since = datetime.now(UTC)
            await lane.record(
                now, now.uncertain(since=since, due_at=None, reason="internal_error", detail=detail), attempt
            )

    async def _next(self) -> Parcel | None:
        async with self._refilling:
            if not self._buffer and _clock() >= self._ask_again_at:
                await self._refill()
            if self._quiet or not self._buffer:  # a look for strays may have begun meanwhile
                return None
            parcel = self._buffer.popleft()
            self._hand.add(parcel.delivery.id)
            return parcel

    async def _refill(self) -> None:
        """First what this lane holds and is due, then what is next in the pool."""
        lane = self._lane
        resume = lane.meter.resume_at
        if lane.ending or (resume is not None and resume > datetime.now(UTC)):
            self._asked, self._ask_again_at = True, _clock() + _POLL
            return
        wanted = self._appetite()
        if not wanted or _clock() >= self._bound_at:
            self._bound_at = _clock() + _POLL  # what it holds comes due by the clock: no need to ask at every claim
            self._buffer.extend(
                await lane.tools.store.bound(
                    lane.grip,
                    in_hand=list(self._hand),
                    most=max(wanted, lane.width),
                    resting=lane.row.state != "parked" and not lane.sends,
                )
            )
        if not self._buffer and not self._hand and lane.sends and lane.meter.messages_left() < 1:
            await lane.park("day_budget", lane.meter.day_frees_at())
        if not self._buffer and wanted:
            self._buffer.extend(await lane.tools.store.claim(lane.grip, pool=lane.pool, most=wanted))
        self._asked = True
        if not self._buffer:
            self._ask_again_at = _clock() + _POLL

    def _appetite(self) -> int:
        """How many to claim: none where the mailbox may not send, few where it is paced, so that others stay free."""
        lane = self._lane
        if not lane.sends:
            return 0
        most = lane.width if lane.meter.paced else lane.options.claim
        return max(0, min(most, lane.meter.messages_left() - len(self._hand)))


def _clock() -> float:
    return asyncio.get_running_loop().time()
