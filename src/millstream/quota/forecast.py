"""When a run will be done, and which limit decides, in words that a person understands."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from millstream.quota.errors import NeverDone
from millstream.quota.fleet import CALLS, Fleet
from millstream.quota.plan import DAY, days
from millstream.quota.rate import Rate

# In the order in which they are named when two would take equally long: first what an operator can change.
NAMES = (
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


@dataclass(frozen=True, slots=True)
class Figure:
    """One limit by itself: its value, what it lets the fleet send (None: no bound of that kind), how long it needs."""

    name: str
    value: str
    per_second: float | None
    per_day: int | None
    alone: timedelta | None  # None: never within ten years


@dataclass(frozen=True, slots=True)
class DayPlan:
    """One day of the plan: 24 hours from ``begins``; the last of its messages goes at ``ends``; ``total`` so far."""

    number: int
    begins: datetime
    ends: datetime
    messages: int
    total: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """The plan of a run. ``deciding`` names the limit that alone would take longest; None: nothing holds it back."""

    count: int
    start: datetime
    finish: datetime
    deciding: str | None
    sentence: str
    figures: tuple[Figure, ...]
    days: tuple[DayPlan, ...]

    @property
    def duration(self) -> timedelta:
        """From the start to the last message."""
        return self.finish - self.start


def forecast(fleet: Fleet, count: int, start: datetime) -> Forecast:
    """When ``count`` messages, to one recipient each, will have left a fleet that begins at ``start`` and never fails.

    Raises:
        NeverDone: when ten years would not be enough.
        ValueError: a start without a time zone.
    """
    if start.utcoffset() is None:
        raise ValueError(f"the start {start.isoformat()} has no time zone; a plan of days needs one.")
    figures = tuple(figure for name in NAMES if (figure := _figure(fleet, count, name)) is not None)
    decider = max(figures, key=_weight, default=None)
    if decider is not None and decider.alone == timedelta(0):
        decider = None
    sentence = _sentence(fleet, decider.name if decider else None)
    plan = _plan(fleet, count, start)
    if (plan[-1].total if plan else 0) < count:
        raise NeverDone(count, sentence if fleet.mailboxes else "there is no mailbox to send from")
    finish = plan[-1].ends if plan else start
    return Forecast(count, start, finish, decider.name if decider else None, sentence, figures, plan)


def _weight(figure: Figure) -> tuple[bool, timedelta, float]:
    """The longer a limit takes alone the heavier it is; between two that take equally long, the narrower."""
    narrow = -figure.per_day if figure.per_day is not None else float("-inf")
    return figure.alone is None, figure.alone or timedelta(0), narrow


def _plan(fleet: Fleet, count: int, start: datetime) -> tuple[DayPlan, ...]:
    plan, total = [], 0
    for day in days(fleet, count):
        total += day.messages
        begins = start + timedelta(seconds=day.number * DAY)
        plan.append(DayPlan(day.number + 1, begins, begins + timedelta(seconds=day.seconds), day.messages, total))
    return tuple(plan)


def _figure(fleet: Fleet, count: int, name: str) -> Figure | None:
    """What a limit allows by itself; None where it sets no bound to this fleet."""
    paces = {pace: value * fleet.mailboxes for pace, value in fleet.mailbox_paces().items()} | fleet.project_paces()
    budgets = {budget: value * fleet.mailboxes for budget, value in fleet.mailbox_budgets(None).items()}
    budgets |= fleet.project_budgets()
    if name not in paces and name not in budgets and not (name == "warm_up" and _warming(fleet)):
        return None
    planned = list(days(fleet, count, {name}))
    last = planned[-1] if planned else None
    done = sum(day.messages for day in planned) >= count
    alone = timedelta(seconds=last.number * DAY + last.seconds) if last else timedelta(0)
    value = fleet.in_flight if name == "concurrency" else fleet.limits.as_text()[name]
    return Figure(name, str(value), paces.get(name), budgets.get(name), alone if done else None)


def _warming(fleet: Fleet) -> bool:
    return any(age < len(fleet.limits.warm_up) for age in fleet.ages[: fleet.mailboxes])


def _sentence(fleet: Fleet, name: str | None) -> str:
    """Why a fleet is no faster: the named limit, and what the fleet carries under it."""
    if name is None:
        return "no limit decides: nothing here holds these messages back"
    limits, one = fleet.limits, fleet.mailboxes == 1
    budget, pace = fleet.mailbox_budgets(None).get(name, 0), fleet.mailbox_paces().get(name, 0.0)
    return _SENTENCES[name].format(
        who="1 mailbox" if one else f"{fleet.mailboxes:,} mailboxes",
        carry="carries" if one else "carry",
        send="sends" if one else "send",
        budget=budget,
        a_day=budget * fleet.mailboxes,
        a_second=pace * fleet.mailboxes,
        cost=fleet.cost,
        size=fleet.mean_bytes / 1_000_000,
        megabytes=limits.upload_bytes_per_day.per_day / 1_000_000 if limits.upload_bytes_per_day else 0,
        steps=", then ".join(f"{step:,}" for step in limits.warm_up),
        user=_units(limits.units_per_minute_user),
        project=_units(limits.units_per_minute_project),
        project_day=_units(limits.units_per_day_project),
        project_pace=fleet.project_paces().get(name, 0.0),
        project_budget=fleet.project_budgets().get(name, 0),
        in_flight=fleet.in_flight,
        latency=fleet.latency_seconds,
        calls="1 request" if CALLS[fleet.mode] == 1 else f"{CALLS[fleet.mode]} requests",
    )


def _units(rate: Rate | None) -> str:
    """``6,000 units a minute``; a period without a name of its own is written as the rate writes it."""
    if rate is None:
        return "no units"
    named = _PERIODS.get(rate.period)
    return f"{rate.amount:,} units {named}" if named else f"{rate} units"
