"""The arithmetic of Gmail's limits, and plans in words."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.quota import Fleet, Limits, NeverDone, Rate, daily_budget, forecast

START = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
NEW, OLD, FREE = Limits.preset("google-2026"), Limits.preset("google-2025"), Limits.preset("none")


def fleet(mailboxes: int = 1, **otherwise) -> Fleet:
    return Fleet(**({"mailboxes": mailboxes, "limits": NEW, "mode": "direct"} | otherwise))


@pytest.mark.parametrize(
    ("limits", "mode", "a_second"),
    [(NEW, "direct", 1.0), (NEW, "draft", 0.909), (OLD, "direct", 2.5), (OLD, "draft", 2.27)],
)
def test_one_mailbox_sends_as_fast_as_its_units_allow(limits, mode, a_second):
    assert fleet(limits=limits, mode=mode).per_second() == pytest.approx(a_second, rel=0.002)


def test_reading_each_message_back_costs_what_the_table_says():
    for limits, a_minute in ((NEW, 50), (OLD, 142)):
        cost = limits.cost("messages.send") + limits.cost("messages.get")
        assert int(limits.units_per_minute_user.amount / cost) == a_minute


def test_the_project_carries_200_sends_a_second_however_many_mailboxes():
    assert fleet(10_000).per_second() == 200.0
    assert fleet(80, limits=OLD).per_second() == 200.0
    assert fleet(79, limits=OLD).per_second() < 200.0
    assert fleet(200).per_second() == 200.0
    assert fleet(199).per_second() < 200.0


def test_a_new_project_carries_800_000_sends_a_day_and_727_272_by_drafts():
    assert fleet(1_000).per_day() == 800_000
    assert fleet(1_000, mode="draft").per_day() == 727_272
    assert fleet(1_000, limits=OLD).per_day() == 2_000_000
    assert fleet(1_000).per_day() / 86_400 == pytest.approx(9.26, rel=0.001)


@pytest.mark.parametrize(
    ("mailboxes", "a_day", "a_second"),
    [(1, 2_000, 1.0), (100, 200_000, 100.0), (200, 400_000, 200.0), (400, 800_000, 200.0)],
)
def test_fleets_carry_what_the_table_says(mailboxes, a_day, a_second):
    assert fleet(mailboxes).per_day() == a_day
    assert fleet(mailboxes).per_second() == a_second


def test_size_decides_above_250_kb():
    assert fleet(mean_bytes=250_000).per_day() == 2_000
    assert fleet(mean_bytes=251_000).per_day() < 2_000
    assert fleet(mean_bytes=1_370_000).per_day() == 365


@pytest.mark.parametrize(
    ("limits", "mode", "lasts"),
    [
        (NEW, "direct", timedelta(minutes=33, seconds=20)),
        (OLD, "direct", timedelta(minutes=13, seconds=20)),
        (NEW, "draft", timedelta(minutes=36, seconds=40)),
    ],
)
def test_a_mailbox_empties_its_day_in_minutes(limits, mode, lasts):
    plan = forecast(fleet(limits=limits, mode=mode), 2_000, START)
    assert plan.duration == lasts
    assert plan.deciding == "units_per_minute_user"
    assert len(plan.days) == 1


def test_the_2001st_message_waits_for_the_next_day():
    plan = forecast(fleet(), 2_001, START)
    assert plan.finish == START + timedelta(days=1, seconds=1)
    assert plan.deciding == "messages_per_day"
    assert [day.messages for day in plan.days] == [2_000, 1]


def test_the_daily_budget_decides_in_words():
    plan = forecast(fleet(40, mode="draft"), 200_000, START)
    assert plan.sentence == "the daily budget of 2,000 messages a mailbox decides: 40 mailboxes carry 80,000 a day"
    assert [(day.number, day.messages, day.total) for day in plan.days] == [
        (1, 80_000, 80_000),
        (2, 80_000, 160_000),
        (3, 40_000, 200_000),
    ]
    assert plan.days[1].begins == START + timedelta(days=1)
    assert plan.days[0].ends - START == timedelta(minutes=36, seconds=40)
    assert plan.finish == START + timedelta(days=2, minutes=18, seconds=20)


def test_young_mailboxes_begin_small():
    plan = forecast(fleet(2, ages=(0, 0)), 8_000, START)
    assert [day.messages for day in plan.days] == [1_000, 2_000, 4_000, 1_000]
    assert plan.deciding == "warm_up"
    assert "500, then 1,000" in plan.sentence
    mixed = forecast(fleet(3, ages=(0, 1)), 20_000, START)
    assert [day.messages for day in mixed.days] == [3_500, 5_000, 6_000, 5_500]


def test_what_was_sent_today_is_missing_from_the_first_day():
    plan = forecast(fleet(2, spent_today=(1_500, 2_500)), 3_000, START)
    assert [day.messages for day in plan.days] == [500, 2_500]


def test_large_documents_are_bound_by_upload_bytes():
    plan = forecast(fleet(40, mean_bytes=1_370_000), 20_000, START)
    assert plan.deciding == "upload_bytes_per_day"
    assert plan.sentence == (
        "the upload budget of 500 MB a day and mailbox decides: at 1.37 MB a message 40 mailboxes carry 14,600 a day"
    )
    assert [day.messages for day in plan.days] == [14_600, 5_400]


def test_the_projects_threshold_decides_for_many_mailboxes():
    plan = forecast(fleet(400, mode="draft"), 2_000_000, START)
    assert plan.deciding == "units_per_day_project"
    assert plan.sentence.endswith("at 110 units a message it carries 727,272 a day")
    assert [day.messages for day in plan.days] == [727_272, 727_272, 545_456]


def test_the_projects_ceiling_decides_for_a_short_run_of_many_mailboxes():
    plan = forecast(fleet(300), 80_000, START)
    assert plan.deciding == "units_per_minute_project"
    assert plan.duration == timedelta(seconds=400)


def test_latency_decides_when_few_are_in_flight():
    slow = fleet(40, limits=FREE, mode="draft", latency_seconds=0.3)
    plan = forecast(slow, 8_000, START)
    assert plan.deciding == "concurrency"
    assert plan.duration == timedelta(seconds=30)
    assert "4 requests a mailbox" in plan.sentence
    assert forecast(fleet(40, limits=FREE, latency_seconds=0.3, concurrency=8), 8_000, START).duration == timedelta(
        seconds=7.5
    )


def test_without_limits_nothing_decides():
    plan = forecast(fleet(limits=FREE), 10**6, START)
    assert plan.deciding is None
    assert plan.duration == timedelta(0)
    assert plan.sentence.startswith("no limit decides")


def test_nothing_to_send_is_done_at_once():
    plan = forecast(fleet(), 0, START)
    assert (plan.finish, plan.days, plan.deciding) == (START, (), None)


def test_every_figure_says_what_its_limit_alone_would_take():
    plan = forecast(fleet(40, mode="draft", latency_seconds=0.1), 100_000, START)
    figures = {figure.name: figure for figure in plan.figures}
    assert figures["messages_per_day"].alone == timedelta(days=1)
    assert figures["messages_per_day"].per_day == 80_000
    assert figures["units_per_minute_user"].value == "6_000/min"
    assert figures["units_per_minute_user"].per_second == pytest.approx(36.36, rel=0.001)
    assert figures["units_per_minute_user"].alone == timedelta(seconds=2_750)
    assert figures["concurrency"].per_second == 800.0
    assert "upload_bytes_per_day" not in figures
    assert "warm_up" not in figures


@pytest.mark.parametrize(
    ("senders", "count", "why"),
    [
        (fleet(0), 1, "no mailbox"),
        (fleet(1), 10_000_000, "2,000 messages"),
        (fleet(1, mean_bytes=10**10), 1, "upload budget"),
    ],
)
def test_what_would_not_end_in_ten_years_is_refused(senders, count, why):
    with pytest.raises(NeverDone, match=why):
        forecast(senders, count, START)


def test_a_start_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="time zone"):
        forecast(fleet(), 1, datetime(2026, 11, 2))  # noqa: DTZ001  the naive date is what is refused


fleets = st.builds(
    Fleet,
    mailboxes=st.integers(1, 500),
    limits=st.sampled_from([NEW, OLD]),
    ages=st.lists(st.integers(0, 4), max_size=20).map(tuple),
    spent_today=st.lists(st.integers(0, 2_500), max_size=20).map(tuple),
    mean_bytes=st.integers(0, 3_000_000),
    mode=st.sampled_from(["draft", "direct"]),
    latency_seconds=st.sampled_from([0.0, 0.1, 30.0]),
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets, st.integers(0, 1_000_000))
def test_a_plan_is_whole_in_order_and_within_every_budget(senders, count):
    plan = forecast(senders, count, START)
    assert sum(day.messages for day in plan.days) == count
    assert [day.total for day in plan.days] == [
        sum(day.messages for day in plan.days[: n + 1]) for n in range(len(plan.days))
    ]
    assert plan.finish == (plan.days[-1].ends if plan.days else START)
    ages = dict(enumerate(senders.ages))
    for day in plan.days:
        assert day.begins <= day.ends <= day.begins + timedelta(days=1)
        budgets = (daily_budget(senders.limits, ages.get(n, 99) + day.number - 1) for n in range(senders.mailboxes))
        assert day.messages <= sum(budgets)
        if senders.limits.units_per_day_project:
            assert day.messages * senders.cost <= senders.limits.units_per_day_project.amount
        assert day.messages <= senders.per_second() * (day.ends - day.begins).total_seconds() + 1
    assert all(figure.alone <= plan.duration + timedelta(seconds=1) for figure in plan.figures)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(fleets, st.integers(1, 300_000))
def test_more_messages_never_finish_earlier(senders, count):
    assert forecast(senders, count, START).finish <= forecast(senders, count + 5_000, START).finish


def test_rates_of_the_table_are_rates_of_the_file():
    assert NEW.units_per_minute_project * timedelta(minutes=1) / NEW.cost("messages.send") == 12_000
    assert Rate.parse("319_444/10min").per_second == pytest.approx(532, rel=0.001)
    assert NEW.messages_per_day.per_second == pytest.approx(0.0231, rel=0.01)
