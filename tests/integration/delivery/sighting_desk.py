"""Deliveries as they stand after their sends, and events as the mailbox room writes them."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from millstream.communication.model import Communication, Mode, Policy, Recipient, Run
from millstream.communication.store import RunStore
from millstream.delivery.mapping import find
from millstream.delivery.sightings import SightingRules, Sightings
from millstream.delivery.store import LaneStore
from millstream.delivery.suppression import Suppressions
from millstream.delivery.transport import newest
from millstream.gmail.client import MailboxClient
from millstream.mime.daemon import DaemonKind, read_daemon
from millstream.storage.pool import Pool
from millstream.work.events import Events

POOL = "default"
S1, S2 = "s1@bank.example", "s2@bank.example"
ANNA = "Anna.Ample@example.org"


@dataclass(slots=True)
class Office:
    """A ledger without lanes at work."""

    pool: Pool
    rules: SightingRules = field(default_factory=SightingRules)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))
    _read: set[str] = field(default_factory=set)

    @property
    def runs(self) -> RunStore:
        """The runs' own store."""
        return RunStore(self.pool)

    @property
    def lanes(self) -> LaneStore:
        """The lanes' own store."""
        return LaneStore(self.pool, patience=20.0)

    @property
    def suppressions(self) -> Suppressions:
        """The list."""
        return Suppressions(self.pool)

    async def run(self, key: str = "october", **policy: Any) -> Run:
        """A run; the same key is the same run."""
        await self.lanes.register({POOL: [S1, S2]})
        return await self.runs.open_run(key, pool=POOL, mode=Mode.DRAFT, policy=Policy(**policy), source="")

    async def queued(
        self, *addresses: str, key: str = "october", stream: str = "statements", **policy: Any
    ) -> list[str]:
        """Deliveries that came in; answers their tokens."""
        run = await self.run(key, **policy)
        names = [f"k-{next(self._numbers)}" for _ in addresses]
        await self.runs.add(
            run, [communication(name, address, stream) for name, address in zip(names, addresses, strict=True)]
        )
        rows = await self.rows(
            "SELECT token FROM delivery d JOIN communication c ON c.id = d.communication_id "
            "WHERE c.key = ANY(%(names)s) ORDER BY d.id",
            names=names,
        )
        return [row["token"] for row in rows]

    async def accepted(
        self,
        address: str = ANNA,
        *,
        key: str = "october",
        stream: str = "statements",
        ago: timedelta = timedelta(hours=1),
        **columns: Any,
    ) -> str:
        """A delivery that Gmail took, from S1 unless told otherwise; answers its token."""
        [token] = await self.queued(address, key=key, stream=stream)
        number = next(self._numbers)
        values = {
            "disposition": "accepted",
            "mailbox": S1,
            "epoch": 1,
            "thread_id": f"t-{number}",
            "message_id": f"m-{number}",
            "accepted_at": datetime.now(UTC) - ago,
            "due_at": None,
        } | columns
        changes = ", ".join(f"{name} = %({name})s" for name in values)
        await self.rows(f"UPDATE delivery SET {changes} WHERE token = %(token)s RETURNING 1", token=token, **values)  # noqa: S608  names of this file
        return token

    async def tell(self, kind: str, token: str, **facts: Any) -> None:
        """Record a sighting with its event, as the mailbox room does, and have it answered."""
        await self.record(kind, token, **facts)
        await self.answer()

    async def record(self, kind: str, token: str, **facts: Any) -> None:
        """Record a sighting with its event."""
        number = next(self._numbers)
        payload = {
            "mailbox": S1,
            "message_id": f"n-{number}",
            "thread_id": "",
            "mapped_by": "header",
            "proven": True,
            "recipient": "",
            "status": "",
            "address_is_bad": False,
            "diagnostic": "",
            "remote_mta": "",
            "received_at": datetime.now(UTC).isoformat(),
        } | facts
        await self.rows(
            "INSERT INTO mailbox (address) VALUES (%(mailbox)s) ON CONFLICT DO NOTHING RETURNING 1", **payload
        )
        [row] = await self.rows(
            "INSERT INTO sighting (mailbox, message_id, thread_id, kind, subject, mapped_by, proven, report, reply, "
            "received_at) VALUES (%(mailbox)s, %(message_id)s, %(thread_id)s, %(kind)s, %(subject)s, %(mapped_by)s, "
            "%(proven)s, %(report)s, %(reply)s, %(received_at)s) RETURNING id",
            kind=kind,
            subject=f"delivery:{token}",
            report=orjson.dumps([{"status": payload["status"], "diagnostic": payload["diagnostic"]}]).decode(),
            reply=facts.get("reply"),
            **{
                name: payload[name]
                for name in ("mailbox", "message_id", "thread_id", "mapped_by", "proven", "received_at")
            },
        )
        await self.event(f"sighting.{kind}", f"delivery:{token}", payload | {"sighting": row["id"]})

    async def event(self, kind: str, subject: str, payload: dict[str, Any]) -> None:
        """Write an event alone."""
        await self.rows(
            "INSERT INTO event (kind, subject, payload) VALUES (%(kind)s, %(subject)s, %(payload)s) RETURNING 1",
            kind=kind,
            subject=subject,
            payload=orjson.dumps(payload).decode(),
        )

    async def answer(self) -> None:
        """Let the delivery room answer what is due."""
        events = Events(self.pool, {kind: [heard] for kind, heard in Sightings(self.rules).listeners().items()})
        await events.answer_due(1_000)

    async def answer_again(self) -> None:
        """Every event comes once more, as if its answer had been lost."""
        await self.rows("UPDATE event SET due_at = now(), answered_at = NULL RETURNING 1")
        await self.answer()

    async def read_notices(self, mailbox: MailboxClient) -> None:
        """Read a mailbox for Gmail's limit notices and have them answered, as the mailbox room does; each once."""
        profile = await mailbox.profile()
        for message in await newest(mailbox, "INBOX"):
            if message.id in self._read:
                continue
            found = await mailbox.get_message(message.id, format="raw")
            if read_daemon(found.raw or b"").kind is not DaemonKind.LIMIT_NOTICE:
                continue
            at = found.internal_date or datetime.now(UTC)
            async with self.pool.connection() as conn:
                delivery = await find(conn, mailbox=profile.address, thread_id=message.thread_id, clues=Said(), at=at)
            if delivery is not None:
                self._read.add(message.id)
                await self.record(
                    "limit_notice",
                    delivery.token,
                    mailbox=profile.address,
                    message_id=message.id,
                    thread_id=message.thread_id,
                    mapped_by=delivery.how,
                    received_at=at.isoformat(),
                )
        await self.answer()

    # What became of it

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql, values)).fetchall()

    async def delivery(self, token: str) -> dict[str, Any]:
        """One delivery as it stands."""
        [row] = await self.rows("SELECT * FROM delivery WHERE token = %(token)s", token=token)
        return row

    async def suppressed(self) -> list[tuple[str, str, str]]:
        """The list: stream, address, reason."""
        return [(row["stream"], row["address"], row["reason"]) for row in await self.suppressions.list()]

    async def raised(self, kind: str) -> list[dict[str, Any]]:
        """What other rooms were told."""
        rows = await self.rows("SELECT payload FROM event WHERE kind = %(kind)s ORDER BY id", kind=kind)
        return [row["payload"] for row in rows]

    async def trail(self, subject: str) -> list[str]:
        """Kinds of audit entries of a subject, without how it came in."""
        rows = await self.rows("SELECT kind FROM audit WHERE subject = %(subject)s ORDER BY seq", subject=subject)
        return [row["kind"] for row in rows]

    async def failing(self) -> list[str]:
        """What went wrong with events that are not answered."""
        rows = await self.rows("SELECT failure FROM event WHERE failure IS NOT NULL")
        return [row["failure"] for row in rows]

    async def everything(self) -> list[Any]:
        """All that an answer could change."""
        tables = ("delivery", "run", "lane", "suppression", "attempt", "audit")
        return [await self.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608  names of this file


def communication(key: str, address: str, stream: str = "statements") -> Communication:
    """One statement."""
    return Communication(
        key=key,
        type="statement",
        customer="C-1",
        recipient=Recipient(address, "Anna Ample"),
        subject="Your statement",
        text="Dear customer,\n",
        html=None,
        locale="en-GB",
        stream=stream,
        source_hash=key,
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What a message says of the one that it answers."""

    returned_token: str | None = None
    original_message_ids: Sequence[str] = ()
    reply_token: str | None = None
    recipients: Sequence[str] = ()
