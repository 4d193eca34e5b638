"""What a lane may be told, as values; `config.py` fills them from the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from millstream.communication.model import Road
from millstream.quota import Limits

UNREACHABLE = ("token_dead", "mail_service_off", "forbidden")
"""Park reasons under which Gmail answers nothing for a mailbox, so that nothing of it can be settled."""


OF_THE_DAY = ("day_budget", "relay_user_day", "relay_customer_day")
"""Reasons of a relay's lane, or of the whole organisation, to rest until there is room in the day again."""


class Point(StrEnum):
    """The points of the pipeline at which a process can die; for recovery drills."""

    BEFORE_DRAFT = "before_draft"
    AFTER_DRAFT_BEFORE_COMMIT = "after_draft_before_commit"
    AFTER_COMMIT_BEFORE_SEND = "after_commit_before_send"
    AFTER_SEND_BEFORE_COMMIT = "after_send_before_commit"
    IN_SETTLE = "in_settle"
    BEFORE_ENVELOPE = "before_envelope"
    AFTER_BODY_BEFORE_COMMIT = "after_body_before_commit"
    AFTER_COMMIT_BEFORE_DOT = "after_commit_before_dot"
    AFTER_DOT_BEFORE_REPLY = "after_dot_before_reply"
    AFTER_REPLY_BEFORE_COMMIT = "after_reply_before_commit"


def points_of(road: Road) -> tuple[Point, ...]:
    """The points that a delivery on this road passes."""
    if road is Road.API:
        return tuple(Point)[:5]
    return (*tuple(Point)[5:], Point.IN_SETTLE)


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom the recipient sees."""

    name: str = ""
    address: str | None = None
    """A verified send-as alias of every sender mailbox; None: the mailbox's own address."""
    reply_to: str | None = None
    """Where replies go, with the delivery's token as plus-address; None: the sender's address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRules:
    """How deliveries by the relay behave. Times are in seconds."""

    sent_copies: bool = False
    """Comprehensive mail storage keeps copies in the sender's mailbox, so that it can be asked."""
    probe_floor: float = 3.0
    probe_for: float = 900.0
    """How long the mailbox is asked before the run's policy says what follows."""
    again_after: float = 60.0
    most_again: int = 3
    """After so many lost replies of one message a person decides."""
    most_tries: int = 12
    """After so many tries that were the message's own trouble it is put aside as failed."""
    registered: bool = True
    """Whether the envelope's sender is a registered user, whose day counts."""
    per_lane: int = 8
    """Messages of one lane that are under way at the same time."""
    recheck: float = 600.0
    """When a relay that refuses us is tried again without a person."""
    day_park: float = 86_400.0
    """How long a lane rests whose user's day is used up."""


@dataclass(frozen=True, slots=True)
class DeliveryOptions:
    """How lanes behave. Times are in seconds."""

    limits: Limits
    sender: Sender = field(default_factory=Sender)
    concurrency: int = 4
    """Calls in flight a lane starts with and never exceeds; Gmail's own number is unpublished."""
    claim: int = 8
    """Deliveries an unhurried lane takes at a time."""
    slice: float = 120.0
    """How long a lane's job runs before it gives the worker back."""
    linger: float = 2.0
    """How long an idle lane stays before its job ends."""
    heartbeat: float = 2.0
    stalled_after: float = 8.0
    """Without a heartbeat for so long, a lane counts as left by a dead process."""
    probe_floor: float = 3.0
    """Before it a missing message proves nothing: SENT shows a message 0.4 to 0.6 s late, the field waits 3 s."""
    probe_for: float = 900.0
    """How long evidence is looked for before a person decides."""
    stray_grace: float = 30.0
    """How long after an unclear draft its mailbox is searched for it."""
    recheck: float = 600.0
    """When a mailbox that can not be reached is tried again without a person."""
    sending_park: float = 86_400.0
    """How long a mailbox rests after a limit without a stated time: a rolling day."""
    most_tries: int = 12
    """After so many tries a delivery is put aside as failed."""
    for_reading: float = 0.0
    """The part of the project's rate that is left to reading."""
    read_beside: int = 0
    """Units a minute that reading may take out of a mailbox that sends without announcing them."""
    drill: str | None = None
    """`point:n`: the process kills itself when it passes this point for the n-th time; for recovery drills."""
    answer_link: Callable[[str], str] | None = None
    """Makes the link by which the reader of a review's mail answers, of the delivery's token (docs/decisions/0023)."""
    relay: RelayRules | None = None
    """None: nothing leaves by the relay."""
    warm: Mapping[str, int] = field(default_factory=dict)
    """Mailbox to age in days, for mailboxes that sent before Millstream counted."""
