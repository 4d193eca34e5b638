"""A mailbox that is read, its cursor, and what it told us. Values; transitions are methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """Why a mailbox is read."""

    SENDER = "sender"  # bounces, delays, limit notices and replies to what left from it
    SHARED = "shared"  # where replies go
    REQUEST = "request"  # where customers ask for reprints and corrections


class Phase(StrEnum):
    """Where a cursor is."""

    NEW = "new"
    SNAPSHOT = "snapshot"
    DELTA = "delta"


class Kind(StrEnum):
    """What a message told us."""

    BOUNCED_HARD = "bounced_hard"
    BOUNCED_SOFT = "bounced_soft"
    DELAYED = "delayed"
    LIMIT_NOTICE = "limit_notice"
    REPLIED = "replied"
    AUTO_REPLIED = "auto_replied"
    REQUEST = "request"
    MAIL = "mail"  # from a person, about nothing of ours
    BULK = "bulk"
    OWN = "own"  # we wrote it
    VANISHED = "vanished"  # it was there and could not be fetched any more


TOLD = frozenset(
    {
        Kind.BOUNCED_HARD,
        Kind.BOUNCED_SOFT,
        Kind.DELAYED,
        Kind.LIMIT_NOTICE,
        Kind.REPLIED,
        Kind.AUTO_REPLIED,
        Kind.REQUEST,
    }
)
"""Kinds that another room hears of, as the event `sighting.<kind>`."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Our position in a mailbox's history.

    A snapshot notes `history_id` before it lists, so that what comes while it lists is found by the delta after it. A
    delta always lists from `history_id`; where history stood at a look (`seen_id`) becomes the new position only when a
    later look, `settle` seconds on, has listed up to there as well: records show late (reference/gmail.md section 3).
    What is listed twice is recorded once.
    """

    phase: Phase = Phase.NEW
    history_id: int | None = None
    seen_id: int | None = None
    seen_at: datetime | None = None
    page_token: str | None = None
    since: datetime | None = None

    def begun(self, history_id: int, *, since: datetime) -> Cursor:
        """A snapshot starts: everything younger than `since` is listed, from the newest on."""
        return Cursor(Phase.SNAPSHOT, history_id, since=since)

    def paged(self, token: str | None) -> Cursor:
        """A page of the snapshot is recorded; None starts it over."""
        return replace(self, page_token=token)

    def listed(self) -> Cursor:
        """The snapshot is recorded."""
        return Cursor(Phase.DELTA, self.history_id)

    def looked(self, present: int, *, at: datetime, settle: float) -> Cursor:
        """A look that began at `at` recorded all that history showed; `present` is where Gmail said it stands."""
        if self.seen_id is None or self.seen_at is None:
            return replace(self, seen_id=present, seen_at=at)
        if at - self.seen_at < timedelta(seconds=settle):
            return self
        return replace(self, history_id=self.seen_id, seen_id=present, seen_at=at)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is left to follow."""
        return self.phase is Phase.DELTA and self.seen_id == self.history_id


@dataclass(frozen=True, slots=True)
class Lease:
    """A mailbox in this process's hands."""

    address: str
    roles: tuple[Role, ...]
    epoch: int
    cursor: Cursor
    moved_at: datetime | None = None
    busy_at: datetime | None = None
    failures: int = 0
    lane_runs: bool = False
    """Whether a lane sends from this mailbox now, so that the units are shared."""
    has_sent: bool = False
    """Whether it has sent in the last minutes: a limit notice or a bounce may be on its way."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one message told us; see the table of the same name."""

    message_id: str
    thread_id: str
    kind: Kind
    subject: str | None = None
    mapped_by: str | None = None
    proven: bool = False
    verdict: Mapping[str, Any] = field(default_factory=dict)
    sender: str = ""
    title: str = ""
    rfc822_id: str = ""
    report: Sequence[Mapping[str, Any]] | None = None
    reply: str | None = None
    full_text: str | None = None
    attachments: Sequence[Mapping[str, Any]] = ()
    labels: Sequence[str] = ()
    received_at: datetime | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the event."""


@dataclass(frozen=True, slots=True)
class SetAside:
    """A message that could not be read."""

    message_id: str
    thread_id: str
    problem: str
    source: str | None = None
    """SHA-256 of the message in the document store; None where not even that could be had."""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a look ended, for the book-keeping of many looks at once."""

    lease: Lease
    cursor: Cursor
    due_in: float
    units: int = 0
    reached: int | None = None
    """Where history stood; a hint at or below it is answered."""
    found: int = 0
    complete: bool = True
    """Whether everything that the mailbox showed is recorded."""
    trouble: str | None = None
    failure: str | None = None
