"""What calls cost, what is left, and the ledger of what was refused.

All windows are exact: an entry of time t leaves a window of p seconds at t + p, by the sandbox's clock.
"""

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from millstream.quota import Limits, Rate, UnknownMethod
from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.clock import Clock
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.errors import (
    CloudQuota,
    MailSending,
    ProjectExhausted,
    Refusal,
    TooManyConcurrent,
    UserRateLimit,
)

MINUTE: Final = 60.0
DAY: Final = 86_400.0
PATIENCE_SECONDS: Final = 1.0
"""A retry counts as early only this long after a refusal: what was in flight then could not know better."""


class RollingWindow:
    """A sum over the last `period` seconds, and the highest it ever was."""

    __slots__ = ("_entries", "peak", "period", "total")

    def __init__(self, period: float) -> None:
        self._entries: deque[tuple[float, int]] = deque()
        self.period = period
        self.total = 0
        self.peak = 0

    def used(self, now: float) -> int:
        """What lies in the window now."""
        entries = self._entries
        while entries and entries[0][0] + self.period <= now:
            self.total -= entries.popleft()[1]
        return self.total

    def add(self, now: float, cost: int) -> None:
        """Put an entry in."""
        self.used(now)
        self._entries.append((now, cost))
        self.total += cost
        self.peak = max(self.peak, self.total)

    def room_at(self, now: float, limit: int, cost: int) -> float:
        """The earliest moment at which `cost` fits below `limit` if nothing else is added."""
        excess = self.used(now) + cost - limit
        moment = now
        for entry_time, entry_cost in self._entries:
            if excess <= 0:
                return moment
            excess -= entry_cost
            moment = entry_time + self.period
        return moment if excess <= 0 else now + self.period


def window(rate: Rate | None, otherwise: float) -> RollingWindow:
    """A window as long as a limit's period; where there is no limit it is kept for the ledger alone."""
    return RollingWindow(otherwise if rate is None else rate.period.total_seconds())


@dataclass(slots=True)
class MailboxUse:
    """What one mailbox used, and how it stands with the limiters."""

    units: RollingWindow
    sends: RollingWindow
    recipients: RollingWindow
    uploads: RollingWindow
    calls: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0
    most_in_flight: int = 0
    over_limit_answers: int = 0
    undelivered: int = 0
    stated_until: float = 0.0
    stated_at: float = 0.0

    @classmethod
    def under(cls, limits: Limits) -> "MailboxUse":
        """Nothing used yet, under these limits."""
        return cls(
            window(limits.units_per_minute_user, MINUTE),
            window(limits.messages_per_day, DAY),
            window(limits.recipients_per_day, DAY),
            window(limits.upload_bytes_per_day, DAY),
        )


class Quota:
    """The limiters and the ledger of one sandbox."""

    def __init__(self, config: SandboxConfig, clock: Clock) -> None:
        self.limits = Limits.preset(config.limits, config.limit_overrides)
        self._overrides = dict(config.limit_overrides)
        self._config = config
        self._clock = clock
        self._costs: dict[str, int] = {}
        self.clear()

    def clear(self) -> None:
        """Forget everything used so far."""
        self._use: dict[str, MailboxUse] = {}
        self.project = window(self.limits.units_per_minute_project, MINUTE)
        self._project_day = RollingWindow(DAY)
        self.faults: Counter[str] = Counter()

    def override(self, limits: Mapping[str, str]) -> None:
        """Change single limits from now on; raises `millstream.quota.QuotaError`. Windows keep their lengths."""
        overrides = self._overrides | dict(limits)
        self.limits = Limits.preset(self._config.limits, overrides)
        self._overrides = overrides

    def of(self, address: str) -> MailboxUse:
        """The use of one mailbox."""
        use = self._use.get(address)
        if use is None:
            use = self._use[address] = MailboxUse.under(self.limits)
        return use

    def enter(self, address: str) -> MailboxUse:
        """Count a request in flight; raises `TooManyConcurrent` without counting it."""
        use = self.of(address)
        most = self._config.concurrency_per_user
        if most is not None and use.in_flight >= most:
            raise TooManyConcurrent
        use.in_flight += 1
        use.most_in_flight = max(use.most_in_flight, use.in_flight)
        return use

    def cost(self, method: str) -> int:
        """Units of a method; a patch costs what its update costs, and what Google's table does not name costs 1."""
        cost = self._costs.get(method)
        if cost is None:
            try:
                cost = self.limits.cost(method.replace(".patch", ".update"))
            except UnknownMethod:
                cost = 1
            self._costs[method] = cost
        return cost

    def charge(self, account: Account, method: str) -> None:
        """Spend a method's units, or raise the refusal Google would give; a refused call costs nothing."""
        now = self._clock.seconds()
        use = self.of(account.address)
        cost = self.cost(method)
        if use.stated_until > now:
            raise self._refuse_again(use, now)
        per_user, per_project = self.limits.units_per_minute_user, self.limits.units_per_minute_project
        if per_user is not None and use.units.used(now) + cost > per_user.amount:
            raise self._refuse(use, now, cost, per_user.amount)
        if per_project is not None and self.project.used(now) + cost > per_project.amount:
            raise CloudQuota(per_user=False)
        per_day = self._config.project_units_per_day
        if per_day is not None and self._project_day.used(now) + cost > per_day:
            raise ProjectExhausted
        use.units.add(now, cost)
        self.project.add(now, cost)
        if per_day is not None:
            self._project_day.add(now, cost)
        use.calls[method] += 1

    def _refuse(self, use: MailboxUse, now: float, cost: int, limit: int) -> Refusal:
        """The first refusal is the Cloud-quota layer's; who comes again at once meets Gmail's own limiter.

        Both were seen one after the other (reference 1.2). The limiter names a time and holds to it.
        """
        if now - use.stated_at > MINUTE:
            use.stated_at = now
            return CloudQuota(per_user=True)
        use.stated_at = now
        use.stated_until = use.units.room_at(now, limit, cost)
        return UserRateLimit(use.stated_until, code=403, reason="userRateLimitExceeded")

    def _refuse_again(self, use: MailboxUse, now: float) -> Refusal:
        if now - use.stated_at > PATIENCE_SECONDS:
            # Reported: a retry before the stated time came back with a later one (reference 1.2, 18:03 -> 18:18).
            use.stated_until += self._config.pushback_seconds
            use.stated_at = now
        return UserRateLimit(use.stated_until)

    def charge_upload(self, account: Account, size: int) -> None:
        """Spend upload bytes, or raise; the text is the general limiter's, as Google's error guide says."""
        limit = self.limits.upload_bytes_per_day
        now = self._clock.seconds()
        uploads = self.of(account.address).uploads
        if limit is not None and uploads.used(now) + size > limit.amount:
            raise UserRateLimit(uploads.room_at(now, limit.amount, size))
        uploads.add(now, size)

    def charge_send(self, account: Account, recipients: int, *, grace: bool = True) -> bool:
        """Count one message out; says whether it will really go.

        False is Gmail's way over the daily limit: a 200 for a message that is not sent. After a number of those
        (`answers_after_limit`), without `grace` (SMTP says no at once) and wherever the mailbox is parked, raises
        `MailSending`.
        """
        now = self._clock.seconds()
        use = self.of(account.address)
        parked = account.condition.sending_parked_until
        if parked is not None and parked > now:
            raise MailSending(parked)
        until = self._over_limit(account, use, now, recipients)
        if until is None:
            use.over_limit_answers = 0
            use.sends.add(now, 1)
            use.recipients.add(now, recipients)
            return True
        if not grace or use.over_limit_answers >= self._config.answers_after_limit:
            raise MailSending(until)
        use.over_limit_answers += 1
        use.undelivered += 1
        return False

    def _over_limit(self, account: Account, use: MailboxUse, now: float, recipients: int) -> float | None:
        """When the mailbox may send again, or None if it may now."""
        messages = account.condition.daily_limit
        if messages is None and self.limits.messages_per_day is not None:
            messages = self.limits.messages_per_day.amount
        if messages is not None and use.sends.used(now) + 1 > messages:
            return use.sends.room_at(now, messages, 1)
        most = self.limits.recipients_per_day
        if most is not None and use.recipients.used(now) + recipients > most.amount:
            return use.recipients.room_at(now, most.amount, recipients)
        return None

    def note_refusal(self, address: str, refusal: Refusal) -> None:
        """Write a refusal into the ledger, by status and reason."""
        self.of(address).refusals[f"{refusal.code} {refusal.reason}"] += 1

    def ledger(self) -> dict[str, Any]:
        """Everything counted so far, for the control API."""
        now = self._clock.seconds()
        totals: Counter[str] = Counter()
        refusals: Counter[str] = Counter()
        for use in self._use.values():
            totals.update(use.calls)
            refusals.update(use.refusals)
        return {
            "calls": dict(totals),
            "refusals": dict(refusals),
            "faults": dict(self.faults),
            "best_minute_units": self.project.peak,
            "units_last_minute": self.project.used(now),
            "mailboxes": {address: _summary(use, now) for address, use in sorted(self._use.items())},
        }


def _summary(use: MailboxUse, now: float) -> dict[str, Any]:
    return {
        "best_minute_units": use.units.peak,
        "units_last_minute": use.units.used(now),
        "sent_last_day": use.sends.used(now),
        "recipients_last_day": use.recipients.used(now),
        "uploaded_last_day": use.uploads.used(now),
        "answered_but_not_sent": use.undelivered,
        "most_in_flight": use.most_in_flight,
        "calls": dict(use.calls),
        "refusals": dict(use.refusals),
    }
