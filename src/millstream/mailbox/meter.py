"""What reading a mailbox may cost: its share of the mailbox's units, and of the project's, counted as Google counts."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from millstream.quota import Limits, Rate, Ticket, Window


@dataclass(frozen=True, slots=True)
class Cost:
    """What one call takes out of its mailbox's window and out of the project's."""

    own: Ticket
    project: Ticket


class ReadingMeter:
    """The counting of one mailbox's reading; the Gmail client asks it before each call.

    Args:
        limits: Google's.
        project: the window of all mailboxes that this process reads.
        share: the part of the mailbox's units that reading takes while a lane sends from it.
    """

    def __init__(self, limits: Limits, project: Window, *, share: float) -> None:
        self._limits = limits
        self._project = project
        self._share = share
        self._window = Window(limits.units_per_minute_user)
        self._unbilled = 0

    def restore(self, units: int) -> None:
        """Count what another process spent in the last minute, as if it were spent now."""
        self._window.restore([(time.monotonic(), units)])

    def share_with(self, *, lane: bool) -> None:
        """Whether a lane sends from the mailbox now; then reading takes its share and leaves the rest."""
        whole = self._limits.units_per_minute_user
        if whole is None:
            return
        least = self._limits.cost("messages.get")
        rate = Rate(max(least, int(whole.amount * self._share)), whole.period) if lane else whole
        if self._window.rate != rate:
            self._window.rate = rate

    async def acquire(self, method: str) -> Cost:
        """Wait until a call of this method is within both rates."""
        cost = self._limits.cost(method)
        while True:
            now = time.monotonic()
            wait = max(self._window.wait(now, cost), self._project.wait(now, cost))
            if wait <= 0:
                self._unbilled += cost
                return Cost(self._window.spend(now, cost), self._project.spend(now, cost))
            await asyncio.sleep(wait)

    def release(self, ticket: Cost) -> None:
        """The call is over; its cost leaves the windows a period from now."""
        now = time.monotonic()
        self._window.settle(ticket.own, now)
        self._project.settle(ticket.project, now)

    def bill(self) -> int:
        """Units spent since the last bill, for the store."""
        units, self._unbilled = self._unbilled, 0
        return units


def project_window(limits: Limits, share: float) -> Window:
    """The window of one process's reading: its part of what the project may spend in a minute."""
    whole = limits.units_per_minute_project
    return Window(Rate(max(1, int(whole.amount * share)), whole.period) if whole else None, smooth=False)


def utc_now() -> datetime:
    """Our clock, aware."""
    return datetime.now(UTC)
