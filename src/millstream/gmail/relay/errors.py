"""What can go wrong between us and Google's SMTP relay.

RelayError
├── RelayNotReached             the relay could not be spoken to: nothing was handed over
│   ├── RelayAway               no connection, or no welcome
│   ├── GreetingRefused         it does not take the name we say in EHLO
│   ├── TlsMissing              it offers no STARTTLS: nothing is sent in clear
│   ├── CertificateRefused      its certificate cannot be verified
│   ├── LoginRefused            it does not take our login
│   └── LoginAway               it cannot check our login now
├── RelayDenied                 it does not relay for us (allow-list, sender's domain)
│   └── SenderRefused           it does not take this sender
├── UserDayReached              the user's messages of this day are spent
├── CustomerDayReached          the organisation's recipients of this day are spent
├── CustomerPeakReached         the organisation's recipients of these ten minutes are spent
├── RelayRateLimited            it finds our rate unusual
├── RelayBusy                   it cannot take the message now
│   ├── RelayClosing            it closes this connection
│   ├── Greylisted              it wants the same message later
│   └── RecipientBusy           the recipient cannot take it now
├── RecipientRefused            an address that it does not take
├── NeedsUtf8                   the address needs SMTPUTF8, which it does not offer
├── NeedsEightBit               the message needs 8BITMIME, which it does not offer
├── RelayMessageTooLarge        the message is above its SIZE
├── TooManyRecipients           more recipients in one transaction than it takes
├── MessageBlocked              it finds the message itself dangerous or unwanted
├── RelayRefused                any other answer of no
├── LostBeforeDot               the connection ended before the message did: nothing was sent
└── AfterDot                    no answer that could be trusted after the message's end: it may have been sent
    ├── LostAfterDot            the connection ended
    ├── SilentAfterDot          no reply in time
    └── UnreadableAfterDot      a reply that is none

All of them answer the three questions of `gmail.errors`. A reply of 4yz or 5yz is an answer also after the final dot:
the message was not accepted (RFC 5321, 4.2.5). Which reply is which error: `translate.py`.
"""

from __future__ import annotations

from millstream.gmail.errors import (
    Call,
    Effect,
    Fault,
    GmailError,
    InvalidRecipient,
    LimitReached,
    MailSendingLimit,
    PayloadTooLarge,
)


class RelayError(GmailError):
    """The relay did not take a message, or did not say that it has.

    `status` is the reply's code, `reason` its enhanced code (`4.2.1`), `text` its words.
    """

    what = "the relay did not take the message"
    advice = "Read the relay's words in this message."

    @classmethod
    def _usual_effect(cls, call: Call) -> Effect:  # noqa: ARG003  the answer is the same for every call
        return Effect.NO


class RelayNotReached(RelayError):
    """Nothing was handed over, because no session came about."""

    what = "no session with the relay came about"


class RelayAway(RelayNotReached):
    """It cannot be connected to, or greets with a refusal."""

    temporary = True
    fault = Fault.GOOGLE
    what = "the relay cannot be reached"
    advice = "Lanes wait and try again; check relay.host, the network and port 587 if it lasts."


class GreetingRefused(RelayNotReached):
    """Google wants the organisation's own domain in EHLO; `localhost` is answered with 421 4.7.0."""

    temporary = True
    what = "the relay does not take our name in EHLO"
    advice = "Set relay.helo to a domain of the organisation."


class TlsMissing(RelayNotReached):
    """STARTTLS was not offered or refused: somebody on the way may have removed it. Nothing was sent in clear."""

    what = "the relay offers no TLS, and nothing is sent in clear"
    advice = "Check relay.host and what lies between us and it: something removes STARTTLS, or this is another server."


class CertificateRefused(RelayNotReached):
    """The certificate is expired, another name's, or signed by somebody unknown."""

    what = "the relay's certificate cannot be verified"
    advice = "Check relay.host and this machine's clock; an authority of your own goes into relay.certificates."


class LoginRefused(RelayNotReached):
    """User, password or token are not right, or it wants a login and we have none."""

    what = "the relay does not take our login"
    advice = "Check relay.auth, relay.user and its password; with auth = address register this machine's address there."


class LoginAway(RelayNotReached):
    """It cannot check logins now, or had too many of ours."""

    temporary = True
    fault = Fault.GOOGLE
    what = "the relay cannot check our login now"
    advice = "Lanes wait and try again."


class RelayDenied(RelayError):
    """It relays nothing for us: address not registered, or sender of a foreign domain."""

    what = "the relay does not relay for us"
    advice = "In the admin console, SMTP relay service: allow this machine's address and the senders' domain."


class SenderRefused(RelayDenied):
    """It relays for us, and not for this sender."""

    fault = Fault.MAILBOX
    what = "the relay does not take this sender"
    advice = "Allow it in the admin console (SMTP relay service, allowed senders), or take it out of relay.users."


class UserDayReached(RelayError, MailSendingLimit):
    """The envelope sender has sent its day's messages through the relay."""

    temporary = True
    fault = Fault.MAILBOX
    what = "the user's messages of this day are spent"
    advice = "Its lane rests for a day; others may take its work."


class CustomerDayReached(RelayError, LimitReached):
    """The organisation has sent its day's messages through the relay: all lanes rest."""

    temporary = True
    fault = Fault.OURS
    what = "the organisation's recipients of this day are spent"
    advice = "All lanes of the relay rest, and try again each hour."


class CustomerPeakReached(RelayError, LimitReached):
    """The organisation has sent its ten minutes' messages through the relay: all lanes rest."""

    temporary = True
    fault = Fault.OURS
    what = "the organisation's recipients of these ten minutes are spent"
    advice = "All lanes of the relay rest for a minute; lower limits.relay_recipients_per_period if it happens again."


class RelayRateLimited(RelayError, LimitReached):
    """It finds the rate of this sender or address unusual."""

    temporary = True
    fault = Fault.MAILBOX
    what = "the relay finds our rate unusual"
    advice = "The lane slows down and tries again; let new senders grow slowly."


class RelayBusy(RelayError):
    """It cannot take the message now."""

    temporary = True
    fault = Fault.GOOGLE
    what = "the relay cannot take the message now"
    advice = "It is tried again."


class RelayClosing(RelayBusy):
    """421: it closes this connection; another one may be served."""

    what = "the relay closes the connection"
    advice = "It is tried again on another connection."


class Greylisted(RelayBusy):
    """It wants to see the same message again later."""

    what = "the relay wants the message again later"
    advice = "It is tried again after some minutes."


class RecipientBusy(RelayBusy):
    """The recipient's mailbox is full, or gets too much at present."""

    what = "the recipient cannot take mail now"
    advice = "It is tried again after a quarter of an hour, and later."


class RecipientRefused(RelayError, InvalidRecipient):
    """RCPT was answered with a refusal for good."""

    temporary = False
    fault = Fault.OURS
    what = "the relay does not take the recipient's address"
    advice = "Correct the recipient's address on file and submit again."


class NeedsUtf8(RelayError, InvalidRecipient):
    """The address holds letters beyond ASCII before the @, and the relay offers no SMTPUTF8 (RFC 6531)."""

    temporary = False
    fault = Fault.OURS
    what = "the recipient's address needs SMTPUTF8, which the relay does not offer"
    advice = "Give the recipient another address."


class NeedsEightBit(RelayError):
    """The message holds bytes beyond 127 and the relay offers no 8BITMIME (RFC 6152)."""

    what = "the message needs 8BITMIME, which the relay does not offer"
    advice = "This is another server than Google's: check relay.host."


class RelayMessageTooLarge(RelayError, PayloadTooLarge):
    """Above the SIZE that the relay told, or refused for its size."""

    temporary = False
    fault = Fault.OURS
    what = "the message is too large for the relay"
    advice = "Make the documents smaller, or send a link in their place."


class TooManyRecipients(RelayError):
    """More recipients in one transaction than it takes; we send to one."""

    what = "the relay finds too many recipients in one transaction"


class MessageBlocked(RelayError):
    """Refused for what it holds: spam, a dangerous attachment, a rule of the organisation."""

    what = "the relay refuses the message for its content"
    advice = "Read its words, mend content or rule, and `millstream run retry --reason blocked`."


class RelayRefused(RelayError):
    """Any other refusal for good."""

    what = "the relay refuses the message"
    advice = "Read its words; after mending `millstream run retry --reason refused_by_relay`."


class LostBeforeDot(RelayError):
    """The connection ended or went silent before the message did; what has no end is discarded (RFC 5321, 4.1.1.4)."""

    temporary = True
    fault = Fault.GOOGLE
    what = "the connection to the relay ended before the message did, so that nothing was sent"
    advice = "It is tried again."


class AfterDot(RelayError):
    """The message's end was sent and no reply came that could be trusted: it may have been sent."""

    temporary = True
    fault = Fault.GOOGLE
    advice = "It may have been sent: the run's policy says what follows (hold, or again under the same Message-ID)."

    @classmethod
    def _usual_effect(cls, call: Call) -> Effect:  # noqa: ARG003  the answer is the same for every call
        return Effect.UNKNOWN


class LostAfterDot(AfterDot):
    """The connection ended between the message's end and the reply."""

    what = "the connection to the relay ended between the message's end and the reply"


class SilentAfterDot(AfterDot):
    """No reply within `relay.reply_seconds`."""

    what = "the relay did not answer to the message's end in time"


class UnreadableAfterDot(AfterDot):
    """What came after the message's end is no reply of SMTP."""

    what = "the answer to the message's end is no reply of SMTP"
