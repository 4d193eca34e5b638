"""The one border where the relay's replies, and what aiosmtplib and the system raise, become our errors.

Rows are read from the top; stage, code and enhanced code decide, and words only where Google gives one code two
meanings. Sources: Google's lists of SMTP errors (support.google.com/a/answer/3726730 and 6140680, read 2026-11), RFC
5321 4.2 and RFC 3463 for what others answer, and Postfix 3.7 where its words say what its codes do not.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import aiosmtplib

from millstream import harmless
from millstream.gmail.answer import redact
from millstream.gmail.errors import Call, GmailError
from millstream.gmail.relay import errors
from millstream.gmail.relay.errors import RelayError
from millstream.gmail.relay.line import Ended, Why
from millstream.gmail.relay.reply import Reply


class Stage(StrEnum):
    """What a reply is the answer to."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL FROM"
    RCPT = "RCPT TO"
    DATA = "DATA"
    BODY = "the message"
    DOT = "the message's end"


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of refusal: all the given conditions hold (an empty one always does)."""

    error: type[RelayError]
    stages: frozenset[Stage]
    codes: re.Pattern[str] | None
    enhanced: re.Pattern[str] | None
    words: re.Pattern[str] | None

    def fits(self, stage: Stage, reply: Reply) -> bool:
        """Whether this row describes the reply."""
        return (
            (not self.stages or stage in self.stages)
            and (self.codes is None or self.codes.fullmatch(str(reply.code)) is not None)
            and (self.enhanced is None or self.enhanced.fullmatch(reply.enhanced) is not None)
            and (self.words is None or self.words.search(reply.text) is not None)
        )


def _row(error: type[RelayError], codes: str = "", enhanced: str = "", *stages: Stage, words: str = "") -> Row:
    return Row(
        error,
        frozenset(stages),
        re.compile(codes) if codes else None,
        re.compile(enhanced) if enhanced else None,
        re.compile(words, re.IGNORECASE) if words else None,
    )


_SESSION: Final = (Stage.GREETING, Stage.EHLO, Stage.STARTTLS)
_ENVELOPE: Final = (Stage.MAIL, Stage.RCPT, Stage.DATA)

ROWS: Final = (
    # Limits, in Google's words (answer/6140680).
    _row(errors.CustomerPeakReached, "4..", words=r"peak smtp relay limit"),
    _row(errors.CustomerDayReached, words=r"daily smtp relay limit exceeded for customer"),
    _row(errors.UserDayReached, words=r"daily (user sending|smtp relay) (limit|quota)"),
    _row(errors.UserDayReached, "5..", r"5\.4\.5"),
    _row(errors.RelayRateLimited, "4..", r"4\.7\.28"),
    _row(errors.RelayRateLimited, "4..", words=r"unusual rate|rate limit"),
    # The session.
    _row(errors.LoginAway, "421", "", Stage.AUTH),
    _row(errors.LoginAway, "4..", "", Stage.AUTH),
    _row(errors.LoginAway, "4..", words=r"too many login attempts"),
    _row(errors.LoginRefused, "", "", Stage.AUTH),
    # `421 4.7.0 Try again later, closing connection. (EHLO)`: calcom/cal.diy issue 5254, dawidd6/action-send-mail
    # issues 196 and 302.
    _row(errors.GreetingRefused, "421", r"4\.7\.0", Stage.EHLO),
    _row(errors.GreetingRefused, "50[14]", "", Stage.EHLO),
    _row(errors.RelayAway, "421", "", Stage.STARTTLS),
    _row(errors.TlsMissing, "", "", Stage.STARTTLS),
    _row(errors.RelayAway, "", "", *_SESSION),
    _row(errors.LoginRefused, "53[0458]"),
    # Another kind of server checks our name with the recipient: Postfix, smtpd_delay_reject.
    _row(errors.GreetingRefused, words=r"helo command rejected"),
    _row(errors.RelayClosing, "421"),
    # Whom it relays for.
    _row(
        errors.RelayDenied,
        "5..",
        words=r"invalid credentials for relay|relay(ing)? (access )?(is )?denied|not permitted to relay|"
        r"ip address .*not registered",
    ),
    _row(errors.SenderRefused, "5..", words=r"sender address rejected"),
    _row(errors.SenderRefused, "5..", r"5\.1\.[78]", *_ENVELOPE),
    _row(errors.RelayMessageTooLarge, "552", r"|5\.2\.3|5\.3\.4"),
    _row(errors.RelayMessageTooLarge, "5..", r"5\.2\.3|5\.3\.4"),
    _row(errors.SenderRefused, "55[034]|501", "", Stage.MAIL),
    # Not now.
    _row(errors.TooManyRecipients, words=r"too many recipients"),
    _row(errors.TooManyRecipients, "5..", r"5\.5\.3", Stage.RCPT, Stage.DATA),
    _row(errors.RecipientBusy, "452", r"4\.5\.3|4\.2\.2"),
    _row(errors.RecipientBusy, "4..", r"4\.2\.2"),
    _row(errors.Greylisted, "4..", words=r"gr[ae]y-?list"),
    _row(errors.Greylisted, "450", r"4\.2\.[01]|4\.7\.1"),
    _row(errors.Greylisted, "451", r"4\.7\.1"),
    _row(errors.RelayBusy, "4.."),
    # The recipient.
    _row(errors.RecipientRefused, "5..", r"5\.1\.(\d|10)|5\.2\.[0-2]", Stage.RCPT, Stage.DOT),
    _row(errors.RecipientRefused, "5..", words=r"recipient address rejected"),
    _row(errors.RecipientRefused, "55[0136]|501|521", "|x", Stage.RCPT),
    # The message.
    _row(errors.MessageBlocked, "552", r"5\.7\.0"),
    _row(errors.MessageBlocked, "5..", r"5\.7\.\d+", Stage.DOT),
    _row(errors.MessageBlocked, "5..", words=r"- gcdp\b"),
    _row(errors.RelayRefused, "5.."),
)


def refusal(call: Call, stage: Stage, reply: Reply) -> RelayError:
    """The error for a reply that is not the one that was hoped for."""
    if not reply.refusal:
        kind: type[RelayError] = errors.UnreadableAfterDot if stage is Stage.DOT else errors.LostBeforeDot
        return kind(call, status=reply.code, text=f"an answer that does not belong to {stage}: {reply.text}")
    found = next(row.error for row in ROWS if row.fits(stage, reply))
    return found(call, status=reply.code, reason=reply.enhanced, text=reply.text)


_AFTER_DOT: Final[dict[Why, type[RelayError]]] = {
    Why.SILENT: errors.SilentAfterDot,
    Why.UNREADABLE: errors.UnreadableAfterDot,
}


def ended(call: Call, stage: Stage, end: Ended) -> RelayError:
    """The error for a connection that ended where a reply was hoped for."""
    if stage is Stage.DOT:
        return _AFTER_DOT.get(end.why, errors.LostAfterDot)(call, text=end.text)
    if end.reply is not None and end.reply.refusal:
        return refusal(call, stage, end.reply)
    return errors.LostBeforeDot(call, text=f"at {stage}: {end.text}")


def unreached(call: Call, stage: Stage, exc: BaseException) -> RelayError:
    """The error for what aiosmtplib, the system or a source of tokens raises while a session is being made."""
    if isinstance(exc, aiosmtplib.SMTPResponseException) and exc.code > 0:
        place = _stage_of(exc, stage)
        reply = Reply.of(exc.code, exc.message.split("\n"))
        if reply.refusal:
            return refusal(call, place, reply)
    text = redact(harmless.line(f"at {stage}: {type(exc).__name__}: {exc}"))
    if isinstance(exc, ValueError) and stage is Stage.EHLO and not isinstance(exc, ssl.SSLError):
        return errors.GreetingRefused(call, text=text)  # our name cannot be said
    if isinstance(exc, GmailError):  # no token: the source of tokens has its own words for it
        return (errors.LoginAway if exc.temporary else errors.LoginRefused)(call, text=text)
    if any(_of_the_certificate(each) for each in _causes(exc)):
        return errors.CertificateRefused(call, text=text)
    return errors.RelayAway(call, text=text)


def _stage_of(exc: aiosmtplib.SMTPResponseException, stage: Stage) -> Stage:
    if isinstance(exc, aiosmtplib.SMTPConnectResponseError):
        return Stage.GREETING
    if isinstance(exc, aiosmtplib.SMTPHeloError):
        return Stage.EHLO
    return stage


def _of_the_certificate(exc: BaseException) -> bool:
    """A handshake that failed for what either side thinks of the other; one that was cut off says nothing of it."""
    return isinstance(exc, ssl.SSLError) and not isinstance(exc, ssl.SSLEOFError | ssl.SSLZeroReturnError)


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__
