"""A lane while one process holds it: its grip, what it may spend, and what it was told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Protocol

from millstream.communication.model import Mode, Road, RunState
from millstream.delivery.ledger import Grip, Ledger
from millstream.delivery.meter import LaneMeter
from millstream.delivery.model import Attempt, Delivery
from millstream.delivery.options import UNREACHABLE, DeliveryOptions, Point, RelayRules
from millstream.delivery.organisation import Organisation
from millstream.delivery.parcel import Documents
from millstream.delivery.policy import Lane as LaneAct
from millstream.delivery.policy import Verdict
from millstream.delivery.relay_meter import RelayMeter
from millstream.delivery.store import LaneRow, LaneStore, Pulse
from millstream.delivery.transport import DirectTransport, DraftTransport, Transport
from millstream.drill import Drill
from millstream.gmail.client import Gmail, MailboxClient
from millstream.gmail.relay import Relay
from millstream.log import get_logger

log = get_logger(__name__)

_WIDEN_AFTER = 50


class Board(Protocol):
    """What every lane of a process must know of the runs."""

    @property
    def project_open(self) -> bool:
        """Whether the project may still spend units today."""
        ...

    def state_of(self, run_id: int) -> RunState:
        """The run's state, at most half a second old."""
        ...


class Bounces(Protocol):
    """Where bounces of a message go."""

    def sender_of(self, address: str, token: str) -> str:
        """The envelope's sender for a delivery of this mailbox."""
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What every lane of a process works with."""

    store: LaneStore
    ledger: Ledger
    gmail: Gmail
    documents: Documents
    board: Board
    options: DeliveryOptions
    drill: Drill = field(default_factory=lambda: Drill(None, Point))
    stopping: Callable[[], bool] = lambda: False
    relay: Relay | None = None
    organisation: Organisation | None = None
    slots: asyncio.Semaphore | None = None
    """Connections to the relay: who has one is handed over to at once, while its permission is fresh."""
    verp: Bounces | None = None


class Holding:
    """One process's hold on one lane, from taking it over until leaving it."""

    def __init__(self, row: LaneRow, tools: Tools, *, age_days: int) -> None:
        self.tools = tools
        self.options = tools.options
        self.grip = Grip(row.mailbox, row.epoch)
        self.row = row
        self.pool = row.pool
        self.history_id = row.history_id
        self.stale = False
        self.road = row.road
        self.rules = tools.options.relay or RelayRules()
        self.most = self.rules.per_lane if row.road is Road.RELAY else tools.options.concurrency
        """Deliveries under way at the same time, at most."""
        self.width = self.most
        self._smooth = 0
        self._parking = 0
        self._heard_at = time.monotonic()
        self.own_drafts: set[str] = set()
        """Drafts made under this holding and not yet sent: nobody else can be sending them."""
        self.meter = self._meter(age_days)
        if row.resume_at is not None:
            self.meter.rest(row.resume_at)
        self.address = row.address or row.mailbox
        calls = tools.gmail.mailbox(self.address)
        self.mail: MailboxClient = tools.gmail.mailbox(self.address, self.meter)
        self._transports: dict[Mode, Transport] = {
            Mode.DRAFT: DraftTransport(calls, self.mail),
            Mode.DIRECT: DirectTransport(calls, self.mail),
        }

    def _meter(self, age_days: int) -> LaneMeter:
        if self.road is Road.RELAY:
            return RelayMeter(self.options, stopped=lambda: self.ending)
        return LaneMeter(self.options, age_days=age_days, stopped=lambda: self.ending)

    @property
    def ending(self) -> bool:
        """Whether this process must let go: it is asked to stop, or the lane is another's."""
        return self.stale or self.tools.stopping()

    @property
    def sends(self) -> bool:
        """Whether this mailbox may send now."""
        if self.row.state != "open" or self.ending:
            return False
        # The project's day is one of API units: what leaves by the relay costs none.
        return self.tools.relay is not None if self.road is Road.RELAY else self.tools.board.project_open

    @property
    def reachable(self) -> bool:
        """Whether Gmail answers for this mailbox at all."""
        return not (self.row.state == "parked" and self.row.reason in UNREACHABLE)

    def transport(self, mode: Mode) -> Transport:
        """The road of a run's mode."""
        return self._transports[mode]

    async def record(self, before: Delivery, after: Delivery, attempt: Attempt) -> Delivery:
        """Make a move durable under this holding's epoch; the units spent since the last record go with it."""
        return await self.tools.ledger.record(
            self.grip, before, after, replace(attempt, units=attempt.units + self.meter.bill())
        )

    async def beat(self) -> None:
        """Heartbeat: write the due dates, hear the lane's state and share of the project's rate."""
        began, parking = time.monotonic(), self._parking
        before = self.row = replace(self.row, resume_at=self.meter.resume_at)
        pulse: Pulse = await self.tools.store.beat(
            self.grip,
            self.row,
            width=self.width,
            stalled_after=self.options.stalled_after,
            beside=self.options.read_beside,
        )
        self._heard_at = began
        self.meter.share_project(pulse.running, spared=pulse.spared)
        if parking or self._parking or (self.row.state, self.row.reason) != (before.state, before.reason):
            return  # it was parked while this answer was on its way
        self.row = replace(self.row, state=pulse.state, reason=pulse.reason)

    async def assure(self) -> None:
        """Before a send: a process that stood still for a while asks first whether the lane is still its own.

        Raises:
            StaleEpoch: it is not.
        """
        if time.monotonic() - self._heard_at > self.options.stalled_after:
            await self.beat()

    async def obey(self, verdict: Verdict) -> None:
        """Do to the lane what an error asks for."""
        if verdict.lane is LaneAct.PARK:
            await self.park(verdict.reason, verdict.until)
        elif verdict.lane is LaneAct.REST and verdict.until is not None:
            self.meter.rest(verdict.until)
            await self.beat()
        elif verdict.lane is LaneAct.SLOWER:
            self.slower()

    def slower(self) -> None:
        """One call fewer in flight."""
        self.width = max(1, self.width - 1)
        self._smooth = 0

    async def park(self, reason: str, until: datetime | None) -> None:
        """No more sends from this mailbox until a time; other lanes take what it holds."""
        if self.row.state == "parked" and self.row.reason == reason:
            return
        log.warning("lane.parked", mailbox=self.grip.mailbox, reason=reason, until=str(until))
        self.row = replace(self.row, state="parked", reason=reason, until=until)  # first: others in flight ask it
        self._parking += 1
        try:
            await self.tools.store.park(self.grip, reason=reason, until=until)
        finally:
            self._parking -= 1

    def went_well(self) -> None:
        """After enough sends without complaint one more call in flight is allowed again."""
        self._smooth += 1
        if self._smooth >= _WIDEN_AFTER and self.width < self.most:
            self.width += 1
            self._smooth = 0

    def strayed(self) -> None:
        """A draft may lie in the mailbox that no delivery knows; look for it after a while."""
        if self.road is Road.RELAY:
            return  # nothing is staged on this road
        due = datetime.now(UTC) + timedelta(seconds=self.options.stray_grace)
        self.row = replace(self.row, strays_at=due)
