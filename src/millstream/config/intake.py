"""The settings of the doors: how communications come in from Exstream, and which names its data have."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, PositiveFloat, PositiveInt, SecretStr

from millstream.config.section import Section

Names = tuple[str, ...]
_MESSAGE_GROUPS = 2


class IntakeSettings(Section):
    """What holds for every door."""

    spool: Path | None = Field(
        default=None,
        description="Where what came in lies until it is a run.",
        json_schema_extra={"default": "`spool` in the top `folder`"},
    )
    pool: str = Field(default="default", description="The sender pool of runs that doors open.")
    lease_seconds: PositiveFloat = Field(
        default=30.0, description="Without a sign of life for so long, another worker takes over what came in."
    )
    most_tries: PositiveInt = Field(default=8, description="After so many tries it is put aside for a person.")
    subject: str = Field(
        default="${CustomerName}", description="The subject where the data name none; `${Key}` is filled in from them."
    )
    text: str = Field(
        default="", description="The mail's text where Exstream made none; `${Key}` is filled in from the data."
    )
    type: str = Field(default="document", description="The type of a communication where the data name none.")
    locale: str = Field(default="en-GB", description="The locale of a communication where the data name none.")
    stream: str | None = Field(default=None, description="The stream where the data name none; else the type.")
    keep_days: PositiveFloat = Field(default=7.0, description="How long what was taken stays in the spool.")
    drill: str | None = Field(
        default=None,
        description="For recovery drills: `point:n`, as in delivery (after_receipt, after_submit_before_taken, "
        "after_taken_before_tidy).",
    )


class IntakeKeySettings(Section):
    """How Exstream's data name things; the first name that is there counts, in any case."""

    recipient: Names = Field(default=("CustomerEmail", "EmailAddress", "Email"), description="The recipient's address.")
    name: Names = Field(default=("CustomerName", "CustomerFirstname"), description="The recipient's name.")
    cc: Names = Field(
        default=("CustomerCc", "Cc"), description="Further addresses, with commas between; each gets a copy of its own."
    )
    subject: Names = Field(default=("EmailSubject", "Subject"), description="The mail's subject.")
    customer: Names = Field(default=("CustomerId", "AccountNumber", "CustomerNumber"), description="The customer.")
    type: Names = Field(default=("DocumentType", "ApplicationName"), description="The type of document.")
    key: Names = Field(default=(), description="What names the communication within its run; else the customer does.")
    locale: Names = Field(default=("Locale", "Language"), description="The customer's locale.")
    stream: Names = Field(default=("CampaignId",), description="The stream.")
    attachments: Names = Field(
        default=("attachments",),
        description="Names of attachments: `${#/queues/Print}=letter.pdf;/global/X.pdf=terms.pdf`.",
    )
    birth_date: Names = Field(default=(), description="The date of birth, for the password rule alone.")


class OutputRule(BaseModel):
    """What becomes of the files of a queue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    queue: str = Field(default="*", description="Which queues, as a pattern.")
    media: str = Field(default="*", description="Which media types, as a pattern.")
    use: Literal["body", "attach", "ignore"]
    name: str = Field(default="", description="The attachment's name; `${Key}` is filled in.")


class OutputSettings(Section):
    """What Exstream's output files become: HTML the body and PDFs attachments, unless a rule says otherwise."""

    rules: tuple[OutputRule, ...] = Field(
        default=(),
        description="Rules in order; the first that fits a file counts.",
        json_schema_extra={"example": '[{queue = "Archive*", use = "ignore"}]'},
    )
    others: Literal["attach", "ignore"] = Field(
        default="ignore", description="What becomes of a file that no rule names and that is neither HTML nor PDF."
    )


class IntakeFolderSettings(Section):
    """The door for files: Exstream's output tree, watched."""

    path: Path | None = Field(default=None, description="The folder to watch. Without it this door is closed.")
    manifest: str = Field(default="_STDDELIVERYFILE.xml", description="The name of the engine's manifest.")
    index: Names = Field(default=("*.index.csv", "*.index.json"), description="Sidecar indexes, as patterns.")
    drivers: Names = Field(default=("*.jsonl",), description="Drivers, as patterns.")
    depth: Annotated[int, Field(ge=0, le=32)] = Field(default=8, description="How deep it is looked into.")
    poll_seconds: PositiveFloat = Field(default=1.0, description="Between two looks.")
    settle_seconds: NonNegativeFloat = Field(
        default=2.0, description="A manifest that did not change for so long is whole."
    )
    missing_seconds: NonNegativeFloat = Field(
        default=60.0, description="How long a file that a manifest names may come later than the manifest."
    )
    done: str = Field(default="done", description="The folder, inside the watched one, for what was taken.")
    error: str = Field(default="error", description="The folder for what could not be read, with the reason beside it.")
    retry: str = Field(default="retry", description="What a person puts here is taken again.")
    leave: bool = Field(
        default=False, description="Leave files where they are; the receipt alone tells what was taken."
    )
    strip: Names = Field(
        default=(), description="Prefixes to take off the paths in manifests, where the engine sees another mount."
    )
    encoding: str = Field(default="utf-8", description="Of CSV indexes.")
    run: str = Field(
        default="{folder}", description="The run's key: `{folder}` and `{name}` of the manifest, `{date}`."
    )

    def check(self) -> None:
        """A misspelt encoding must not wait for the first file."""
        try:
            codecs.lookup(self.encoding)
        except LookupError as error:
            raise ValueError(f"encoding {self.encoding!r} is not known; write for example utf-8 or cp1252") from error


class IntakeHttpSettings(Section):
    """The door for HTTP: what an Exstream HTTP(S) output connector calls. Served by `millstream web`."""

    tokens: dict[str, SecretStr] = Field(
        default={},
        description="Who may hand in: a name, and the bearer token it brings. Without any this door is closed.",
    )
    most_bytes: PositiveInt = Field(default=2_147_483_648, description="Bytes of one request.")
    most_record_bytes: PositiveInt = Field(
        default=52_428_800, description="Bytes of one record, or of one document that comes without one."
    )
    most_held_bytes: PositiveInt = Field(
        default=268_435_456,
        description="Bytes of all single records that are on their way in: they are in memory until they are durable.",
    )
    most_files: PositiveInt = Field(default=100_000, description="Files beside a driver or a manifest, in one request.")
    read_seconds: PositiveFloat = Field(default=600.0, description="How long a request may take to come.")
    wait_seconds: NonNegativeFloat = Field(
        default=20.0, description="How long an answer waits until what was handed in has become a run."
    )


class EnvelopeRule(BaseModel):
    """What a message counts as by its envelope."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sender: str = Field(default="*", description="Which MAIL FROM, as a pattern.")
    recipient: str = Field(default="*", description="Which RCPT TO, as a pattern.")
    stream: str = Field(default="", description="The stream.")
    type: str = Field(default="", description="The type.")


class IntakeSmtpSettings(Section):
    """The door for SMTP: what an Exstream or StreamServe SMTP connector is pointed at. Served by `millstream smtp`."""

    host: str = Field(default="127.0.0.1", description="The address to listen at.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(default=2525, description="The port; 0 lets the system choose.")
    certificate: Path | None = Field(default=None, description="Our certificate chain (PEM), for STARTTLS.")
    key: Path | None = Field(default=None, description="Its key (PEM).")
    tls: Literal["off", "offered", "required"] = Field(
        default="offered", description="Whether STARTTLS is offered (with a certificate), or required before mail."
    )
    users: dict[str, SecretStr] = Field(default={}, description="Who may log in: name and password. Only under TLS.")
    networks: Names = Field(default=("127.0.0.0/8", "::1/128"), description="From where mail is taken without a login.")
    senders: Names = Field(default=(), description="Envelope senders that are allowed, as patterns. Empty: any.")
    most_bytes: PositiveInt = Field(default=36_700_160, description="Bytes of one message.")
    recipients: PositiveInt = Field(default=100, description="Recipients of one message.")
    connections: PositiveInt = Field(default=50, description="Connections at the same time.")
    connections_per_address: PositiveInt = Field(default=20, description="The same from one address.")
    messages_per_connection: PositiveInt = Field(default=1_000, description="Messages of one connection.")
    idle_seconds: PositiveFloat = Field(default=60.0, description="A silent connection is closed after so long.")
    slowest_bytes_per_second: NonNegativeFloat = Field(
        default=1024.0, description="A message that comes more slowly than that is not taken; 0: as slowly as it likes."
    )
    slow_for_seconds: NonNegativeFloat = Field(
        default=30.0, description="A message may come more slowly than that for so long."
    )
    run: str = Field(
        default="smtp/{stream}/{date}", description="The run's key: `{stream}`, `{type}`, `{sender}`, `{date}`."
    )
    stream_header: str = Field(default="X-Exstream-Campaign", description="The header that names the stream.")
    customer_header: str = Field(
        default="X-Exstream-Customer", description="The header that names the customer; else the recipient."
    )
    type_header: str = Field(default="X-Exstream-Document", description="The header that names the type.")
    envelopes: tuple[EnvelopeRule, ...] = Field(
        default=(),
        description="What tells stream and type where no header does: rules in order, the first that fits counts.",
        json_schema_extra={"example": '[{sender = "billing@*", stream = "invoices", type = "invoice"}]'},
    )
    plus_as_customer: bool = Field(
        default=False,
        description="`name+C17@example.com` in the envelope names the customer C17 and goes to name@example.com.",
    )


class IntakePullSettings(Section):
    """The door that fetches: jobs that Exstream has finished, and what went wrong in them."""

    on: bool = Field(default=False, description="Whether finished jobs are found and fetched.")
    channels: Names = Field(default=(), description="Input channels whose jobs are ours, as patterns. Empty: all.")
    statuses: Names = Field(default=("complete",), description="Jobs that are fetched.")
    failure_statuses: Names = Field(default=("error", "canceled"), description="Jobs that are exceptions.")
    step_failures: Names = Field(default=("error", "expired"), description="Steps that are exceptions.")
    poll_seconds: PositiveFloat = Field(default=15.0, description="Between two looks.")
    lookback_days: PositiveFloat = Field(default=2.0, description="How far back a look goes.")
    per: Literal["job", "flow"] = Field(
        default="job", description="flow: a finished flow instance is fetched while its job still runs."
    )
    concurrency: Annotated[int, Field(ge=1, le=100)] = Field(default=8, description="Fetches in flight.")
    message_threshold: Literal["S", "E", "W", "I"] = Field(
        default="E",
        description="Engine messages from this severity on are exceptions: severe, error, warning, information.",
    )
    message_pattern: str = Field(default=r"\bEX(\d{6})([SEWI])\b", description="How an engine message is recognised.")
    report: str = Field(
        default="*[Ee]rror*",
        description="Which report files of a manifest list customers in error, by their logical name.",
    )
    report_separator: str = Field(default="|", description="What stands between the fields of such a report.")
    report_customer: int = Field(default=0, description="Which of its fields is the customer, from 0.")
    report_error: int = Field(default=-1, description="Which of its fields tells the error; -1 is the last.")

    def check(self) -> None:
        """A pattern that finds no message would hide every exception."""
        try:
            groups = re.compile(self.message_pattern).groups
        except re.error as error:
            raise ValueError(f"message_pattern is no regular expression: {error}") from error
        if groups < _MESSAGE_GROUPS:
            raise ValueError("message_pattern needs two groups: the digits, and the letter of the severity")
