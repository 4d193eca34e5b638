"""The window keeps every rolling period of the server under the rate, and wastes next to nothing of it."""

from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.quota import NeverFits, Rate, Window

FAST = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
weathers = st.fixed_dictionaries(
    {
        "rate": st.sampled_from(["6_000/min", "15_000/min", "550/min", "200/s", "3_333/10s"]),
        "costs": st.lists(st.sampled_from([5, 10, 20, 100]), min_size=1, max_size=6).map(tuple),
        "workers": st.integers(1, 8),
        "smooth": st.booleans(),
        "seed": st.integers(0, 10**6),
    }
)


@FAST
@given(
    weathers, st.sampled_from([0.0, 0.05, 0.3, 5.0, 70.0]), st.sampled_from([0.0, 0.004, 0.5]), st.sampled_from([0, 20])
)
def test_a_server_with_an_exact_rolling_window_never_refuses(simulate, weather, slowest, late, idle):
    server = simulate(
        until=130.0,
        latency=lambda random: random.uniform(0.0, slowest),
        oversleep=lambda random: random.uniform(0.0, late),
        pause=lambda random: idle if random.random() < 0.02 else 0.0,
        **weather,
    )
    assert server.refused == 0
    assert server.charges


@pytest.mark.parametrize("smooth", [True, False])
@pytest.mark.parametrize("rate", ["6_000/min", "15_000/min"])
@pytest.mark.parametrize("seed", range(3))
def test_a_steady_mailbox_uses_98_percent_of_its_rate(simulate, rate, smooth, seed):
    server = simulate(rate, seed=seed, smooth=smooth, until=661.0, oversleep=lambda random: random.uniform(0.0, 0.003))
    assert server.refused == 0
    minutes = 10
    assert server.charged_between(60.0, 60.0 + 60.0 * minutes) >= 0.98 * Rate.parse(rate).amount * minutes
    assert server.charged_between(0.0, 60.3) >= 0.98 * Rate.parse(rate).amount


def test_smoothing_spreads_the_first_minute_with_a_small_burst(simulate):
    smooth = simulate("6_000/min", latency=lambda _: 0.001, until=60.0)
    assert smooth.charged_between(0.0, 1.0) <= 0.03 * 6_000 + 110 + 100
    assert smooth.charged_between(0.0, 30.0) <= 0.54 * 6_000
    at_once = simulate("6_000/min", latency=lambda _: 0.001, until=60.0, smooth=False)
    assert at_once.charged_between(0.0, 1.0) >= 5_900


def test_a_late_grant_is_caught_up_by_an_earlier_one():
    window = Window(Rate.parse("60/min"), burst=0.1)
    now, grants = 0.0, []
    for turn in range(40):
        now += window.wait(now, 1) + (0.9 if turn % 4 == 3 else 0.0)
        window.settle(window.spend(now, 1), now)
        grants.append(now)
    assert grants[-1] <= 40.0
    gaps = [later - earlier for earlier, later in pairwise(grants)]
    assert min(gaps[8:]) < 1.0


def about(seconds: float) -> object:
    """The window holds a cost a ten-thousandth of its period longer, for clocks that drift."""
    return pytest.approx(seconds + 0.006, abs=1e-6)


def test_a_cost_counts_until_a_period_after_its_reply():
    window = Window(Rate.parse("100/min"), smooth=False)
    ticket = window.spend(0.0, 100)
    assert window.wait(30.0, 1) == about(60.0)
    assert window.wait(1_000.0, 1) == about(60.0)
    window.settle(ticket, 1_000.0)
    assert window.wait(1_000.0, 1) == about(60.0)
    assert window.wait(1_059.0, 100) == about(1.0)
    assert window.used(1_059.9) == 100
    assert window.wait(1_060.01, 100) == 0.0


def test_settling_twice_counts_once():
    window = Window(Rate.parse("100/min"), smooth=False)
    ticket = window.spend(0.0, 60)
    window.settle(ticket, 1.0)
    window.settle(ticket, 50.0)
    assert window.used(2.0) == 60
    assert window.wait(60.9, 60) > 0.0
    assert window.wait(61.01, 60) == 0.0


def test_waiting_tells_when_enough_has_left_for_this_cost():
    window = Window(Rate.parse("100/min"), smooth=False)
    for second in range(10):
        window.settle(window.spend(second, 10), second)
    assert window.wait(10.0, 10) == about(50.0)
    assert window.wait(10.0, 11) == about(51.0)
    assert window.wait(10.0, 100) == about(59.0)


def test_what_was_spent_before_a_restart_is_restored():
    window = Window(Rate.parse("100/min"), smooth=False)
    window.restore([(-20.0, 30), (-70.0, 500), (-50.0, 60)])
    assert window.used(0.0) == 90
    assert window.wait(0.0, 10) == 0.0
    assert window.wait(0.0, 11) == about(10.0)


def test_a_new_rate_holds_at_once_and_keeps_what_was_spent():
    window = Window(Rate.parse("100/min"), smooth=False)
    window.settle(window.spend(0.0, 50), 0.0)
    window.rate = Rate.parse("50/min")
    assert window.wait(1.0, 1) == about(59.0)
    window.rate = Rate.parse("200/min")
    assert window.wait(1.0, 150) == 0.0
    window.rate = None
    assert window.wait(1.0, 10**9) == 0.0


def test_a_cost_above_the_rate_is_refused_instead_of_waited_for():
    with pytest.raises(NeverFits, match="100"):
        Window(Rate.parse("60/min")).wait(0.0, 100)


def test_without_a_rate_nothing_waits():
    window = Window(None)
    for _ in range(1_000):
        assert window.wait(5.0, 100) == 0.0
        window.settle(window.spend(5.0, 100), 5.0)


def test_waiting_exactly_as_told_is_always_enough_in_the_end():
    window = Window(Rate.parse("700/min"))
    now = 1_700_000_000.1  # a wall clock, whose floats are coarse
    for _ in range(2_000):
        for _ in range(4):
            wait = window.wait(now, 7)
            now += wait
            if wait == 0.0:
                break
        else:
            pytest.fail("the window keeps asking for more")
        window.settle(window.spend(now, 7), now + 0.013)
