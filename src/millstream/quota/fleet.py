"""The mailboxes that send together, and every bound their limits put on them."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

from millstream.quota.limits import Limits
from millstream.quota.plan import Kind
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
# In the order in which they are named when two would take equally long: first what an operator can change.
NAMES: Final = (
    "messages_per_day",
    "upload_bytes_per_day",
    "recipients_per_day",
    "warm_up",
    "units_per_day_project",
    "concurrency",
    "units_per_minute_user",
    "units_per_minute_project",
)
_SENTENCES: Final = {
    "messages_per_day": "the daily budget of {budget:,} messages a mailbox decides: {who} {carry} {a_day:,} a day",
    "recipients_per_day": "the daily budget of {budget:,} recipients a mailbox decides: {who} {carry} {a_day:,} a day",
    "upload_bytes_per_day": "the upload budget of {megabytes:,.4g} MB a day and mailbox decides: "
    "at {size:,.3g} MB a message {who} {carry} {a_day:,} a day",
    "warm_up": "the warm-up of young mailboxes decides: {steps} messages on their first days, then the full budget",
    "units_per_day_project": "the project's threshold of {project_day} decides: "
    "at {cost} units a message it carries {project_budget:,} a day",
    "units_per_minute_user": "the rate of {user} and mailbox decides: at {cost} units a message "
    "{who} {send} {a_second:,.3g} a second",
    "units_per_minute_project": "the project's ceiling of {project} decides: at {cost} units a message "
    "it carries {project_pace:,.3g} a second",
    "concurrency": "the concurrency of {in_flight} requests a mailbox decides: at {latency:.3g} s a request and "
    "{calls} a message {who} {send} {a_second:,.3g} a second",
}
_PERIODS: Final = {
    timedelta(seconds=1): "a second",
    timedelta(minutes=1): "a minute",
    timedelta(hours=1): "an hour",
    timedelta(days=1): "a day",
}


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

    def members(self) -> dict[Kind, int]:
        """How many mailboxes there are of each kind: (age in days or None, messages sent in the last 24 hours)."""
        kinds: dict[Kind, int] = {}
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

    @property
    def settling_days(self) -> int:
        """Days after which one day is like the other: until the youngest mailbox is warmed up."""
        young = any(age < len(self.limits.warm_up) for age in self.ages[: self.mailboxes])
        return len(self.limits.warm_up) if young else 0

    def names(self) -> tuple[str, ...]:
        """Its limits, in the order in which they are named when two would take equally long."""
        return NAMES

    def value(self, name: str) -> str:
        """A limit as an operator writes it."""
        return str(self.in_flight) if name == _BY_CONCURRENCY else self.limits.as_text()[name]

    def sentence(self, name: str) -> str:
        """Why it is no faster: the named limit, and what it carries under it."""
        limits, one = self.limits, self.mailboxes == 1
        budget, pace = self.mailbox_budgets(None).get(name, 0), self.mailbox_paces().get(name, 0.0)
        return _SENTENCES[name].format(
            who="1 mailbox" if one else f"{self.mailboxes:,} mailboxes",
            carry="carries" if one else "carry",
            send="sends" if one else "send",
            budget=budget,
            a_day=budget * self.mailboxes,
            a_second=pace * self.mailboxes,
            cost=self.cost,
            size=self.mean_bytes / 1_000_000,
            megabytes=limits.upload_bytes_per_day.per_day / 1_000_000 if limits.upload_bytes_per_day else 0,
            steps=", then ".join(f"{step:,}" for step in limits.warm_up),
            user=_units(limits.units_per_minute_user),
            project=_units(limits.units_per_minute_project),
            project_day=_units(limits.units_per_day_project),
            project_pace=self.project_paces().get(name, 0.0),
            project_budget=self.project_budgets().get(name, 0),
            in_flight=self.in_flight,
            latency=self.latency_seconds,
            calls="1 request" if CALLS[self.mode] == 1 else f"{CALLS[self.mode]} requests",
        )


def _a_day(rate: Rate) -> int:
    return int(rate.per_day)


def _units(rate: Rate | None) -> str:
    """``6,000 units a minute``; a period without a name of its own is written as the rate writes it."""
    if rate is None:
        return "no units"
    named = _PERIODS.get(rate.period)
    return f"{rate.amount:,} units {named}" if named else f"{rate} units"
