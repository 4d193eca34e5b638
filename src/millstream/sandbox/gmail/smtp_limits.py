"""What the relay lets through in a time: for each user and day, for the organisation in ten minutes and a day.

Counted by the sandbox's clock and by the envelope sender, as Google counts (reference 1.6): one that is nobody's
mailbox has no limit of its own.
"""

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.sandbox.gmail import smtp_words as words
from millstream.sandbox.gmail.quota import DAY, Quota, RollingWindow, window
from millstream.sandbox.gmail.world import World

TEN_MINUTES: Final = 600.0


class UniqueWindow:
    """How many different addresses there were in the last `period` seconds."""

    __slots__ = ("_count", "_entries", "_period")

    def __init__(self, period: float) -> None:
        self._period = period
        self._entries: deque[tuple[float, str]] = deque()
        self._count: Counter[str] = Counter()

    def with_these(self, now: float, addresses: tuple[str, ...]) -> int:
        """How many there would be with these."""
        while self._entries and self._entries[0][0] + self._period <= now:
            _, gone = self._entries.popleft()
            self._count[gone] -= 1
            if not self._count[gone]:
                del self._count[gone]
        return len(self._count) + len({address for address in addresses if address not in self._count})

    def add(self, now: float, addresses: tuple[str, ...]) -> None:
        """Put these in."""
        for address in addresses:
            self._entries.append((now, address))
            self._count[address] += 1


@dataclass(slots=True)
class UserUse:
    """What one user sent through the relay."""

    messages: RollingWindow
    recipients: UniqueWindow


@dataclass(slots=True)
class Tally:
    """What the relay did, for the ledger."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    connections: int = 0
    connections_now: int = 0
    connections_peak: int = 0
    greatest_group: int = 0
    """Most commands that came at once: 1 is a client that waits for every reply."""
    logins: Counter[str] = field(default_factory=Counter)
    transactions: Counter[str] = field(default_factory=Counter)
    """Messages by whether they came in clear or under TLS."""

    def say(self, reply: str) -> None:
        """Count a reply that is a refusal, by its codes."""
        if reply[0] in "45":
            self.refused[" ".join(reply.split(" ", 2)[:2])] += 1


class RelayLimits:
    """The limiters of the relay."""

    def __init__(self, world: World, quota: Quota) -> None:
        self._world = world
        self._quota = quota
        self.clear()

    def clear(self) -> None:
        """Forget everything that was sent."""
        limits = self._quota.limits
        self._users: dict[str, UserUse] = {}
        self._period = window(limits.relay_recipients_per_period, TEN_MINUTES)
        self._day = window(limits.relay_recipients_per_day, DAY)
        self.tally = Tally()

    def follow(self) -> None:
        """Take over limits that were changed; what lies in a window whose length changed is forgotten."""
        limits = self._quota.limits
        period = window(limits.relay_recipients_per_period, TEN_MINUTES)
        if period.period != self._period.period:
            self._period = period

    def charge(self, sender: str, recipients: tuple[str, ...]) -> str | None:
        """Count one message, or give the refusal; a refused one counts nothing."""
        now = self._world.clock.seconds()
        use, refusal = self._of_user(now, sender, recipients)
        refusal = refusal or self._of_organisation(now, len(recipients))
        if refusal is None:
            self._period.add(now, len(recipients))
            self._day.add(now, len(recipients))
            if use is not None:
                use.messages.add(now, 1)
                use.recipients.add(now, recipients)
        return refusal

    def _of_user(self, now: float, sender: str, recipients: tuple[str, ...]) -> tuple[UserUse | None, str | None]:
        account = self._world.account(sender) if sender else None
        if account is None or not account.is_local:
            return None, None
        condition, limits = account.condition, self._quota.limits
        if condition.sending_parked_until is not None and condition.sending_parked_until > now:
            return None, words.USER_DAY
        use = self._users.get(account.address)
        if use is None:
            use = self._users[account.address] = UserUse(window(limits.relay_messages_per_day, DAY), UniqueWindow(DAY))
        own, of_relay, unique = (
            condition.daily_limit,
            limits.relay_messages_per_day,
            limits.relay_recipients_per_user_day,
        )
        if own is None and of_relay is None and limits.messages_per_day is not None:
            # Where the relay has no limit of its own the account's holds, as it does for smtp.gmail.com.
            own = limits.messages_per_day.amount
        if own is not None and use.messages.used(now) + 1 > own:
            return use, words.USER_DAY
        if of_relay is not None and use.messages.used(now) + 1 > of_relay.amount:
            return use, words.RELAY_USER_DAY
        if unique is not None and use.recipients.with_these(now, recipients) > unique.amount:
            return use, words.RELAY_USER_DAY
        return use, None

    def _of_organisation(self, now: float, recipients: int) -> str | None:
        period, day = self._quota.limits.relay_recipients_per_period, self._quota.limits.relay_recipients_per_day
        if day is not None and self._day.used(now) + recipients > day.amount:
            return words.CUSTOMER_DAY
        if period is not None and self._period.used(now) + recipients > period.amount:
            return words.CUSTOMER_PEAK
        return None

    def ledger(self) -> dict[str, Any]:
        """Everything counted so far, for the control API."""
        now, tally = self._world.clock.seconds(), self.tally
        return {
            "accepted": tally.accepted,
            "refused": dict(tally.refused),
            "period_used": self._period.used(now),
            "period_peak": self._period.peak,
            "day_used": self._day.used(now),
            "users": {address: use.messages.used(now) for address, use in sorted(self._users.items())},
            "connections": tally.connections,
            "connections_now": tally.connections_now,
            "connections_peak": tally.connections_peak,
            "greatest_group": tally.greatest_group,
            "dropped_twins": self._world.dropped_twins,
            "logins": dict(tally.logins),
            "transactions": dict(tally.transactions),
        }
