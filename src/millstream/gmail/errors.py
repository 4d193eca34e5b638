"""What can go wrong between us and Gmail.

GmailError
├── Refused                     Google answered no: nothing was done (effect no)
│   ├── BadRequest              the request itself is wrong
│   │   ├── InvalidRecipient    an address that Gmail does not take
│   │   └── PageTokenInvalid    the list has no such page any more: begin it again
│   ├── PayloadTooLarge         the message is above the upload limit
│   ├── NotFound                no such draft, message or mailbox
│   │   └── HistoryExpired      the history id is too old: start again from a snapshot
│   ├── BadCredentials          Google knows neither our key nor our client (or our clock is wrong)
│   ├── MailboxRefused          this mailbox cannot be used now; the others can
│   │   ├── TokenDead           its permission was withdrawn or has run out
│   │   ├── Unauthorized        a fresh token was refused
│   │   └── MailServiceOff      the account has no Gmail
│   ├── Forbidden               an administrator has to allow something
│   │   ├── ScopeMissing        the token lacks a scope
│   │   ├── DomainForbids       a policy of the domain forbids it
│   │   └── DelegationDenied    the token belongs to somebody else
│   └── LimitReached            too much for now
│       ├── RateLimited         the mailbox's units of this minute are spent
│       ├── ProjectRateLimited  the project's units of this minute are spent
│       ├── ProjectExhausted    the project's units of this day are spent
│       ├── MailSendingLimit    the mailbox may not send for hours
│       ├── TooManyConcurrent   too many requests at once for this mailbox
│       └── Exhausted           a limit that Google does not name
├── Unclear                     no answer that could be trusted: for a write the effect is unknown
│   ├── ServerError             an answer of 500 or above
│   ├── ConnectionLost          the connection failed (effect no if it was never made)
│   ├── TimedOut                no answer in time
│   └── Unreadable              an answer that is not Gmail's
└── HintsError                  Pub/Sub gave no hints; polling goes on without them
    ├── SubscriptionMissing     there is no such subscription
    ├── SubscriptionForbidden   our account may not pull from it
    ├── SubscriptionUnfit       it cannot be pulled from, or Pub/Sub does not take what we ask
    ├── HintsLimited            too many calls for now
    └── HintsAway               Pub/Sub cannot be reached, or has an error of its own

Every error answers three questions: is it temporary, did the effect happen, whose fault is it.

What comes in at our own door is not an answer to a call, and has a tree of its own:

PushError
├── PushRefused                 nothing proves that Google's Pub/Sub sent it
│   └── PushForbidden           Google signed it, but for another receiver or sender than ours
└── PushMalformed               it is no push of Pub/Sub
    └── HintMalformed           it is one, and what it carries is no hint of Gmail's
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

TEXT_LIMIT = 300
"""Characters of Google's own words that an error keeps."""


class Effect(StrEnum):
    """Did what we asked for happen?"""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who has to change something: all of us, one mailbox, or nobody but Google."""

    OURS = "ours"
    MAILBOX = "mailbox"
    GOOGLE = "google"


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked of whom: the method's name (``drafts.send``), the mailbox, and whether it changes anything."""

    method: str
    mailbox: str
    write: bool = False

    @property
    def worst(self) -> Effect:
        """The effect of this call once its request may have left the machine."""
        return Effect.UNKNOWN if self.write else Effect.NO


class GmailError(Exception):
    """A call to Google that did not give what it was asked for.

    Attributes:
        temporary: the same call can succeed later without anybody changing anything.
        effect: whether the effect happened; ``unknown`` only for calls that write.
        fault: whose fault it is.
        retry_at: the instant before which a new try only makes it worse (aware, our clock), or None.
        status: the HTTP status, or None without an answer.
        reason: Google's reason word (``rateLimitExceeded``), or an empty string.
        text: Google's own words, at most 300 characters, without secrets.
    """

    temporary: ClassVar[bool] = False
    fault: ClassVar[Fault] = Fault.OURS
    what: ClassVar[str] = "the call failed"
    advice: ClassVar[str] = "Read Google's words in this message."

    def __init__(
        self,
        call: Call,
        *,
        status: int | None = None,
        reason: str = "",
        text: str = "",
        retry_at: datetime | None = None,
        effect: Effect | None = None,
    ) -> None:
        super().__init__(call, status, reason, text)
        self.call = call
        self.status = status
        self.reason = reason
        self.text = text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
        self.retry_at = retry_at
        self.effect = self._usual_effect(call) if effect is None else effect

    @classmethod
    def _usual_effect(cls, call: Call) -> Effect:
        return call.worst

    @property
    def method(self) -> str:
        """The Gmail method that was called, for example ``drafts.create``."""
        return self.call.method

    @property
    def mailbox(self) -> str:
        """The address of the mailbox the call was made for."""
        return self.call.mailbox

    def __str__(self) -> str:
        told = " ".join(str(part) for part in (self.status, self.reason) if part)
        words = f"{told}: {self.text}" if told and self.text else told or self.text
        until = f" Not before {self.retry_at.isoformat()}." if self.retry_at else ""
        unknown = " Whether it happened is unknown." if self.effect is Effect.UNKNOWN else ""
        detail = f" ({words})" if words else ""
        return f"{self.method} for {self.mailbox}: {self.what}{detail}.{unknown} {self.advice}{until}"


class Refused(GmailError):
    """Google answered no. Nothing was done."""

    what = "Google refused"

    @classmethod
    def _usual_effect(cls, call: Call) -> Effect:  # noqa: ARG003  the answer is the same for every call
        return Effect.NO


class BadRequest(Refused):
    """The request is wrong and will stay wrong."""

    what = "Gmail does not accept the request"
    advice = "Correct the communication; trying again changes nothing."


class InvalidRecipient(BadRequest):
    """Gmail does not take an address of this message."""

    what = "Gmail does not accept an address of this message"
    advice = "Correct the recipient's address on file and submit again."


class PageTokenInvalid(BadRequest):
    """The page is gone: a page token lives for a short time, and for one list with one set of questions."""

    what = "Gmail no longer knows this page of the list"
    advice = "Begin the list again from the last place that was kept."


class PayloadTooLarge(Refused):
    """The message is above the upload limit (35 MiB, discovery document of Gmail v1)."""

    what = "the message is too large for Gmail"
    advice = "Make the documents smaller, or send a link in their place."


class NotFound(Refused):
    """Gmail, not something on the way to it, says that there is no such thing."""

    fault = Fault.MAILBOX
    what = "Gmail has no such draft, message or mailbox"
    advice = "For a draft look in SENT: a draft that was sent is gone."


class HistoryExpired(NotFound):
    """The history id is older than what Gmail keeps (usually a week, sometimes hours)."""

    what = "Gmail no longer keeps history from this id"
    advice = "Take a new history id from the profile and list the messages once."


class BadCredentials(Refused):
    """Google knows neither our key nor our client; no mailbox works until that is mended."""

    what = "Google does not accept our credentials"
    advice = "Check the key or the client id and secret, and that this machine's clock is right."


class MailboxRefused(Refused):
    """This mailbox cannot be used now; the others can."""

    fault = Fault.MAILBOX
    what = "the mailbox cannot be used"
    advice = "Park the mailbox and tell its administrator."


class TokenDead(MailboxRefused):
    """The permission was withdrawn, ran out, or the account is unknown (``invalid_grant``)."""

    what = "the mailbox's permission is gone"
    advice = "Park the mailbox; connect it again with `millstream mailbox connect`, or check its delegation."


class Unauthorized(MailboxRefused):
    """A token fetched a moment ago was refused."""

    temporary = True
    what = "Google refused a fresh token"
    advice = "Try again in a minute; if it stays so, check the scopes and whether the account is suspended."


class MailServiceOff(MailboxRefused):
    """The account has no Gmail: no licence, or the service is switched off."""

    what = "the account has no Gmail service"
    advice = "Park the mailbox and give the account a licence with Gmail."


class Forbidden(Refused):
    """Something has to be allowed by an administrator."""

    what = "Google does not allow this"
    advice = "Ask the Workspace administrator; `millstream doctor` says what is missing."


class ScopeMissing(Forbidden):
    """The token lacks a scope, or the delegation does not list it."""

    what = "the token lacks a scope for this call"
    advice = "Add the scope to the delegation in the admin console, or connect the mailbox again."


class DomainForbids(Forbidden):
    """A policy of the Workspace domain forbids the application."""

    what = "a policy of the domain forbids this application"
    advice = "Ask the Workspace administrator to trust the application in the API controls."


class DelegationDenied(Forbidden):
    """The token belongs to another account than the mailbox."""

    fault = Fault.MAILBOX
    what = "the token is not one of this mailbox"
    advice = "Delegate the service account to this very mailbox, or connect it by itself."


class LimitReached(Refused):
    """Too much for now: nothing was done and a later try is right."""

    temporary = True
    fault = Fault.MAILBOX
    what = "a limit is reached"
    advice = "Wait; a try before its time makes the wait longer."


class RateLimited(LimitReached):
    """The mailbox's units of this minute are spent."""

    what = "the mailbox's rate is reached"


class ProjectRateLimited(LimitReached):
    """The project's units of this minute are spent: every lane has to slow down."""

    fault = Fault.OURS
    what = "the project's rate is reached"


class ProjectExhausted(LimitReached):
    """The project's units of this day are spent: nothing can be called before the next day (Pacific time)."""

    fault = Fault.OURS
    what = "the project's quota of the day is spent"
    advice = "Stop all lanes of this project; raise the quota in the Cloud console."


class MailSendingLimit(LimitReached):
    """The mailbox may not send for hours, by any client. Shared with web, IMAP and SMTP."""

    what = "the mailbox has reached its limit for sending mail"
    advice = "Park the mailbox until that time (without one: hours); others may take its work."


class TooManyConcurrent(LimitReached):
    """Too many requests at once for this mailbox, all its clients counted together."""

    what = "too many requests at once for this mailbox"
    advice = "Lower the lane's concurrency."


class Exhausted(LimitReached):
    """A limit that Google does not name."""

    fault = Fault.GOOGLE
    what = "a resource of Google's is exhausted"
    advice = "Back off for at least a second, and longer each time."


class Unclear(GmailError):
    """No answer that could be trusted. For a write the effect is unknown unless said otherwise."""

    temporary = True
    fault = Fault.GOOGLE
    advice = "For a send look for evidence before anything else; a read may be tried again."


class ServerError(Unclear):
    """Google answered 500 or above: the outcome of a write is unknown (guide "handle errors")."""

    what = "Google had an internal error"


class ConnectionLost(Unclear):
    """The connection could not be made (effect no) or broke after the request was written."""

    what = "the connection to Google failed"
    advice = "Check network, proxy and TLS settings if it lasts; for a send look for evidence first."


class TimedOut(Unclear):
    """No answer in time: effect no while connecting, afterwards unknown for a write."""

    what = "Google did not answer in time"


class Unreadable(Unclear):
    """An answer that is not Gmail's: a page of a proxy, torn JSON, a redirect."""

    what = "the answer is not one of Gmail's"
    advice = "Check the endpoint and proxies on the way; for a send look for evidence first."


class HintsError(GmailError):
    """Pub/Sub gave no hints. Pulling or acknowledging again does no harm, so the effect counts as none."""

    what = "Pub/Sub gave no hints"
    advice = "Polling finds the mail meanwhile; read Google's words in this message."

    @classmethod
    def _usual_effect(cls, call: Call) -> Effect:  # noqa: ARG003  the answer is the same for every call
        return Effect.NO


class SubscriptionMissing(HintsError):
    """The subscription does not exist, or was deleted (one without a pull for 31 days is, by default)."""

    what = "there is no such Pub/Sub subscription"
    advice = "Create it as a pull subscription of the topic that the mailboxes are watched with, or correct its name."


class SubscriptionForbidden(HintsError):
    """The account lacks the permission ``pubsub.subscriptions.consume``."""

    what = "the account may not pull from this Pub/Sub subscription"
    advice = "Give it the role roles/pubsub.subscriber on the subscription, and switch the Pub/Sub API on."


class SubscriptionUnfit(HintsError):
    """The name is malformed, or the subscription pushes in place of waiting to be pulled from."""

    what = "Pub/Sub does not let us pull from this subscription"
    advice = "Name a pull subscription as projects/PROJECT/subscriptions/NAME and check the endpoint."


class HintsLimited(HintsError):
    """The project's quota of Pub/Sub calls is spent for now."""

    temporary = True
    what = "Pub/Sub's quota is reached"
    advice = "Wait; polling finds the mail meanwhile."


class HintsAway(HintsError):
    """Pub/Sub cannot be reached or had an internal error."""

    temporary = True
    fault = Fault.GOOGLE
    what = "Pub/Sub cannot be reached"
    advice = "Where the network lets no gRPC through, pull by REST; polling finds the mail meanwhile."


class PushError(Exception):
    """A push that is not believed. The sentence holds nothing of what was sent, as that may be anybody's."""


class PushRefused(PushError):
    """The token that came with a push does not prove its origin.

    Attributes:
        check: which check failed, as one word (``signature``, ``audience`` …).
    """

    def __init__(self, check: str, why: str) -> None:
        super().__init__(f"the push's token is refused ({check}): {why}")
        self.check = check


class PushForbidden(PushRefused):
    """The token is one of Google's, and meant for another receiver or made for another account."""


class PushMalformed(PushError):
    """The body is not the envelope that Pub/Sub pushes."""

    def __init__(self, why: str) -> None:
        super().__init__(f"this is no push of Pub/Sub: {why}")


class HintMalformed(PushMalformed):
    """The envelope is right; its data is nothing that Gmail would publish. It will not get better."""
