"""What errors mean, for every error there is."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.delivery.model import Kind
from millstream.delivery.options import UNREACHABLE, DeliveryOptions
from millstream.delivery.policy import Lane, Next, backoff, judge, probe_gap
from millstream.gmail import errors
from millstream.gmail.errors import Call, Effect, GmailError
from millstream.quota import Limits

NOW = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
OPTIONS = DeliveryOptions(limits=Limits.preset("google-2026"))
METHODS = {Kind.DRAFT: "drafts.create", Kind.SEND: "drafts.send", Kind.WITHDRAW: "drafts.delete"}


def leaves(kind: type[GmailError]) -> list[type[GmailError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in leaves(child))]


ERRORS = sorted(set(leaves(GmailError)) - {GmailError}, key=lambda kind: kind.__name__)


def raised(kind: type[GmailError], calling: Kind, **more: object) -> GmailError:
    return kind(Call(METHODS[calling], "s@bank.example", write=True), **more)


@given(st.sampled_from(ERRORS), st.sampled_from(list(METHODS)), st.integers(0, 40))
def test_every_error_of_gmail_has_a_verdict(kind: type[GmailError], calling: Kind, tries: int) -> None:
    verdict = judge(raised(kind, calling), calling=calling, tries=tries, now=NOW, options=OPTIONS)
    assert verdict.reason
    assert verdict.delay >= timedelta()


@given(st.sampled_from(ERRORS), st.integers(0, 40))
def test_a_send_whose_effect_is_unknown_is_always_probed(kind: type[GmailError], tries: int) -> None:
    error = raised(kind, Kind.SEND)
    verdict = judge(error, calling=Kind.SEND, tries=tries, now=NOW, options=OPTIONS)
    if error.effect is not Effect.NO:
        assert verdict.next is Next.PROBE


@pytest.mark.parametrize("kind", [errors.TokenDead, errors.MailServiceOff, errors.ScopeMissing, errors.BadCredentials])
def test_a_mailbox_that_cannot_be_used_is_parked_and_its_delivery_freed(kind: type[GmailError]) -> None:
    verdict = judge(raised(kind, Kind.DRAFT), calling=Kind.DRAFT, tries=0, now=NOW, options=OPTIONS)
    assert (verdict.next, verdict.lane) == (Next.FREE, Lane.PARK)
    assert verdict.reason in UNREACHABLE


def test_a_sending_limit_parks_until_the_stated_time() -> None:
    until = NOW + timedelta(hours=3)
    error = raised(errors.MailSendingLimit, Kind.SEND, retry_at=until)
    verdict = judge(error, calling=Kind.SEND, tries=0, now=NOW, options=OPTIONS)
    assert (verdict.next, verdict.lane, verdict.until) == (Next.FREE, Lane.PARK, until)


def test_a_sending_limit_without_a_time_parks_for_a_day() -> None:
    verdict = judge(raised(errors.MailSendingLimit, Kind.SEND), calling=Kind.SEND, tries=0, now=NOW, options=OPTIONS)
    assert verdict.until == NOW + timedelta(days=1)


def test_a_rate_limit_rests_the_lane_until_exactly_the_stated_second() -> None:
    until = NOW + timedelta(seconds=17)
    error = raised(errors.RateLimited, Kind.SEND, retry_at=until)
    verdict = judge(error, calling=Kind.SEND, tries=0, now=NOW, options=OPTIONS)
    assert (verdict.lane, verdict.until, verdict.delay) == (Lane.REST, until, timedelta(seconds=17))


def test_too_many_at_once_makes_the_lane_slower() -> None:
    verdict = judge(raised(errors.TooManyConcurrent, Kind.SEND), calling=Kind.SEND, tries=0, now=NOW, options=OPTIONS)
    assert verdict.lane is Lane.SLOWER


def test_a_send_of_a_draft_that_is_gone_is_probed_and_not_failed() -> None:
    verdict = judge(raised(errors.NotFound, Kind.SEND), calling=Kind.SEND, tries=0, now=NOW, options=OPTIONS)
    assert verdict.next is Next.PROBE


def test_a_bad_address_holds_and_a_bad_request_fails() -> None:
    held = judge(raised(errors.InvalidRecipient, Kind.DRAFT), calling=Kind.DRAFT, tries=0, now=NOW, options=OPTIONS)
    failed = judge(raised(errors.BadRequest, Kind.DRAFT), calling=Kind.DRAFT, tries=0, now=NOW, options=OPTIONS)
    assert (held.next, held.reason) == (Next.HOLD, "bad_recipient")
    assert failed.next is Next.FAIL


def test_a_draft_that_never_comes_about_is_put_aside_in_the_end() -> None:
    last = OPTIONS.most_tries - 1
    error = raised(errors.ServerError, Kind.DRAFT)
    assert judge(error, calling=Kind.DRAFT, tries=last, now=NOW, options=OPTIONS).next is Next.FAIL
    assert judge(error, calling=Kind.DRAFT, tries=last - 1, now=NOW, options=OPTIONS).next is Next.KEEP


@given(st.integers(0, 10_000))
def test_backing_off_grows_to_64_seconds_and_no_further(tries: int) -> None:
    assert timedelta(seconds=1) <= backoff(tries) <= timedelta(seconds=64)
    assert backoff(tries) <= backoff(tries + 1)


@given(st.floats(0, 3_600))
def test_probes_come_in_growing_gaps_until_a_person_decides(asked_for: float) -> None:
    gap = probe_gap(timedelta(seconds=asked_for), OPTIONS)
    if asked_for >= OPTIONS.probe_for:
        assert gap is None
    else:
        assert gap is not None
        assert gap >= timedelta(seconds=max(OPTIONS.probe_floor, asked_for))
