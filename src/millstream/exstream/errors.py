"""What can go wrong between us and Exstream.

ExstreamError
├── Refused                     Exstream answered no: nothing was done (effect no)
│   ├── BadRequest              the request itself, or our settings, are wrong
│   │   └── NotConfigured       the settings name no way to what is asked for
│   ├── Unauthorized            a fresh token was refused, or an account behind the call has no right to it
│   ├── Forbidden               the account lacks a permission
│   │   └── WrongDomain         it may not work in this domain, or there is none of this name
│   ├── NotFound                no such job, step, resource or channel
│   │   └── Gone                it was there; its files were wiped
│   ├── Conflict                another state of things than the call needs
│   │   └── StateRefused        it cannot go from the state it is in to the one that was asked for
│   ├── TooLarge                the request, or a file that we fetch, is above a limit
│   ├── Limited                 too much for now
│   └── SaidFailure             HTTP said yes and the answer says no
├── TokenRefused                OTDS gives no token: wrong client, grant, scope or address
│   └── NoCredentials           the settings lack what asking for one needs
├── TokenAway                   OTDS cannot be reached or has an error of its own
├── Unclear                     no answer that could be trusted: for a write the effect is unknown
│   ├── ServerError             an answer of 500 or above
│   ├── ConnectionLost          the connection failed (effect no if it was never made)
│   ├── TimedOut                no answer in time
│   └── Unreadable              an answer that is not Exstream's
├── EngineFault                 an engine that runs as a web service composed nothing
└── FilesFault                  a file for Exstream, or one that was fetched, cannot be written
    ├── NoSpace                 the disk is full
    ├── NameTaken               another file has this name
    └── NotWritable             the place does not let us write

Every error answers three questions: is it temporary, did the effect happen, whose fault is it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

TEXT_LIMIT = 300
"""Characters of Exstream's own words that an error keeps."""


class Effect(StrEnum):
    """Did what we asked for happen?"""

    NO = "no"
    YES = "yes"
    UNKNOWN = "unknown"


class Fault(StrEnum):
    """Who has to change something: all of us, the one thing that was asked for, or nobody but Exstream."""

    OURS = "ours"
    RESOURCE = "resource"
    EXSTREAM = "exstream"


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked where: the operation's name (``jobs.stop``), the domain, and whether it changes anything."""

    operation: str
    domain: str = ""
    write: bool = False

    @property
    def worst(self) -> Effect:
        """The effect of this call once its request may have left the machine."""
        return Effect.UNKNOWN if self.write else Effect.NO


class ExstreamError(Exception):
    """A call to Exstream that did not give what it was asked for.

    Attributes:
        temporary: the same call can succeed later without anybody changing anything.
        effect: whether the effect happened; ``unknown`` only for calls that write.
        fault: who has to change something.
        retry_at: the instant before which a new try makes no sense (aware, our clock), or None.
        status: the HTTP status, or None without an answer.
        code: Exstream's own error code (``309016``, ``401``), or an empty string.
        text: Exstream's own words, at most 300 characters, without secrets.
    """

    temporary: bool = False
    fault: ClassVar[Fault] = Fault.OURS
    nothing_done: ClassVar[bool] = False
    what: ClassVar[str] = "the call failed"
    advice: ClassVar[str] = "Read Exstream's words in this message."

    def __init__(
        self,
        call: Call,
        *,
        status: int | None = None,
        code: str = "",
        text: str = "",
        retry_at: datetime | None = None,
        effect: Effect | None = None,
    ) -> None:
        super().__init__(call, status, code, text)
        self.call = call
        self.status = status
        self.code = code
        self.text = text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
        self.retry_at = retry_at
        self.effect = effect or (Effect.NO if self.nothing_done else call.worst)

    @property
    def operation(self) -> str:
        """What was called, for example ``jobs.stop``."""
        return self.call.operation

    @property
    def domain(self) -> str:
        """The domain the call was made in, or an empty string."""
        return self.call.domain

    def __str__(self) -> str:
        # Many answers have their status for a code, or begin their text with it.
        repeated = self.code == str(self.status) or self.text.startswith(f"{self.code}:")
        told = " ".join(str(part) for part in (self.status, "" if repeated else self.code) if part)
        words = f"{told}: {self.text}" if told and self.text else told or self.text
        where = f" in {self.domain}" if self.domain else ""
        detail = f" ({words})" if words else ""
        unknown = " Whether it happened is unknown." if self.effect is Effect.UNKNOWN else ""
        until = f" Not before {self.retry_at.isoformat()}." if self.retry_at else ""
        return f"{self.operation}{where}: {self.what}{detail}.{unknown} {self.advice}{until}"


class Refused(ExstreamError):
    """Exstream answered no. Nothing was done."""

    nothing_done = True
    what = "Exstream refused"


class BadRequest(Refused):
    """The request is wrong and will stay wrong."""

    what = "the request is not accepted"
    advice = "Correct what was asked for or the section [exstream] of the settings; trying again changes nothing."


class NotConfigured(BadRequest):
    """This installation's settings name no way to what is asked for. Nothing was called."""

    what = "this installation is not set up for it"
    advice = "Set what is named here in the section [exstream]; docs/howto/connect-exstream.md shows how."


class Unauthorized(Refused):
    """A token fetched a moment ago was refused (HTTP 401).

    That is temporary, as Exstream asks OTDS about tokens and may not reach it. Where ``statusCode`` 401 stands inside
    an answer of the engine it is not: then the account in ``empowerUser`` may not import (OpenText's SDK sample).
    """

    temporary = True
    what = "a fresh token was refused"
    advice = "If it stays so, check that the account may use Exstream and, with Empower, that empower_user may import."


class Forbidden(Refused):
    """The account lacks a permission: MONITOR for what runs, APPROVE for states."""

    what = "the account may not do this"
    advice = "Give its role MONITOR (jobs, flows, steps) and APPROVE (states of resources) in this domain."


class WrongDomain(Forbidden):
    """The account may not work in this domain, or there is none of this name."""

    what = "the domain is not there, or closed to this account"
    advice = "Correct exstream.domain, or let the account into the domain."


class NotFound(Refused):
    """Exstream, not something on the way to it, says that there is no such thing."""

    fault = Fault.RESOURCE
    what = "Exstream has no such thing"
    advice = "Look whether it was deleted, or lies in another domain."


class Gone(NotFound):
    """Its files were wiped: jobs are kept only for as long as their schedule says."""

    what = "it is no longer retrievable"
    advice = "Generate it again from its data; keep jobs longer if this happens often."


class Conflict(Refused):
    """Things are in another state than the call needs."""

    fault = Fault.RESOURCE
    what = "the state of things does not allow it"
    advice = "Look at its present state before trying again."


class StateRefused(Conflict):
    """The workflow forbids this move, what it stands on is not approved, or it is locked."""

    what = "it cannot go from its state to the one asked for"
    advice = "See its state, its lock and whether all that it stands on is approved."


class TooLarge(Refused):
    """The request is above Exstream's limit, or a file above the one that we set."""

    fault = Fault.RESOURCE
    what = "it is too large"
    advice = "Split the data, or raise the limit on the side that named it."


class Limited(Refused):
    """Too much for now: nothing was done and a later try is right."""

    temporary = True
    fault = Fault.EXSTREAM
    what = "too much is asked for at once"
    advice = "Wait; lower next_steps.concurrency if this happens often."


class SaidFailure(Refused):
    """HTTP 200 with ``status`` error or failure. What a write did before it failed is unknown."""

    fault = Fault.RESOURCE
    what = "the answer says that it failed"
    advice = "Read the engine's words in this message, and its message file."
    nothing_done = False


class TokenRefused(ExstreamError):
    """OTDS gives this client, grant or account no token."""

    nothing_done = True
    what = "OTDS gives no token"
    advice = "Check the section [exstream_tokens]: layout, tenant, grant, client and account."


class NoCredentials(TokenRefused):
    """The settings lack what a token is asked for with. Nothing was called."""

    what = "no token can be asked for"
    advice = "Set what is named here; docs/howto/connect-exstream.md shows how."


class TokenAway(ExstreamError):
    """OTDS cannot be reached, or has an error of its own."""

    nothing_done = True
    temporary = True
    fault = Fault.EXSTREAM
    what = "OTDS cannot be reached"
    advice = "Calls to Exstream wait until it answers again; check its address if this lasts."


class Unclear(ExstreamError):
    """No answer that could be trusted. For a write the effect is unknown unless said otherwise."""

    temporary = True
    fault = Fault.EXSTREAM
    advice = "For a write look for evidence before anything else; a read may be tried again."


class ServerError(Unclear):
    """Exstream answered 500 or above: the outcome of a write is unknown."""

    what = "Exstream had an internal error"


class ConnectionLost(Unclear):
    """The connection could not be made (effect no) or broke after the request was written."""

    what = "the connection to Exstream failed"
    advice = "Check address, network, proxy and certificates if it lasts; for a write look for evidence first."


class TimedOut(Unclear):
    """No answer in time: effect no while connecting, afterwards unknown for a write."""

    what = "Exstream did not answer in time"


class Unreadable(Unclear):
    """An answer that is not Exstream's: a login page, torn JSON, a redirect."""

    what = "the answer is not one of Exstream's"
    advice = "Check the address and proxies on the way; for a write look for evidence first."


class EngineFault(ExstreamError):
    """An engine that runs as a web service answered with a fault; it composed nothing."""

    nothing_done = True
    fault = Fault.RESOURCE
    what = "the engine composed nothing"
    advice = "Read the engine's words in this message, and the job folder on its machine."


class FilesFault(ExstreamError):
    """A file cannot be written."""

    nothing_done = True
    what = "the file could not be written"
    advice = "Look at the place that is named here."


class NoSpace(FilesFault):
    """The disk, or a quota on it, is full."""

    temporary = True
    what = "there is no room for the file"
    advice = "Make room; it is tried again."


class NameTaken(FilesFault):
    """A file of this name is there, with another content."""

    fault = Fault.RESOURCE
    what = "another file has this name"
    advice = "Take the other file away, or choose another name."


class NotWritable(FilesFault):
    """The place is not there, is no folder, or does not let us write."""

    what = "the place does not let us write"
    advice = "Create the folder, and let this account write there."
