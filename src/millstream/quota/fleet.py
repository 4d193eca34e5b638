"""The mailboxes that send together, and every bound their limits put on them."""

from dataclasses import dataclass
from typing import Final, Literal

from millstream.quota.limits import Limits
from millstream.quota.rate import Rate

Mode = Literal["draft", "direct"]
CALLS: Final = {"draft": 2, "direct": 1}
"""Requests for one delivery: drafts.create and drafts.send, or messages.send alone."""

_BY_USER: Final = "units_per_minute_user"
_BY_PROJECT: Final = "units_per_minute_project"
_BY_CONCURRENCY: Final = "concurrency"
_BY_MESSAGES: Final = "messages_per_day"
_BY_RECIPIENTS: Final = "recipients_per_day"
_BY_WARM_UP: Final = "warm_up"
_BY_BYTES: Final = "upload_bytes_per_day"
_BY_PROJECT_DAY: Final = "units_per_day_project"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """The senders of a run.

    ``ages`` are the mailboxes' ages in days and ``spent_today`` the messages each sent in the last 24 hours; mailboxes
    beyond the end of these tuples are warmed up and have sent nothing. ``mean_bytes`` is the mean size on the wire
    (0: unknown, the byte budget is left out), ``latency_seconds`` the mean time of one request (0: not counted).
    """

    mailboxes: int
    limits: Limits
    ages: tuple[int, ...] = ()
    spent_today: tuple[int, ...] = ()
    mean_bytes: int = 0
    mode: Mode = "draft"
    latency_seconds: float = 0.0
    concurrency: int | None = None

    @property
    def cost(self) -> int:
        """Quota units of one delivery."""
        return self.limits.cost_of_delivery(self.mode)

    @property
    def in_flight(self) -> int:
        """Requests at once per mailbox."""
        return self.concurrency or self.limits.concurrency

    def mailbox_paces(self) -> dict[str, float]:
        """Messages a second of one mailbox, by the limit that allows no more."""
        paces = {}
        if self.limits.units_per_minute_user is not None:
            paces[_BY_USER] = self.limits.units_per_minute_user.per_second / self.cost
        if self.latency_seconds > 0:
            paces[_BY_CONCURRENCY] = self.in_flight / (self.latency_seconds * CALLS[self.mode])
        return paces

    def project_paces(self) -> dict[str, float]:
        """Messages a second of the whole project, by the limit that allows no more."""
        ceiling = self.limits.units_per_minute_project
        return {} if ceiling is None else {_BY_PROJECT: ceiling.per_second / self.cost}

    def mailbox_budgets(self, age: int | None) -> dict[str, int]:
        """Messages a day of one mailbox of an age in days (None: warmed up), by the limit that allows no more."""
        limits, budgets = self.limits, {}
        if limits.messages_per_day is not None:
            budgets[_BY_MESSAGES] = _a_day(limits.messages_per_day)
        if limits.recipients_per_day is not None:
            budgets[_BY_RECIPIENTS] = _a_day(limits.recipients_per_day)
        if limits.upload_bytes_per_day is not None and self.mean_bytes > 0:
            # Sizes scatter around their mean, so a day carries the rounded figure as often as not.
            budgets[_BY_BYTES] = round(limits.upload_bytes_per_day.per_day / self.mean_bytes)
        if age is not None and age < len(limits.warm_up):
            budgets[_BY_WARM_UP] = limits.warm_up[age]
        return budgets

    def project_budgets(self) -> dict[str, int]:
        """Messages a day of the whole project, by the limit that allows no more."""
        ceiling = self.limits.units_per_day_project
        return {} if ceiling is None else {_BY_PROJECT_DAY: _a_day(ceiling) // self.cost}

    def members(self) -> dict[tuple[int | None, int], int]:
        """How many mailboxes there are of each kind: (age in days or None, messages sent in the last 24 hours)."""
        kinds: dict[tuple[int | None, int], int] = {}
        given = min(self.mailboxes, max(len(self.ages), len(self.spent_today)))
        for place in range(given):
            age = self.ages[place] if place < len(self.ages) else None
            spent = self.spent_today[place] if place < len(self.spent_today) else 0
            kinds[age, spent] = kinds.get((age, spent), 0) + 1
        if given < self.mailboxes:
            kinds[None, 0] = kinds.get((None, 0), 0) + self.mailboxes - given
        return kinds

    def per_second(self) -> float:
        """The burst of the whole fleet: all mailboxes at their pace, under the project's ceiling. Infinite if free."""
        one = min(self.mailbox_paces().values(), default=float("inf"))
        return min(self.mailboxes * one, *self.project_paces().values(), float("inf"))

    def per_day(self) -> float:
        """What the whole fleet, warmed up, carries in 24 hours. Infinite if free."""
        one = min(self.mailbox_budgets(None).values(), default=float("inf"))
        paced = self.per_second() * 86_400
        return min(self.mailboxes * one, *self.project_budgets().values(), paced)


def _a_day(rate: Rate) -> int:
    return int(rate.per_day)
