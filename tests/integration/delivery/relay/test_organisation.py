"""The organisation's recipients of a period, shared by workers that cannot ask each other."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest

from millstream.delivery.errors import LaneResting, LaneStopped
from millstream.delivery.organisation import Organisation, Setbacks
from millstream.quota import Limits
from millstream.storage.pool import Pool


def limits(**overrides: str) -> Limits:
    return Limits.preset("none", overrides)


def worker(pool: Pool, wait: float = 5.0, **overrides: str) -> Organisation:
    return Organisation(pool, limits(**overrides), patience=20.0, wait=wait, on_the_way=0.0)


async def send(organisation: Organisation, moments: list[float], until: float) -> None:
    """Send as fast as it is permitted."""
    while time.monotonic() < until:
        try:
            await organisation.acquire(stopped=lambda: time.monotonic() >= until)
        except (LaneStopped, LaneResting):
            continue
        moments.append(time.monotonic())


def fullest(moments: list[float], seconds: float) -> int:
    """The most that any window of so many seconds holds."""
    found, first = 0, 0
    ordered = sorted(moments)
    for number, moment in enumerate(ordered):
        while ordered[first] <= moment - seconds:
            first += 1
        found = max(found, number - first + 1)
    return found


async def test_two_workers_together_never_pass_the_limit_and_come_near_it(pool: Pool) -> None:
    workers = [worker(pool, relay_recipients_per_period="200/4s") for _ in range(2)]
    moments: list[float] = []
    until = time.monotonic() + 7.0
    await asyncio.gather(*(send(each, moments, until) for each in workers for _ in range(20)))
    assert 190 <= fullest(moments, 4.0) <= 200


async def test_what_is_drawn_and_not_used_goes_back(pool: Pool) -> None:
    organisation = worker(pool, relay_recipients_per_period="4000/10s")
    await asyncio.gather(*(organisation.acquire(stopped=lambda: False) for _ in range(10)))
    organisation._rate = 1_000.0
    await organisation.acquire(stopped=lambda: False)
    await organisation.give_back()
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT sum(granted) AS granted FROM relay_grant")).fetchone()
    assert row == {"granted": 11}


async def test_a_rest_is_kept_by_every_worker(pool: Pool) -> None:
    one, other = worker(pool), worker(pool)
    await other.acquire(stopped=lambda: False)
    until = datetime.now(UTC) + timedelta(minutes=5)
    await one.rest(until, "relay_peak")
    with pytest.raises(LaneResting, match="relay_peak") as rested:
        await one.acquire(stopped=lambda: False)
    assert abs(rested.value.until - until) < timedelta(seconds=5)
    await other.give_back()
    with pytest.raises(LaneResting):
        await other.acquire(stopped=lambda: False)


async def test_a_shorter_rest_does_not_end_a_longer_one(pool: Pool) -> None:
    one = worker(pool)
    now = datetime.now(UTC)
    await one.rest(now + timedelta(hours=1), "relay_customer_day")
    await one.rest(now + timedelta(minutes=1), "relay_peak")
    with pytest.raises(LaneResting, match="relay_customer_day"):
        await one.acquire(stopped=lambda: False)


async def test_the_day_ends_for_all_and_says_when_to_come_again(pool: Pool) -> None:
    organisation = worker(pool, relay_recipients_per_day="5/day")
    for _ in range(5):
        await organisation.acquire(stopped=lambda: False)
    with pytest.raises(LaneResting, match="of this day") as rested:
        await organisation.acquire(stopped=lambda: False)
    assert rested.value.until > datetime.now(UTC) + timedelta(minutes=5)


async def test_whoever_waits_too_long_is_sent_away_and_the_others_are_served(pool: Pool) -> None:
    organisation = worker(pool, wait=0.3, relay_recipients_per_period="1/10min")
    await organisation.acquire(stopped=lambda: False)
    with pytest.raises(LaneResting, match="of this period") as rested:
        await organisation.acquire(stopped=lambda: False)
    assert rested.value.until < datetime.now(UTC) + timedelta(seconds=5)


async def test_a_lane_that_stops_is_not_kept_waiting(pool: Pool) -> None:
    organisation = worker(pool, wait=60.0, relay_recipients_per_period="1/10min")
    await organisation.acquire(stopped=lambda: False)
    with pytest.raises(LaneStopped):
        await organisation.acquire(stopped=lambda: True)
    await organisation.give_back()


async def test_slices_that_count_for_nothing_are_forgotten(pool: Pool) -> None:
    organisation = worker(pool)
    async with pool.connection() as connection:
        await connection.execute("INSERT INTO relay_grant VALUES (now() - interval '26 hours', 5), (now(), 5)")
    await organisation.forget()
    async with pool.connection() as connection:
        row = await (await connection.execute("SELECT count(*) AS slices FROM relay_grant")).fetchone()
    assert row == {"slices": 1}


def test_several_setbacks_at_once_are_one() -> None:
    setbacks = Setbacks()
    soon = datetime.now(UTC) + timedelta(seconds=30)
    for _ in range(8):
        setbacks.met(soon)
    assert setbacks.in_a_row == 1
    setbacks.over()
    assert setbacks.in_a_row == 0
