"""One question as its reviewer sees it on a page, and the form that comes back. Values, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from millstream.review.model import Content, Decision, Refusal, Review, Seat, SeatState, State
from millstream.review.policy import Policy

Standing = Literal["open", "answered", "decided", "superseded", "handed_on", "closed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Addressed:
    """Whom a mail went to, and what it asked."""

    address: str
    cases: tuple[AskedCase, ...]


@dataclass(frozen=True, slots=True)
class AskedCase:
    """One question of a mail."""

    number: int
    review_id: int
    round: int
    seat_id: int | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """A review with what its pages show."""

    review: Review
    policy: Policy
    """As it stood when the round began."""
    contents: Mapping[int, Content] = field(default_factory=dict)
    """Of every round."""
    time_zone: str = "UTC"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who proved to be whom, at whose door."""

    email: str
    subject: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Form:
    """What a form carries beside what a person puts in."""

    word: str
    version: int
    hash: str
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One case as its reviewer sees it."""

    link: str
    number: int
    case: Case
    seat: Seat
    standing: Standing
    content: Content
    """Of the round that the link is about."""
    before: Content | None
    """Of the round before it."""
    form: Form | None
    """Only where an answer would be taken."""
    sign_in: bool
    """The policy wants a sign-in for this one."""
    signed: SignedIn | None
    """Whoever is signed in, if it is this seat's person."""
    stranger: SignedIn | None
    """Whoever is signed in, if it is not."""

    @property
    def name(self) -> str:
        """What it is about, for people."""
        return self.case.review.subject.name or self.case.review.subject.ref

    @property
    def review(self) -> Review:
        """The review as it stands."""
        return self.case.review

    @property
    def decision(self) -> Decision | None:
        """What ended it, if something did."""
        return self.review.decision if self.standing in {"decided", "cancelled"} else None

    @property
    def locked(self) -> bool:
        """Whether what it is about may not be shown yet."""
        return self.sign_in and self.signed is None

    @property
    def peers(self) -> tuple[Seat, ...]:
        """Who else is asked in this round."""
        return tuple(
            seat
            for seat in self.review.seats
            if seat.round == self.seat.round and seat.address != self.seat.address and seat.state != SeatState.REPLACED
        )

    @property
    def asked_again(self) -> bool:
        """Whether the same person has a question of the current round, in another mail."""
        return any(seat.address == self.seat.address for seat in self.review.waiting())

    @property
    def handed_to(self) -> str | None:
        """Who sits there now."""
        return next(
            (
                seat.name or seat.address
                for seat in self.review.seats
                if seat.round == self.seat.round and seat.instead_of == self.seat.address
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Posted:
    """A form as it came back. Nothing of it is believed before its word is."""

    word: str = ""
    version: str = ""
    hash: str = ""
    round: str = ""
    verdict: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a form led to: `counted`; `again`, where something is to be put right; or `late`, where nothing can."""

    kind: Literal["counted", "again", "late", "sign_in"]
    why: str = ""
    """again: `verdict`, `reason` or `long`; late: the refusal's word, or `used`."""
    refusal: Refusal | None = None


def standing(review: Review, seat: Seat) -> Standing:
    """How a seat's question stands."""
    if review.state in {State.CANCELLED, State.SUPERSEDED}:
        return "cancelled"
    if review.decision is not None and review.state is not State.OPEN:
        return "decided"
    if seat.state is SeatState.REPLACED:
        return "handed_on"
    if seat.round != review.round:
        return "superseded"
    if seat.state is SeatState.ANSWERED:
        return "answered"
    return "open" if seat in review.waiting() else "closed"


def shows_papers(sheet: Sheet) -> bool:
    """Whether documents are shown on pages: where the policy lets them be seen, to whoever sits there still."""
    mail = sheet.case.policy.mail
    documents = mail.documents
    if mail.sensitive is not None and sheet.case.policy.fits(mail.sensitive.types, sheet.content.facts.get("type")):
        documents = mail.sensitive.documents
    return documents != "none" and sheet.standing != "handed_on"
