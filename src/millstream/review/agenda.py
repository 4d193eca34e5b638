"""Business time: when a question is due, when people are reminded, when it climbs. Pure.

A length runs only while its calendar is open. Each day's opening and closing are local wall time, turned into UTC day
by day, so that a day on which the clocks change is as long as it really is. Without a calendar every hour counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

import holidays

from millstream.review.model import Timer
from millstream.review.policy import DAYS, Calendar, Policy, Span

_SECONDS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_MOST_DAYS: Final = 7_320
"""Twenty years; a calendar that has not opened for a length until then never will."""


class NeverOpen(ValueError):
    """The calendar is not open long enough for the length, in twenty years."""


@dataclass(frozen=True, slots=True)
class _Opening:
    day: date
    opens: datetime
    closes: datetime


def after(calendar: Calendar | None, start: datetime, span: Span) -> datetime:
    """The instant, in UTC, so much open time after another. Days lead to the same hour so many open days later.

    Raises:
        NeverOpen: there is no such instant.
    """
    _check(span)
    if span.amount < 0:
        return before(calendar, start, Span(-span.amount, span.unit))
    if calendar is None:
        return start.astimezone(UTC) + _length(span)
    if span.unit != "d":
        return _forward(calendar, start, _length(span))
    whole, part = divmod(span.amount, 1)
    at = _forward(calendar, start, timedelta())
    wall, left = _wall(calendar, at), int(whole)
    for opening in _openings(calendar, at, step=1):
        if left == 0:
            here = min(max(_local(calendar, opening.day, wall), opening.opens), opening.closes)
            return _forward(calendar, here, (opening.closes - opening.opens) * part) if part else here
        left -= 1
    raise NeverOpen(f"the calendar of {calendar.time_zone} has no {span} to come")


def before(calendar: Calendar | None, end: datetime, span: Span) -> datetime:
    """The instant, in UTC, so much open time before another; `span` is positive.

    Raises:
        NeverOpen: there is no such instant.
    """
    _check(span)
    if calendar is None:
        return end.astimezone(UTC) - _length(span)
    if span.unit != "d":
        return _backward(calendar, end, _length(span))
    whole, part = divmod(span.amount, 1)
    at = _backward(calendar, end, timedelta())
    wall, left = _wall(calendar, at), int(whole)
    for opening in _openings(calendar, at, step=-1):
        if left == 0:
            here = min(max(_local(calendar, opening.day, wall), opening.opens), opening.closes)
            return _backward(calendar, here, (opening.closes - opening.opens) * part) if part else here
        left -= 1
    raise NeverOpen(f"the calendar of {calendar.time_zone} has no {span} behind it")


def plan(policy: Policy, calendar: Calendar | None, *, at: datetime) -> tuple[datetime, tuple[Timer, ...]]:
    """The deadline of a question that is put now, and everything that comes by itself, the earliest first."""
    deadline = after(calendar, at, policy.time.deadline)
    timers = [Timer(deadline, "expire")]
    for number, span in enumerate(policy.time.reminders, 1):
        moment = after(calendar, deadline if span.amount < 0 else at, span)
        if at < moment < deadline:
            timers.append(Timer(moment, "remind", number))
    timers += [Timer(after(calendar, at, rung.after), "rung", number) for number, rung in enumerate(policy.ladder, 1)]
    return deadline, in_order(timers)


def in_order(timers: list[Timer]) -> tuple[Timer, ...]:
    """The earliest first; at the same instant people are asked before the deadline acts."""
    return tuple(sorted(timers, key=lambda timer: (timer.at, timer.what == "expire", timer.what, timer.n)))


def midnight(calendar: Calendar | None, day: date) -> datetime:
    """When a day of a calendar begins; one before 1970 or after 9000 is as if it were then."""
    zone = ZoneInfo(calendar.time_zone) if calendar else UTC
    day = min(max(day, date(1970, 1, 1)), date(9000, 1, 1))
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def holidays_known(region: str) -> bool:
    """Whether a country, or its part, has holidays that we know; the empty region has none."""
    try:
        _holidays(region)
    except (NotImplementedError, ValueError):
        return False
    return True


def open_on(calendar: Calendar, day: date) -> tuple[datetime, datetime] | None:
    """When a day opens and closes, in UTC; None where it does not."""
    found = _opening(calendar, day)
    return (found.opens, found.closes) if found else None


def _check(span: Span) -> None:
    if abs(span.amount) * _SECONDS[span.unit] > _MOST_DAYS * _SECONDS["d"]:
        raise NeverOpen(f"{span} are more than twenty years")


def _length(span: Span) -> timedelta:
    return timedelta(seconds=span.amount * _SECONDS[span.unit])


def _forward(calendar: Calendar, start: datetime, left: timedelta) -> datetime:
    for opening in _openings(calendar, start, step=1):
        begin = max(opening.opens, start)
        if left <= opening.closes - begin:
            return begin.astimezone(UTC) + left
        left -= opening.closes - begin
    raise NeverOpen(f"the calendar of {calendar.time_zone} is not open for {left} more within twenty years")


def _backward(calendar: Calendar, end: datetime, left: timedelta) -> datetime:
    for opening in _openings(calendar, end, step=-1):
        finish = min(opening.closes, end)
        if left <= finish - opening.opens:
            return finish.astimezone(UTC) - left
        left -= finish - opening.opens
    raise NeverOpen(f"the calendar of {calendar.time_zone} was not open for {left} more within twenty years")


def _openings(calendar: Calendar, at: datetime, *, step: int) -> Iterator[_Opening]:
    """Days from an instant on, into the future or the past: only those with time left on that side."""
    day = at.astimezone(ZoneInfo(calendar.time_zone)).date()
    for _ in range(_MOST_DAYS):
        opening = _opening(calendar, day)
        if opening is not None and (at < opening.closes if step > 0 else at > opening.opens):
            yield opening
        day += timedelta(days=step)


def _opening(calendar: Calendar, day: date) -> _Opening | None:
    hours = calendar.hours_of(DAYS[day.weekday()])
    if hours is None or day in calendar.closed or day in _holidays(calendar.holidays):
        return None
    first, _, last = hours.partition("-")
    # Where an hour comes twice the day opens at its first and closes at its second.
    opens = _local(calendar, day, time.fromisoformat(first))
    closes = _local(calendar, day, time.fromisoformat(last).replace(fold=1))
    return _Opening(day, opens, closes) if opens < closes else None


def _local(calendar: Calendar, day: date, wall: time) -> datetime:
    return datetime.combine(day, wall, tzinfo=ZoneInfo(calendar.time_zone)).astimezone(UTC)


def _wall(calendar: Calendar, at: datetime) -> time:
    return at.astimezone(ZoneInfo(calendar.time_zone)).time()


@lru_cache(maxsize=64)
def _holidays(region: str) -> holidays.HolidayBase | frozenset[date]:
    """Filled year by year, when a day is asked for.

    Raises:
        NotImplementedError: nobody has written down the holidays of this region.
    """
    if not region:
        return frozenset()
    country, _, part = region.partition("-")
    return holidays.country_holidays(country, subdiv=part or None)
