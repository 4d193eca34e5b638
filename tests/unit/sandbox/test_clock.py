from datetime import UTC, datetime, timedelta

import pytest

from millstream.sandbox.gmail.clock import Clock, retry_text

NINE = datetime(2026, 11, 23, 9, tzinfo=UTC)


def test_a_frozen_clock_stands_still_until_it_is_moved():
    clock = Clock(start=NINE, rate=0)
    assert clock.now() == clock.now() == NINE
    clock.advance(90)
    assert clock.now() == NINE + timedelta(seconds=90)
    clock.set(NINE)
    assert clock.milliseconds() == int(NINE.timestamp() * 1000)


def test_a_fast_clock_runs_ahead_and_keeps_its_time_when_it_slows_down():
    clock = Clock(start=NINE, rate=1e9)
    before = clock.now()
    clock.run(0)
    stopped = clock.now()
    assert NINE <= before <= stopped
    assert clock.now() == stopped


def test_a_clock_does_not_run_backwards():
    with pytest.raises(ValueError, match="jump back with `advance`"):
        Clock().run(-1)


def test_the_stamp_follows_the_clock_by_the_second():
    clock = Clock(start=NINE, rate=0)
    assert clock.stamp() == "Mon, 23 Nov 2026 09:00:00 +0000"
    clock.advance(61.5)
    assert clock.stamp() == "Mon, 23 Nov 2026 09:01:01 +0000"


def test_moments_in_refusals_have_milliseconds_and_a_z():
    assert retry_text(NINE.timestamp() + 0.25) == "2026-11-23T09:00:00.250Z"


def test_moments_in_refusals_are_never_early():
    assert retry_text(NINE.timestamp() + 0.2501) == "2026-11-23T09:00:00.251Z"
