"""What an answer page shows, and what a form that comes back does. Nothing here knows HTTP.

Looking never changes anything. A form is good once: its word covers the link, the case, the round and its content's
hash, how the seat stood, and the browser that was shown it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hmac import compare_digest
from typing import Protocol

from millstream.review.errors import LinkRefused, UnknownReview
from millstream.review.limits import needs_sign_in
from millstream.review.links import Links
from millstream.review.model import Answered, How, Paper, Review, Seat, Verdict
from millstream.review.policy import Policy
from millstream.review.ports import Applied
from millstream.review.sheet import (
    Addressed,
    AskedCase,
    Case,
    Form,
    Outcome,
    Posted,
    Sheet,
    SignedIn,
    shows_papers,
    standing,
)

MOST_WORDS = 4_000
"""Characters of a reason or a wish."""


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


class Pages:
    """The answer pages over a desk."""

    def __init__(self, desk: PageDesk, links: Links) -> None:
        self._desk = desk
        self._links = links

    async def numbers(self, link: str) -> tuple[int, ...]:
        """The numbers of the cases that a mail asks about.

        Raises:
            LinkRefused: it is no link of ours.
        """
        return tuple(each.number for each in (await self._asked(link)).cases)

    async def sheets(self, link: str, *, browser: str, signed: SignedIn | None) -> list[Sheet]:
        """Every case of a mail, for the page that lists them.

        Raises:
            LinkRefused: it is no link of ours.
        """
        asked = await self._asked(link)
        found = []
        for each in asked.cases:
            case = await self._desk.case(each.review_id)
            seat = _seat(case.review, each, asked.address)
            if seat is not None:
                found.append(self._filled(link, each, case, seat, browser=browser, signed=signed))
        return found

    def word_for_all(self, sheets: Sequence[Sheet], browser: str) -> str:
        """The word of a form for all cases of a mail that can be answered; empty where there are not several."""
        forms = [f"{sheet.number} {sheet.form.word}" for sheet in sheets if sheet.form is not None]
        return self._links.sign("all", browser, *forms) if len(forms) > 1 else ""

    async def answer_all(self, sheets: Sequence[Sheet], posted: Posted, *, browser: str) -> Outcome:
        """Let one form count for every case that can be answered, each by itself.

        Where one of them is not as it was shown, none is answered: `late`.

        Raises:
            LinkRefused: the form was not made for this browser.
        """
        if not browser or not posted.word:
            raise LinkRefused("form")
        open_ones = [sheet for sheet in sheets if sheet.form is not None]
        word = self.word_for_all(sheets, browser)
        if not word or not compare_digest(word.encode(), posted.word.encode()):
            return Outcome("late", "used")
        for sheet in open_ones:
            if (fault := _fault(sheet.case.policy, posted)) is not None:
                return Outcome("again", fault)
        outcomes = [
            await self._apply(sheet, _answered(sheet, Verdict(posted.verdict), posted.text)) for sheet in open_ones
        ]
        return next((each for each in outcomes if each.kind != "counted"), outcomes[0])

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
        wanted = needs_sign_in(case.policy, review.subject, content)
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
        # Where no answer is taken any more the desk refuses it, and keeps that it was given.
        verdict = Verdict(posted.verdict) if posted.verdict in set(Verdict) else None
        if verdict is None:
            return Outcome("late", "used")
        return await self._apply(sheet, _answered(sheet, verdict, posted.text, content_hash=posted.hash))

    async def click(self, sheet: Sheet, *, evidence: Mapping[str, str]) -> Outcome:
        """Let Gmail's one click approve. The caller has proved that it was Gmail's, for our domain."""
        if sheet.sign_in or not sheet.case.policy.rules.one_click:
            raise LinkRefused("unknown")
        if sheet.standing != "open":
            return Outcome("late", "used")
        said = _answered(sheet, Verdict.APPROVE, "")
        return await self._apply(sheet, replace(said, how=How.ONE_CLICK, evidence={**said.evidence, **evidence}))

    async def answer_inside(self, sheet: Sheet, posted: Posted, *, evidence: Mapping[str, str]) -> Outcome:
        """Let a form count that stood in the mail itself. The caller has proved in whose mail it stood.

        It counts where the mail might offer it, for the round and the content that it was written for, and as long as
        its reader's answer is waited for: so it counts once.
        """
        if sheet.sign_in or not sheet.case.policy.rules.one_click:
            raise LinkRefused("unknown")
        if sheet.standing != "open" or (posted.round, posted.hash) != (str(sheet.seat.round), sheet.content.hash):
            return Outcome("late", "used")
        if (fault := _fault(sheet.case.policy, posted)) is not None:
            return Outcome("again", fault)
        said = _answered(sheet, Verdict(posted.verdict), posted.text, content_hash=posted.hash)
        return await self._apply(sheet, replace(said, evidence={**said.evidence, **evidence}))

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

    async def _apply(self, sheet: Sheet, answered: Answered) -> Outcome:
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


def _answered(sheet: Sheet, verdict: Verdict, text: str, *, content_hash: str | None = None) -> Answered:
    """What a seat's person says, having seen this content."""
    evidence = {"delivery": sheet.link.partition(".")[0]}
    if (signed := sheet.signed) is not None:
        evidence |= {"email": signed.email, "subject": signed.subject, "issuer": signed.issuer}
    return Answered(
        address=sheet.seat.address,
        verdict=verdict,
        text=text.strip()[:MOST_WORDS],
        how=How.PAGE,
        round=sheet.seat.round,
        hash=content_hash or sheet.content.hash,
        evidence=evidence,
    )


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


def _number(review: Review) -> int:
    if review.id is None:
        raise UnknownReview("a review without a number is in no ledger")
    return review.id
