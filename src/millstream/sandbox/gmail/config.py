"""How a Gmail sandbox is set up: one frozen value, from code, a TOML file or the command line."""

import tomllib
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from millstream.sandbox.gmail.conditions import Language
from millstream.sandbox.gmail.faults import FaultRule
from millstream.sandbox.gmail.verdicts import named
from millstream.sandbox.pubsub.settings import SubscriptionSettings, TopicSettings


class RelayAccess(BaseModel):
    """Who may use the relay, and how it shows itself; the control API exchanges it while the sandbox runs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    open: bool = Field(default=True, description="Everybody may relay, without a login; false asks what follows.")
    networks: tuple[str, ...] = Field(
        default=(), description="Addresses and networks (CIDR) that may relay without a login."
    )
    users: dict[str, str] = Field(default_factory=dict, description="Passwords by user, for AUTH PLAIN and LOGIN.")
    senders: Literal["registered", "domain", "any"] = Field(
        default="domain", description="Allowed envelope senders: own mailboxes, own domains, or any."
    )
    needs_tls: bool = Field(default=False, description="Refuse MAIL without TLS.")
    strict_helo: bool = Field(
        default=False, description="Answer 421 to a name in EHLO that is not of the organisation's domains."
    )
    certificate: Literal["good", "expired", "other_name", "unknown_ca"] = Field(
        default="good", description="What STARTTLS shows."
    )
    stripped: bool = Field(
        default=False, description="STARTTLS is neither offered nor known, as if somebody took it out."
    )
    idle_seconds: float = Field(default=300.0, gt=0, description="Real seconds of silence until 421 4.4.2.")

    @field_validator("networks")
    @classmethod
    def _check_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @field_validator("users")
    @classmethod
    def _lower(cls, users: dict[str, str]) -> dict[str, str]:
        return {user.lower(): password for user, password in users.items()}


class SandboxConfig(BaseModel):
    """Settings of one sandbox. Every field has a default that suits a laptop and a test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: int = Field(default=0, ge=0, le=65535, description="HTTP port on 127.0.0.1; 0 takes a free one.")
    smtp_port: int | None = Field(
        default=None, ge=0, le=65535, description="SMTP port on 127.0.0.1; 0 takes a free one; none shuts the door."
    )
    smtp_tls_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="Port of the relay with TLS from the first byte, as 465; beside smtp_port.",
    )
    smtp_ca_file: Path | None = Field(
        default=None, description="Where to write the PEM of the authority that signs the relay's certificate."
    )
    pubsub_port: int | None = Field(
        default=None, ge=0, le=65535, description="gRPC port of Cloud Pub/Sub on 127.0.0.1; 0 takes a free one."
    )
    domains: tuple[str, ...] = Field(
        default=("bank.example",), description="The organisation's own domains. All other addresses are outside."
    )
    mailboxes: tuple[str, ...] = Field(
        default=("statements@bank.example",),
        description="The organisation's mailboxes. Mail for any other address of its domains bounces.",
    )
    limits: str = Field(
        default="google-2026", description="The preset of limits: google-2026, google-2025 or none (see quota)."
    )
    limit_overrides: dict[str, str] = Field(
        default_factory=dict, description='Single limits on top of the preset, for example messages_per_day="50/day".'
    )
    concurrency_per_user: int | None = Field(
        default=10, ge=1, description="Requests in flight per mailbox before 429 (reported: about 10); none: no cap."
    )
    project_units_per_day: int | None = Field(
        default=None, ge=1, description="Units a day for the whole project before 403 dailyLimitExceeded; none: no cap."
    )
    json_body_bytes: int = Field(
        default=5_242_880, ge=1024, description="Largest JSON body; above it the front end says 413 (seen from 5 MB)."
    )
    answers_after_limit: int = Field(
        default=5, ge=0, description="How many sends over the daily limit are still answered 200 before 429 begins."
    )
    notice_delay_seconds: float = Field(
        default=0.3, ge=0, description="Real seconds until a limit notice or a bounce arrives; 0 is at once."
    )
    notice_language: Language = Field(
        default="en", description="Language of limit notices and bounces; Gmail writes them in the user's own."
    )
    pushback_seconds: float = Field(
        default=15.0, ge=0, description="How far a retry before the stated time pushes that time out."
    )
    label_lag_seconds: float = Field(
        default=0.0, ge=0, description="How long a new message stays out of lists and history (sandbox clock)."
    )
    search_lag_seconds: float = Field(
        default=0.0, ge=0, description="How long a new message is not found by q; labels find it (sandbox clock)."
    )
    watch_days: float = Field(default=7.0, gt=0, description="Life of a users.watch by the sandbox's clock.")
    notice_gap_seconds: float = Field(
        default=1.0, ge=0, description="Least time between two push notifications of a mailbox; what is more is lost."
    )
    project: str | None = Field(
        default=None, description="The Cloud project whose topics users.watch takes; none takes any project's."
    )
    topics: tuple[TopicSettings, ...] = Field(default=(), description="Pub/Sub topics there are from the start.")
    subscriptions: tuple[SubscriptionSettings, ...] = Field(
        default=(), description="Pub/Sub subscriptions there are from the start; their topics are made with them."
    )
    authentication: dict[str, str] = Field(
        default_factory=dict,
        description="Verdict on received mail by sender domain: pass, fail, none, softfail, unaligned, missing.",
    )
    recipients_per_message: int = Field(default=500, ge=1, description="Recipients one message may have.")
    token_seconds: int = Field(default=3600, ge=1, description="Life of an access token by the sandbox clock.")
    trust_any_key: bool = Field(
        default=True, description="Accept a service account's assertion without knowing its key; false verifies RS256."
    )
    service_account_keys: dict[str, str] = Field(
        default_factory=dict, description="Public keys or certificates (PEM) by service account address."
    )
    delegation: dict[str, tuple[str, ...]] | None = Field(
        default=None,
        description="Domain-wide delegation: scopes by service account address. None allows every account everything.",
    )
    oauth_clients: dict[str, str] = Field(
        default_factory=dict, description="Client secrets by client id; empty accepts any client."
    )
    open_tokens: bool = Field(
        default=True, description='Accept "sandbox:ADDRESS" as an access token with every scope (benches, curl).'
    )
    history_days: float = Field(default=7.0, gt=0, description="Age after which a start history id answers 404.")
    relay_keeps_sent_copy: bool = Field(
        default=False, description="Put a SENT copy of relayed mail into the sender's mailbox (comprehensive storage)."
    )
    drops_same_message_id: bool = Field(
        default=False, description="A recipient keeps the first of two messages with one Message-ID, as Gmail's do."
    )
    catch_all: str | None = Field(
        default=None,
        description="The mailbox that gets what is for unknown addresses of the domains, with X-Gm-Original-To.",
    )
    relay: RelayAccess = Field(default=RelayAccess(), description="Who may use the relay, and how it shows itself.")
    clock_start: datetime | None = Field(default=None, description="Where the clock starts; none is the present.")
    clock_rate: float = Field(default=1.0, ge=0, description="Sandbox seconds per real second; 0 freezes the clock.")
    seed: int = Field(default=1, description="Seed of ids and of fault rules that bring none of their own.")
    faults: tuple[FaultRule, ...] = Field(default=(), description="Fault rules that hold from the start.")

    @field_validator("authentication")
    @classmethod
    def _check_verdicts(cls, by_domain: dict[str, str]) -> dict[str, str]:
        for name in by_domain.values():
            named(name)
        return by_domain

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a TOML file with these fields at its top level.

        Raises `OSError`, `tomllib.TOMLDecodeError` or `pydantic.ValidationError`.
        """
        return cls.model_validate(tomllib.loads(path.read_text("utf-8")))
