"""Answers that come by mail: whose they are, what they answer, whether they count, and what is said to whom if not.

A reply counts where its own `+token` names a mail of ours (docs/decisions/0022), Gmail's verdict proves its sender, and
the sender is asked in the round that the mail showed. Whatever fails is kept with its reason. A person is asked
politely; a program never is, and nobody more than a few times.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import aiosql
import orjson

from millstream.log import get_logger
from millstream.review.desk import ReviewDesk
from millstream.review.limits import needs_sign_in
from millstream.review.model import Answered, How, Review, Seat, SeatState, State, Understood, Verdict
from millstream.review.moves import told_of
from millstream.review.policy import Policy, understood_in
from millstream.review.ports import Uncounted, Understands
from millstream.review.reading import MOST, afterthought, understand
from millstream.review.writing import below, without_name, without_ours
from millstream.storage.pool import Connection

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("replies.sql"), "apsycopg", mandatory_parameters=False)

CAME: Final = "review.reply_came"
_ONCE_A_DAY: Final = frozenset({"unproven", "stranger", "no_token"})
_OF_ALL: Final = _ONCE_A_DAY | {"unclear"}
"""Questions about everything that a mail asked about."""
_MOST_A_DAY: Final = 3
_MOST_EVER: Final = 9
_AGAIN: Final = {
    Verdict.REJECT: {
        "en": "Rejected",
        "de": "Abgelehnt",
        "fr": "Refusé",
        "es": "Rechazado",
        "it": "Respinto",
        "nl": "Afgekeurd",
    },
    Verdict.CHANGE: {
        "en": "Changes requested",
        "de": "Änderung gewünscht",
        "fr": "Modification demandée",
        "es": "Cambios solicitados",
        "it": "Modifiche richieste",
        "nl": "Wijziging gevraagd",
    },
}
"""What a bare no stands for when its reason comes in the next mail."""


class SightingEvent(Protocol):
    """An event as `work` hands it out."""

    @property
    def kind(self) -> str:
        """One of those listened to."""
        ...

    @property
    def subject(self) -> str:
        """`delivery:<token>`."""
        ...

    @property
    def payload(self) -> Mapping[str, Any]:
        """What the mailbox room wrote: reply_token, sender, proven, sighting, mailbox, message_id."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """One of those that a mail asks about."""

    number: int
    review_id: int
    round: int
    seat_id: int | None
    hash: str


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer with the mail it answers."""

    sighting: int
    sender: str
    """In lower case, as Gmail's verdict has it."""
    proven: bool
    automatic: bool
    by_token: bool
    """Whether its own address named the mail; else only its thread did."""
    mail_id: int
    kind: str
    """Of the mail that is answered."""
    address: str
    """Whom that mail was sent to."""
    facts: Mapping[str, Any]
    cases: tuple[Case, ...]
    many: bool
    """Whether the mail asked about several."""
    reply: str
    below: str
    evidence: Mapping[str, str]

    @property
    def asked(self) -> bool:
        """Whether the mail that is answered asked for an answer; news do not, and "ok" to them approves nothing."""
        told = self.facts.get("what") == "overdue"
        return told if self.kind == "tell" else self.kind != "question" or self.facts.get("why") != "stranger"

    @property
    def words(self) -> str:
        """What is kept of the text."""
        return self.reply[:MOST].strip()


@dataclass(frozen=True, slots=True)
class _Sat:
    """A case with the seat whose answer it is."""

    case: Case
    review: Review
    policy: Policy
    address: str
    name: str


class Replies:
    """The review room's answers to answers.

    Args:
        desk: of the reviews.
        languages: in which answers are read where a policy names none.
        understands: reads what somebody wrote.
    """

    def __init__(self, desk: ReviewDesk, languages: Sequence[str], *, understands: Understands = understand) -> None:
        self._desk = desk
        self._languages = tuple(languages)
        self._understands = understands

    def listeners(self) -> dict[str, Callable[[Connection, SightingEvent], Awaitable[None]]]:
        """Kind of event to who answers it, for `work.events.Events`."""
        return {"sighting.replied": self.notice, "sighting.auto_replied": self.notice, CAME: self.answer}

    async def notice(self, conn: Connection, event: SightingEvent) -> None:
        """Pass on what answers a question of ours; all else is somebody else's."""
        if tokens := _tokens(event):
            payload = {**event.payload, "automatic": event.kind == "sighting.auto_replied"}
            await queries.pass_on(conn, subject=event.subject, payload=orjson.dumps(payload).decode(), tokens=tokens)

    async def answer(self, conn: Connection, event: SightingEvent) -> None:
        """See to one answer: it counts, or it is noted with its reason and its writer asked."""
        reply = await self._read(conn, event)
        if reply is None:
            return
        ids = [case.review_id for case in reply.cases]
        async for _ in queries.lock(conn, ids=ids):
            pass
        seen = {row["review_id"] async for row in queries.seen(conn, sighting=reply.sighting, ids=ids)}
        reply = replace(reply, cases=tuple(case for case in reply.cases if case.review_id not in seen))
        if not reply.cases:
            return
        if reply.automatic:  # before all else: it mostly comes without a token, and is never answered
            await self._automatic(conn, reply)
        elif not reply.by_token:
            await self._beside(conn, reply, "no_token", to=reply.address)
        elif not reply.proven:
            await self._beside(conn, reply, "unproven", to=reply.address)
        else:
            await self._of_somebody(conn, reply)

    async def _read(self, conn: Connection, event: SightingEvent) -> Reply | None:
        """The answer, with the mail that it answers; None where that is none of ours, or nothing was kept of it."""
        tokens, number = _tokens(event), event.payload.get("sighting")
        if not tokens or not isinstance(number, int):
            return None
        mail = await queries.mail_of(conn, tokens=tokens)
        wrote = await queries.sighting(conn, id=number)
        if mail is None or wrote is None:
            return None
        bundle = _whole(mail["facts"], "bundle")
        rows = queries.cases_of(conn, mail_id=mail["id"] if bundle is None else bundle)
        cases = tuple([Case(**row) async for row in rows])
        shown = _whole(mail["facts"], "round") if mail["kind"] == "question" and bundle is None else None
        if shown is not None:
            # A word about a round that was over shows no other: an answer to it is one to that round.
            cases = tuple(replace(case, round=shown) for case in cases)
        return _reply(event.payload, mail, wrote, cases) if cases else None

    # What does not count, whatever it says

    async def _automatic(self, conn: Connection, reply: Reply) -> None:
        """The first one is noted. None is ever answered."""
        for case in reply.cases:
            row = await queries.noted(conn, review_id=case.review_id, address=self._known(reply), why="automatic")
            if not row["noted"]:
                await self._note(conn, reply, case, "automatic")

    async def _beside(self, conn: Connection, reply: Reply, why: str, *, to: str, **facts: Any) -> None:
        """Note it, and say so to whoever was asked: whoever wrote may be somebody else."""
        for case in reply.cases:
            await self._note(conn, reply, case, why)
        await self._ask(conn, reply, reply.cases[0], why, to=to, **facts)

    async def _of_somebody(self, conn: Connection, reply: Reply) -> None:
        """It comes from whom it says. Are they asked?"""
        known = self._known(reply)
        sat, strange = list[_Sat](), list[Case]()
        for case in reply.cases:
            stored = await self._desk.stored(conn, case.review_id)
            seat = _seat(stored.review, case, known, reply.address)
            if seat is None:
                strange.append(case)
            else:
                sat.append(_Sat(case, stored.review, stored.policy, seat.address, seat.name))
        if strange:
            await self._beside(conn, replace(reply, cases=tuple(strange)), "stranger", to=reply.address)
        if sat:
            await self._of_asked(conn, reply, sat)

    def _known(self, reply: Reply) -> str:
        """Whoever wrote, by the address that policies know them by."""
        person = self._desk.people.person(reply.sender)
        return person.address if person else reply.sender

    # What somebody says who is asked

    async def _of_asked(self, conn: Connection, reply: Reply, sat: Sequence[_Sat]) -> None:
        first = sat[0]
        languages = understood_in((each.policy for each in sat), self._languages)
        understood = self._understood(reply, first, languages)
        over = [each for each in sat if each.case.round != each.review.round or each.review.state is not State.OPEN]
        for each in over:
            await self._too_late(conn, reply, each, understood)
        sat = [each for each in sat if each not in over]
        if not sat:
            return
        if not reply.asked:
            await self._to_news(conn, reply, sat[0], understood)
            return
        answers = _by_case(understood, sat, many=reply.many)
        if answers is None:
            why = understood.why or "which"
            for each in sat:
                await self._note(conn, reply, each.case, "unclear", reading=why)
            await self._ask(conn, reply, first.case, "unclear", to=first.address, reading=why)
            return
        for each in sat:
            if each.case.number in answers:
                await self._counted(conn, reply, each, answers[each.case.number], understood.language)

    def _understood(self, reply: Reply, sat: _Sat, languages: Sequence[str]) -> Understood:
        text = without_name(reply.reply, [sat.name, sat.address.partition("@")[0].replace(".", " ")])
        if afterthought(reply.below, languages):
            return Understood(None, text=reply.words, why="afterthought")
        understood = self._understands(text, languages)
        asked = reply.facts.get("verdict") if reply.facts.get("why") == "reason" else None
        clear = understood.verdict is not None and not understood.pointed
        if clear or understood.cases or asked not in set(Verdict) or not text.strip():
            return understood
        # We asked for the reason of a bare no, and this is all that came: it is read as what it continues.
        head = _AGAIN.get(Verdict(asked), {}).get(str(reply.facts.get("language")))
        again = self._understands(f"{head}: {text}", languages) if head else understood
        if again.verdict != asked or again.needs_text:
            return understood
        return replace(again, text=text.strip())

    async def _counted(
        self, conn: Connection, reply: Reply, sat: _Sat, answer: tuple[Verdict, str], language: str | None
    ) -> None:
        verdict, text = answer
        if verdict is not Verdict.APPROVE and not text and (
            sat.policy.rules.reason_required or verdict is Verdict.CHANGE
        ):  # fmt: skip
            await self._note(conn, reply, sat.case, "reason", verdict=verdict)
            await self._ask(conn, reply, sat.case, "reason", to=sat.address, verdict=verdict, language=language)
            return
        if needs_sign_in(sat.policy, sat.review.subject, sat.review.content):
            await self._note(conn, reply, sat.case, "sign_in", verdict=verdict)
            await self._ask(conn, reply, sat.case, "sign_in", to=sat.address, verdict=verdict)
            return
        case = sat.case
        happening = Answered(
            address=sat.address,
            verdict=verdict,
            text=text or reply.words,
            how=How.MAIL,
            round=case.round,
            hash=case.hash,
            evidence=reply.evidence,
        )
        applied = await self._desk.apply(conn, case.review_id, happening)
        await self._keep(conn, reply, case)
        refusal = applied.refusal
        log.info("review.answered_by_mail", review=case.review_id, why=refusal.why if refusal else "counted")
        if refusal is not None and not refusal.told.get("seen"):
            await self._ask(conn, reply, case, refusal.why, to=sat.address, told=dict(refusal.told))

    async def _to_news(self, conn: Connection, reply: Reply, sat: _Sat, understood: Understood) -> None:
        """Whoever was told something has said something. Where it could be a verdict they are asked for one."""
        await self._note(conn, reply, sat.case, "unclear", verdict=understood.verdict, reading="news")
        if understood.verdict is not None or understood.cases:
            await self._ask(conn, reply, sat.case, "unclear", to=sat.address, reading="news")

    async def _too_late(self, conn: Connection, reply: Reply, sat: _Sat, understood: Understood) -> None:
        """Decided, or about a round that is over. Who only thanks is not told so once more."""
        why = "old_round" if sat.case.round != sat.review.round else "decided"
        await self._note(conn, reply, sat.case, why, verdict=understood.verdict)
        if understood.verdict is None and not understood.cases and reply.kind in {"tell", "question"}:
            return
        await self._ask(conn, reply, sat.case, why, to=sat.address, told=_told(sat.review))

    # Writing it down

    async def _note(
        self, conn: Connection, reply: Reply, case: Case, why: str, *, verdict: Verdict | None = None, reading: str = ""
    ) -> None:
        said = Uncounted(
            address=self._known(reply),
            why=why,
            words=reply.words,
            how=How.MAIL,
            verdict=verdict,
            evidence={**reply.evidence, "reading": reading} if reading else reply.evidence,
            sighting=reply.sighting,
        )
        if await self._desk.note_uncounted(conn, case.review_id, said):
            await self._keep(conn, reply, case)
        log.info("review.reply_not_counted", review=case.review_id, why=why, sighting=reply.sighting)

    async def _keep(self, conn: Connection, reply: Reply, case: Case) -> None:
        values = {name: reply.evidence[name] for name in ("mailbox", "message_id")}
        await queries.keep_paper(conn, review_id=case.review_id, **values)

    async def _ask(self, conn: Connection, reply: Reply, case: Case, why: str, *, to: str, **facts: Any) -> None:
        """Put a polite word into somebody's thread, unless they had enough of them: the other end may be a program."""
        row = await queries.questions(conn, review_id=case.review_id, address=to, why=why)
        most = 1 if why in _ONCE_A_DAY else _MOST_A_DAY
        if row["same_today"] >= most or row["today"] >= _MOST_A_DAY or row["ever"] >= _MOST_EVER:
            log.info("review.question_spared", review=case.review_id, why=why, ever=row["ever"])
            return
        told: dict[str, Any] = {"why": why, "words": reply.words, **facts}
        if why == "stranger":
            told["from"] = reply.sender
        if why in _ONCE_A_DAY:
            told.pop("words")  # somebody else's, perhaps
        if reply.many and why in _OF_ALL:
            told["bundle"] = _whole(reply.facts, "bundle") or reply.mail_id
        else:
            told["round"] = case.round
        await self._desk.tell(conn, case.review_id, address=to, kind="question", facts=told)


def _reply(payload: Mapping[str, Any], mail: dict[str, Any], wrote: dict[str, Any], cases: tuple[Case, ...]) -> Reply:
    own, text, full = mail["body_text"] or "", wrote["reply"] or "", wrote["full_text"] or ""
    sender = str(payload.get("sender") or "").strip()
    return Reply(
        sighting=wrote["id"],
        sender=sender.lower(),
        proven=payload.get("proven") is True,
        automatic=payload.get("automatic") is True,
        by_token=mail["token"] == _token(payload),
        mail_id=mail["id"],
        kind=mail["kind"],
        address=mail["address"],
        facts=mail["facts"],
        cases=cases,
        many=len(cases) > 1,
        reply=without_ours(text, own),
        below=below(text, full, own),
        evidence={
            "mailbox": wrote["mailbox"],
            "message_id": wrote["message_id"],
            "rfc822_id": wrote["rfc822_id"] or "",
            "sighting": str(wrote["id"]),
            "proof": str((wrote["verdict"] or {}).get("why", "")),
            "sender": sender,
            "answers": mail["token"],
            "words_sha256": hashlib.sha256(full.encode("utf-8", "replace")).hexdigest(),
        },
    )


def _whole(facts: Mapping[str, Any], name: str) -> int | None:
    found = facts.get(name)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _tokens(event: SightingEvent) -> list[str]:
    """The token that the answer was sent to, and that of the delivery it was mapped to."""
    noun, _, mapped = event.subject.partition(":")
    found = [_token(event.payload), mapped if noun == "delivery" else ""]
    return [token for token in dict.fromkeys(found) if token]


def _token(payload: Mapping[str, Any]) -> str:
    return str(payload.get("reply_token") or "").strip().lower().replace("\x00", "")


def _seat(review: Review, case: Case, sender: str, asked: str) -> Seat | None:
    """Whose answer it is: of the one who was asked, else of another who waits in the same round."""
    named = next((seat for seat in review.seats if seat.id == case.seat_id), None)
    of_round = [seat for seat in review.seats if seat.round == case.round and seat.address == sender]
    if named is not None and named.address == sender:
        return named
    if sender == asked and of_round:
        return of_round[-1]
    waiting = [seat for seat in of_round if seat.state is SeatState.WAITING]
    # Who sat there when it was decided is told so; nobody else learns of it.
    return waiting[-1] if waiting else of_round[-1] if of_round else None


def _by_case(understood: Understood, sat: Sequence[_Sat], *, many: bool) -> dict[int, tuple[Verdict, str]] | None:
    """The verdict on each case; None where it is not clear, for any of them."""
    numbers = {each.case.number for each in sat}
    if understood.cases and understood.cases[0][0] == 0:
        _, verdict, text = understood.cases[0]
        return dict.fromkeys(numbers, (verdict, text))
    if understood.cases:
        named = {number: (verdict, text) for number, verdict, text in understood.cases}
        return named if set(named) <= numbers else None
    if understood.verdict is None or many:
        return None
    return {sat[0].case.number: (understood.verdict, understood.text)}


def _told(review: Review) -> dict[str, Any]:
    """Who decided what when."""
    return {"state": review.state, "round": review.round, **told_of(review)}
