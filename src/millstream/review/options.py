"""What the review room is told, as values; `app` fills them from the settings. Times are in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from millstream.communication.model import Road, Unclear


class Point(StrEnum):
    """The points at which a process can die; for recovery drills."""

    BEFORE_DECISION = "before_decision"
    AFTER_DECISION = "after_decision"
    """All of it is written with what follows, and nothing is durable yet."""
    BEFORE_MAIL = "before_mail"
    AFTER_MAIL_BEFORE_NOTE = "after_mail_before_note"
    """The mail is a communication, and the outbox does not know it yet."""
    IN_HOLD_ORDER = "in_hold_order"


@dataclass(frozen=True, slots=True)
class ReviewOptions:
    """How reviews are put to people."""

    pool: str = "review"
    """The sender pool whose lanes carry the mails."""
    base_url: str | None = None
    """Of the answer pages, without a slash at the end; None: mails offer none."""
    languages: tuple[str, ...] = ("en", "de", "fr", "es", "it", "nl")
    settle: float = 10.0
    """How long a run must be quiet before it is put to people as a whole."""
    watch: float = 15.0
    """How often Exstream is asked for what waits for review."""
    lease: float = 30.0
    most_tries: int = 8
    markup: bool = False
    amp: bool = False
    road: Road = Road.API
    """By what the mails leave."""
    unclear: Unclear | None = None
    """What follows a lost reply, where that is the relay."""
    drill: str | None = None
