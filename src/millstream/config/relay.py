"""The settings of the relay road: Google's SMTP relay, its users, and what follows a lost reply."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PositiveFloat, PositiveInt, SecretStr

from millstream.config.section import Section
from millstream.config.sections import Address, Mailbox

_LONGEST_LOCAL = 64
"""Characters before the @ (RFC 5321, 4.5.3.1.1)."""
_TAG = 36
"""What a bounce's token adds to them, plus sign included."""
_SHORTEST_SECRET = 32


_SIZES = {"B": 1, "kB": 1_000, "MB": 1_000_000}


def _bytes(given: object) -> object:
    if not isinstance(given, str):
        return given
    number, _, unit = given.strip().partition(" ")
    try:
        return round(float(number) * _SIZES[unit or "B"])
    except (ValueError, KeyError):
        raise ValueError(f"{given!r} is no size; write for example 500 kB or 5 MB") from None


Size = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]


class RoadRuleSettings(Section):
    """A rule for `delivery.road = "auto"`: the first that fits a message says its road."""

    road: Literal["api", "relay"] = Field(description="The road of what fits.")
    stream: str = Field(default="*", description="A pattern of the stream, as statements*.")
    type: str = Field(default="*", description="A pattern of the document type.")
    run_at_least: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Only in runs of so many communications; a run whose size nobody knows fits none."
    )
    bytes_at_least: Size = Field(default=0, description='Only messages of so many bytes as they travel, as "500 kB".')
    bytes_at_most: Size | None = Field(default=None, description="Only messages of at most so many bytes.")
    sensitivity: Literal["*", "normal", "confidential"] = Field(
        default="*", description="Only communications of this sensitivity."
    )


class RelaySettings(Section):
    """Google's SMTP relay. Without `host` nothing leaves by it. There is no way to send without TLS."""

    host: str | None = Field(
        default=None,
        description="The relay, for example smtp-relay.gmail.com.",
        json_schema_extra={"example": '"smtp-relay.gmail.com"'},
    )
    port: Annotated[int, Field(ge=1, le=65_535)] = Field(default=587, description="587 for STARTTLS, 465 for implicit.")
    tls: Literal["starttls", "implicit"] = Field(
        default="starttls", description="How TLS begins. The certificate is always verified."
    )
    certificates: Path | None = Field(
        default=None, description="Authorities beyond the system's, as PEM; for a relay of your own."
    )
    helo: str | None = Field(
        default=None,
        description="The name said in EHLO: a domain of the organisation. Google answers 421 to localhost.",
        json_schema_extra={"default": "the domain of the first user"},
    )
    auth: Literal["address", "password", "xoauth2"] = Field(
        default="address",
        description="How the relay knows us. address: this machine's IP address is registered in the admin console. "
        "password: an app password of `user`. xoauth2: a token of `user`, by the same auth as the API's.",
    )
    user: Mailbox | None = Field(default=None, description="Who logs in, with auth password or xoauth2.")
    password: SecretStr | None = Field(default=None, description="The app password of `user`.")
    password_file: Path | None = Field(default=None, description="A file that holds `password`.")
    users: dict[str, tuple[Mailbox, ...]] = Field(
        default_factory=dict,
        description="Registered users by sender pool, as in senders.pools: each is a lane of the relay, with a day of "
        "its own. A mailbox may send by both roads.",
        json_schema_extra={"example": '{ default = ["statements-01@example.com"] }'},
    )
    bounce_address: Address | None = Field(
        default=None,
        description="Where bounces go, with a signed token as plus-address. It must be read (mailbox.shared). As a "
        "registered user it counts all messages of the organisation as its own.",
        json_schema_extra={"default": "each user's own address"},
    )
    bounce_secret: SecretStr | None = Field(
        default=None,
        description="What signs the tokens of bounces; at least 32 characters. All workers share it.",
        json_schema_extra={"default": "made once, in `relay.key` in the top `folder`"},
    )
    bounce_secret_file: Path | None = Field(default=None, description="A file that holds `bounce_secret`.")
    registered: bool = Field(
        default=True,
        description="Whether the envelope's sender is a registered user, whose day Google counts. false: it is "
        "nobody's mailbox; needs `bounce_address`.",
    )
    sent_copies: bool = Field(
        default=False,
        description="Whether comprehensive mail storage puts a copy of what leaves by the relay into the sender's "
        "mailbox. Where a reply was lost, the mailbox is asked first; it needs the right to read it.",
    )
    unclear: Literal["hold", "again"] | None = Field(
        default=None,
        description="What follows where the reply to a message's end was lost, so that it may have been sent. hold: a "
        "person decides. again: it is sent again under the same Message-ID; Gmail and many others drop the second, "
        "Exchange shows both. Must be said where `host` is set; `run submit --unclear` says it for one run.",
        json_schema_extra={"example": '"hold"'},
    )
    again_after_seconds: PositiveFloat = Field(
        default=60.0, description="How long after a lost reply the message is sent again, with unclear = again."
    )
    most_again: PositiveInt = Field(default=3, description="After so many lost replies a person decides.")
    rules: tuple[RoadRuleSettings, ...] = Field(
        default=(),
        description='Which road a message takes with delivery.road = "auto": the first rule that fits says it, and '
        "where none does, either may carry it. Without rules: confidential ones by the API; what is larger than "
        "500 kB, and runs of 20,000 and more, by the relay.",
    )
    connections: Annotated[int, Field(ge=1, le=1_000)] = Field(
        default=40, description="Connections of one worker. Google's own number is unpublished."
    )
    per_lane: Annotated[int, Field(ge=1, le=256)] = Field(
        default=8, description="Messages of one lane that are under way at the same time."
    )
    messages_per_connection: PositiveInt = Field(default=100, description="After so many a new connection is made.")
    idle_seconds: PositiveFloat = Field(
        default=20.0, description="How long an idle connection is kept, before the relay ends it at a bad moment."
    )
    connect_seconds: PositiveFloat = Field(default=10.0, description="How long a connection may take to come about.")
    command_seconds: PositiveFloat = Field(default=120.0, description="How long a reply to a command is waited for.")
    reply_seconds: PositiveFloat = Field(
        default=300.0, description="How long the reply to a message's end is waited for: RFC 5321 says 10 minutes."
    )

    def check(self) -> None:
        """What belongs together is there together, and nothing that decides about messages is left to chance."""
        if self.host is None:
            return
        if self.unclear is None:
            raise ValueError(
                "unclear must be set where host is: a reply of the relay can be lost, and then nobody knows whether "
                'the message was sent. "hold" lets a person decide about each; "again" sends it again under the same '
                "Message-ID, which Gmail and many others drop, and which some recipients see twice"
            )
        if not any(self.users.values()):
            raise ValueError("users must name at least one mailbox where host is set")
        self._check_users()
        self._check_login()
        self._check_bounces()

    @property
    def all_users(self) -> tuple[str, ...]:
        """The users of all pools."""
        return tuple(each for users in self.users.values() for each in users)

    def _check_users(self) -> None:
        """A user sends for one pool only: its day cannot be shared by two that do not know of each other."""
        seen: dict[str, str] = {}
        for pool, users in self.users.items():
            for user in users:
                if user in seen:
                    raise ValueError(f"users has {user} twice, in {seen[user]} and in {pool}; keep it in one")
                seen[user] = pool

    def _check_login(self) -> None:
        if (self.auth == "password") != (self.password is not None):
            raise ValueError('password belongs to auth = "password", and to no other')
        if (self.auth == "address") != (self.user is None):
            raise ValueError('user belongs to auth = "password" or "xoauth2"')

    def _check_bounces(self) -> None:
        if not self.registered and self.bounce_address is None:
            raise ValueError("bounce_address must be set with registered = false: nobody reads the users' own bounces")
        secret = self.bounce_secret
        if secret is not None and len(secret.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(f"bounce_secret has fewer than {_SHORTEST_SECRET} characters")
        for each in [self.bounce_address] if self.bounce_address else self.all_users:
            if len(each.partition("@")[0]) + _TAG > _LONGEST_LOCAL:
                raise ValueError(f"{each} has no room for a bounce's token before the @; set a shorter bounce_address")
