"""What an answer page shows, and what a form that comes back does. Nothing here knows HTTP.

Looking never changes anything. A form is good once: its word covers the link, the case, the round and its content's
hash, how the seat stood, and the browser that was shown it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from millstream.review.errors import LinkRefused, UnknownReview
from millstream.review.links import Links
from millstream.review.model import (
    Answered,
    Content,
    Decision,
    How,
    Paper,
    Refusal,
    Review,
    Seat,
    SeatState,
    State,
    Verdict,
)
from millstream.review.policy import Policy
from millstream.review.ports import Applied

MOST_WORDS = 4_000
"""Characters of a reason or a wish."""

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


class PageDesk(Protocol):
    """What pages need of the ledger; nothing of it is known before somebody holds a link."""

    async def addressed(self, token: str) -> Addressed | None:
        """What the mail of a delivery asked; None where it is no mail of a review."""

    async def case(self, review_id: int) -> Case:
        """A review as it stands. Raises UnknownReview."""

    async def answer(self, review_id: int, answered: Answered) -> Applied:
        """Let an answer count, or not, in a transaction of its own."""

    async def document(self, sha256: str) -> bytes:
        """A paper's bytes. Raises a StorageError."""

    def canonical(self, address: str) -> str:
        """The one address that a person is known by, from any of theirs."""


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
class Row:
    """A case in the list of a mail that asks about several."""

    number: int
    name: str
    standing: Standing
    locale: str


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


class Pages:
    """The answer pages over a desk."""

    def __init__(self, desk: PageDesk, links: Links) -> None:
        self._desk = desk
        self._links = links

    async def rows(self, link: str) -> list[Row]:
        """The cases that a mail asks about.

        Raises:
            LinkRefused: it is no link of ours.
        """
        asked = await self._asked(link)
        rows = []
        for each in asked.cases:
            case = await self._desk.case(each.review_id)
            seat = _seat(case.review, each, asked.address)
            if seat is not None:
                rows.append(Row(each.number, _named(case), standing(case.review, seat), seat.locale))
        return rows

    async def sheet(self, link: str, number: int | None, *, browser: str, signed: SignedIn | None) -> Sheet:
        """What one case's page shows.

        Args:
            link: the last part of the address.
            number: of the case; None for the only one.
            browser: what the browser's cookie holds.
            signed: who is signed in for this link.

        Raises:
            LinkRefused: it is no link of ours, or names no such case.
        """
        asked = await self._asked(link)
        each = next((one for one in asked.cases if number is None or one.number == number), None)
        if each is None:
            raise LinkRefused("unknown")
        try:
            case = await self._desk.case(each.review_id)
        except UnknownReview:
            raise LinkRefused("unknown") from None
        seat = _seat(case.review, each, asked.address)
        if seat is None:
            raise LinkRefused("unknown")
        return self._filled(link, each, case, seat, browser=browser, signed=signed)

    def _filled(
        self, link: str, each: AskedCase, case: Case, seat: Seat, *, browser: str, signed: SignedIn | None
    ) -> Sheet:
        review = case.review
        content = review.content if seat.round == review.round else case.contents.get(seat.round, review.content)
        wanted = needs_sign_in(case.policy, content)
        ours = signed is not None and self._desk.canonical(signed.email) == self._desk.canonical(seat.address)
        stands = standing(review, seat)
        form = None
        if stands == "open" and (ours or not wanted):
            word = self._word(link, each.number, seat, content.hash, browser)
            form = Form(word, seat.version, content.hash, seat.round)
        return Sheet(
            link=link,
            number=each.number,
            case=case,
            seat=seat,
            standing=stands,
            content=content,
            before=case.contents.get(seat.round - 1),
            form=form,
            sign_in=wanted,
            signed=signed if ours else None,
            stranger=None if ours else signed,
        )

    async def answer(self, sheet: Sheet, posted: Posted, *, browser: str) -> Outcome:
        """Let a form count.

        Raises:
            LinkRefused: it was not made for this browser and this question; `why` is `form`.
        """
        self._believe(sheet, posted, browser)
        if sheet.locked:
            return Outcome("sign_in")
        if sheet.form is not None and posted.version != str(sheet.seat.version):
            return Outcome("late", "used")
        if sheet.form is not None and (fault := _fault(sheet.case.policy, posted)) is not None:
            return Outcome("again", fault)
        evidence = {"delivery": sheet.link.partition(".")[0]}
        if sheet.signed is not None:
            evidence |= {"email": sheet.signed.email, "subject": sheet.signed.subject, "issuer": sheet.signed.issuer}
        # Where no answer is taken any more the desk refuses it, and keeps that it was given.
        verdict = Verdict(posted.verdict) if posted.verdict in set(Verdict) else None
        if verdict is None:
            return Outcome("late", "used")
        return await self._apply(sheet, verdict, posted.text.strip()[:MOST_WORDS], How.PAGE, evidence)

    async def click(self, sheet: Sheet, *, evidence: Mapping[str, str]) -> Outcome:
        """Let Gmail's one click approve. The caller has proved that it was Gmail's, for our domain."""
        if sheet.sign_in or not sheet.case.policy.rules.one_click:
            raise LinkRefused("unknown")
        if sheet.standing != "open":
            return Outcome("late", "used")
        facts = {"delivery": sheet.link.partition(".")[0], **evidence}
        return await self._apply(sheet, Verdict.APPROVE, "", How.ONE_CLICK, facts)

    def shown(self, sheet: Sheet, n: int) -> Paper:
        """The n-th paper, the first being 1, of the round that the link is about.

        Raises:
            LinkRefused: there is none, or it may not be shown.
        """
        if sheet.locked or not shows_papers(sheet) or not 1 <= n <= len(sheet.content.papers):
            raise LinkRefused("unknown")
        return sheet.content.papers[n - 1]

    async def paper(self, sheet: Sheet, n: int) -> tuple[str, str, bytes]:
        """Name, media type and bytes of such a paper.

        Raises:
            LinkRefused: as `shown`.
            StorageError: it cannot be read.
        """
        paper = self.shown(sheet, n)
        return paper.name, paper.media_type, await self._desk.document(paper.sha256)

    async def former(self, sheet: Sheet, n: int) -> bytes | None:
        """The bytes of the paper that the n-th took the place of; None where there is none of its kind."""
        if sheet.locked or not shows_papers(sheet) or sheet.before is None or n > len(sheet.before.papers):
            return None
        return await self._desk.document(sheet.before.papers[n - 1].sha256)

    async def _apply(self, sheet: Sheet, verdict: Verdict, text: str, how: How, evidence: Mapping[str, str]) -> Outcome:
        answered = Answered(
            address=sheet.seat.address,
            verdict=verdict,
            text=text,
            how=how,
            round=sheet.seat.round,
            hash=sheet.content.hash,
            evidence=evidence,
        )
        applied = await self._desk.answer(_number(sheet.review), answered)
        if applied.refusal is None:
            return Outcome("counted")
        return Outcome("late", applied.refusal.why, applied.refusal)

    async def _asked(self, link: str) -> Addressed:
        asked = await self._desk.addressed(self._links.token(link))
        if asked is None or not asked.cases:
            raise LinkRefused("unknown")
        return asked

    def _word(self, link: str, number: int, seat: Seat, content_hash: str, browser: str) -> str:
        return self._links.sign("form", link, str(number), str(seat.round), content_hash, str(seat.version), browser)

    def _believe(self, sheet: Sheet, posted: Posted, browser: str) -> None:
        """Its word must be the one that we made for what it says itself; whether that is still so comes later."""
        said = (sheet.link, str(sheet.number), posted.round, posted.hash, posted.version, browser)
        if not browser or not self._links.holds(posted.word, "form", *said):
            raise LinkRefused("form")
        if posted.round != str(sheet.seat.round):
            raise LinkRefused("form")


def new_browser() -> str:
    """What a browser's cookie holds: 192 random bits."""
    return secrets.token_urlsafe(24)


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


def needs_sign_in(policy: Policy, content: Content) -> bool:
    """Whether the policy wants a sign-in for this content. A limit whose field nobody knows wants one."""
    wanted = policy.rules.sign_in
    if isinstance(wanted, bool):
        return wanted
    told = content.facts.get(wanted.above.field, content.facts.get(wanted.above.field.rpartition(".")[2]))
    try:
        return told is None or not float(told) <= wanted.above.value
    except ValueError:
        return True


def shows_papers(sheet: Sheet) -> bool:
    """Whether documents are shown on pages: where the policy lets them be seen, to whoever sits there still."""
    mail = sheet.case.policy.mail
    documents = mail.documents
    if mail.sensitive is not None and sheet.case.policy.fits(mail.sensitive.types, sheet.content.facts.get("type")):
        documents = mail.sensitive.documents
    return documents != "none" and sheet.standing != "handed_on"


def _fault(policy: Policy, posted: Posted) -> str | None:
    if posted.verdict not in set(Verdict):
        return "verdict"
    if len(posted.text.strip()) > MOST_WORDS:
        return "long"
    wordless = not posted.text.strip()
    if wordless and posted.verdict != Verdict.APPROVE and policy.rules.reason_required:
        return "reason"
    return None


def _seat(review: Review, each: AskedCase, address: str) -> Seat | None:
    """The seat that a mail asked; by its person where the mail only told of something."""
    named = next((seat for seat in review.seats if each.seat_id is not None and seat.id == each.seat_id), None)
    if named is not None:
        return named
    theirs = [seat for seat in review.seats if seat.address == address and seat.round == each.round]
    return theirs[-1] if theirs else None


def _named(case: Case) -> str:
    return case.review.subject.name or case.review.subject.ref


def _number(review: Review) -> int:
    if review.id is None:
        raise UnknownReview("a review without a number is in no ledger")
    return review.id
