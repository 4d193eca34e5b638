"""What an error means for the delivery and for its lane. Pure: a decision is a value, others carry it out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from millstream.delivery.model import Kind
from millstream.delivery.options import DeliveryOptions
from millstream.gmail import errors
from millstream.gmail.errors import Effect, GmailError


class Next(StrEnum):
    """What becomes of the delivery."""

    KEEP = "keep"  # surely not done: the same lane tries again
    FREE = "free"  # surely not done, and this lane can not: any other may
    PROBE = "probe"  # nobody knows: look for evidence
    HOLD = "hold"  # a person must mend it
    FAIL = "fail"  # it will never leave


class Lane(StrEnum):
    """What becomes of the lane."""

    ON = "on"
    SLOWER = "slower"  # one call fewer in flight
    REST = "rest"  # no call before a time
    PARK = "park"  # no send until a time; other lanes take its work
    ORGANISATION = "organisation"  # no send by the relay until a time, by any lane of any worker


@dataclass(frozen=True, slots=True)
class Verdict:
    """One decision on both."""

    next: Next
    lane: Lane
    reason: str
    """A word for the ledger."""
    delay: timedelta = timedelta()
    """How long the delivery waits."""
    until: datetime | None = None
    """The end of a rest or a park."""


_PARKS: dict[type[GmailError], str] = {
    errors.TokenDead: "token_dead",
    errors.Unauthorized: "token_dead",
    errors.BadCredentials: "token_dead",
    errors.MailServiceOff: "mail_service_off",
    errors.Forbidden: "forbidden",
}
_HOLDS: dict[type[GmailError], str] = {
    errors.InvalidRecipient: "bad_recipient",
    errors.PayloadTooLarge: "too_large",
}
_FIRST_DELAY = 1.0
_LONGEST_DELAY = 64.0  # Google's guide: truncated exponential back-off, at most 32 or 64 s
_PROJECT_REST = timedelta(hours=1)


def judge(error: GmailError, *, calling: Kind, tries: int, now: datetime, options: DeliveryOptions) -> Verdict:
    """Decide on an error that a draft, a send or a withdrawal met.

    `tries` is how often this delivery was tried before. Order matters: first what was not done for a reason of the
    mailbox, then what can never be done, then what nobody knows.
    """
    for kind, reason in _PARKS.items():
        if isinstance(error, kind):
            return Verdict(Next.FREE, Lane.PARK, reason, until=now + timedelta(seconds=options.recheck))
    if isinstance(error, errors.LimitReached):
        return _limited(error, now=now, options=options)
    if isinstance(error, errors.Refused):
        return _refused(error, calling)
    if error.effect is Effect.UNKNOWN and calling is Kind.SEND:
        return Verdict(Next.PROBE, Lane.ON, _word(error), delay=timedelta(seconds=options.probe_floor))
    if tries + 1 >= options.most_tries:
        return Verdict(Next.FAIL, Lane.ON, "gave_up")
    return Verdict(Next.KEEP, Lane.ON, _word(error), delay=backoff(tries))


def backoff(tries: int) -> timedelta:
    """1, 2, 4 … 64 s by the number of tries before."""
    return timedelta(seconds=min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(tries, 10)))


def probe_gap(asked_for: timedelta, options: DeliveryOptions) -> timedelta | None:
    """When to look for evidence again after looking in vain for `asked_for`; None: a person decides."""
    if asked_for >= timedelta(seconds=options.probe_for):
        return None
    return max(timedelta(seconds=options.probe_floor), asked_for)


def _limited(error: errors.LimitReached, *, now: datetime, options: DeliveryOptions) -> Verdict:
    if isinstance(error, errors.MailSendingLimit):
        until = error.retry_at or now + timedelta(seconds=options.sending_park)
        return Verdict(Next.FREE, Lane.PARK, "mail_sending", until=until)
    if isinstance(error, errors.ProjectExhausted):
        until = error.retry_at or now + _PROJECT_REST
        return Verdict(Next.KEEP, Lane.REST, "project_exhausted", until=until, delay=until - now)
    lane = Lane.SLOWER if isinstance(error, errors.TooManyConcurrent) else Lane.REST
    until = error.retry_at or now + timedelta(seconds=_FIRST_DELAY)
    return Verdict(Next.KEEP, lane, _word(error), until=until, delay=max(until - now, timedelta()))


def _refused(error: errors.Refused, calling: Kind) -> Verdict:
    if isinstance(error, errors.NotFound) and calling is not Kind.DRAFT:
        return Verdict(Next.PROBE, Lane.ON, "draft_gone")
    for kind, reason in _HOLDS.items():
        if isinstance(error, kind):
            return Verdict(Next.HOLD, Lane.ON, reason)
    return Verdict(Next.FAIL, Lane.ON, "refused_by_gmail")


def _word(error: GmailError) -> str:
    name = type(error).__name__
    return "".join("_" + letter.lower() if letter.isupper() else letter for letter in name).lstrip("_")
