"""What a mail is about, as the store has it: reviews, the rounds it speaks of, their people, what was decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from millstream.review.limits import needs_sign_in
from millstream.review.model import Content, How, SeatState, Subject, SubjectKind, Verdict
from millstream.review.policy import Policy


@dataclass(frozen=True, slots=True)
class Sitter:
    """A person of a round, and how far they are."""

    id: int
    address: str
    name: str
    state: SeatState
    stage: int
    rung: int
    instead_of: str | None
    asked_at: datetime
    verdict: Verdict | None
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was decided, for people."""

    verdict: Verdict
    by: str
    how: str
    at: datetime | None
    words: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Case:
    """A review as one mail speaks of it."""

    number: int
    id: int
    round: int
    policy: Policy
    subject: Subject
    content: Content
    state: str
    round_now: int
    stage_now: int
    deadline: datetime | None
    overdue: bool
    sitters: tuple[Sitter, ...] = ()
    seat: Sitter | None = None
    """The reader's."""
    before: tuple[int, Content] | None = None
    """The round before, where its content was another."""
    outcome: Outcome | None = None

    @property
    def type(self) -> str:
        """The document's or resource's type."""
        return self.content.facts.get("type") or self.subject.facts.get("type") or ""

    @property
    def sensitive(self) -> bool:
        """Whether its documents are shown more carefully."""
        sensitive = self.policy.mail.sensitive
        return sensitive is not None and self.policy.fits(sensitive.types, self.type)

    @property
    def needs_sign_in(self) -> bool:
        """Whether an answer needs a sign-in, so that a mail is none."""
        return needs_sign_in(self.policy, self.subject, self.content)

    @property
    def waits_for_reader(self) -> bool:
        """Whether the reader can answer this round now."""
        seat = self.seat
        return (
            self.state == "open"
            and self.round == self.round_now
            and seat is not None
            and seat.state is SeatState.WAITING
            and seat.stage == self.stage_now
        )


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that is to be written."""

    id: int
    kind: str
    """ask, remind, climb, tell, question or bundle."""
    address: str
    thread: str
    created_at: datetime
    facts: Mapping[str, Any] = field(default_factory=dict)
    tries: int = 0
    cases: tuple[Case, ...] = ()
    name: str = ""
    """The reader's."""
    locale: str = "en"


def mail_of(row: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]) -> Mail:
    """A mail of its row and those of its cases."""
    reader = cases[0] if cases else {}
    return Mail(
        id=row["id"],
        kind=row["kind"],
        address=row["address"],
        thread=row["thread"],
        created_at=row["created_at"],
        facts=row["facts"],
        tries=row["tries"],
        cases=tuple(map(_case, cases)),
        name=reader.get("reader") or "",
        locale=reader.get("locale") or "en",
    )


def _case(row: Mapping[str, Any]) -> Case:
    sitters = tuple(map(_sitter, row["seats"] or ()))
    before = row["before"]
    content = Content.from_json(row["hash"], row["content"])
    older = None
    if before is not None and before["hash"] != row["hash"]:
        older = (int(before["number"]), Content.from_json(before["hash"], before["content"]))
    return Case(
        number=row["number"],
        id=row["id"],
        round=row["round"],
        policy=Policy.model_validate(row["terms"]),
        subject=Subject(SubjectKind(row["kind"]), row["ref"], row["domain"], row["name"], row["facts"]),
        content=content,
        state=row["state"],
        round_now=row["round_now"],
        stage_now=row["stage"],
        deadline=row["deadline"],
        overdue=row["overdue"],
        sitters=sitters,
        seat=next((sitter for sitter in sitters if sitter.id == row["seat_id"]), None),
        before=older,
        outcome=outcome_of(row["decision"]),
    )


def _sitter(row: Mapping[str, Any]) -> Sitter:
    return Sitter(
        id=row["id"],
        address=row["address"],
        name=row["name"],
        state=SeatState(row["state"]),
        stage=row["stage"],
        rung=row["rung"],
        instead_of=row["instead_of"],
        asked_at=datetime.fromisoformat(row["asked_at"]),
        verdict=Verdict(row["verdict"]) if row["verdict"] else None,
        at=datetime.fromisoformat(row["at"]) if row["at"] else None,
    )


def outcome_of(told: Mapping[str, Any] | None) -> Outcome | None:
    """What was decided, by a row of the store or by what a mail was told; None where neither says it."""
    if not told or told.get("verdict") not in set(Verdict):
        return None
    at = told.get("at")
    return Outcome(
        verdict=Verdict(told["verdict"]),
        by=str(told.get("name") or told.get("by") or ""),
        how=str(told.get("how") or How.COMMAND),
        at=datetime.fromisoformat(at) if isinstance(at, str) else at,
        words=str(told.get("words") or told.get("text") or ""),
        late=bool(told.get("late")),
    )
