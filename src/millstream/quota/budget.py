"""Rolling budgets: how many messages or bytes a mailbox has left in the last 24 hours, and when there will be more."""

from collections import deque
from collections.abc import Iterable
from typing import Final

from millstream.quota.limits import Limits
from millstream.quota.rate import Rate

_GRAINS: Final = 1_440
"""A period is remembered in at most so many pieces: minutes, for a day. A piece counts until its latest spend leaves,
so a budget may come back up to a minute late and never early."""

UNLIMITED: Final = 2**63 - 1
"""What is left of a budget without a limit: no more than a ledger's integer can count."""


class Budget:
    """What one mailbox has spent of a rolling amount. Times are float seconds of the caller's clock.

    ``rate=None`` is never used up. The rate may be replaced (warm-up); what was spent keeps counting.
    """

    def __init__(self, rate: Rate | None) -> None:
        self.rate = rate
        self._log: deque[tuple[float, float, int]] = deque()  # first and last spend of a piece, and how much
        self._spent = 0

    def spend(self, now: float, amount: int) -> None:
        """Count so much as spent now. It may exceed the budget: the ledger says what happened, not what should have."""
        if amount == 0:
            return
        grain = self.rate.seconds / _GRAINS if self.rate else 60.0
        self._spent += amount
        if self._log and now - self._log[-1][0] < grain:
            first, last, count = self._log[-1]
            self._log[-1] = (first, max(last, now), count + amount)
        else:
            self._log.append((now, now, amount))

    def refund(self, amount: int) -> None:
        """Take back the latest spends of so much: the calls turned out to have had no effect."""
        while amount > 0 and self._log:
            first, last, count = self._log.pop()
            taken = min(amount, count)
            amount -= taken
            self._spent -= taken
            if count > taken:
                self._log.append((first, last, count - taken))

    def spent(self, now: float) -> int:
        """What still counts."""
        self._forget(now)
        return self._spent

    def left(self, now: float) -> int:
        """What may be spent now; never below zero."""
        if self.rate is None:
            return UNLIMITED
        return max(0, self.rate.amount - self.spent(now))

    def next_free(self, now: float, amount: int = 1) -> float:
        """The time at which ``amount`` will be left if nothing more is spent; ``now`` if it is already.

        Infinity when the amount exceeds the whole budget.
        """
        missing = amount - self.left(now)
        if missing <= 0 or self.rate is None:
            return now
        missing = self._spent + amount - self.rate.amount
        for _, last, count in self._log:
            missing -= count
            if missing <= 0:
                return last + self.rate.seconds
        return float("inf")

    def restore(self, entries: Iterable[tuple[float, int]]) -> None:
        """Take over what the ledger says was spent: (time, amount), in any order, before anything was spent here."""
        for time, amount in sorted(entries):
            self.spend(time, amount)

    def _forget(self, now: float) -> None:
        period = self.rate.seconds if self.rate else 86_400.0
        while self._log and self._log[0][1] + period <= now:
            self._spent -= self._log.popleft()[2]


def daily_budget(limits: Limits, age_days: int) -> int:
    """The messages a mailbox may send in 24 hours, by its age in days: the warm-up first, then the full budget.

    A recipient counts with its message, so the smaller of the two limits holds. UNLIMITED without any.
    """
    rates = [rate for rate in (limits.messages_per_day, limits.recipients_per_day) if rate is not None]
    full = min((int(rate.per_day) for rate in rates), default=UNLIMITED)
    return min(full, limits.warm_up[age_days]) if 0 <= age_days < len(limits.warm_up) else full
