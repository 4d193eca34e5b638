"""A review: who is asked about what until when, what they said, what was decided. Values alone, nothing that acts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal, Self


class SubjectKind(StrEnum):
    """What can be asked about. A case is a communication, or an exception, that compliance looks at."""

    COMMUNICATION = "communication"
    RUN = "run"
    FLOW_STEP = "flow_step"
    RESOURCE = "resource"
    CASE = "case"


HELD: Final = frozenset({SubjectKind.COMMUNICATION, SubjectKind.RUN, SubjectKind.CASE})
"""What can have deliveries that wait here."""


class Verdict(StrEnum):
    """What somebody answers, and what is decided."""

    APPROVE = "approve"
    REJECT = "reject"
    CHANGE = "change"


class How(StrEnum):
    """The way an answer came."""

    MAIL = "mail"
    PAGE = "page"
    COMMAND = "command"
    ONE_CLICK = "one_click"
    POLICY = "policy"
    """Nobody answered in time, and the policy says what then."""
    EXSTREAM = "exstream"
    """It was decided in Exstream itself."""


class State(StrEnum):
    """How far a review is. CHANGES: decided so, and waiting for new content."""

    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    CHANGES = "changes"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"


class SeatState(StrEnum):
    """How far one person in one stage is."""

    WAITING = "waiting"
    ANSWERED = "answered"
    REPLACED = "replaced"
    """Somebody else sits there now."""
    CLOSED = "closed"
    """The question was settled without them."""
    UNREACHABLE = "unreachable"
    """Their question came back."""


DECIDED_AS: Mapping[Verdict, State] = {
    Verdict.APPROVE: State.APPROVED,
    Verdict.REJECT: State.REJECTED,
    Verdict.CHANGE: State.CHANGES,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """What a review is about."""

    kind: SubjectKind
    ref: str
    """The communication's id, the run's key, the flow step's or the resource's id, the event's number."""
    domain: str = ""
    """Exstream's, for steps and resources."""
    name: str = ""
    """For people."""
    facts: Mapping[str, str] = field(default_factory=dict)
    """What steps need: channel, flow, job, external id, run, key."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A document that reviewers see; its bytes lie in the document store under their SHA-256."""

    name: str
    media_type: str
    size: int
    sha256: str

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Content:
    """What a round is bound to: whatever its hash covers is what was decided on."""

    hash: str
    """SHA-256 hex."""
    papers: tuple[Paper, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    """For people, in order: customer, type, amount, language …"""
    text: str = ""
    """What else is to be read: a mail's text, or a resource's."""
    findings: tuple[Mapping[str, Any], ...] = ()
    """What rules found, as `communication.model.Finding.to_json` has it."""

    @property
    def hashes(self) -> list[str]:
        """The papers' hashes, in order: the audit chain keeps what was shown."""
        return [paper.sha256 for paper in self.papers]

    def to_json(self) -> dict[str, Any]:
        """The stored form, without the hash."""
        return {
            "papers": [paper.to_json() for paper in self.papers],
            "facts": dict(self.facts),
            "text": self.text,
            "findings": [dict(finding) for finding in self.findings],
        }

    @classmethod
    def from_json(cls, content_hash: str, stored: Mapping[str, Any]) -> Self:
        """Read back what `to_json` stored."""
        return cls(
            hash=content_hash,
            papers=tuple(Paper(**paper) for paper in stored.get("papers", ())),
            facts=stored.get("facts", {}),
            text=stored.get("text", ""),
            findings=tuple(stored.get("findings", ())),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """What one person said, and by what it is proven."""

    address: str
    verdict: Verdict
    text: str
    how: How
    at: datetime
    evidence: Mapping[str, str] = field(default_factory=dict)
    """mailbox, message_id and sighting of a mail; the delivery's token and the signed-in subject of a page; the actor
    of a command."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One person asked in one stage of one round."""

    round: int
    stage: int
    address: str
    """In lower case: what a person is known by."""
    name: str = ""
    locale: str = "en"
    state: SeatState = SeatState.WAITING
    rung: int = 0
    """0: asked by the stage. n: by the n-th rung of the ladder."""
    instead_of: str | None = None
    answered: Answer | None = None
    id: int | None = None
    """None until it is in the store."""
    version: int = 0
    """Rises with every change, so that a form can be used once."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What ended a round."""

    verdict: Verdict
    by: str
    """An address, `policy`, or Exstream's name of a person."""
    how: How
    at: datetime
    text: str
    round: int
    hash: str
    late: bool = False
    """After the deadline."""
    votes: tuple[str, ...] = ()
    """Who else approved on the way, as `address: verdict`."""
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Timer:
    """Something that is due at a time: the n-th reminder, the n-th rung of the ladder, the deadline."""

    at: datetime
    what: Literal["remind", "rung", "expire", "delegate"]
    n: int = 0


@dataclass(frozen=True, slots=True)
class Review:
    """A question with its people. `seats` are those of every round; only the current round's can answer."""

    id: int | None
    policy: str
    subject: Subject
    content: Content
    """Of the current round."""
    state: State = State.OPEN
    round: int = 1
    stage: int = 0
    seats: tuple[Seat, ...] = ()
    agenda: tuple[Timer, ...] = ()
    """The earliest first; empty once nothing more comes by itself."""
    asked_at: datetime | None = None
    deadline: datetime | None = None
    overdue: bool = False
    decision: Decision | None = None
    """Of the current round."""
    version: int = 0
    author: tuple[str, ...] = ()
    """Addresses and Exstream names of those whose own work it is."""

    @property
    def due_at(self) -> datetime | None:
        """When something happens by itself next."""
        return self.agenda[0].at if self.agenda and self.state is State.OPEN else None

    def waiting(self) -> tuple[Seat, ...]:
        """The seats of the current round that may answer now."""
        return tuple(
            seat
            for seat in self.seats
            if (seat.round, seat.stage, seat.state) == (self.round, self.stage, SeatState.WAITING)
        )


# What can happen to a review.


@dataclass(frozen=True, slots=True)
class Answered:
    """Somebody answers, having seen this round's content under this hash."""

    address: str
    verdict: Verdict
    text: str
    how: How
    round: int
    hash: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Due:
    """The time of the first of the agenda has come, or seems to."""


@dataclass(frozen=True, slots=True)
class NewContent:
    """The subject is not what it was."""

    content: Content
    author: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reassigned:
    """A seat is handed to somebody else: by its holder, or by whoever the policy names."""

    from_address: str
    to_address: str
    by: str


@dataclass(frozen=True, slots=True)
class Overruled:
    """Somebody whom the policy names decides alone."""

    by: str
    verdict: Verdict
    text: str
    how: How
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The question is taken back."""

    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Undeliverable:
    """A person's question came back."""

    address: str
    why: str


@dataclass(frozen=True, slots=True)
class DecidedElsewhere:
    """It was decided in Exstream, or the run was cancelled; nothing of ours follows."""

    by: str
    verdict: Verdict
    why: str


Happening = Answered | Due | NewContent | Reassigned | Overruled | Cancelled | Undeliverable | DecidedElsewhere


# What follows from it, in order.


@dataclass(frozen=True, slots=True)
class Ask:
    """Put the question to a person."""

    seat: Seat


@dataclass(frozen=True, slots=True)
class Remind:
    """Ask again, in the same thread."""

    seat: Seat
    n: int


@dataclass(frozen=True, slots=True)
class Climb:
    """Put an overdue question to those above, with the document and how far it is."""

    seat: Seat
    rung: int


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell a person what became of their question."""

    seat: Seat
    what: Literal["decided", "superseded", "withdrawn", "cancelled", "handed_on", "overdue"]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decided:
    """The round ended so; the next step follows from it."""

    decision: Decision


@dataclass(frozen=True, slots=True)
class Note:
    """An entry of the audit chain: `review.<kind>`."""

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Raise:
    """An event for other rooms: `review.<kind>`."""

    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)


Consequence = Ask | Remind | Climb | Tell | Decided | Note | Raise

Why = Literal[
    "decided", "old_round", "not_asked", "answered", "own_work", "other_stage", "stale_hash", "not_allowed", "closed"
]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that does not count. Nothing changed but that it is noted."""

    why: Why
    told: Mapping[str, Any] = field(default_factory=dict)
    """Facts for whoever tried: who decided what when."""


@dataclass(frozen=True, slots=True)
class Understood:
    """What a written answer says; no verdict where it is not clear."""

    verdict: Verdict | None
    text: str = ""
    """The reason or the wish, in the person's words."""
    why: str = ""
    """Why it is not clear, as a word."""
    language: str | None = None
    needs_text: bool = False
    """It rejects, or wants changes, and says no more than that."""
    pointed: bool = False
    """It wants changes only by saying what is wrong: where a reason was asked for, that is the reason."""
    cases: tuple[tuple[int, Verdict, str], ...] = ()
    """Of a mail that asks about several: number, verdict, words; 0 stands for all."""
