"""Reviews written into the store by hand, the outbox, lanes and a Gmail sandbox over real HTTP."""

import asyncio
import base64
import email
import email.policy
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import Any

import aiohttp
import orjson

from millstream.communication.model import Mode
from millstream.delivery.board import RunBoard
from millstream.delivery.holding import Tools
from millstream.delivery.lane import Lane
from millstream.delivery.ledger import Ledger
from millstream.delivery.options import DeliveryOptions, Sender
from millstream.delivery.store import LaneStore
from millstream.gmail import Gmail
from millstream.gmail.relay import Relay
from millstream.quota import Limits
from millstream.review.mailing import Mailing
from millstream.review.model import Content, Paper
from millstream.review.options import ReviewOptions
from millstream.review.papers import Papers
from millstream.review.policy import Calendar, Policy
from millstream.sandbox.gmail.server import Running
from millstream.storage.objects import DocumentStore
from millstream.storage.pool import Pool

POOL = "review"
R1, R2 = "review@bank.example", "review-2@bank.example"
ANNA, BEN = "anna@bank.example", "ben@bank.example"
BASE = "https://reviews.bank.example"
DEADLINE = datetime(2026, 12, 1, 16, 30, tzinfo=UTC)
CALENDARS = {"frankfurt": Calendar(time_zone="Europe/Berlin")}
TERMS: dict[str, Any] = {
    "name": "letters",
    "concerns": "communication",
    "stages": [{"ask": [ANNA, BEN], "need": "all"}],
    "time": {"deadline": "8h", "calendar": "frankfurt"},
}
QUICK = DeliveryOptions(
    limits=Limits.preset("none"),
    sender=Sender(name="Example Bank", reply_to=R1),
    slice=60.0,
    linger=0.3,
    heartbeat=0.2,
    stalled_after=1.0,
    probe_floor=0.3,
    probe_for=1.5,
    answer_link=lambda token: f"{BASE}/review/{token}.sealed",
)


@dataclass(slots=True)
class LettersDesk:
    """Where a test puts questions in, lets them leave, and looks at what arrived."""

    pool: Pool
    running: Running
    session: aiohttp.ClientSession
    ledger: Ledger
    gmail: Gmail
    store: LaneStore
    board: RunBoard
    documents: DocumentStore
    options: DeliveryOptions = QUICK
    review: ReviewOptions = field(default_factory=lambda: ReviewOptions(pool=POOL, base_url=BASE))
    mode: Mode = Mode.DRAFT
    stopping: bool = False
    relay: Relay | None = None

    def mailing(self, **options: Any) -> Mailing:
        """The outbox of one process."""
        return Mailing(self.pool, self.documents, replace(self.review, **options), calendars=CALENDARS, mode=self.mode)

    def papers(self) -> Papers:
        """What keeps raw mails."""
        return Papers(self.pool, self.documents, self.gmail.mailbox)

    # Questions

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as conn:
            found = await conn.execute(sql, values)
            return await found.fetchall() if found.description else []

    async def paper(self, name: str, content: bytes, media_type: str = "application/pdf") -> Paper:
        """A document in the store."""
        stored = await self.documents.put(content)
        return Paper(name, media_type, stored.size, stored.sha256)

    async def open(
        self, *papers: Paper, people: Sequence[str] = (ANNA, BEN), name: str = "Letter 7", **content: Any
    ) -> int:
        """A review of some documents, its people asked; `terms` are merged into the policy."""
        terms, locale = content.pop("terms", {}), content.pop("locale", "en")
        whole = Content(hash=_hash(papers, content), papers=papers, **content)
        policy = Policy.model_validate({**TERMS, **terms}).model_dump(mode="json", by_alias=True)
        [row] = await self.rows(
            "INSERT INTO review (policy, terms, kind, ref, name, hash, deadline) VALUES (%(policy)s, %(terms)s,"
            " 'communication', %(ref)s, %(name)s, %(hash)s, %(deadline)s) RETURNING id",
            policy=policy["name"],
            terms=orjson.dumps(policy).decode(),
            ref=f"{name}/{datetime.now(UTC).timestamp()}",
            name=name,
            hash=whole.hash,
            deadline=DEADLINE,
        )
        await self._round(row["id"], 1, whole, people, locale)
        return int(row["id"])

    async def again(
        self, review: int, number: int, *papers: Paper, people: Sequence[str] = (ANNA, BEN), **content: Any
    ) -> None:
        """A new round of a review."""
        whole = Content(hash=_hash(papers, content), papers=papers, **content)
        await self.rows(
            "UPDATE review SET round = %(n)s, hash = %(h)s, state = 'open' WHERE id = %(id)s",
            n=number,
            h=whole.hash,
            id=review,
        )
        await self._round(review, number, whole, people, "en")

    async def _round(self, review: int, number: int, content: Content, people: Sequence[str], locale: str) -> None:
        await self.rows(
            "INSERT INTO review_round (review_id, number, hash, content) VALUES (%(id)s, %(n)s, %(h)s, %(c)s)",
            id=review,
            n=number,
            h=content.hash,
            c=orjson.dumps(content.to_json()).decode(),
        )
        for address in people:
            await self.rows(
                "INSERT INTO review_seat (review_id, round, stage, address, name, locale) VALUES (%(id)s, %(n)s, 0,"
                " %(a)s, %(name)s, %(l)s)",
                id=review,
                n=number,
                a=address,
                name=address.partition("@")[0].title() + " Ample",
                l=locale,
            )

    async def put(self, kind: str, review: int, address: str = ANNA, *, due_in: float = 0.0, **facts: Any) -> int:
        """A mail in the outbox, as the desk of reviews writes it."""
        [mail] = await self.rows(
            "INSERT INTO review_mail (kind, address, thread, facts, due_at) VALUES (%(kind)s, %(a)s, %(t)s, %(f)s,"
            " now() + make_interval(secs => %(d)s)) RETURNING id",
            kind=kind,
            a=address,
            t=f"review:{review}:{address}",
            f=orjson.dumps(facts).decode(),
            d=due_in,
        )
        await self.rows(
            "INSERT INTO review_mail_case (mail_id, number, review_id, round, seat_id) SELECT %(m)s, 1, r.id, r.round,"
            " (SELECT id FROM review_seat s WHERE s.review_id = r.id AND s.round = r.round AND s.address = %(a)s"
            "  ORDER BY id DESC LIMIT 1) FROM review r WHERE r.id = %(r)s",
            m=mail["id"],
            a=address,
            r=review,
        )
        return int(mail["id"])

    async def mail(self, number: int) -> dict[str, Any]:
        """A mail of the outbox as it stands, with its delivery."""
        [found] = await self.rows(
            "SELECT m.*, d.disposition, d.mailbox, d.thread_id, d.rfc822_id AS delivered_as, d.message_id, d.only_from"
            " FROM review_mail m LEFT JOIN delivery d ON d.token = m.token WHERE m.id = %(m)s",
            m=number,
        )
        return found

    # Carrying

    @asynccontextmanager
    async def working(self, *, papers: bool = True) -> AsyncIterator[None]:
        """Run the outbox, every lane that is due, and the fetching of raw mails unless a test does that itself."""
        over = asyncio.Event()
        runner = asyncio.create_task(self._run(over, papers=papers))
        try:
            yield
        finally:
            over.set()
            await runner

    async def _run(self, over: asyncio.Event, *, papers: bool) -> None:
        mailing, fetching = self.mailing(), self.papers()
        lanes: dict[str, asyncio.Task[None]] = {}
        while not over.is_set():
            await self.board.refresh()
            await mailing.send_due()
            if papers:
                await fetching.collect_due()
            for mailbox in await self.store.due(stalled_after=self.options.stalled_after):
                if mailbox not in lanes or lanes[mailbox].done():
                    lanes[mailbox] = asyncio.create_task(Lane.run_once(mailbox, self._tools()))
            await asyncio.sleep(0.02)
        self.stopping = True
        await asyncio.gather(*lanes.values())
        self.stopping = False

    def _tools(self) -> Tools:
        return Tools(
            store=self.store,
            ledger=self.ledger,
            gmail=self.gmail,
            documents=self.documents,
            board=self.board,
            options=self.options,
            stopping=lambda: self.stopping,
            relay=self.relay,
        )

    # What arrived

    async def get(self, path: str) -> Any:
        """Read a control document of the sandbox."""
        async with self.session.get(f"{self.running.url}/sandbox/v1/{path}") as reply:
            reply.raise_for_status()
            return await reply.json()

    async def inbox(self, address: str) -> list[EmailMessage]:
        """What lies in a person's mailbox, the oldest first, each with its Gmail thread in `X-Thread`."""
        box, found = self.gmail.mailbox(address), []
        refs = list((await box.list_messages()).items)
        for ref in reversed(refs):
            raw = (await box.get_message(ref.id, "raw")).raw
            assert raw is not None
            message = email.message_from_bytes(raw, policy=email.policy.default)
            message["X-Thread"] = ref.thread_id
            found.append(message)
        return found


def _hash(papers: Sequence[Paper], content: Mapping[str, Any]) -> str:
    seen = [[paper.sha256 for paper in papers], {name: repr(value) for name, value in content.items()}]
    return hashlib.sha256(orjson.dumps(seen)).hexdigest()


def body(message: EmailMessage, kind: str) -> str:
    """The text or HTML of a message."""
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


__all__ = ["ANNA", "BASE", "BEN", "POOL", "R1", "R2", "LettersDesk", "base64", "body"]
