"""Which reply is which error: the table of the relay's answers."""

import ssl

import aiosmtplib
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.gmail.errors import (
    Call,
    Effect,
    Fault,
    InvalidRecipient,
    LimitReached,
    MailSendingLimit,
    PayloadTooLarge,
)
from millstream.gmail.relay import errors, translate
from millstream.gmail.relay.line import Ended, Why
from millstream.gmail.relay.reply import Reply
from millstream.gmail.relay.translate import Stage

CALL = Call("smtp.send", "statements@bank.example", write=True)
GREETING, EHLO, STARTTLS, AUTH = Stage.GREETING, Stage.EHLO, Stage.STARTTLS, Stage.AUTH
MAIL, RCPT, DATA, DOT = Stage.MAIL, Stage.RCPT, Stage.DATA, Stage.DOT

# Words of Google's from support.google.com/a/answer/3726730 and 6140680, others as their servers say them.
TABLE = [
    (GREETING, "421 4.3.2 try later", errors.RelayAway),
    (GREETING, "554 5.7.1 no", errors.RelayAway),
    (EHLO, "421 4.7.0 Try again later, closing connection. (EHLO)", errors.GreetingRefused),
    (EHLO, "504 5.5.2 need a fully qualified name", errors.GreetingRefused),
    (EHLO, "451 4.3.0 not now", errors.RelayAway),
    (STARTTLS, "454 4.7.0 TLS not available", errors.TlsMissing),
    (STARTTLS, "421 4.3.0 closing", errors.RelayAway),
    (AUTH, "535 5.7.8 Username and Password not accepted", errors.LoginRefused),
    (AUTH, "534 5.7.9 Application-specific password required", errors.LoginRefused),
    (AUTH, "454 4.7.0 Cannot authenticate", errors.LoginAway),
    (AUTH, "421 4.7.0 Too many login attempts, try again later", errors.LoginAway),
    (MAIL, "421 4.7.0 Too many login attempts, try again later", errors.LoginAway),
    (MAIL, "530 5.7.0 Authentication Required", errors.LoginRefused),
    (MAIL, "550 5.7.1 Invalid credentials for relay [203.0.113.7]. The IP address", errors.RelayDenied),
    (RCPT, "550 5.7.0 Mail relay denied [203.0.113.7].", errors.RelayDenied),
    (RCPT, "554 5.7.1 <x@example.net>: Relay access denied", errors.RelayDenied),
    (MAIL, "553 5.1.7 The sender address is not a valid RFC 5321 address", errors.SenderRefused),
    (MAIL, "550 5.7.1 sender not allowed", errors.SenderRefused),
    (MAIL, "501 5.5.4 syntax", errors.SenderRefused),
    (RCPT, "554 5.7.1 <a@b>: Sender address rejected: Access denied", errors.SenderRefused),
    (MAIL, "550 5.4.5 Daily user sending limit exceeded.", errors.UserDayReached),
    (RCPT, "550 5.4.5 Daily SMTP relay limit exceeded for user.", errors.UserDayReached),
    (DOT, "550 5.4.5 words of another year", errors.UserDayReached),
    (MAIL, "550 5.7.1 Daily SMTP relay limit exceeded for customer.", errors.CustomerDayReached),
    (DOT, "550 5.7.1 Daily SMTP relay limit exceeded for customer.", errors.CustomerDayReached),
    (MAIL, "450 4.2.1 Peak SMTP relay limit exceeded for customer.", errors.CustomerPeakReached),
    (DOT, "450 4.2.1 Peak SMTP relay limit exceeded for customer.", errors.CustomerPeakReached),
    (DOT, "421 4.7.28 rate", errors.RelayRateLimited),
    (MAIL, "421 4.7.0 Our system has detected an unusual rate of mail", errors.RelayRateLimited),
    (MAIL, "421 4.4.5 Server busy, try again later.", errors.RelayClosing),
    (DATA, "421 4.3.0 Temporary System Problem.", errors.RelayClosing),
    (RCPT, "450 4.2.0 <x@example.net>: Recipient address rejected: Greylisted", errors.Greylisted),
    (RCPT, "451 4.7.1 Greylisting in action", errors.Greylisted),
    (RCPT, "450 4.2.1 The user you are trying to contact is receiving mail too quickly", errors.Greylisted),
    (DOT, "451 4.3.0 Mail server temporarily rejected message.", errors.RelayBusy),
    (RCPT, "452 4.3.1 Insufficient system storage", errors.RelayBusy),
    (RCPT, "452 4.2.2 The email account that you tried to reach is over quota", errors.RecipientBusy),
    (RCPT, "452 4.5.3 Domain policy size per transaction exceeded", errors.RecipientBusy),
    (RCPT, "452 4.5.3 Your message has too many recipients", errors.TooManyRecipients),
    (RCPT, "550 5.5.3 Too many recipients for this sender", errors.TooManyRecipients),
    (RCPT, "550 5.1.1 The email account that you tried to reach does not exist", errors.RecipientRefused),
    (RCPT, "553 5.1.2 We weren't able to find the recipient domain", errors.RecipientRefused),
    (RCPT, "550 5.2.1 The email account that you tried to reach is disabled", errors.RecipientRefused),
    (RCPT, "550 no such user", errors.RecipientRefused),
    (RCPT, "556 5.1.10 null MX", errors.RecipientRefused),
    (MAIL, "552 5.3.4 Message size exceeds fixed limit", errors.RelayMessageTooLarge),
    (DOT, "552 5.2.3 Your message exceeded Google's message size limits", errors.RelayMessageTooLarge),
    (MAIL, "552 too large", errors.RelayMessageTooLarge),
    (DOT, "552 5.7.0 This message was blocked because its content presents a security issue", errors.MessageBlocked),
    (DOT, "550 5.7.1 Our system has detected that this message is likely unsolicited mail", errors.MessageBlocked),
    (DOT, "550 5.7.26 Unauthenticated email is not accepted", errors.MessageBlocked),
    (DOT, "550 5.7.1 Message violates a rule - gcdp x1.2 - gsmtp", errors.MessageBlocked),
    (MAIL, "555 5.5.2 Syntax error", errors.RelayRefused),
    (DATA, "503 5.5.1 RCPT first", errors.RelayRefused),
    (DOT, "554 5.6.0 malformed", errors.RelayRefused),
    (RCPT, "450 4.7.1 <bank.example>: Helo command rejected: Host not found", errors.GreetingRefused),
]


def reply(said: str) -> Reply:
    code, _, words = said.partition(" ")
    return Reply.of(int(code), [words])


@pytest.mark.parametrize(("stage", "said", "kind"), TABLE, ids=[f"{stage} {said[:14]}" for stage, said, _ in TABLE])
def test_the_table_of_replies(stage, said, kind):
    error = translate.refusal(CALL, stage, reply(said))
    assert (type(error), error.effect) == (kind, Effect.NO)
    assert str(error.status) == said[:3]


@given(st.sampled_from(Stage), st.integers(400, 599), st.text(max_size=60))
def test_every_refusal_has_an_error_and_means_that_nothing_was_sent(stage, code, words):
    error = translate.refusal(CALL, stage, Reply.of(code, [words]))
    assert error.effect is Effect.NO
    assert (
        error.temporary
        or code >= 500
        or type(error) in (errors.TlsMissing, errors.TooManyRecipients)
        or (type(error) is errors.LoginRefused)
    )


@given(st.sampled_from(Stage), st.sampled_from([200, 220, 250, 251, 334, 354, 399]))
def test_an_answer_that_does_not_belong_is_unknown_after_the_dot_alone(stage, code):
    error = translate.refusal(CALL, stage, Reply(code, "", "x"))
    assert (error.effect is Effect.UNKNOWN) == (stage is DOT)


@pytest.mark.parametrize(
    ("why", "kind"),
    [
        (Why.LOST, errors.LostAfterDot),
        (Why.SILENT, errors.SilentAfterDot),
        (Why.UNREADABLE, errors.UnreadableAfterDot),
        (Why.CLOSING, errors.LostAfterDot),
        (Why.LEFT, errors.LostAfterDot),
    ],
)
def test_an_end_after_the_dot_is_unknown_and_before_it_nothing_was_sent(why, kind):
    after, before = (translate.ended(CALL, stage, Ended(why, "so it was")) for stage in (DOT, Stage.BODY))
    assert (type(after), after.effect) == (kind, Effect.UNKNOWN)
    assert (type(before), before.effect) == (errors.LostBeforeDot, Effect.NO)


def test_words_that_came_unasked_are_its_reason():
    end = Ended(Why.CLOSING, "bye", Reply(421, "4.4.2", "bye"))
    assert type(translate.ended(CALL, Stage.BODY, end)) is errors.RelayClosing
    assert type(translate.ended(CALL, DOT, end)) is errors.LostAfterDot


def verification() -> ssl.SSLError:
    return ssl.SSLCertVerificationError(1, "certificate verify failed: certificate has expired")


def wrapped(cause: Exception) -> Exception:
    outer = aiosmtplib.SMTPConnectError("Error connecting")
    outer.__cause__ = cause
    return outer


@pytest.mark.parametrize(
    ("stage", "exc", "kind"),
    [
        (STARTTLS, verification(), errors.CertificateRefused),
        (GREETING, wrapped(verification()), errors.CertificateRefused),
        (GREETING, wrapped(ssl.SSLEOFError(8, "EOF occurred")), errors.RelayAway),
        (GREETING, wrapped(ConnectionRefusedError(111, "refused")), errors.RelayAway),
        (GREETING, aiosmtplib.SMTPConnectTimeoutError("Timed out"), errors.RelayAway),
        (GREETING, aiosmtplib.SMTPConnectResponseError(421, "4.7.28 rate"), errors.RelayRateLimited),
        (STARTTLS, aiosmtplib.SMTPHeloError(421, "4.7.0 Try again later"), errors.GreetingRefused),
        (STARTTLS, aiosmtplib.SMTPResponseException(454, "4.7.0 TLS not available"), errors.TlsMissing),
        (AUTH, aiosmtplib.SMTPAuthenticationError(535, "5.7.8 no\n5.7.8 really"), errors.LoginRefused),
        (AUTH, aiosmtplib.SMTPServerDisconnected("lost"), errors.RelayAway),
        (EHLO, aiosmtplib.SMTPResponseException(-1, "Malformed SMTP response line"), errors.RelayAway),
        (EHLO, ValueError("a name with a blank"), errors.GreetingRefused),
        (GREETING, UnicodeError("label too long"), errors.RelayAway),
    ],
)
def test_what_others_raise_is_an_error_of_ours(stage, exc, kind):
    error = translate.unreached(CALL, stage, exc)
    assert (type(error), error.effect) == (kind, Effect.NO)


def test_the_tree_keeps_the_shape_that_other_rooms_judge_by():
    assert issubclass(errors.UserDayReached, MailSendingLimit)
    assert issubclass(errors.CustomerPeakReached, LimitReached)
    assert issubclass(errors.RecipientRefused, InvalidRecipient)
    assert issubclass(errors.RelayMessageTooLarge, PayloadTooLarge)
    assert errors.SenderRefused.fault is Fault.MAILBOX
