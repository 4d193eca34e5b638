"""What a lane may still spend: units of this minute, messages and bytes of this day, and the time it was told to wait.

Everything starts from the ledger of attempts; nothing is counted beside it.
"""

from __future__ import annotations

import asyncio
import time
from bisect import insort
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from millstream.delivery.errors import LaneResting, LaneStopped
from millstream.delivery.options import DeliveryOptions
from millstream.quota import Budget, Rate, Ticket, Window, daily_budget, share

_LOOK_AROUND = 0.5
"""Seconds after which a waiting caller looks whether the lane still goes on."""


@dataclass(order=True, slots=True)
class _Place:
    """A call's place in the line of those that wait: the cheapest first, then in the order they came."""

    cost: int
    number: int
    turn: asyncio.Event = field(default_factory=asyncio.Event, compare=False)

    async def called(self, within: float) -> None:
        """Wait until this call is the first, for so many seconds at most."""
        self.turn.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.turn.wait()


class LaneMeter:
    """The counting of one lane; also what the Gmail client asks before each reading call."""

    def __init__(self, options: DeliveryOptions, *, age_days: int, stopped: Callable[[], bool]) -> None:
        limits = self._limits = options.limits
        self._for_reading = options.for_reading
        self._stopped = stopped
        self._window = Window(limits.units_per_minute_user)
        messages = limits.messages_per_day
        self._messages = Budget(messages and Rate(daily_budget(limits, age_days), messages.period))
        self._bytes = Budget(limits.upload_bytes_per_day)
        self.resume_at: datetime | None = None
        self._line: list[_Place] = []
        self._numbers = count()
        self._unbilled = 0

    def restore(self, spent: Iterable[Mapping[str, Any]]) -> None:
        """Count what the ledger says was spent in the last day (rows of `spent`: epoch seconds, units, bytes, sent)."""
        offset = time.monotonic() - time.time()
        rows = [(row["at"] + offset, row) for row in spent]
        self._window.restore([(at, row["units"]) for at, row in rows])
        self._messages.restore([(at, row["sent"]) for at, row in rows if row["sent"]])
        self._bytes.restore([(at, row["bytes"]) for at, row in rows if row["bytes"]])

    def share_project(self, running: int, *, spared: int = 0) -> None:
        """The project's rate is shared among the lanes that run now, and the mailbox's with whoever reads it.

        One window serves both rates, so that what was spent under a larger share counts under a smaller one.

        Args:
            running: lanes that run now, wherever they run.
            spared: units of the mailbox's minute that are left to reading it.
        """
        project, own = self._limits.units_per_minute_project, self._limits.units_per_minute_user
        if own is not None and spared:
            own = Rate(max(self._dearest, own.amount - spared), own.period)
        rate = own
        if project is not None:
            whole = Rate(max(1, int(project.amount * (1 - self._for_reading))), project.period)
            part = share(whole, max(1, running), least=self._dearest)
            rate = own if own is not None and own.per_second <= part.per_second else part
        if self._window.rate != rate:
            self._window.rate = rate

    @property
    def _dearest(self) -> int:
        return self._limits.cost("drafts.send")

    def rest(self, until: datetime) -> None:
        """No call before this time: Google said so, and trying earlier makes it later."""
        if self.resume_at is None or until > self.resume_at:
            self.resume_at = until

    def messages_left(self) -> int:
        """Messages this mailbox may still send now."""
        return self._messages.left(time.monotonic())

    def bytes_left(self) -> int:
        """Bytes this mailbox may still upload now."""
        return self._bytes.left(time.monotonic())

    def day_frees_at(self) -> datetime:
        """When the rolling day lets a message, and a byte, go again."""
        now = time.monotonic()
        wait = max(self._messages.next_free(now), self._bytes.next_free(now)) - now
        return datetime.now(UTC) + timedelta(seconds=min(max(wait, 1.0), 86_400.0))

    @property
    def paced(self) -> bool:
        """Whether a rate holds this lane back, so that taking more than it has in flight takes it from others."""
        return self._window.rate is not None

    def sent(self) -> None:
        """A message left, or may have."""
        self._messages.spend(time.monotonic(), 1)

    def uploaded(self, size: int) -> None:
        """So many bytes went up, or may have."""
        self._bytes.spend(time.monotonic(), size)

    async def acquire(self, method: str) -> Ticket:
        """Wait until a call of this method is within every rate. The cheapest goes first, then whoever came first.

        So drafts and sends alternate, and every minute holds as many sends as its units allow: with drafts now ahead
        and now behind, a minute holds some that are sent in the next, and its last send does not fit.

        Raises:
            LaneStopped: the lane stops; the call must not be made.
            LaneResting: Google named a time before which the mailbox must not be called.
        """
        place = _Place(self._limits.cost(method), next(self._numbers))
        insort(self._line, place)
        try:
            while True:
                self._check()
                now = time.monotonic()
                first = self._line[0] is place
                wait = self._window.wait(now, place.cost) if first else _LOOK_AROUND
                if first and wait <= 0:
                    self._unbilled += place.cost
                    return self._window.spend(now, place.cost)
                await place.called(min(wait, _LOOK_AROUND))
        finally:
            self._line.remove(place)
            if self._line:
                self._line[0].turn.set()

    def release(self, ticket: Ticket) -> None:
        """The call is over; its cost leaves the window a period from now."""
        self._window.settle(ticket, time.monotonic())

    def bill(self) -> int:
        """Units spent since the last bill; they go into the next attempt."""
        units, self._unbilled = self._unbilled, 0
        return units

    def _check(self) -> None:
        if self._stopped():
            raise LaneStopped("the lane is asked to stop; the call was not made")
        if self.resume_at is not None:
            if datetime.now(UTC) < self.resume_at:
                message = f"the mailbox rests until {self.resume_at.isoformat()}; the call was not made"
                raise LaneResting(message, self.resume_at)
            self.resume_at = None
