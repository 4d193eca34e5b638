"""What the relay's answers mean, for every error there is, and what follows a lost reply."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.communication.model import Unclear
from millstream.delivery.model import Delivery, Disposition
from millstream.delivery.options import OF_THE_DAY, UNREACHABLE, RelayRules
from millstream.delivery.policy import Lane, Next
from millstream.delivery.relay_policy import Again, Hold, Probe, judge_relay, unclear_next
from millstream.gmail.errors import Call, Effect
from millstream.gmail.relay import errors
from millstream.gmail.relay.errors import RelayError

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
RULES = RelayRules()


def leaves(kind: type[RelayError]) -> list[type[RelayError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


ERRORS = sorted(set(leaves(RelayError)), key=lambda kind: kind.__name__)


def verdict(kind: type[RelayError], tries: int = 0, in_a_row: int = 0):
    error = kind(Call("smtp.send", "s@bank.example", write=True))
    return judge_relay(error, tries=tries, now=NOW, options=RULES, in_a_row=in_a_row)


@given(st.sampled_from(ERRORS), st.integers(0, 100), st.integers(0, 100))
def test_every_error_of_the_relay_has_a_verdict(kind: type[RelayError], tries: int, in_a_row: int) -> None:
    found = verdict(kind, tries, in_a_row)
    assert found.reason
    assert found.delay >= timedelta()
    assert (found.lane in {Lane.REST, Lane.PARK, Lane.ORGANISATION}) == (found.until is not None)


@given(st.sampled_from(ERRORS), st.integers(0, 100), st.integers(0, 100))
def test_only_what_may_have_been_sent_is_unclear(kind: type[RelayError], tries: int, in_a_row: int) -> None:
    unknown = kind(Call("smtp.send", "s@bank.example", write=True)).effect is Effect.UNKNOWN
    assert (verdict(kind, tries, in_a_row).next is Next.PROBE) == unknown


@given(st.sampled_from([kind for kind in ERRORS if issubclass(kind, errors.RelayNotReached)]), st.integers(0, 100))
def test_a_relay_that_cannot_be_spoken_to_fails_no_delivery(kind: type[RelayError], tries: int) -> None:
    assert verdict(kind, tries, tries).next in {Next.KEEP, Next.FREE}


@given(st.sampled_from(ERRORS))
def test_no_answer_of_the_relay_makes_a_lane_unreachable(kind: type[RelayError]) -> None:
    """What it sent is still settled: that needs no relay."""
    assert verdict(kind).reason not in UNREACHABLE


@pytest.mark.parametrize(
    ("kind", "in_a_row", "lane", "seconds"),
    [
        (errors.RelayAway, 0, Lane.REST, 1),
        (errors.RelayAway, 3, Lane.REST, 8),
        (errors.RelayAway, 40, Lane.REST, 64),
        (errors.GreetingRefused, 0, Lane.REST, 1),
        (errors.GreetingRefused, 4, Lane.PARK, 600),
        (errors.LoginAway, 0, Lane.REST, 60),
        (errors.TlsMissing, 0, Lane.PARK, 600),
        (errors.CustomerPeakReached, 0, Lane.ORGANISATION, 60),
        (errors.CustomerPeakReached, 1, Lane.ORGANISATION, 120),
        (errors.CustomerPeakReached, 9, Lane.ORGANISATION, 600),
        (errors.CustomerDayReached, 0, Lane.ORGANISATION, 3600),
        (errors.RelayRateLimited, 0, Lane.REST, 60),
        (errors.RelayRateLimited, 9, Lane.REST, 900),
        (errors.UserDayReached, 0, Lane.PARK, 86_400),
        (errors.RelayClosing, 2, Lane.REST, 1),
    ],
)
def test_the_lane_waits_as_long_as_the_relay_needs(kind, in_a_row: int, lane: Lane, seconds: float) -> None:
    found = verdict(kind, in_a_row=in_a_row)
    assert (found.lane, found.until) == (lane, NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(
    ("kind", "tries", "seconds"),
    [
        (errors.RelayClosing, 0, 0),
        (errors.RelayClosing, 2, 2),
        (errors.RelayBusy, 0, 1),
        (errors.LostBeforeDot, 3, 8),
        (errors.Greylisted, 0, 300),
        (errors.Greylisted, 9, 3600),
        (errors.RecipientBusy, 0, 900),
    ],
)
def test_the_delivery_waits_and_the_lane_goes_on(kind, tries: int, seconds: float) -> None:
    found = verdict(kind, tries)
    assert (found.next, found.lane, found.delay) == (Next.KEEP, Lane.ON, timedelta(seconds=seconds))


@pytest.mark.parametrize("kind", [errors.RelayBusy, errors.Greylisted, errors.RecipientBusy, errors.LostBeforeDot])
def test_a_messages_own_trouble_is_given_up_in_the_end(kind) -> None:
    assert (verdict(kind, 11).next, verdict(kind, 11).reason) == (Next.FAIL, "gave_up")


def test_the_days_that_may_spill_are_days_that_are_used_up() -> None:
    parked = {verdict(kind).reason for kind in ERRORS} & set(OF_THE_DAY)
    assert parked == {"relay_user_day", "relay_customer_day"}


def lost(seconds: float, *, repeats: int = 0) -> Delivery:
    return Delivery(
        *(1, "t", 1, Disposition.UNCERTAIN, 3, NOW),
        rfc822_id="m.1@bank.example",
        uncertain_since=NOW - timedelta(seconds=seconds),
        repeats=repeats,
    )


@given(st.integers(0, 10_000), st.integers(0, 9), st.booleans())
def test_without_the_runs_word_nothing_is_sent_again(seconds: int, repeats: int, copies: bool) -> None:  # noqa: FBT001  hypothesis gives it
    for unclear in (None, Unclear.HOLD):
        rules = RelayRules(sent_copies=copies)
        found = unclear_next(lost(seconds, repeats=repeats), unclear=unclear, rules=rules, now=NOW)
        assert isinstance(found, Probe if copies and seconds < rules.probe_for else Hold)


@pytest.mark.parametrize(
    ("seconds", "repeats", "follows"),
    [
        (0, 0, Probe(NOW + timedelta(seconds=60))),
        (59, 0, Probe(NOW + timedelta(seconds=1))),
        (60, 0, Again()),
        (60, 1, Again()),
        (60, 2, Hold()),
    ],
)
def test_it_is_sent_again_after_a_while_and_not_for_ever(seconds: int, repeats: int, follows: object) -> None:
    assert unclear_next(lost(seconds, repeats=repeats), unclear=Unclear.AGAIN, rules=RULES, now=NOW) == follows


@given(st.floats(0, 899.0))
def test_where_copies_lie_in_the_mailbox_it_is_asked_first(seconds: float) -> None:
    found = unclear_next(lost(seconds), unclear=Unclear.AGAIN, rules=RelayRules(sent_copies=True), now=NOW)
    assert isinstance(found, Probe)
    assert found.due >= NOW + timedelta(seconds=3)
