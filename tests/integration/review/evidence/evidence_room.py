"""A review with everything: papers, answers by mail and command, mails that were kept and one that is gone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from millstream.review.desk import ReviewDesk
from millstream.review.export import Export, Exported
from millstream.review.model import Answered, Content, How, NewContent, Paper, Subject, SubjectKind, Verdict
from millstream.review.papers import queries as papers
from millstream.review.people import People
from millstream.review.policy import PolicyBook, PolicyFile
from millstream.review.record import composing
from millstream.storage.objects import DocumentStore
from millstream.storage.pool import Pool, transaction

ANNA, BEN = "anna@bank.example", "ben@bank.example"
BOX = "review@bank.example"
compose = composing()


@dataclass
class Room:
    """A desk, a document store, and a clock that stands until it is moved."""

    pool: Pool
    desk: ReviewDesk
    documents: DocumentStore
    now: datetime

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            found = await conn.execute(sql, values)
            return await found.fetchall() if found.description else []

    async def paper(self, name: str, content: bytes) -> Paper:
        stored = await self.documents.put(content)
        return Paper(name, "application/pdf", stored.size, stored.sha256)

    async def content(self, word: str) -> Content:
        one = await self.paper("Fees & terms/2026.pdf", f"%PDF-1.7 {word}".encode())
        return Content(word * 64, (one,), {"customer": "C-17", "type": "letter"}, f"The letter says {word}.")

    async def open(self, word: str = "1", ref: str = "4711") -> int:
        subject = Subject(SubjectKind.COMMUNICATION, ref, name="Change of fees, C-17")
        content = await self.content(word)
        async with transaction(self.pool) as conn:
            number = await self.desk.open(conn, "letters", subject, content, origin="intake")
        assert number is not None
        return number

    async def says(
        self, number: int, address: str, verdict: Verdict, words: str, *, word: str = "1", round_: int = 1, **more: str
    ) -> None:
        how = How.MAIL if "message_id" in more else How.COMMAND
        said = Answered(address, verdict, words, how, round_, word * 64, more or {"actor": address})
        self.now += timedelta(minutes=7)
        async with transaction(self.pool) as conn:
            applied = await self.desk.apply(conn, number, said)
        assert applied.refusal is None

    async def changed(self, number: int, word: str) -> None:
        content = await self.content(word)
        async with transaction(self.pool) as conn:
            await self.desk.apply(conn, number, NewContent(content))

    async def answer_kept(self, number: int, message: str, raw: bytes) -> None:
        """An answer's raw mail is fetched, as the papers sweep does it."""
        sha256 = (await self.documents.put(raw)).sha256
        named = {"review": number, "mailbox": BOX, "message": message}
        await self.rows(
            "INSERT INTO review_paper (review_id, mailbox, message_id) VALUES (%(review)s, %(mailbox)s, %(message)s)",
            **named,
        )
        async with transaction(self.pool) as conn:
            await papers.answer_kept(conn, **named, sha256=sha256)

    async def question_kept(self, number: int, address: str, raw: bytes) -> None:
        """The raw form of a question that was sent to somebody."""
        sha256 = (await self.documents.put(raw)).sha256
        [mail] = await self.rows(
            "UPDATE review_mail SET due_at = NULL, token = 'token-' || id WHERE address = %(a)s AND kind = 'ask' "
            "AND thread = %(t)s AND token IS NULL RETURNING id",
            a=address,
            t=f"review:{number}:{address}",
        )
        async with transaction(self.pool) as conn:
            await papers.paper_kept(conn, mail=mail["id"], sha256=sha256, rfc822_id="x@mail.example")

    async def whole(self) -> int:
        """Two rounds: changes by mail, then two approvals."""
        number = await self.open()
        await self.question_kept(number, ANNA, b"Subject: Please look\r\n\r\nFees\r\n")
        words = "Please change the address.\nIt is Weir Lane 12, not 14 \N{CJK UNIFIED IDEOGRAPH-738B}\x00."
        await self.says(number, ANNA, Verdict.CHANGE, words, mailbox=BOX, message_id="18f", sighting="1")
        await self.answer_kept(number, "18f", b"From: anna@bank.example\r\n\r\nPlease change the address.\r\n")
        await self.changed(number, "2")
        await self.says(number, ANNA, Verdict.APPROVE, "", word="2", round_=2)
        await self.says(number, BEN, Verdict.APPROVE, "fine with me", word="2", round_=2)
        return number

    async def export(self, number: int, to: Path, actor: str = "auditor") -> Exported:
        return await Export(self.pool, self.documents, compose).write(number, to, actor=actor)


async def _finish(*_given: object) -> None:
    """Nothing follows."""


async def _begun(*_given: object) -> bool:
    return False


def book() -> PolicyBook:
    file = PolicyFile.model_validate(
        {
            "people": {"anna": {"address": ANNA, "name": "Anna Ample"}, "ben": {"address": BEN, "name": "Ben Beech"}},
            "policy": {
                "letters": {
                    "concerns": "communication",
                    "stages": [{"ask": ["anna", "ben"], "need": "all"}],
                    "time": {"deadline": "8h"},
                }
            },
        }
    )
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)


def make_room(pool: Pool, documents: DocumentStore) -> Room:
    made = book()
    desk = ReviewDesk(made, People(made), finish=_finish, begun=_begun, clock=lambda: room.now)
    room = Room(pool, desk, documents, datetime(2026, 11, 23, 9, 0, tzinfo=UTC))
    return room
