"""Lanes in this process, a sandbox over real HTTP and a database of the test's own."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from millstream.communication.model import Communication, Document, Mode, Policy, Recipient, Run, RunState
from millstream.communication.store import RunStore
from millstream.delivery.board import RunBoard
from millstream.delivery.carry import Carrier
from millstream.delivery.holding import Holding, Tools
from millstream.delivery.lane import Lane
from millstream.delivery.ledger import Ledger
from millstream.delivery.model import Attempt, Delivery, Kind
from millstream.delivery.options import DeliveryOptions, Sender
from millstream.delivery.parcel import Parcel
from millstream.delivery.store import LaneStore
from millstream.gmail import Gmail, TokenSource
from millstream.gmail.client import MailboxClient
from millstream.gmail.errors import Effect
from millstream.quota import Limits
from millstream.sandbox.gmail.server import Running
from millstream.storage.pool import Pool

POOL = "default"
S1, S2, S3 = (f"s{number}@bank.example" for number in (1, 2, 3))

QUICK = DeliveryOptions(
    limits=Limits.preset("none"),
    sender=Sender(name="Example Bank"),
    slice=60.0,
    linger=0.3,
    heartbeat=0.2,
    stalled_after=1.0,
    probe_floor=0.3,
    probe_for=1.5,
    stray_grace=0.2,
    recheck=0.5,
)
"""The rules of earnest with the waits of a test."""


class NoDocuments:
    """A document store with nothing in it."""

    async def get(self, sha256: str) -> bytes:
        raise AssertionError(f"nobody attached {sha256}")


@dataclass(slots=True)
class Desk:
    """Where a test puts work in, runs lanes, and looks at what became of it."""

    pool: Pool
    running: Running
    session: aiohttp.ClientSession
    ledger: Ledger
    gmail: Gmail
    store: LaneStore
    board: RunBoard
    options: DeliveryOptions = QUICK
    stopping: bool = False
    documents: Any = field(default_factory=NoDocuments)

    @property
    def runs(self) -> RunStore:
        """The runs' own store."""
        return RunStore(self.pool)

    @property
    def tools(self) -> Tools:
        """What lanes work with."""
        return Tools(
            store=self.store,
            ledger=self.ledger,
            gmail=self.gmail,
            documents=self.documents,
            board=self.board,
            options=self.options,
            stopping=lambda: self.stopping,
        )

    def tune(self, **options: Any) -> None:
        """Change how lanes behave from here on."""
        self.options = replace(self.options, **options)

    def limit(self, **limits: Any) -> None:
        """Limit the lanes; fields of `Limits`."""
        self.tune(limits=replace(self.options.limits, **limits))

    def mailbox(self, address: str) -> MailboxClient:
        """Gmail as its owner sees it."""
        return self.gmail.mailbox(address)

    # Work

    async def register(self, *mailboxes: str) -> None:
        """Give sender mailboxes their lanes."""
        await self.store.register({POOL: mailboxes})

    async def add(
        self, count: int = 1, *, key: str = "october", mode: Mode = Mode.DRAFT, documents: tuple[Document, ...] = ()
    ) -> list[str]:
        """Add so many communications to a run; answers the addresses that must each get one."""
        run = await self.runs.open_run(key, pool=POOL, mode=mode, policy=Policy(), source="")
        addresses = [f"{key}-{number}@example.org" for number in range(count)]
        await self.runs.add(run, [_communication(address, documents) for address in addresses])
        return addresses

    async def run(self, key: str = "october") -> Run:
        """A run as it stands."""
        return await self.runs.find(key)

    async def change(self, state: RunState, key: str = "october") -> None:
        """Pause, resume or cancel a run, and let this process know."""
        await self.runs.change_state(key, state, actor="test")
        await self.board.refresh()

    # Lanes

    async def take(self, mailbox: str) -> Holding:
        """Take a lane over and do nothing with it."""
        row = await self.store.take(mailbox, holder="test")
        holding = Holding(row, self.tools, age_days=self.options.warm.get(mailbox, 0))
        if holding.history_id is None:
            holding.history_id = (await self.mailbox(mailbox).profile()).history_id
            await self.store.note_history(holding.grip, holding.history_id)
        return holding

    async def claim(self, holding: Holding, most: int = 1) -> list[Parcel]:
        """What a lane takes of the pool."""
        return await self.store.claim(holding.grip, pool=POOL, most=most)

    async def stage(self, holding: Holding, *, release: bool = True) -> Parcel:
        """One delivery whose draft is made and durable; with `release` its send is intended."""
        [parcel] = await self.claim(holding)
        raw = await Carrier(holding)._write(parcel)
        assert raw is not None
        draft = await self.mailbox(holding.grip.mailbox).create_draft(raw)
        after = parcel.delivery.drafted(draft.id, draft.thread_id, history_id=holding.history_id, release=release)
        return parcel.at(await holding.record(parcel.delivery, after, Attempt(Kind.DRAFT, "ok", Effect.YES)))

    async def intend(self, holding: Holding) -> tuple[Parcel, bytes]:
        """One direct delivery whose send is intended and durable, and its letter."""
        [parcel] = await self.claim(holding)
        raw = await Carrier(holding)._write(parcel)
        assert raw is not None
        after = parcel.delivery.sending(history_id=holding.history_id)
        return parcel.at(await holding.record(parcel.delivery, after, Attempt(Kind.SEND, "intended", Effect.NO))), raw

    async def current(self, parcel: Parcel) -> Delivery:
        """A delivery as it stands now."""
        return await self.store.current(parcel.delivery.id)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run every lane that is due, each once at a time, as the job engine does."""
        over = asyncio.Event()
        runner = asyncio.create_task(self._run_due(over))
        try:
            yield
        finally:
            over.set()
            await runner

    async def _run_due(self, over: asyncio.Event) -> None:
        running: dict[str, asyncio.Task[None]] = {}
        while not over.is_set():
            await self.board.refresh()
            for mailbox in await self.store.due(stalled_after=self.options.stalled_after):
                if mailbox not in running or running[mailbox].done():
                    running[mailbox] = asyncio.create_task(Lane.run_once(mailbox, self.tools))
            await self.store.cancel_queued()
            await asyncio.sleep(0.05)
        self.stopping = True
        await asyncio.gather(*running.values())
        self.stopping = False

    # What became of it

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        async with self.pool.connection() as connection:
            return await (await connection.execute(sql, values)).fetchall()

    async def counts(self, key: str = "october") -> dict[str, int]:
        """Deliveries of a run by disposition."""
        return (await self.runs.progress(await self.run(key))).counts

    async def attempts(self, parcel: Parcel) -> list[tuple[str, str]]:
        """Kind and outcome of every attempt for a delivery."""
        return [(row["kind"], row["outcome"]) for row in await self.runs.attempts(parcel.delivery.id)]

    async def lane(self, mailbox: str) -> dict[str, Any]:
        """A lane as the store has it."""
        return next(row for row in await self.store.lanes() if row["mailbox"] == mailbox)

    async def get(self, path: str) -> dict[str, Any]:
        """Read a control document of the sandbox."""
        async with self.session.get(f"{self.running.url}/sandbox/v1/{path}") as reply:
            reply.raise_for_status()
            return await reply.json()

    async def post(self, path: str, document: Any) -> None:
        """Change something in the sandbox."""
        async with self.session.post(f"{self.running.url}/sandbox/v1/{path}", json=document) as reply:
            assert reply.status == 200, await reply.text()

    async def fault(self, point: str, kind: str, **rule: Any) -> None:
        """Let calls go wrong."""
        await self.post("faults", {"point": point, "kind": kind, **rule})

    async def arrived(self) -> dict[str, int]:
        """How many statements each address holds."""
        return (await self.get("counts"))["by_recipient"]

    async def drafts(self) -> int:
        """Drafts in all mailboxes."""
        return (await self.get("state"))["drafts"]

    async def sent_from(self) -> dict[str, int]:
        """Messages that each mailbox really sent."""
        ledger = (await self.get("ledger"))["mailboxes"]
        return {address: use["sent_last_day"] for address, use in ledger.items() if use["sent_last_day"]}


def one_each(addresses: Sequence[str]) -> dict[str, int]:
    """What `arrived` must say."""
    return dict.fromkeys(addresses, 1)


def _communication(address: str, documents: tuple[Document, ...]) -> Communication:
    return Communication(
        key=address,
        type="statement",
        customer=address.partition("@")[0],
        recipient=Recipient(address, "Anna Ample"),
        subject="Your statement",
        text="Dear customer,\n",
        html=None,
        locale="en-GB",
        stream="statements",
        source_hash=address,
        documents=documents,
    )


def static_tokens(mailboxes: Sequence[str]) -> dict[str, str]:
    """Tokens that the sandbox takes at once."""
    return {mailbox: f"sandbox:{mailbox}" for mailbox in mailboxes}


__all__ = ["POOL", "QUICK", "S1", "S2", "S3", "Desk", "TokenSource", "one_each", "static_tokens"]
