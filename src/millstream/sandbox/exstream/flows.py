"""Flow models: what a named input channel does with the documents of its customers."""

import re
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

MESSAGE_ID: Final = re.compile(r"^EX\d{6}[SEWI]$")
_NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9 ._-]*$"

Name = Annotated[str, Field(max_length=64, pattern=_NAME)]
"""Names a queue, a flow or a channel; it becomes a part of paths."""

Nesting = Literal["queues", "documents", "flat"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Output(_Part):
    """One output queue: every customer has one file on it."""

    queue: Name = Field(description="The queue's name.")
    driver: Literal["PDF", "HTML", "Empower"] = Field(default="PDF", description="What is written on it.")
    extension: bool = Field(default=True, description="File names end in .pdf, .html or .mpw; false leaves it out.")


class FileChannel(_Part):
    """Output goes into a folder, as a tree with a manifest."""

    type: Literal["file"]
    directory: str = Field(min_length=1, description="The folder; it is made if it is not there.")
    half_seconds: float = Field(
        default=0.0, ge=0, description="So long each file and the manifest are only half there (real seconds)."
    )


class HttpsChannel(_Part):
    """Output is posted to a URL: one record for each customer, or all of a job as JSON lines."""

    type: Literal["https"]
    url: str = Field(pattern=r"^https?://", description="{job}, {flow} and {channel} are put in.")
    headers: dict[str, str] = Field(default_factory=dict, description="Sent along; the same words are put in.")
    each: Literal["customer", "job"] = Field(default="customer", description="One POST for each of these.")
    connections: int = Field(default=8, ge=1, le=64, description="Posts at once.")
    tries: int = Field(default=8, ge=1, description="Tries of one POST; the gap doubles from 0.2 s to 10 s.")


class SmtpChannel(_Part):
    """Output is mailed: HTML as the body, PDF as attachments."""

    type: Literal["smtp"]
    host: str = Field(default="127.0.0.1", description="The mail server.")
    port: int = Field(ge=1, le=65535, description="Its port.")
    user: str | None = Field(default=None, description="Login name; none: no AUTH.")
    password: str | None = Field(default=None, description="Its password.")
    tls: Literal["none", "starttls", "tls"] = Field(default="none", description="How the connection is protected.")
    verify: bool = Field(default=False, description="Whether the server's certificate is checked.")
    sender: str = Field(default="exstream@bank.example", description="MAIL FROM and From.")
    headers: dict[str, str] = Field(
        default_factory=lambda: {
            "X-Exstream-Campaign": "{stream}",
            "X-Exstream-Customer": "{customer}",
            "X-Exstream-Document": "{type}",
        },
        description="Further headers; {job}, {flow}, {channel}, {customer}, {type}, {stream} and {key} are put in.",
    )
    connections: int = Field(default=4, ge=1, le=64, description="Connections at once.")
    tries: int = Field(default=8, ge=1, description="Tries of one message; the gap doubles from 0.2 s to 10 s.")


class RetainedChannel(_Part):
    """Output stays where the runtime API fetches it, until it expires."""

    type: Literal["retained"]
    seconds: float | None = Field(default=None, gt=0, description="How long; none: as the sandbox's settings say.")


Channel = Annotated[FileChannel | HttpsChannel | SmtpChannel | RetainedChannel, Field(discriminator="type")]


class Failure(_Part):
    """Customers whose composition fails, and what the engine says about them."""

    customers: tuple[str, ...] = Field(default=(), description="Customer ids; '*' is every customer.")
    message: str = Field(
        default="EX003004E The customer's data are incomplete",
        description="EX, six digits and S, E, W or I, a blank, the text. S ends the run, E leaves the customer out.",
    )
    mended_by_reprocessing: bool = Field(
        default=True, description="A reprocessing of the job finds the cause mended; false: it fails again."
    )

    @field_validator("message")
    @classmethod
    def _starts_with_an_id(cls, message: str) -> str:
        if not MESSAGE_ID.match(message.partition(" ")[0]):
            raise ValueError("the message must begin with EX, six digits and S, E, W or I, such as EX003004E")
        return message

    @property
    def id(self) -> str:
        """For example EX003004."""
        return self.message[:8]

    @property
    def severity(self) -> str:
        """S, E, W or I."""
        return self.message[8]

    @property
    def text(self) -> str:
        """What stands behind the id."""
        return self.message[9:].strip() or "no text"

    def concerns(self, customer: str) -> bool:
        """Whether this customer fails."""
        return "*" in self.customers or customer in self.customers


class FlowModel(_Part):
    """One published flow: an input channel, a communication, output channels."""

    name: Name = Field(default="Statements", description="The flow model's name.")
    domain: str = Field(default="", description="Its domain; empty is the sandbox's first.")
    service: Name = Field(default="statements", description="The input channel: …/inputs/batch/{domain}/{service}.")
    template: str = Field(default="statement", description="The composer's template, where a customer names none.")
    seconds: float = Field(default=0.0, ge=0, description="How long a job takes at least, by the sandbox's clock.")
    customers_per_flow: int = Field(default=100, ge=1, description="A job is split into flow instances of so many.")
    hold: bool = Field(default=False, description="Whether a flow waits for its release before the output leaves.")
    hold_seconds: float | None = Field(
        default=None, gt=0, description="How long it waits; then its hold step is expired and the flow canceled."
    )
    fail: Failure = Field(default=Failure(), description="Who fails, and with which engine message.")
    outputs: tuple[Output, ...] = Field(
        default=(Output(queue="Print", driver="PDF"), Output(queue="Email", driver="HTML")),
        min_length=1,
        description="Output queues.",
    )
    channels: tuple[Channel, ...] = Field(
        default=(RetainedChannel(type="retained"),), description="Where output goes: file, https, smtp, retained."
    )
    external_id_header: str | None = Field(
        default=None, description="The request header whose value becomes the job's externalId; none: it has none."
    )
    keys: dict[str, str] = Field(default_factory=dict, description="Further keys of every customer in the manifest.")
    nesting: Nesting = Field(
        default="queues",
        description="How the manifest nests: queues (customer/queue/file), documents "
        "(customer/documents/document with queue and path), flat (customer/output with queueName and dataFile).",
    )
    paths: Literal["relative", "absolute"] = Field(
        default="relative", description="File paths in the manifest: below its folder, or from the root."
    )

    @model_validator(mode="after")
    def _queues_differ(self) -> Self:
        names = [output.queue for output in self.outputs]
        if len(set(names)) < len(names):
            raise ValueError("two outputs have one queue name; give each its own")
        return self
