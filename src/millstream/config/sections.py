"""Every setting: its name, type, default and description. The reference page and the sample file are made from this.

Times carry their unit in the name. A description is a sentence that an operator can act on.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, NonNegativeInt, PositiveFloat, PositiveInt, SecretStr

from millstream.communication.model import share_of
from millstream.config.section import Section
from millstream.mime import MimeError, parse_address
from millstream.quota import Limits, QuotaError, presets


def _address(text: str) -> str:
    try:
        return parse_address(text).address
    except MimeError as error:
        raise ValueError(str(error)) from error


Address = Annotated[str, AfterValidator(_address)]
Mailbox = Annotated[str, AfterValidator(_address), AfterValidator(str.lower)]
"""A mailbox of Gmail's, which knows no case; rows of the store are found by it."""
Share = Annotated[float, BeforeValidator(lambda given: share_of(given) if isinstance(given, str) else given)]


class DatabaseSettings(Section):
    """Where the ledger lives: a PostgreSQL server of yours, or the embedded one when no URL is given."""

    url: SecretStr | None = Field(
        default=None,
        description="PostgreSQL 15 or newer, as postgresql://user:password@host:5432/database. "
        "Without it the embedded server of `folder` is used.",
        json_schema_extra={"shown": "url"},
    )
    url_file: Path | None = Field(default=None, description="A file that holds `url`, for secrets that are mounted.")
    folder: Path | None = Field(
        default=None,
        description="The embedded server's folder. Its path may have at most 85 bytes, because its socket lies in it.",
        json_schema_extra={"default": "`database` in the top `folder`"},
    )
    connections: PositiveInt = Field(default=10, description="Connections that one process opens at most.")
    patience_seconds: PositiveFloat = Field(
        default=120.0, description="How long work waits for a database that is away before it gives up and fails."
    )


class DocumentsSettings(Section):
    """Where documents lie, each under the hash of its content."""

    url: str | None = Field(
        default=None,
        description="A folder, or a bucket by URL: s3://bucket/prefix, gs://bucket/prefix, az://container/prefix. "
        "A bucket's credentials come from the environment, as its provider defines them. "
        "Workers on several machines need a bucket or a shared folder.",
        json_schema_extra={"default": "`documents` in the top `folder`"},
    )


class GmailSettings(Section):
    """How Gmail is reached, and as whom."""

    endpoint: str = Field(default="https://gmail.googleapis.com", description="Base address of the Gmail API.")
    token_url: str = Field(
        default="https://oauth2.googleapis.com/token", description="Where access tokens are fetched."
    )
    auth_url: str = Field(
        default="https://accounts.google.com/o/oauth2/v2/auth", description="Where `mailbox connect` asks for consent."
    )
    iam_endpoint: str = Field(
        default="https://iamcredentials.googleapis.com",
        description="Base address of the service that signs for `impersonated`.",
    )
    auth: Literal["service_account", "impersonated", "authorized_user", "static"] = Field(
        default="service_account",
        description="service_account: a key with domain-wide delegation. impersonated: the same without a key, signed "
        "by Google for this machine's identity. authorized_user: mailboxes connected one by one with "
        "`millstream mailbox connect`. static: one fixed token, for sandboxes and benches.",
    )
    key_file: Path | None = Field(default=None, description="service_account: the key's JSON file.")
    service_account: Address | None = Field(
        default=None, description="impersonated: the address of the service account that has the delegation."
    )
    identity_file: Path | None = Field(
        default=None,
        description="impersonated: credentials of this machine's identity, as `gcloud auth application-default login` "
        "or a workload identity writes them. Without it the metadata server is asked.",
    )
    client_file: Path | None = Field(
        default=None,
        description="authorized_user: the client file that the Cloud console gives, instead of id and secret.",
    )
    client_id: str | None = Field(default=None, description="authorized_user: the application's client id.")
    client_secret: SecretStr | None = Field(
        default=None, description="authorized_user: the application's client secret."
    )
    client_secret_file: Path | None = Field(default=None, description="A file that holds `client_secret`.")
    token_folder: Path | None = Field(
        default=None,
        description="authorized_user: where the refresh tokens of connected mailboxes are kept, readable by us alone.",
        json_schema_extra={"default": "`tokens` in the top `folder`"},
    )
    static_token: SecretStr | None = Field(default=None, description="static: the token.")
    static_token_file: Path | None = Field(default=None, description="A file that holds `static_token`.")
    scopes: tuple[str, ...] = Field(
        default=(),
        description="OAuth scopes to ask for. Empty: what the delivery mode needs (draft: gmail.compose and "
        "gmail.readonly; direct: gmail.send and gmail.metadata).",
    )
    connect_seconds: PositiveFloat = Field(default=10.0, description="Waiting time for a connection.")
    call_seconds: PositiveFloat = Field(
        default=60.0, description="Waiting time for an answer. Shorter makes more sends unclear, not faster."
    )
    upload_seconds: PositiveFloat = Field(default=180.0, description="Waiting time for an upload above 1 MiB.")
    connections: PositiveInt = Field(default=100, description="Kept connections of one process.")
    proxy: str | None = Field(default=None, description="An HTTP proxy for every call to Google, as http://host:port.")
    certificates: Path | None = Field(
        default=None, description="A PEM file of further authorities to trust, for networks that inspect TLS."
    )

    def check(self) -> None:
        """Every kind of auth has what it needs, apart from the key itself, which `doctor` tries."""
        if self.auth == "impersonated" and self.service_account is None:
            raise ValueError("auth = impersonated needs service_account, the address of the delegated account")
        if self.auth == "static" and self.static_token is None:
            raise ValueError("auth = static needs static_token or static_token_file")


class SendersSettings(Section):
    """Who sends: pools of mailboxes, and what recipients see."""

    pools: dict[str, tuple[Mailbox, ...]] = Field(
        default_factory=dict,
        description="Sender mailboxes by pool; a run names its pool, `default` if it does not. "
        "Every mailbox is one lane: more mailboxes carry more.",
        json_schema_extra={"example": '{ default = ["statements-01@example.com", "statements-02@example.com"] }'},
    )
    name: str = Field(default="", description="The display name that recipients see. Empty: the mailbox's own.")
    address: Address | None = Field(
        default=None,
        description="A verified send-as address of every sender mailbox, to be seen as the sender. "
        "Without it each mailbox sends as itself.",
    )
    reply_to: Address | None = Field(
        default=None,
        description="Where replies go; the delivery's token is added as plus-address (replies+TOKEN@example.com).",
    )

    def check(self) -> None:
        """A mailbox sends for one pool only: its quota cannot be shared by two that do not know of each other."""
        seen: dict[str, str] = {}
        for pool, mailboxes in self.pools.items():
            for mailbox in mailboxes:
                if mailbox in seen:
                    raise ValueError(f"pools has {mailbox} twice, in {seen[mailbox]} and in {pool}; keep it in one")
                seen[mailbox] = pool


class LimitsSettings(Section):
    """What Gmail allows. Every value has its source in the preset; `millstream run plan` shows what they mean."""

    preset: str = Field(
        default="google-2026",
        description="google-2026: Google's stricter regime. google-2025: the older one, for projects that keep it. "
        "none: no limits, for sandboxes and relays.",
    )
    overrides: dict[str, str] = Field(
        default_factory=dict,
        description='Single limits in place of the preset\'s, for example messages_per_day = "1_500/day" or '
        '"cost.messages.get" = "5".',
        json_schema_extra={"example": '{ messages_per_day = "1_500/day" }'},
    )
    warm_up: tuple[PositiveInt, ...] | None = Field(
        default=None,
        description="Messages a mailbox may send on its first, second, … day before it gets its full budget; "
        "an empty list switches the ramp off.",
        json_schema_extra={"default": "the preset's"},
    )
    ages_days: dict[Mailbox, NonNegativeInt] = Field(
        default_factory=dict,
        description="Age in days of mailboxes that sent before Millstream counted; they skip that part of the ramp.",
        json_schema_extra={"example": '{ "statements-01@example.com" = 400 }'},
    )

    def check(self) -> None:
        """The preset exists and every override names a limit and fits it."""
        if self.preset not in presets():
            raise ValueError(f"preset {self.preset!r} does not exist; choose one of {', '.join(presets())}")
        try:
            self.limits()
        except QuotaError as error:
            raise ValueError(f"overrides: {error}") from error

    def limits(self) -> Limits:
        """Return the limits that these settings mean."""
        changed = dict(self.overrides)
        if self.warm_up is not None:
            changed["warm_up"] = ", ".join(map(str, self.warm_up)) or "none"
        return Limits.preset(self.preset, changed)


class DeliverySettings(Section):
    """How lanes carry deliveries."""

    mode: Literal["draft", "direct"] = Field(
        default="draft",
        description="draft: the draft is the token, proof against every crash. direct: one call a message, for tenants "
        "that grant only gmail.send; an unclear send is looked up in SENT.",
    )
    road: Literal["api", "relay", "relay_then_api", "both", "auto"] = Field(
        default="api",
        description="By what a run leaves that does not say it itself: the API, the relay, the relay and by the API "
        "what its day has no room for, whichever is free, or each message by relay.rules.",
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = Field(
        default=4, description="Calls in flight of one lane. Gmail's own number is unpublished; 4 is seldom refused."
    )
    claim: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=8, description="Deliveries that a lane takes at a time."
    )
    slice_seconds: PositiveFloat = Field(
        default=120.0, description="How long a lane's job runs before it gives the worker back and queues itself again."
    )
    linger_seconds: PositiveFloat = Field(
        default=2.0, description="How long a lane without work stays before its job ends."
    )
    commit_gap_ms: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=4.0, description="How long ledger writes are gathered into one commit. 0 commits as fast as the disk."
    )
    heartbeat_seconds: PositiveFloat = Field(default=2.0, description="How often a lane shows that it is alive.")
    stalled_after_seconds: PositiveFloat = Field(
        default=8.0,
        description="Without a sign of life for so long, a lane counts as dead and another worker takes it over.",
    )
    probe_floor_seconds: PositiveFloat = Field(
        default=3.0, description="Before this time after a send, a message missing in SENT proves nothing."
    )
    probe_for_seconds: PositiveFloat = Field(
        default=900.0, description="How long evidence of an unclear send is looked for before a person decides."
    )
    stray_grace_seconds: PositiveFloat = Field(
        default=30.0,
        description="How long after a draft whose outcome is unclear its mailbox is searched for it.",
    )
    recheck_seconds: PositiveFloat = Field(
        default=600.0,
        description="When a mailbox that cannot be used (dead token, no licence) is tried again by itself.",
    )
    sending_park_seconds: PositiveFloat = Field(
        default=86_400.0,
        description="How long a mailbox rests after a sending limit for which Gmail states no time: a rolling day.",
    )
    most_tries: PositiveInt = Field(default=12, description="After so many tries a delivery is put aside as failed.")
    drill: str | None = Field(
        default=None,
        description="For recovery drills: `point:n` makes the worker kill itself when it passes this point of the "
        "pipeline for the n-th time (before_draft, after_draft_before_commit, after_commit_before_send, "
        "after_send_before_commit, in_settle; on the relay before_envelope, after_body_before_commit, "
        "after_commit_before_dot, after_dot_before_reply, after_reply_before_commit, in_settle).",
    )

    def check(self) -> None:
        """A lane must show life several times before it counts as dead."""
        if self.stalled_after_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("stalled_after_seconds must be at least three times heartbeat_seconds")


class SuppressionSettings(Section):
    """What bounces add up to."""

    soft_bounces: PositiveInt = Field(
        default=3,
        description="So many deliveries to one address that bounced in a row, for whatever reason, put the address on "
        "the suppression list of their stream.",
    )
    soft_days: PositiveInt = Field(default=30, description="The days within which these bounces count.")
    bounce_limit: Annotated[Share, Field(ge=0, le=1)] = Field(
        default=0.05,
        description="The share of accepted deliveries of a run that may bounce for good before the run pauses itself, "
        'as 0.05 or "5%"; "none" never pauses one. `run submit --bounce-limit` sets it for a single run.',
    )
    bounce_limit_after: PositiveInt = Field(
        default=50, description="A run does not pause itself before so many of its deliveries were accepted."
    )


class ComposerSettings(Section):
    """Where templates are found."""

    templates: tuple[Path, ...] = Field(
        default=(), description="Folders of templates, looked through in order and before the shipped ones."
    )
    threads: PositiveInt = Field(default=2, description="Compositions at the same time; they use one core each.")


class LoggingSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least level that is shown."
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto", description="console for people, json for machines; auto: console on a terminal, else json."
    )


class WorkerSettings(Section):
    """A worker process."""

    lanes: PositiveInt = Field(default=200, description="Lanes that one worker runs at the same time.")


__all__ = [
    "ComposerSettings",
    "DatabaseSettings",
    "DeliverySettings",
    "DocumentsSettings",
    "GmailSettings",
    "LimitsSettings",
    "LoggingSettings",
    "SendersSettings",
    "SuppressionSettings",
    "WorkerSettings",
]
