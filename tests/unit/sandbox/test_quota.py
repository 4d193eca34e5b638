from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.clock import Clock
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.errors import MailSending, Refusal, TooManyConcurrent
from millstream.sandbox.gmail.quota import Quota, RollingWindow

ACCOUNT = Account("a@bank.example", is_local=True, history_start=1)


@pytest.fixture
def clock():
    return Clock(start=datetime(2026, 11, 23, 9, tzinfo=UTC), rate=0)


entries = st.lists(st.tuples(st.floats(0, 200), st.integers(1, 100)), max_size=60)


@given(entries)
def test_a_window_is_the_exact_sum_of_its_last_minute(given_entries):
    ordered = sorted(given_entries)
    window = RollingWindow(60)
    peak = 0
    for index, (moment, cost) in enumerate(ordered):
        window.add(moment, cost)
        exact = sum(c for m, c in ordered[: index + 1] if m + 60 > moment)
        assert window.used(moment) == exact
        peak = max(peak, exact)
    assert window.peak == peak


@given(entries, st.integers(1, 100))
def test_room_comes_exactly_when_it_is_said(given_entries, cost):
    window = RollingWindow(60)
    ordered = sorted(given_entries)
    for moment, spent in ordered:
        window.add(moment, spent)
    now = ordered[-1][0] if ordered else 0.0
    moment = window.room_at(now, 100, cost)
    assert sum(c for m, c in ordered if m + 60 > moment) + cost <= 100
    if moment > now:
        just_before = moment - 1e-6
        assert sum(c for m, c in ordered if m + 60 > just_before) + cost > 100


@given(st.lists(st.floats(0, 5), min_size=1, max_size=200), st.sampled_from(["messages.get", "drafts.create"]))
def test_no_rolling_minute_ever_holds_more_than_the_limit(gaps, method):
    clock = Clock(start=datetime(2026, 11, 23, 9, tzinfo=UTC), rate=0)
    quota = Quota(SandboxConfig(limit_overrides={"units_per_minute_user": "200/min"}), clock)
    charged = []
    for gap in gaps:
        clock.advance(gap)
        try:
            quota.charge(ACCOUNT, method)
        except Refusal:
            continue
        charged.append(clock.seconds())
    cost = quota.cost(method)
    for moment in charged:
        assert sum(cost for other in charged if other <= moment < other + 60) <= 200


@pytest.mark.parametrize(
    ("preset", "costs"),
    [
        ("google-2026", {"messages.get": 20, "drafts.send": 100, "threads.get": 40, "labels.patch": 5, "made.up": 1}),
        ("google-2025", {"messages.get": 5, "drafts.send": 100, "threads.get": 10, "labels.patch": 5, "made.up": 1}),
    ],
)
def test_methods_cost_what_the_preset_says(clock, preset, costs):
    quota = Quota(SandboxConfig(limits=preset), clock)
    assert {method: quota.cost(method) for method in costs} == costs


def test_requests_in_flight_are_counted_and_given_back(clock):
    quota = Quota(SandboxConfig(concurrency_per_user=2), clock)
    use = quota.enter("a")
    quota.enter("a")
    with pytest.raises(TooManyConcurrent):
        quota.enter("a")
    quota.enter("b")
    use.in_flight -= 1
    quota.enter("a")


def test_the_day_rolls(clock):
    quota = Quota(SandboxConfig(limit_overrides={"messages_per_day": "2/day"}, answers_after_limit=0), clock)
    assert quota.charge_send(ACCOUNT, 1)
    clock.advance(3_600)
    assert quota.charge_send(ACCOUNT, 1)
    with pytest.raises(MailSending, match=r"2026-11-24T09:00:00\.000Z \(Mail sending\)"):
        quota.charge_send(ACCOUNT, 1)
    clock.advance(86_400 - 3_600)
    assert quota.charge_send(ACCOUNT, 1)
    with pytest.raises(MailSending, match=r"2026-11-24T10:00:00\.000Z"):
        quota.charge_send(ACCOUNT, 1)


def test_a_limit_of_nothing_names_a_time_a_day_off(clock):
    account = Account("b@bank.example", is_local=True, history_start=1)
    account.condition.daily_limit = 0
    with pytest.raises(MailSending, match="2026-11-24T09:00:00"):
        Quota(SandboxConfig(answers_after_limit=0), clock).charge_send(account, 1)
