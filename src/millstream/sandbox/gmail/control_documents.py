"""The documents the control API takes."""

import base64
import binascii
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator, model_validator

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.answers import Attached, Written
from millstream.sandbox.gmail.conditions import STATUS_PATTERN, AutoReply, Delays, ForeignBounce, Language
from millstream.sandbox.gmail.counts import DEFAULT_HEADER
from millstream.sandbox.gmail.quoting import Style
from millstream.sandbox.gmail.verdicts import Authentication, AuthenticationDocument, named

_CONDITIONS = (
    "daily_limit",
    "token_dead",
    "suspended",
    "delegation_denied",
    "rejects",
    "language",
    "delays",
    "foreign_bounce",
    "auto_reply",
    "forwards_to",
)
"""Fields of a mailbox document that are written into its condition as they are."""


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClockDocument(_Document):
    """`{"set": "2026-11-23T09:00:00Z"}`, `{"advance": 3600}`, `{"rate": 0}`."""

    set: AwareDatetime | None = None
    advance: float | None = None
    rate: float | None = Field(default=None, ge=0)


class MailboxDocument(_Document):
    """What to change about a mailbox; what is left out stays as it is."""

    address: str = Field(pattern=r"^[^@\s]+@[^@\s]+$")
    name: str = ""
    daily_limit: int | None = Field(default=None, ge=0, description="Messages a day; null is the preset's.")
    mail_sending_until: AwareDatetime | None = Field(default=None, description='429 "(Mail sending)" until then.')
    mail_sending_for: float | None = Field(default=None, ge=0, description="The same in seconds from now.")
    token_dead: bool = False
    suspended: bool = False
    delegation_denied: bool = False
    rejects: str | None = Field(default=None, pattern=STATUS_PATTERN, description="Bounce everything with this.")
    language: Language | None = Field(default=None, description="Language of the notices it gets; null the sandbox's.")
    delays: Delays | None = Field(default=None, description="Delay everything, then fail or deliver it.")
    foreign_bounce: ForeignBounce | None = Field(default=None, description="Take mail and report later, from outside.")
    auto_reply: AutoReply | None = Field(default=None, description="Answer with an absence notice.")
    forwards_to: str | None = Field(default=None, pattern=r"^[^@\s]+@[^@\s]+$", description="Pass everything on.")
    send_as: dict[str, Literal["accepted", "pending"]] = Field(default_factory=dict)

    def apply(self, account: Account, now: float) -> None:
        """Write the given fields into a mailbox."""
        given = self.model_fields_set
        condition = account.condition
        for name in _CONDITIONS:
            if name in given:
                setattr(condition, name, getattr(self, name))
        if "mail_sending_until" in given:
            condition.sending_parked_until = _seconds(self.mail_sending_until)
        if self.mail_sending_for is not None:
            condition.sending_parked_until = now + self.mail_sending_for
        if "name" in given:
            account.name = self.name
        for address, status in self.send_as.items():
            entry = account.send_as.setdefault(
                address.lower(),
                {"sendAsEmail": address.lower(), "displayName": "", "isPrimary": False, "isDefault": False,
                 "treatAsAlias": True},
            )  # fmt: skip
            entry["verificationStatus"] = status


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


class CountsDocument(_Document):
    """What should have arrived: recipients by the value of a header."""

    header: str = DEFAULT_HEADER
    expected: dict[str, str]


Verdict = str | AuthenticationDocument | None
"""A verdict by its name (pass, fail, none, softfail, unaligned, missing) or spelt out; null is the domain's own."""


def verdict_of(given: Verdict) -> Authentication | None:
    """The verdict that a document means; raises `UnknownVerdict`, a `ValueError`."""
    if isinstance(given, AuthenticationDocument):
        return given.verdict()
    return None if given is None else named(given)


class AuthenticationByDomain(_Document):
    """`{"domain": "mail.example", "verdict": "fail"}`; null takes it back."""

    domain: str = Field(pattern=r"^[^@\s]+$")
    verdict: Verdict = None

    @field_validator("verdict")
    @classmethod
    def _check_verdict(cls, given: Verdict) -> Verdict:
        verdict_of(given)
        return given


class DeliverDocument(_Document):
    """A message from outside: whole (`raw`, or `raw_base64` for any bytes), or made of subject and text.

    `sender` is the envelope's; empty is that of a report. `authentication` is what Gmail finds out about it. An
    Authentication-Results header in the message itself stays where it is, below Gmail's.
    """

    sender: str
    recipients: tuple[str, ...] = Field(min_length=1)
    raw: str | None = None
    raw_base64: str | None = None
    subject: str = ""
    text: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    authentication: Verdict = None
    spam: bool = Field(default=False, description="Into SPAM instead of the inbox, as Gmail's filter would put it.")

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        whole = self.raw is not None or self.raw_base64 is not None
        if (whole and (self.subject or self.text or self.headers)) or (self.raw and self.raw_base64):
            raise ValueError("give either raw or raw_base64, or subject, text and headers")
        verdict_of(self.authentication)
        if self.raw_base64 is not None:
            _decoded(self.raw_base64)
        return self

    def message(self) -> bytes:
        """The message as bytes."""
        if self.raw_base64 is not None:
            return _decoded(self.raw_base64)
        if self.raw is not None:
            return self.raw.encode()
        message = EmailMessage(policy=SMTP)
        message["From"] = self.headers.get("From", self.sender)
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = self.subject
        for name, value in self.headers.items():
            if name != "From":
                message[name] = value
        message.set_content(self.text)
        return message.as_bytes()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


class AttachmentDocument(_Document):
    """A file that goes along with an answer or a new mail."""

    name: str = Field(min_length=1)
    media_type: str = "application/octet-stream"
    content: str = Field(description="Base64.")

    @field_validator("content")
    @classmethod
    def _check_base64(cls, content: str) -> str:
        _decoded(content)
        return content


class WrittenDocument(_Document):
    """A mail written in a mailbox: `reply` needs the text alone, `compose` the readers too."""

    text: str
    to: str = ""
    cc: str = ""
    subject: str = ""
    everybody: bool = Field(default=False, description="Reply to all.")
    style: Style = "gmail"
    language: Language = "en"
    attachments: tuple[AttachmentDocument, ...] = ()

    def written(self) -> Written:
        """The same as what a person wrote."""
        attached = tuple(Attached(one.name, one.media_type, _decoded(one.content)) for one in self.attachments)
        return Written(self.text, self.to, self.cc, self.subject, self.style, self.language, attached)


class FillDocument(_Document):
    """Many received messages: `{n}` in sender, subject, text or `raw` is the number of each, from 1."""

    count: int = Field(ge=1, le=1_000_000)
    sender: str = "Customer {n} <customer-{n}@mail.example>"
    subject: str = "Message {n}"
    text: str = "A generated message."
    size: int = Field(default=0, ge=0, le=35_000_000, description="Bytes of a whole message, about.")
    raw: str | None = Field(default=None, description="A whole message instead of sender, subject, text and size.")
    labels: tuple[str, ...] = ("INBOX", "UNREAD")
    spread_seconds: float = Field(default=0.0, ge=0, description="Seconds between two dates; the last one is now.")


class ResetDocument(_Document):
    """What to forget; everything by default. The clock stays."""

    messages: bool = True
    ledger: bool = True
    faults: bool = True
    tokens: bool = False


class OutageDocument(_Document):
    """How long the port stays shut."""

    seconds: float = Field(gt=0, le=600)
