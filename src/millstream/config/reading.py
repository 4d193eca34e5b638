"""The settings of what is read: mailboxes, push, and the web server that takes push in."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from millstream.config.section import Section
from millstream.config.sections import Address, Mailbox

_TOPIC = re.compile(r"projects/[^/]+/topics/[^/]+")
_SUBSCRIPTION = re.compile(r"projects/[^/]+/subscriptions/[^/]+")


class MailboxSettings(Section):
    """Which mailboxes are read besides the senders, and how."""

    read: bool = Field(
        default=True,
        description="Whether workers read mailboxes: bounces, replies, limit notices. It needs gmail.readonly; without "
        "it nobody learns that Gmail took a message and did not send it.",
    )
    shared: tuple[Mailbox, ...] = Field(
        default=(),
        description="Shared inboxes: where replies go. The mailbox behind senders.reply_to belongs here.",
        json_schema_extra={"example": '["replies@example.com"]'},
    )
    request: tuple[Mailbox, ...] = Field(
        default=(),
        description="Request inboxes: where customers ask for reprints and corrections.",
        json_schema_extra={"example": '["service@example.com"]'},
    )
    poll_seconds: PositiveFloat = Field(
        default=15.0, description="Between two looks into a mailbox; push makes a look come at once."
    )
    poll_sending_seconds: PositiveFloat = Field(
        default=6.0,
        description="The same while a mailbox sends and for five minutes more, for the notice that a limit is reached.",
    )
    poll_slowest_seconds: PositiveFloat = Field(
        default=60.0, description="Between two looks into a mailbox that has told nothing for half an hour."
    )
    poll_units_per_day: PositiveInt = Field(
        default=8_000_000,
        description="Quota units that looks without a result may cost all mailboxes together; with very many mailboxes "
        "looks become rarer. The default is a tenth of Google's daily threshold.",
    )
    lookback_days: PositiveFloat = Field(default=7.0, description="How far back the first look into a mailbox goes.")
    settle_seconds: PositiveFloat = Field(
        default=30.0,
        description="How long a record of Gmail's history may show late; the cursor follows so long after.",
    )
    beside_units: PositiveInt = Field(
        default=40,
        description="Quota units a minute that a mailbox which sends always leaves to reading it. What reading takes "
        "beyond them waits a few seconds, until the sending lane has made room.",
    )
    share: Annotated[float, Field(gt=0, le=0.9)] = Field(
        default=0.2, description="The part of a mailbox's quota that reading may take while the mailbox sends."
    )
    project_share: Annotated[float, Field(gt=0, le=0.9)] = Field(
        default=0.1, description="The part of the project's quota that reading may take; sending leaves it."
    )
    concurrency: Annotated[int, Field(ge=1, le=16)] = Field(
        default=4, description="Reading calls in flight into one mailbox."
    )
    at_once: PositiveInt = Field(default=50, description="Mailboxes that one worker looks into at the same time.")
    lease_seconds: PositiveFloat = Field(
        default=20.0, description="Without a sign of life for so long, another worker takes a mailbox over."
    )
    stalled_after_seconds: PositiveFloat = Field(
        default=900.0, description="A mailbox that could not be read to its end for so long is reported."
    )
    authserv_ids: tuple[str, ...] = Field(
        default=("mx.google.com",),
        description="Whose Authentication-Results count: Gmail's own, or those of a gateway in front of it.",
    )
    drill: str | None = Field(
        default=None,
        description="For recovery drills: `point:n` makes the worker kill itself when a look passes this point for the "
        "n-th time (before_snapshot, after_fetch_before_record, after_record_before_cursor, after_snapshot_page, "
        "after_snapshot, after_look_before_finish).",
    )


class PushSettings(Section):
    """Hints by Cloud Pub/Sub, so that mailboxes are looked into at once. Without a topic there is polling alone."""

    topic: str | None = Field(
        default=None,
        description="The topic Gmail publishes to, as projects/PROJECT/topics/TOPIC. "
        "gmail-api-push@system.gserviceaccount.com needs the right to publish.",
    )
    subscription: str | None = Field(
        default=None,
        description="Pull: the subscription that workers pull, as projects/PROJECT/subscriptions/NAME. It needs no "
        "public address.",
    )
    transport: Literal["grpc", "rest"] = Field(
        default="grpc", description="Pull: grpc is Google's own client; rest passes networks that let no gRPC through."
    )
    endpoint: str = Field(
        default="https://pubsub.googleapis.com",
        description="Pull: base address of Pub/Sub. A plain http address of this machine is for emulators.",
    )
    audience: str | None = Field(
        default=None,
        description="Push: the audience of the subscription's tokens, usually the address of /push/gmail. Without it "
        "`millstream web` takes no push.",
    )
    service_account: Address | None = Field(
        default=None, description="Push: the service account that signs the subscription's tokens."
    )
    certs_url: str = Field(
        default="https://www.googleapis.com/oauth2/v1/certs", description="Push: where Google's certificates are."
    )

    def check(self) -> None:
        """Names have Google's shape, and push is complete."""
        if self.topic is not None and not _TOPIC.fullmatch(self.topic):
            raise ValueError(f"topic {self.topic!r} is not of the form projects/PROJECT/topics/TOPIC")
        if self.subscription is not None and not _SUBSCRIPTION.fullmatch(self.subscription):
            raise ValueError(
                f"subscription {self.subscription!r} is not of the form projects/PROJECT/subscriptions/NAME"
            )
        if self.subscription is not None and self.topic is None:
            raise ValueError("subscription needs topic: without a watch on it nothing is published")
        if (self.audience is None) != (self.service_account is None):
            raise ValueError("audience and service_account belong together: both say whose push is believed")


class WebSettings(Section):
    """The web server: `millstream web`."""

    host: str = Field(default="127.0.0.1", description="The address it listens on.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        default=8025, description="The port; 0 takes a free one. TLS is ended by a proxy in front of it."
    )
