"""An exact sliding window: how much may be spent now so that no server-side period ever holds more than the rate.

The server charges a call at some instant between its start and its reply. Counting the cost from the start until one
period after the *reply* therefore covers every instant at which it may have been charged: when a call starts, all that
the server can still count against it is in our window, so the server's sum never exceeds ours, whatever the jitter.
The price is small: a cost lives for a period plus its latency, 0.25 % of a minute at 150 ms.
See docs/decisions/0009.

Spacing follows a schedule (each cost moves a due time forward by cost/rate), not the gap since the last grant: a grant
that came late is followed by an earlier one, until at most ``burst`` of the rate has been caught up.
"""

from collections import deque
from collections.abc import Iterable
from typing import Final

from millstream.quota.errors import NeverFits
from millstream.quota.rate import Rate

BURST: Final = 0.03
"""The part of a period's amount that may be spent at once, before spacing holds."""

_DRIFT: Final = 1.0001
"""Our period is a ten-thousandth longer than the server's: two machines' clocks may drift that far apart, and sums of
floats round. It is 6 ms of a minute."""


class Ticket:
    """A cost that is spent and whose reply is still open."""

    __slots__ = ("cost", "open")

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self.open = True


class Window:
    """What one mailbox, or one share of a project's ceiling, has spent in the last period.

    Times are float seconds of any clock that never goes back, given by the caller. ``rate=None`` never waits.
    ``smooth`` spreads grants evenly over the period, with at most ``burst`` of the amount at once.
    Every operation is O(1) amortised. Plain: to be used from one thread, and one event loop.
    """

    def __init__(self, rate: Rate | None, *, smooth: bool = True, burst: float = BURST) -> None:
        self._smooth = smooth
        self._burst = burst
        self._open = 0
        self._settled = 0
        self._log: deque[tuple[float, int]] = deque()
        self._due = float("-inf")
        self.rate = rate

    @property
    def rate(self) -> Rate | None:
        """The rate; it may be replaced at any time, and what was spent keeps counting."""
        return self._rate

    @rate.setter
    def rate(self, rate: Rate | None) -> None:
        self._rate = rate
        self._period = rate.seconds * _DRIFT if rate else 0.0
        self._amount = rate.amount if rate else 0
        self._spacing = rate.seconds / rate.amount if rate and self._smooth else 0.0
        self._slack = self._period * self._burst

    def used(self, now: float) -> int:
        """What counts against the rate now: open calls, and those whose reply is less than a period old."""
        self._forget(now)
        return self._open + self._settled

    def wait(self, now: float, cost: int) -> float:
        """Seconds until ``cost`` may be spent; 0.0 means now. Ask again after waiting: others may have been faster.

        Raises:
            NeverFits: a cost above the whole rate.
        """
        if self._rate is None:
            return 0.0
        if cost > self._amount:
            raise NeverFits(cost, self._rate)
        self._forget(now)
        spaced = self._due - self._slack - now if self._smooth else 0.0
        return max(0.0, spaced, self._until_free(now, cost))

    def spend(self, now: float, cost: int) -> Ticket:
        """Count a cost from now on; the caller has waited. Settle the ticket whatever becomes of the call."""
        self._open += cost
        self._due = max(self._due, now) + cost * self._spacing
        return Ticket(cost)

    def settle(self, ticket: Ticket, now: float) -> None:
        """The reply came, or the call is given up: its cost leaves the window one period from now. Once is enough."""
        if not ticket.open:
            return
        ticket.open = False
        self._open -= ticket.cost
        if self._rate is not None:  # without a rate nothing would ever leave the log again
            self._append(now, ticket.cost)

    def restore(self, entries: Iterable[tuple[float, int]]) -> None:
        """Take over what was spent before a restart: (time, cost), in any order, on this window's clock."""
        log = sorted([*self._log, *entries])
        self._log.clear()
        self._settled = 0
        for time, cost in log:
            self._append(time, cost)
            self._due = max(self._due, time + cost * self._spacing)

    def _append(self, time: float, cost: int) -> None:
        if self._log and time < self._log[-1][0]:
            time = self._log[-1][0]  # the caller's clock went back; the log stays in order, on the safe side
        self._log.append((time, cost))
        self._settled += cost

    def _forget(self, now: float) -> None:
        log = self._log
        while log and log[0][0] + self._period <= now:
            self._settled -= log.popleft()[1]

    def _until_free(self, now: float, cost: int) -> float:
        excess = self._open + self._settled + cost - self._amount
        if excess <= 0:
            return 0.0
        for time, spent in self._log:
            excess -= spent
            if excess <= 0:
                return time + self._period - now
        return self._period  # what is open cannot leave earlier, even if it settles this instant
