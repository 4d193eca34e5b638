"""A rate is a value that reads and prints as people write it."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.quota import BadRate, Rate, share

rates = st.builds(
    Rate,
    st.integers(1, 10**15),
    st.builds(
        lambda times, unit: times * timedelta(seconds=unit),
        st.integers(1, 999),
        st.sampled_from([1, 60, 3_600, 86_400]),
    ),
)


@pytest.mark.parametrize("text", ["2_000/day", "6_000/min", "200/s", "1_200_000/min", "319_444/10min", "5/h", "7/90s"])
def test_a_rate_prints_back_as_it_was_written(text):
    assert str(Rate.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [("2000/day", "2_000/day"), (" 60 / 60s ", "60/min"), ("100/24h", "100/day"), ("1_0/min", "10/min")],
)
def test_other_spellings_print_in_the_usual_one(text, printed):
    assert str(Rate.parse(text)) == printed


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rates)
def test_every_rate_is_read_back_from_its_print(rate):
    assert Rate.parse(str(rate)) == rate


@pytest.mark.parametrize(
    "text", ["", "2000", "/day", "0/day", "-1/day", "1.5/s", "10/week", "10/0min", "_1/s", "1__0/s", "ten/day", "1/s/s"]
)
def test_what_is_no_rate_is_refused_with_an_example(text):
    with pytest.raises(BadRate, match="2_000/day"):
        Rate.parse(text)


def test_a_rate_without_amount_or_period_cannot_be_made():
    with pytest.raises(BadRate):
        Rate(0, timedelta(days=1))
    with pytest.raises(BadRate):
        Rate(1, timedelta(0))
    with pytest.raises(BadRate):
        Rate(1, timedelta(milliseconds=1500))


def test_rates_and_spans_of_time_make_amounts_and_back():
    rate = Rate.parse("60/min")
    assert rate.per_second == 1.0
    assert rate.per_day == 86_400
    assert rate * timedelta(hours=1) == 3_600
    assert rate.time_for(2_000) == timedelta(minutes=33, seconds=20)


def test_equal_throughput_over_another_period_is_another_rate():
    assert Rate.parse("200/s") != Rate.parse("12_000/min")
    assert Rate.parse("60/60s") == Rate.parse("60/min")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rates, st.integers(1, 5_000), st.integers(1, 200))
def test_shares_together_never_exceed_their_ceiling_and_always_fit_a_call(ceiling, running, least):
    part = share(ceiling, running, least=least)
    assert part.amount >= least
    assert part.per_second * running <= ceiling.per_second * (1 + 1e-9)


def test_a_share_keeps_the_period_while_it_can():
    assert str(share(Rate.parse("1_200_000/min"), 300)) == "4_000/min"
    assert str(share(Rate.parse("1_200_000/min"), 0)) == "1_200_000/min"
    assert str(share(Rate.parse("200/s"), 400, least=100)) == "100/200s"
