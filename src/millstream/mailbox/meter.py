"""What reading a mailbox may cost: its share of the mailbox's units, and of the project's, counted as Google counts.

While a lane sends from the mailbox, it always leaves `ReadingOptions.beside` units a minute. What reading takes beyond
them it announces first and waits until the lane has made room, so that both together never ask for more than Google
gives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from millstream.mailbox.options import ReadingOptions
from millstream.quota import Limits, Rate, Ticket, Window

_ROOM_FOR = 15.0
"""Seconds for which room that was made is used; the lane keeps it for 30 more than Google's minute (`beat`)."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call takes out of its mailbox's window, of the project's, and of what a lane always leaves."""

    own: Ticket
    project: Ticket
    beside: Ticket | None


class ReadingMeter:
    """The counting of one mailbox's reading; the Gmail client asks it before each call.

    Args:
        options: Google's limits, and the part of them that reading takes while a lane sends from the mailbox.
        project: the window of all mailboxes that this process reads.
        announce: tells the mailbox's lane how many units reading is about to take.
    """

    def __init__(self, options: ReadingOptions, project: Window, *, announce: Callable[[int], Awaitable[None]]) -> None:
        self._options = options
        self._limits = options.limits
        self._project = project
        self._announce = announce
        whole = self._limits.units_per_minute_user
        self._window = Window(whole)
        self._beside = Window(Rate(options.beside, whole.period) if whole else None, smooth=False)
        self._seconds_a_unit = 1 / whole.per_second if whole else 0.0
        self._lane = False
        self._unbilled = 0
        self._asking = asyncio.Lock()
        self._waiting = self._room = 0
        self._room_until = 0.0

    def restore(self, units: int) -> None:
        """Count what another process spent in the last minute, as if it were spent now."""
        now = time.monotonic()
        self._window.restore([(now, units)])
        self._beside.restore([(now, units)])

    def share_with(self, *, lane: bool) -> None:
        """Whether a lane sends from the mailbox now; then reading takes its share and leaves the rest."""
        whole = self._limits.units_per_minute_user
        if whole is None:
            return
        self._lane = lane
        least = self._limits.cost("messages.get")
        rate = Rate(max(least, int(whole.amount * self._options.share)), whole.period) if lane else whole
        if self._window.rate != rate:
            self._window.rate = rate

    async def acquire(self, method: str) -> Cost:
        """Wait until a call of this method is within both rates, and a sending lane has made room for it.

        Raises:
            DatabaseError: it could not be announced; the call must not be made.
        """
        cost = self._limits.cost(method)
        while True:
            now = time.monotonic()
            wait = max(self._window.wait(now, cost), self._project.wait(now, cost))
            if wait > 0:
                await asyncio.sleep(wait)
            elif self._free(now, cost):
                self._unbilled += cost
                beside = self._beside.spend(now, cost) if self._lane else None
                return Cost(self._window.spend(now, cost), self._project.spend(now, cost), beside)
            elif self._made() >= cost:
                self._room -= cost
                return Cost(self._window.spend(now, cost), self._project.spend(now, cost), None)
            else:
                await self._make_room(cost)

    def release(self, ticket: Cost) -> None:
        """The call is over; its cost leaves the windows a period from now."""
        now = time.monotonic()
        self._window.settle(ticket.own, now)
        self._project.settle(ticket.project, now)
        if ticket.beside is not None:
            self._beside.settle(ticket.beside, now)

    def bill(self) -> int:
        """Units spent since the last bill and not announced, for the store."""
        units, self._unbilled = self._unbilled, 0
        return units

    def _free(self, now: float, cost: int) -> bool:
        """Whether a call costs no lane anything that it does not leave anyway."""
        return not self._lane or (cost <= self._options.beside and self._beside.wait(now, cost) <= 0)

    def _made(self) -> int:
        """Units that the lane has made room for and nobody has taken."""
        return self._room if time.monotonic() < self._room_until else 0

    async def _make_room(self, cost: int) -> None:
        """Announce what all waiting calls cost, and wait until the lane has heard it and spends so much less."""
        self._waiting += cost
        try:
            async with self._asking:
                if self._made() >= cost:
                    return
                wanted = self._waiting - self._made()
                await self._announce(wanted)
                await asyncio.sleep(self._options.heard_after + wanted * self._seconds_a_unit)
                self._room, self._room_until = self._made() + wanted, time.monotonic() + _ROOM_FOR
        finally:
            self._waiting -= cost


def project_window(limits: Limits, share: float) -> Window:
    """The window of one process's reading: its part of what the project may spend in a minute."""
    whole = limits.units_per_minute_project
    return Window(Rate(max(1, int(whole.amount * share)), whole.period) if whole else None, smooth=False)
