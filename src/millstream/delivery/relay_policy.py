"""What an answer of the relay means for the delivery and its lane, and what follows where there was none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from millstream.communication.model import Unclear
from millstream.delivery.model import Delivery
from millstream.delivery.options import RelayRules
from millstream.delivery.policy import Lane, Next, Verdict, backoff
from millstream.gmail.relay import errors
from millstream.gmail.relay.errors import RelayError

REPLY_LOST = "reply_lost"

_PARKS: dict[type[RelayError], str] = {
    errors.TlsMissing: "relay_tls",
    errors.CertificateRefused: "relay_tls",
    errors.LoginRefused: "relay_login",
    errors.SenderRefused: "relay_sender",
    errors.RelayDenied: "relay_denied",
}
_HOLDS: dict[type[RelayError], str] = {
    errors.RecipientRefused: "bad_recipient",
    errors.NeedsUtf8: "bad_recipient",
    errors.RelayMessageTooLarge: "too_large",
}
_FAILS: dict[type[RelayError], str] = {
    errors.MessageBlocked: "blocked",
    errors.TooManyRecipients: "internal_error",
}
_GREETINGS = 5
_CLOSINGS = 3
_PEAK, _LONGEST_PEAK = 60.0, 600.0
_RATE, _LONGEST_RATE = 60.0, 900.0
_LOGIN = 60.0
_CUSTOMER_DAY = 3_600.0
_GREYLIST, _FULL, _LONGEST_WAIT = 300.0, 900.0, 3_600.0


def judge_relay(error: RelayError, *, tries: int, now: datetime, options: RelayRules, in_a_row: int = 0) -> Verdict:
    """Decide on an error of the relay.

    Args:
        error: what it met.
        tries: how often this delivery was tried before.
        now: the time.
        options: the relay's rules.
        in_a_row: how often before this the lane met trouble of the whole relay, without a message between.
    """
    if isinstance(error, errors.AfterDot):
        return Verdict(Next.PROBE, Lane.ON, REPLY_LOST, delay=timedelta(seconds=options.probe_floor))
    if (parks := _reason(error, _PARKS)) is not None:
        return Verdict(Next.FREE, Lane.PARK, parks, until=now + timedelta(seconds=options.recheck))
    if (holds := _reason(error, _HOLDS)) is not None:
        return Verdict(Next.HOLD, Lane.ON, holds)
    ours = _not_reached(error, now=now, options=options, in_a_row=in_a_row) or _limited(
        error, now=now, options=options, in_a_row=in_a_row
    )
    if ours is not None:
        return ours
    if error.temporary:
        return _busy(error, tries=tries, now=now, options=options, in_a_row=in_a_row)
    return Verdict(Next.FAIL, Lane.ON, _reason(error, _FAILS) or "refused_by_relay")


def _reason(error: RelayError, reasons: Mapping[type[RelayError], str]) -> str | None:
    return next((reason for kind, reason in reasons.items() if isinstance(error, kind)), None)


def _not_reached(error: RelayError, *, now: datetime, options: RelayRules, in_a_row: int) -> Verdict | None:
    if not isinstance(error, errors.RelayNotReached):
        return None
    if isinstance(error, errors.GreetingRefused) and in_a_row + 1 >= _GREETINGS:
        return Verdict(Next.FREE, Lane.PARK, "relay_greeting", until=now + timedelta(seconds=options.recheck))
    wait = timedelta(seconds=_LOGIN) if isinstance(error, errors.LoginAway) else backoff(in_a_row)
    return Verdict(Next.KEEP, Lane.REST, word(error), delay=wait, until=now + wait)


def _limited(error: RelayError, *, now: datetime, options: RelayRules, in_a_row: int) -> Verdict | None:
    if isinstance(error, errors.UserDayReached):
        until = error.retry_at or now + timedelta(seconds=options.day_park)
        return Verdict(Next.FREE, Lane.PARK, "relay_user_day", until=until)
    if isinstance(error, errors.CustomerDayReached):
        until = now + timedelta(seconds=_CUSTOMER_DAY)
        return Verdict(Next.FREE, Lane.ORGANISATION, "relay_customer_day", until=until)
    if isinstance(error, errors.CustomerPeakReached):
        wait = _doubling(_PEAK, in_a_row, _LONGEST_PEAK)
        return Verdict(Next.KEEP, Lane.ORGANISATION, "relay_peak", delay=wait, until=now + wait)
    if isinstance(error, errors.RelayRateLimited):
        wait = _doubling(_RATE, in_a_row, _LONGEST_RATE)
        return Verdict(Next.KEEP, Lane.REST, "relay_rate", delay=wait, until=now + wait)
    return None


def _busy(error: RelayError, *, tries: int, now: datetime, options: RelayRules, in_a_row: int) -> Verdict:
    if isinstance(error, errors.RelayClosing):
        if in_a_row + 1 < _CLOSINGS:  # at once over another connection, the first time
            return Verdict(Next.KEEP, Lane.ON, "relay_closing", delay=backoff(tries - 1) if tries else timedelta())
        wait = backoff(in_a_row + 1 - _CLOSINGS)
        return Verdict(Next.KEEP, Lane.REST, "relay_closing", delay=wait, until=now + wait)
    if tries + 1 >= options.most_tries:
        return Verdict(Next.FAIL, Lane.ON, "gave_up")
    if isinstance(error, errors.Greylisted):
        return Verdict(Next.KEEP, Lane.ON, "greylisted", delay=_doubling(_GREYLIST, tries, _LONGEST_WAIT))
    if isinstance(error, errors.RecipientBusy):
        return Verdict(Next.KEEP, Lane.ON, "recipient_busy", delay=_doubling(_FULL, tries, _LONGEST_WAIT))
    return Verdict(Next.KEEP, Lane.ON, word(error), delay=backoff(tries))


def _doubling(first: float, times: int, longest: float) -> timedelta:
    return timedelta(seconds=min(longest, first * 2 ** min(times, 10)))


def word(error: RelayError) -> str:
    """An error's name as the ledger has it."""
    name = type(error).__name__
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")


@dataclass(frozen=True, slots=True)
class Probe:
    """Look again at `due`: for a copy in the sender's mailbox, or for whatever else proves it meanwhile."""

    due: datetime


@dataclass(frozen=True, slots=True)
class Hold:
    """A person decides."""


@dataclass(frozen=True, slots=True)
class Again:
    """It is sent again under the same Message-ID."""


UnclearNext = Probe | Hold | Again


def unclear_next(delivery: Delivery, *, unclear: Unclear | None, rules: RelayRules, now: datetime) -> UnclearNext:
    """What follows a lost reply, where nothing proved the send until now. What nobody said is decided by a person."""
    since = delivery.uncertain_since or now
    asked = now - since
    if rules.sent_copies and asked < timedelta(seconds=rules.probe_for):
        return Probe(now + max(timedelta(seconds=rules.probe_floor), asked))
    if unclear is not Unclear.AGAIN or delivery.repeats + 1 >= rules.most_again:
        return Hold()
    again_at = since + timedelta(seconds=rules.again_after)
    return Probe(again_at) if now < again_at else Again()
