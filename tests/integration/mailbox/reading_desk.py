"""Mailboxes of a sandbox over real HTTP, read in this process, into a database of the test's own."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp

from millstream.app.reading import Finder
from millstream.delivery.verp import Verp
from millstream.drill import Drill
from millstream.gmail import Gmail
from millstream.mailbox.desk import Desk
from millstream.mailbox.look import Tools
from millstream.mailbox.model import Role
from millstream.mailbox.options import Point, ReadingOptions
from millstream.mailbox.store import MailboxStore
from millstream.quota import Limits
from millstream.sandbox.gmail.server import Running
from millstream.storage.objects import DocumentStore
from millstream.storage.pool import Pool

BOX, OTHER = "s1@bank.example", "s2@bank.example"
ANNA = "anna.ample@customer.test"

QUICK = ReadingOptions(limits=Limits.preset("none"), settle=0.0, recheck=0.2, young=0.5, lease=2.0)
"""The rules of earnest with the waits of a test."""

PASSED = (
    "Authentication-Results: mx.google.com;\r\n"
    "       dkim=pass header.i=@{domain} header.s=google header.b=AbCdEfGh;\r\n"
    "       spf=pass smtp.mailfrom={sender};\r\n"
    "       dmarc=pass (p=REJECT sp=REJECT dis=NONE) header.from={domain}\r\n"
)


@dataclass(slots=True)
class ReadingDesk:
    """Where a test puts mail in, has it read, and looks at what was told."""

    pool: Pool
    running: Running
    session: aiohttp.ClientSession
    gmail: Gmail
    documents: DocumentStore
    options: ReadingOptions = QUICK
    store: MailboxStore = field(init=False)
    troubles: dict[tuple[str, str], int] = field(default_factory=dict)
    verp: Verp | None = None

    def __post_init__(self) -> None:
        self.store = MailboxStore(self.pool, patience=10.0)

    def tune(self, **options: Any) -> None:
        """Change how mailboxes are read from here on."""
        self.options = replace(self.options, **options)

    @property
    def tools(self) -> Tools:
        """What looks work with."""
        return Tools(
            store=self.store,
            find=Finder(self.pool, self.verp),
            documents=self.documents,
            options=self.options,
            drill=Drill(None, Point),
            troubles=self.troubles,
        )

    async def register(self, *addresses: str, roles: Sequence[Role] = (Role.SENDER,)) -> None:
        """Have exactly these mailboxes read."""
        await self.store.register(dict.fromkeys(addresses, tuple(roles)))

    # Mail

    def arrive(  # noqa: PLR0913  a message has this many sides
        self,
        mailbox: str = BOX,
        *,
        number: int = 0,
        sender: str = "anna.ample@customer.test",
        head: str = "",
        body: str = "Hello.\r\n",
        verdict: str | None = PASSED,
        thread_id: str | None = None,
        age: timedelta = timedelta(),
        labels: Sequence[str] = ("INBOX", "UNREAD"),
        raw: bytes | None = None,
    ) -> str:
        """Put a message into a mailbox as received mail; answers its id."""
        account = self.running.world.account(mailbox)
        assert account is not None
        stamps = (
            f"Delivered-To: {mailbox}\r\nReceived: by 2001:db8::1 with SMTP id x{number}; "
            f"Wed, 25 Nov 2026 10:00:00 +0000\r\nReturn-Path: <{sender}>\r\n"
            "Received: from mx.customer.test (mx.customer.test. [192.0.2.7]) by mx.google.com with ESMTPS id y; "
            "Wed, 25 Nov 2026 10:00:00 +0000\r\n"
        )
        told = verdict.format(domain=sender.rpartition("@")[2], sender=sender) if verdict else ""
        whole = head or (
            f"From: Anna Ample <{sender}>\r\nTo: {mailbox}\r\nSubject: Question {number}\r\n"
            f"Message-ID: <m{number}@customer.test>\r\n"
        )
        top = raw if raw is not None else (stamps + told + whole).encode()
        message = self.running.world.store(
            account,
            top,
            b"" if raw is not None else body.encode(),
            labels=frozenset(labels),
            thread_id=thread_id,
            received=True,
            internal_date=int((datetime.now(UTC) - age).timestamp() * 1000),
        )
        return message.id

    async def fault(self, kind: str, *, point: str = "odd", **rule: Any) -> None:
        """Let calls go wrong."""
        document = {"point": point, "kind": kind, **rule}
        async with self.session.post(f"{self.running.url}/sandbox/v1/faults", json=document) as reply:
            assert reply.status == 200, await reply.text()

    async def ail(self, address: str, **condition: Any) -> None:
        """Make something of a mailbox special."""
        document = {"address": address, **condition}
        async with self.session.post(f"{self.running.url}/sandbox/v1/mailbox", json=document) as reply:
            assert reply.status == 200, await reply.text()

    # Reading

    async def look(self, times: int = 1) -> None:
        """Look into every mailbox that is read, so many times."""
        for _ in range(times):
            await self.rows("UPDATE mailbox SET due_at = now() WHERE due_at IS NOT NULL")
            async with Desk(self.gmail, self.tools) as desk:
                await desk.tend()
                await desk.drain()

    # What was told

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            cursor = await connection.execute(sql, values)
            return await cursor.fetchall() if cursor.description else []

    async def told(self, mailbox: str = BOX) -> dict[str, str]:
        """Kind by message id."""
        rows = await self.rows("SELECT message_id, kind FROM sighting WHERE mailbox = %(mailbox)s", mailbox=mailbox)
        return {row["message_id"]: row["kind"] for row in rows}

    async def sighting(self, message_id: str) -> dict[str, Any]:
        """What one message told."""
        [row] = await self.rows("SELECT * FROM sighting WHERE message_id = %(id)s", id=message_id)
        return row

    async def events(self) -> list[tuple[str, str]]:
        """Kind and subject of every event, in order."""
        return [(row["kind"], row["subject"]) for row in await self.rows("SELECT kind, subject FROM event ORDER BY id")]

    async def mailbox(self, address: str = BOX) -> dict[str, Any]:
        """A mailbox as the store has it."""
        [row] = await self.rows("SELECT * FROM mailbox WHERE address = %(address)s", address=address)
        return row

    async def accepted(
        self, address: str = "anna.ample@customer.test", *, mailbox: str = BOX, thread_id: str = "t-1", token: str = ""
    ) -> str:
        """A delivery that left from a mailbox a minute ago; answers its token."""
        token = token or f"token-{address.partition('@')[0]}"
        await self.rows(
            """
            WITH r AS (INSERT INTO run (key, pool, mode) VALUES (%(token)s, 'default', 'draft') RETURNING id),
            c AS (INSERT INTO communication (run_id, key, type, customer, locale, stream, recipient, subject, body_text,
                                             source_hash, content_hash)
                  SELECT id, 'k', 'statement', 'C-1', 'en', 'statements', '{}', 's', 't', 'h', 'h' FROM r
                  RETURNING id, run_id),
            l AS (INSERT INTO lane (mailbox, pool) VALUES (%(mailbox)s, 'default') ON CONFLICT DO NOTHING)
            INSERT INTO delivery (token, communication_id, run_id, address, disposition, mailbox, epoch, thread_id,
                                  message_id, accepted_at, due_at)
            SELECT %(token)s, id, run_id, %(address)s, 'accepted', %(mailbox)s, 1, %(thread)s, %(thread)s || '-m',
                   now() - interval '1 minute', NULL FROM c
            """,
            token=token,
            address=address,
            mailbox=mailbox,
            thread=thread_id,
        )
        return token


def static_tokens(*mailboxes: str) -> dict[str, str]:
    """Tokens that the sandbox takes at once."""
    return {mailbox: f"sandbox:{mailbox}" for mailbox in mailboxes}


def report(token: str, *, recipient: str = ANNA, action: str = "failed", status: str = "5.1.1") -> str:
    """A bounce by RFC 3464, with our header in what it returns."""
    return (
        'MIME-Version: 1.0\r\nContent-Type: multipart/report; boundary="b"; report-type=delivery-status\r\n\r\n'
        "--b\r\nContent-Type: text/plain\r\n\r\nIt did not work.\r\n"
        "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.customer.test\r\n\r\n"
        f"Final-Recipient: rfc822; {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 no such user\r\n\r\n"
        f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nX-Millstream-Delivery: {token}\r\nSubject: s\r\n\r\n--b--\r\n"
    )
