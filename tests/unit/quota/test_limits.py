"""The limits as they are shipped, and as a configuration changes them."""

import pytest

from millstream.quota import (
    UNLIMITED,
    BadLimit,
    Limits,
    Rate,
    UnknownLimit,
    UnknownMethod,
    UnknownPreset,
    daily_budget,
    presets,
    provenance,
)


def test_the_default_is_googles_stricter_regime():
    limits = Limits.preset()
    assert limits.preset_name == "google-2026"
    assert str(limits.units_per_minute_user) == "6_000/min"
    assert str(limits.units_per_minute_project) == "1_200_000/min"
    assert str(limits.units_per_day_project) == "80_000_000/day"
    assert str(limits.messages_per_day) == "2_000/day"
    assert str(limits.recipients_per_day) == "10_000/day"
    assert str(limits.upload_bytes_per_day) == "500_000_000/day"
    assert limits.max_upload_bytes == 35 * 1024 * 1024
    assert limits.max_message_bytes == 25_000_000
    assert limits.concurrency == 4
    assert limits.warm_up == (500, 1_000)
    costs = ["drafts.create", "drafts.send", "drafts.get", "drafts.list", "drafts.delete", "messages.send"]
    assert [limits.cost(method) for method in costs] == [10, 100, 20, 5, 10, 100]
    costs = ["messages.get", "messages.list", "history.list", "getProfile", "labels.list", "threads.get"]
    assert [limits.cost(method) for method in costs] == [20, 5, 2, 1, 1, 40]


def test_the_older_regime_differs_where_google_says_so():
    older, newer = Limits.preset("google-2025"), Limits.preset("google-2026")
    assert str(older.units_per_minute_user) == "15_000/min"
    assert older.units_per_day_project is None
    assert older.cost("messages.get") == older.cost("drafts.get") == 5
    assert older.cost("drafts.send") == newer.cost("drafts.send")
    assert older.messages_per_day == newer.messages_per_day


def test_no_limits_hold_nothing_back():
    limits = Limits.preset("none")
    assert limits.units_per_minute_user is limits.messages_per_day is limits.upload_bytes_per_day is None
    assert limits.warm_up == ()
    assert daily_budget(limits, 0) == UNLIMITED


def test_single_limits_are_overridden_by_name():
    limits = Limits.preset(
        overrides={
            "units_per_minute_user": "3_000/min",
            "max_message_bytes": "18 MB",
            "max_upload_bytes": "35MiB",
            "concurrency": "8",
            "warm_up": "50, 100, 400",
            "upload_bytes_per_day": "none",
            "cost.messages.get": "5",
        }
    )
    assert limits.units_per_minute_user == Rate.parse("3_000/min")
    assert limits.max_message_bytes == 18_000_000
    assert limits.max_upload_bytes == 36_700_160
    assert limits.concurrency == 8
    assert limits.warm_up == (50, 100, 400)
    assert limits.upload_bytes_per_day is None
    assert limits.cost("messages.get") == 5
    assert Limits.preset(overrides={"warm_up": "none"}).warm_up == ()
    assert Limits.preset().cost("messages.get") == 20


@pytest.mark.parametrize("preset", ["google-2026", "google-2025", "none"])
def test_every_limit_can_be_overridden_by_what_it_prints(preset):
    limits = Limits.preset(preset)
    assert Limits.preset(preset, limits.as_text()) == limits


@pytest.mark.parametrize(
    "name", ["units_per_minute", "cost", "cost.", "cost.messages.fly", "costs", "preset_name", "title"]
)
def test_an_unknown_limit_is_refused_with_those_there_are(name):
    with pytest.raises(UnknownLimit, match=r"units_per_minute_user, .*warm_up"):
        Limits.preset(overrides={name: "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("messages_per_day", "lots"),
        ("concurrency", "0"),
        ("concurrency", "four"),
        ("warm_up", "1, x"),
        ("max_message_bytes", "2 GB"),
    ],
)
def test_a_value_that_a_limit_cannot_take_is_refused_by_the_limits_name(name, value):
    with pytest.raises(BadLimit, match=name):
        Limits.preset(overrides={name: value})


def test_unknown_presets_and_methods_are_refused_with_those_there_are():
    with pytest.raises(UnknownPreset, match="google-2026, google-2025, none"):
        Limits.preset("google-1999")
    with pytest.raises(UnknownMethod, match=r"drafts\.send"):
        Limits.preset().cost("messages.fly")


@pytest.mark.parametrize("preset", ["google-2026", "google-2025", "none"])
def test_every_limit_has_a_source_a_date_and_a_certainty(preset):
    assert presets()[preset]
    rows = provenance(preset)
    assert {row.name for row in rows} >= {"units_per_minute_user", "warm_up", "concurrency", "cost.drafts.send"}
    for row in rows:
        assert row.value
        assert row.unit
        assert row.source
        assert row.read[:4].isdigit()
        assert row.certainty in {"A", "B", "C"}


def test_a_young_mailbox_warms_up_by_its_age():
    limits = Limits.preset()
    assert [daily_budget(limits, age) for age in (0, 1, 2, 3, 400)] == [500, 1_000, 2_000, 2_000, 2_000]
    small = Limits.preset(overrides={"messages_per_day": "300/day"})
    assert daily_budget(small, 1) == 300
    few = Limits.preset(overrides={"recipients_per_day": "700/day"})
    assert daily_budget(few, 9) == 700
