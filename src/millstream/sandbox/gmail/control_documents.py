"""The documents the control API takes."""

from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.counts import DEFAULT_HEADER


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
    rejects: str | None = Field(default=None, pattern=r"^5\.\d+\.\d+$", description="Bounce everything with this.")
    send_as: dict[str, Literal["accepted", "pending"]] = Field(default_factory=dict)

    def apply(self, account: Account, now: float) -> None:
        """Write the given fields into a mailbox."""
        given = self.model_fields_set
        condition = account.condition
        for name in ("daily_limit", "token_dead", "suspended", "delegation_denied", "rejects"):
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


class DeliverDocument(_Document):
    """A message from outside: whole (`raw`), or made of subject and text."""

    sender: str
    recipients: tuple[str, ...] = Field(min_length=1)
    raw: str | None = None
    subject: str = ""
    text: str = ""
    headers: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check_content(self) -> Self:
        if self.raw is not None and (self.subject or self.text or self.headers):
            raise ValueError("give either raw or subject, text and headers")
        return self

    def message(self) -> bytes:
        """The message as bytes."""
        if self.raw is not None:
            return self.raw.encode()
        message = EmailMessage(policy=SMTP)
        message["From"] = self.sender
        message["To"] = ", ".join(self.recipients)
        message["Subject"] = self.subject
        for name, value in self.headers.items():
            message[name] = value
        message.set_content(self.text)
        return message.as_bytes()


class ResetDocument(_Document):
    """What to forget; everything by default. The clock stays."""

    messages: bool = True
    ledger: bool = True
    faults: bool = True
    tokens: bool = False


class OutageDocument(_Document):
    """How long the port stays shut."""

    seconds: float = Field(gt=0, le=600)
