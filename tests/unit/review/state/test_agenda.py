"""Business time: over nights, weekends, holidays, and days on which the clocks change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_book import NOW, book, policy_of

from millstream.review.agenda import NeverOpen, after, before, holidays_known, open_on, plan
from millstream.review.policy import Calendar, Span

FRANKFURT = Calendar(
    time_zone="Europe/Berlin", hours="09:00-17:30", holidays="DE-HE", closed=(date(2026, 12, 24), date(2026, 12, 31))
)
NIGHTS = Calendar(
    time_zone="Europe/Berlin", hours="00:00-06:00", days=("mon", "tue", "wed", "thu", "fri", "sat", "sun")
)
NEW_YORK = Calendar(time_zone="America/New_York", hours={"mon": "08:00-16:00", "fri": "08:00-13:00"})
KABUL = Calendar(time_zone="Asia/Kabul", hours="08:00-16:00", days=("sat", "sun", "mon", "tue", "wed"))


def local(calendar: Calendar, text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(calendar.time_zone))


@pytest.mark.parametrize(
    ("calendar", "start", "span", "end"),
    [
        (FRANKFURT, "2026-11-23 09:00", "8h", "2026-11-23 17:00"),
        (FRANKFURT, "2026-11-23 09:00", "8.5h", "2026-11-23 17:30"),  # to the last second of the day, not the next
        (FRANKFURT, "2026-11-23 16:30", "2h", "2026-11-24 10:00"),  # over night
        (FRANKFURT, "2026-11-27 16:30", "2h", "2026-11-30 10:00"),  # over a weekend
        (FRANKFURT, "2026-11-28 03:00", "1h", "2026-11-30 10:00"),  # asked on a Saturday
        (FRANKFURT, "2026-11-23 22:00", "30m", "2026-11-24 09:30"),  # asked after hours
        (FRANKFURT, "2026-12-23 16:30", "2h", "2026-12-28 10:00"),  # a closed day, two holidays, a weekend
        (FRANKFURT, "2026-06-03 16:30", "2h", "2026-06-05 10:00"),  # Corpus Christi: a holiday of Hesse alone
        (FRANKFURT, "2026-11-23 10:15", "2d", "2026-11-25 10:15"),
        (FRANKFURT, "2026-11-27 10:15", "1d", "2026-11-30 10:15"),
        (FRANKFURT, "2026-11-28 10:15", "1d", "2026-12-01 09:00"),  # counted from the opening on Monday
        (FRANKFURT, "2026-11-23 09:00", "0.5d", "2026-11-23 13:15"),
        (NEW_YORK, "2026-11-23 15:30", "1d", "2026-11-27 13:00"),  # Friday closes before the hour
        (NEW_YORK, "2026-11-23 15:00", "2h", "2026-11-27 09:00"),
        (KABUL, "2026-11-25 15:00", "2h", "2026-11-28 09:00"),  # Thursday and Friday are free; half an hour's zone
        # The clocks go forward on 2026-03-29 at 02:00 and back on 2026-10-25 at 03:00.
        (NIGHTS, "2026-03-29 00:00", "5h", "2026-03-29 06:00"),  # that night has five hours
        (NIGHTS, "2026-03-29 00:00", "6h", "2026-03-30 01:00"),
        (NIGHTS, "2026-10-25 00:00", "6h", "2026-10-25 05:00"),  # that one has seven
        (NIGHTS, "2026-10-25 00:00", "7h", "2026-10-25 06:00"),
        (NIGHTS, "2026-03-28 02:30", "1d", "2026-03-29 03:30"),  # the hour that is not there
        (FRANKFURT, "2026-03-27 16:30", "2h", "2026-03-30 10:00"),  # wall time, though an hour of the weekend is gone
        (FRANKFURT, "2026-10-23 16:30", "1d", "2026-10-26 16:30"),
    ],
)
def test_a_length_of_open_time_ends_where_people_expect(calendar: Calendar, start: str, span: str, end: str) -> None:
    assert after(calendar, local(calendar, start), Span.parse(span)) == local(calendar, end)


@pytest.mark.parametrize(
    ("end", "span", "start"),
    [
        ("2026-11-24 10:00", "2h", "2026-11-23 16:30"),
        ("2026-11-30 09:00", "1h", "2026-11-27 16:30"),
        ("2026-12-28 10:00", "2h", "2026-12-23 16:30"),
        ("2026-11-30 10:15", "1d", "2026-11-27 10:15"),
    ],
)
def test_and_one_before_it_begins_there(end: str, span: str, start: str) -> None:
    assert before(FRANKFURT, local(FRANKFURT, end), Span.parse(span)) == local(FRANKFURT, start)
    assert after(FRANKFURT, local(FRANKFURT, end), Span.parse(f"-{span}")) == local(FRANKFURT, start)


def test_without_a_calendar_every_hour_counts() -> None:
    assert after(None, NOW, Span.parse("2d")) == NOW + timedelta(days=2)
    assert before(None, NOW, Span.parse("90m")) == NOW - timedelta(minutes=90)


def test_a_calendar_that_never_opens_says_so() -> None:
    with pytest.raises(NeverOpen, match="Europe/Berlin"):
        after(Calendar(time_zone="Europe/Berlin", days=()), NOW, Span.parse("1h"))


@pytest.mark.parametrize("span", ["99999999999d", "-99999999999d", "999999999999999h", "7000d"])
@pytest.mark.parametrize("calendar", [None, FRANKFURT])
def test_lengths_that_nobody_lives_to_see_say_so(calendar: Calendar | None, span: str) -> None:
    if calendar is None and span == "7000d":
        assert after(calendar, NOW, Span.parse(span)) == NOW + timedelta(days=7000)
        return
    with pytest.raises(NeverOpen):
        after(calendar, NOW, Span.parse(span))


def test_holidays_are_those_that_somebody_has_written_down() -> None:
    assert [holidays_known(region) for region in ("", "DE", "DE-HE", "US-NY", "XX", "DE-ZZ", "de", "D-E-F")] == [
        *[True] * 4,
        *[False] * 4,
    ]


@given(
    start=st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31)),  # noqa: DTZ001  hypothesis wants them naive
    minutes=st.integers(0, 6_000),
    calendar=st.sampled_from([FRANKFURT, NIGHTS, NEW_YORK, KABUL]),
)
def test_open_time_counted_minute_by_minute_is_the_same(start: datetime, minutes: int, calendar: Calendar) -> None:
    begin = start.replace(tzinfo=UTC, second=0, microsecond=0)
    end = after(calendar, begin, Span(minutes, "m"))
    open_minutes, day = 0.0, begin.date() - timedelta(days=2)
    while day <= end.date() + timedelta(days=2):
        hours = open_on(calendar, day)
        if hours:
            open_minutes += max(timedelta(), min(hours[1], end) - max(hours[0], begin)) / timedelta(minutes=1)
        day += timedelta(days=1)
    assert open_minutes == pytest.approx(minutes)
    if minutes:
        assert before(calendar, end, Span(minutes, "m")) <= end


def test_a_plan_has_reminders_rungs_and_the_deadline_in_order() -> None:
    policy = policy_of(
        book(
            {
                "time": {"deadline": "8h", "reminders": ["4h", "-1h", "-20h"], "calendar": "frankfurt"},
                "ladder": [{"after": "8h", "ask": ["legal"]}, {"after": "10h", "ask": ["risk"]}],
            }
        )
    )
    deadline, timers = plan(policy, FRANKFURT, at=local(FRANKFURT, "2026-11-23 09:00"))
    assert deadline == local(FRANKFURT, "2026-11-23 17:00")
    assert [(timer.what, timer.n) for timer in timers] == [
        ("remind", 1),
        ("remind", 2),
        ("rung", 1),
        ("expire", 0),
        ("rung", 2),
    ]
