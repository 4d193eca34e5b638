"""When a run will be done, and which limit decides, in words that a person understands."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from millstream.quota.errors import NeverDone
from millstream.quota.plan import DAY, Senders, days

_WARM_UP = "warm_up"
_FREE = "no limit decides: nothing here holds these messages back"


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


def forecast(fleet: Senders, count: int, start: datetime) -> Forecast:
    """When ``count`` messages, to one recipient each, will have left a fleet that begins at ``start`` and never fails.

    Raises:
        NeverDone: when ten years would not be enough.
        ValueError: a start without a time zone.
    """
    if start.utcoffset() is None:
        raise ValueError(f"the start {start.isoformat()} has no time zone; a plan of days needs one.")
    figures = tuple(figure for name in fleet.names() if (figure := _figure(fleet, count, name)) is not None)
    decider = max(figures, key=_weight, default=None)
    if decider is not None and decider.alone == timedelta(0):
        decider = None
    sentence = fleet.sentence(decider.name) if decider else _FREE
    plan = _plan(fleet, count, start)
    if (plan[-1].total if plan else 0) < count:
        raise NeverDone(count, sentence if fleet.mailboxes else "there is no mailbox to send from")
    finish = plan[-1].ends if plan else start
    return Forecast(count, start, finish, decider.name if decider else None, sentence, figures, plan)


def _weight(figure: Figure) -> tuple[bool, timedelta, float]:
    """The longer a limit takes alone the heavier it is; between two that take equally long, the narrower."""
    narrow = -figure.per_day if figure.per_day is not None else float("-inf")
    return figure.alone is None, figure.alone or timedelta(0), narrow


def _plan(fleet: Senders, count: int, start: datetime) -> tuple[DayPlan, ...]:
    plan, total = [], 0
    for day in days(fleet, count):
        total += day.messages
        begins = start + timedelta(seconds=day.number * DAY)
        plan.append(DayPlan(day.number + 1, begins, begins + timedelta(seconds=day.seconds), day.messages, total))
    return tuple(plan)


def _figure(fleet: Senders, count: int, name: str) -> Figure | None:
    """What a limit allows by itself; None where it sets no bound to this fleet."""
    paces = {pace: value * fleet.mailboxes for pace, value in fleet.mailbox_paces().items()}
    paces |= fleet.project_paces()
    budgets = {budget: value * fleet.mailboxes for budget, value in fleet.mailbox_budgets(None).items()}
    budgets |= fleet.project_budgets()
    if name not in paces and name not in budgets and not (name == _WARM_UP and fleet.settling_days):
        return None
    planned = list(days(fleet, count, {name}))
    last = planned[-1] if planned else None
    done = sum(day.messages for day in planned) >= count
    alone = timedelta(seconds=last.number * DAY + last.seconds) if last else timedelta(0)
    return Figure(name, fleet.value(name), paces.get(name), budgets.get(name), alone if done else None)
