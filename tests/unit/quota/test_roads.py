"""The API, the relay and both at once: which is done when."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.quota import Fleet, Limits, NeverDone, RelayFleet, compare, forecast

START = datetime(2026, 11, 2, 6, 0, tzinfo=UTC)
NEW, FREE = Limits.preset("google-2026"), Limits.preset("none")


def api(mailboxes: int = 1, **otherwise) -> Fleet:
    return Fleet(**({"mailboxes": mailboxes, "limits": NEW, "mode": "direct"} | otherwise))


def relay(users: int = 1, **otherwise) -> RelayFleet:
    return RelayFleet(**({"users": users, "limits": NEW} | otherwise))


def test_a_user_of_the_relay_sends_10_000_messages_a_day():
    told = forecast(relay(), 10_001, START)
    assert told.deciding == "relay_messages_per_day"
    assert [day.messages for day in told.days] == [10_000, 1]
    assert "1 user carries 10,000 a day" in told.sentence


def test_the_organisation_sends_532_a_second_and_4_600_000_a_day_however_many_users():
    told = forecast(relay(1_000), 4_600_000, START)
    assert told.deciding == "relay_recipients_per_period"
    assert told.duration.total_seconds() == pytest.approx(4_600_000 / 319_444 * 600, abs=1)
    assert forecast(relay(1_000), 4_600_001, START).deciding == "relay_recipients_per_day"


def test_an_envelope_sender_that_is_no_user_has_no_day():
    told = forecast(relay(1, registered=False), 1_000_000, START)
    assert len(told.days) == 1


def test_one_registered_bounce_address_has_one_day_for_all_users():
    told = forecast(relay(20, one_sender=True), 20_000, START)
    assert [day.messages for day in told.days] == [10_000, 10_000]
    assert "relay.bounce_address counts for all users" in told.sentence


def test_what_users_sent_today_is_not_there_any_more():
    assert forecast(relay(2, spent_today=(10_000, 4_000)), 6_001, START).days[0].messages == 6_000


def test_slow_replies_make_connections_or_lanes_decide():
    slow = forecast(relay(100, latency_seconds=5.0), 40_000, START)
    assert (slow.deciding, "40 connections decide" in slow.sentence) == ("connections", True)
    assert forecast(relay(1, latency_seconds=5.0, connections=99), 9_000, START).deciding == "per_lane"


def test_both_roads_together_are_done_in_their_common_time():
    told = compare(api(10), relay(10), 240_000, START)
    assert told.mix is not None
    assert (told.mix.api, told.mix.relay) == (40_000, 200_000)
    assert told.mix.finish < told.relay.finish < told.api.finish


def test_one_road_is_compared_with_nothing():
    told = compare(api(), None, 10, START)
    assert (told.relay, told.mix) == (None, None)
    assert compare(None, relay(), 10, START).api is None


def test_a_road_that_never_ends_leaves_the_other():
    told = compare(api(0), relay(), 10, START)
    assert told.api is None
    assert "there is no mailbox" in told.never["api"]
    assert (told.mix.api, told.mix.relay, told.mix.finish) == (0, 10, told.relay.finish)


def test_no_road_that_ends_is_an_error():
    with pytest.raises(NeverDone, match="no mailbox to send from"):
        compare(api(0), relay(0), 10, START)
    with pytest.raises(NeverDone, match="no road"):
        compare(None, None, 10, START)


def test_what_no_limit_holds_is_done_at_once():
    told = compare(api(limits=FREE), relay(limits=FREE), 1_000_000, START)
    assert told.mix.duration == timedelta(0)


_fleets = st.builds(
    api,
    st.integers(0, 30),
    limits=st.sampled_from([NEW, FREE, Limits.preset("google-2025")]),
    ages=st.lists(st.integers(0, 9), max_size=4).map(tuple),
    spent_today=st.lists(st.integers(0, 3_000), max_size=4).map(tuple),
    mode=st.sampled_from(["draft", "direct"]),
    latency_seconds=st.sampled_from([0.0, 0.3, 4.0]),
)
_relays = st.builds(
    relay,
    st.integers(0, 30),
    limits=st.sampled_from([NEW, FREE]),
    spent_today=st.lists(st.integers(0, 12_000), max_size=4).map(tuple),
    registered=st.booleans(),
    one_sender=st.booleans(),
    latency_seconds=st.sampled_from([0.0, 0.3, 4.0]),
    connections=st.integers(1, 40),
)


@settings(max_examples=150, deadline=None)
@given(_fleets, _relays, st.integers(0, 600_000))
def test_the_mix_is_never_later_than_the_better_road(senders, users, count):
    try:
        told = compare(senders, users, count, START)
    except NeverDone:
        assert not (senders.mailboxes and users.users)
        return
    roads = [road.finish for road in (told.api, told.relay) if road is not None]
    assert told.mix is not None
    assert told.mix.finish <= min(roads, default=told.mix.finish)
    assert told.mix.api + told.mix.relay == count


@settings(max_examples=80, deadline=None)
@given(_relays.filter(lambda each: each.users), st.integers(1, 300_000))
def test_more_messages_are_never_done_earlier_by_the_relay(users, count):
    assert forecast(users, count, START).finish <= forecast(users, count + 1, START).finish
