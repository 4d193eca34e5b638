"""Questions that go through a sandbox to people's mailboxes, and their answers, read by the real mailbox room."""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from millstream.communication.model import Communication, Mode, Recipient, Run
from millstream.communication.model import Policy as SendPolicy
from millstream.communication.store import RunStore
from millstream.delivery import mapping
from millstream.delivery.sightings import SightingRules, Sightings
from millstream.drill import Drill
from millstream.gmail import Gmail
from millstream.mailbox.desk import Desk
from millstream.mailbox.look import Tools
from millstream.mailbox.model import Role
from millstream.mailbox.options import Point, ReadingOptions
from millstream.mailbox.store import MailboxStore
from millstream.mime import Letter, Mailbox, build, plus_address
from millstream.quota import Limits
from millstream.review.desk import ReviewDesk
from millstream.review.model import Content, Decision, Happening, Review, Subject, SubjectKind
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, PolicyFile
from millstream.review.ports import Applied
from millstream.review.replies import Replies
from millstream.sandbox.gmail.server import Running
from millstream.storage.objects import DocumentStore
from millstream.storage.pool import Connection, Pool, single, transaction
from millstream.work.events import Events, Listener

BOX = "review@bank.example"
ANNA, BEN, CARL, EVE = (f"{name}@bank.example" for name in ("anna", "ben", "carl", "eve"))
ALIAS = "a.ample@bank.example"
PEOPLE = (ANNA, BEN, CARL, EVE, ALIAS)

BODY = """You are asked to review: Letter about the new terms

Customer C-1, type letter, until Monday 17:00.
How to answer: write approved, or no and why, or please change and what.
Approve
Reject
Request changes
If you do nothing, legal is asked next. This text is not approved yet.
"""
"""In the manner of our questions: it holds every word that decides."""

_QUICK = ReadingOptions(limits=Limits.preset("none"), settle=0.0, recheck=0.2, young=0.5, lease=2.0)


def book(**policy: Any) -> PolicyBook:
    """One policy that asks three, of whom one is enough unless told otherwise."""
    wanted = {
        "concerns": "communication",
        "stages": [{"ask": ["approvers"], "need": "any"}],
        "time": {"deadline": "8h", "at_expiry": "hold"},
        **policy,
    }
    file = PolicyFile.model_validate(
        {
            "people": {
                "anna": {"address": ANNA, "name": "Anna Ample", "aliases": [ALIAS]},
                "ben": {"address": BEN, "name": "Ben Brown"},
                "carl": {"address": CARL},
            },
            "groups": {"approvers": ["anna", "ben", "carl"]},
            "policy": {"letters": wanted},
        }
    )
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)


@dataclass
class AnswerRoom:
    """A desk, a sandbox, and the way between them."""

    pool: Pool
    running: Running
    session: aiohttp.ClientSession
    gmail: Gmail
    documents: DocumentStore
    policies: PolicyBook
    languages: tuple[str, ...] = ("en", "de")
    now: datetime = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
    decisions: list[Decision] = field(default_factory=list)
    desk: ReviewDesk = field(init=False)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _run: Run | None = None

    def __post_init__(self) -> None:
        async def finish(_conn: Connection, _review: Review, decision: Decision, _policy: Policy) -> None:
            self.decisions.append(decision)

        async def begun(_conn: Connection, _review: Review) -> bool:
            return False

        people = People(self.policies)
        self.desk = ReviewDesk(self.policies, people, finish=finish, begun=begun, clock=lambda: self.now)

    # What is asked

    async def ask(self, content: str = "1", ref: str = "1") -> int:
        """Open a review and send its questions; answers its number."""
        subject = Subject(SubjectKind.COMMUNICATION, ref, name="Letter")
        async with transaction(self.pool) as conn:
            number = await self.desk.open(conn, "letters", subject, Content(content * 64, facts={"customer": "C-1"}))
        assert number is not None
        await self.send_due()
        return number

    async def let(self, number: int, happening: Happening) -> Applied:
        """Let something happen, and send what follows."""
        async with transaction(self.pool) as conn:
            applied = await self.desk.apply(conn, number, happening)
        await self.send_due()
        return applied

    async def send_due(self) -> int:
        """Send what lies in the outbox, in the manner of the lane; answers how many."""
        due = await self.rows("SELECT id, kind, address, facts FROM review_mail WHERE token IS NULL ORDER BY id")
        for mail in due:
            await self._send(mail, BODY if mail["kind"] != "question" else "Your answer was not clear to us.\n" + BODY)
        return len(due)

    async def bundle(self, address: str, numbers: Sequence[int]) -> str:
        """One mail about several, as compliance gets it; answers its token."""
        [mail] = await self.rows(
            "INSERT INTO review_mail (kind, address, thread) VALUES ('bundle', %s, 'bundle:1') "
            "RETURNING id, kind, address",
            address,
        )
        for place, number in enumerate(numbers, 1):
            await self.rows(
                "INSERT INTO review_mail_case (mail_id, number, review_id, round, seat_id) "
                "SELECT %s, %s, r.id, r.round, s.id "
                "FROM review r JOIN review_seat s ON s.review_id = r.id AND s.address = %s WHERE r.id = %s RETURNING 1",
                mail["id"], place, address, number,
            )  # fmt: skip
        return await self._send(mail, BODY)

    async def _send(self, mail: dict[str, Any], body: str) -> str:
        store = RunStore(self.pool, reviews=True)
        if self._run is None:
            await self.rows("INSERT INTO lane (mailbox, pool) VALUES (%s, 'review') RETURNING 1", BOX)
            self._run = await store.open_run(
                "reviews/2026-11", pool="review", mode=Mode.DRAFT, policy=SendPolicy(), source="reviews"
            )
        key = f"review/{mail['id']}"
        wanted = Communication(
            key=key,
            type="review",
            customer=mail["address"],
            locale="en",
            recipient=Recipient(address=mail["address"], name=""),
            subject="Review: Letter",
            text=body,
            html=None,
            source_hash="0" * 64,
            stream="review",
        )
        await store.add(self._run, [wanted])
        [row] = await self.rows(
            "SELECT token FROM delivery d JOIN communication c ON c.id = d.communication_id WHERE c.key = %s", key
        )
        letter = Letter(
            sender=Mailbox("Reviews", BOX),
            recipient=Mailbox("", mail["address"]),
            subject="Review: Letter",
            date=datetime.now(UTC),
            delivery_token=row["token"],
            text=body,
            html="<html><body>" + "".join(f"<p>{line}</p>" for line in body.splitlines()) + "</body></html>",
            reply_to=Mailbox("Reviews", plus_address(BOX, row["token"])),
        )
        sent = await self.gmail.mailbox(BOX).send_message(build(letter))
        await self.rows(
            "UPDATE delivery SET disposition = 'accepted', mailbox = %s, epoch = 1, thread_id = %s, message_id = %s, "
            "accepted_at = now() - interval '1 second', due_at = NULL WHERE token = %s RETURNING 1",
            BOX, sent.thread_id, sent.id, row["token"],
        )  # fmt: skip
        await self.rows(
            "UPDATE review_mail SET token = %s, due_at = NULL WHERE id = %s RETURNING 1", row["token"], mail["id"]
        )
        return str(row["token"])

    async def token(self, address: str, kind: str = "ask") -> str:
        """Of the newest mail of a kind that went to somebody."""
        rows = await self.rows(
            "SELECT token FROM review_mail WHERE address = %s AND kind = %s ORDER BY id DESC LIMIT 1", address, kind
        )
        return str(rows[0]["token"])

    # What is answered

    async def reply(self, address: str, text: str, *, to: str = "", read: bool = True, **more: Any) -> None:
        """Somebody answers the newest mail in their mailbox, or the one with a token, in their mail program."""
        account = self.running.world.account(address)
        assert account is not None
        wanted = f"+{to or await self.token_of_newest(address)}@"
        found = [message for message in account.messages() if wanted.encode() in message.head]
        assert found, f"{address} never got {wanted}"
        url = f"{self.running.url}/sandbox/v1/mailboxes/{address}/messages/{found[-1].id}/reply"
        async with self.session.post(url, json={"text": text, **more}) as answer:
            assert answer.status == 200, await answer.text()
        if read:
            await self.read()

    async def token_of_newest(self, address: str) -> str:
        """Of the newest mail that went to somebody."""
        rows = await self.rows(
            "SELECT token FROM review_mail WHERE address = %s AND token IS NOT NULL ORDER BY id DESC LIMIT 1", address
        )
        return str(rows[0]["token"])

    async def deliver(self, sender: str, text: str, *, token: str, read: bool = True, **more: Any) -> None:
        """A message arrives from outside."""
        document = {
            "sender": sender,
            "recipients": [plus_address(BOX, token) if token else BOX],
            "subject": "Re: Review: Letter",
            "text": text,
            **more,
        }
        async with self.session.post(f"{self.running.url}/sandbox/v1/deliver", json=document) as answer:
            assert answer.status == 200, await answer.text()
        if read:
            await self.read()

    async def believe(self, domain: str, verdict: str) -> None:
        """Let a domain's mail have this verdict from here on."""
        url = f"{self.running.url}/sandbox/v1/authentication"
        async with self.session.post(url, json={"domain": domain, "verdict": verdict}) as answer:
            assert answer.status == 200, await answer.text()

    async def set(self, address: str, **condition: Any) -> None:
        """Make something of a mailbox special."""
        url = f"{self.running.url}/sandbox/v1/mailbox"
        async with self.session.post(url, json={"address": address, **condition}) as answer:
            assert answer.status == 200, await answer.text()

    async def read(self) -> None:
        """Read our mailbox, and answer every event."""
        await self.rows("UPDATE mailbox SET due_at = now() WHERE due_at IS NOT NULL RETURNING 1")
        async with Desk(self.gmail, self._tools()) as desk:
            await desk.tend()
            await desk.drain()
        await self.answer_events()

    async def answer_events(self) -> None:
        """See to every event, as the worker does."""
        found: dict[str, tuple[Listener, ...]] = {}
        rooms = (Sightings(SightingRules()).listeners(), Replies(self.desk, self.languages).listeners())
        for room in rooms:
            for kind, listener in room.items():
                found[kind] = (*found.get(kind, ()), listener)
        await Events(self.pool, found).answer_due()
        failed = await self.rows("SELECT kind, failure FROM event WHERE failure IS NOT NULL")
        assert failed == []

    async def register(self) -> None:
        """Have our mailbox read."""
        await MailboxStore(self.pool, patience=10.0).register({BOX: (Role.SENDER,)})

    def _tools(self) -> Tools:
        return Tools(
            store=MailboxStore(self.pool, patience=10.0),
            find=self._find,
            documents=self.documents,
            options=_QUICK,
            drill=Drill(None, Point),
            troubles={},
        )

    async def _find(self, *, mailbox: str, thread_id: str, clues: Any, at: datetime) -> mapping.Found | None:
        async with single(self.pool) as conn:
            return await mapping.find(conn, mailbox=mailbox, thread_id=thread_id, clues=clues, at=at)

    # What became of it

    async def review(self, number: int) -> Review:
        """As it stands."""
        async with transaction(self.pool) as conn:
            return await self.desk.find(conn, number)

    async def answers(self, number: int) -> list[tuple[str, str | None, bool, str]]:
        """What people said: address, verdict, whether it counted, why not."""
        rows = await self.rows(
            "SELECT address, verdict, counted, why FROM review_answer WHERE review_id = %s ORDER BY id", number
        )
        return [(row["address"], row["verdict"], row["counted"], row["why"]) for row in rows]

    async def questions(self) -> list[tuple[str, str]]:
        """Whom we asked back, and why."""
        rows = await self.rows(
            "SELECT address, facts->>'why' AS why FROM review_mail WHERE kind = 'question' ORDER BY id"
        )
        return [(row["address"], row["why"]) for row in rows]

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(sql, values)
            return await cursor.fetchall() if cursor.description else []

    def pass_time(self, **length: float) -> None:
        """The desk's clock moves."""
        self.now += timedelta(**length)


OpenRoom = Callable[..., Awaitable[AnswerRoom]]
"""Opens a room whose policy is as the test wants it."""
