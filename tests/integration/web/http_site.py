"""A site with the HTTP door open, a worker behind it, and what is posted to it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pikepdf

from millstream.app.intake import folder_kinds
from millstream.communication.store import RunStore
from millstream.config import Settings
from millstream.config.intake import IntakeFolderSettings
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.http import HttpDoor, HttpOptions
from millstream.intake.reception import Reception
from millstream.intake.sources import Sources
from millstream.intake.spool import Spool
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.storage.objects import open_store
from millstream.web import LOOPBACK, build, serve

_SETTLED = Settings(intake_folder=IntakeFolderSettings(settle_seconds=0.0))

TOKEN = "mill-pond-7"
LINES = "application/x-ndjson"


def record(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "key": f"2025-10/{number:04}",
        "type": "statement",
        "customer": {"id": f"C-{number}"},
        "recipient": {"address": f"c{number}@example.com"},
        "subject": f"Your statement {number}",
        "text": "Dear customer,\n",
        **changes,
    }


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def pdf() -> bytes:
    with pikepdf.new() as document, BytesIO() as file:
        document.add_blank_page()
        document.save(file)
        return file.getvalue()


class Flaky(Reception):
    """A reception that can be told to fail."""

    error: Exception | None = None

    async def receive(self, offer, content=None):
        if self.error:
            raise self.error
        return await super().receive(offer, content)


@dataclass
class Site:
    url: str
    session: aiohttp.ClientSession
    reception: Flaky
    store: ConsignmentStore
    spool: Path
    taker: Taker
    taking: asyncio.Event
    pool: Any
    door: HttpDoor

    async def post(self, path: str, body: Any, token: str | None = TOKEN, **headers: str) -> tuple[int, Any, Any]:
        """Status, JSON and headers of a POST below /api/v1/."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        async with self.session.post(f"{self.url}/api/v1/{path}", data=body, headers=given) as reply:
            return reply.status, await reply.json(), reply.headers

    async def get(self, path: str, token: str = TOKEN) -> tuple[int, Any]:
        async with self.session.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}) as reply:
            return reply.status, await reply.json()

    async def rows(self) -> list[dict[str, Any]]:
        """Every communication, with its run's key."""
        async with self.pool.connection() as connection:
            found = await connection.execute(
                "SELECT c.*, d.disposition, d.detail, r.key AS run_key, r.pool, r.mode, r.policy FROM communication c "
                "JOIN delivery d ON d.communication_id = c.id JOIN run r ON r.id = c.run_id ORDER BY c.id"
            )
            return await found.fetchall()

    async def customers(self) -> list[str]:
        return [row["customer"] for row in await self.rows()]

    def spooled(self) -> list[str]:
        """Every file in the spool."""
        return sorted(str(path.relative_to(self.spool)) for path in self.spool.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def opened(pool: Any, folder: Path, **changes: Any) -> AsyncIterator[Site]:
    documents = open_store(str(folder / "documents"))
    store = ConsignmentStore(pool, patience=10)
    reception = Flaky(store, documents)
    spool = Spool(folder / "spool")
    given = {"tokens": {"exstream": TOKEN, "other": "other-7"}, "wait_seconds": 10.0, **changes}
    door = HttpDoor(HttpOptions(**given), reception, spool, store)
    ledger = RunStore(pool)
    intake = IntakeOptions(most_bytes=30_000_000)
    taker = Taker(store, Tools(ledger, Services(ledger, documents), documents, Sources(folder_kinds(_SETTLED)), intake))
    taking = asyncio.Event()
    taking.set()

    async def take() -> None:
        while True:
            await taking.wait()
            await taker.take_due()
            await asyncio.sleep(0.01)

    async def reachable() -> bool:
        return True

    stopping = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = build(reachable=reachable, intake=door)
    serving = asyncio.create_task(serve(app, LOOPBACK, 0, stopping, announce=listening.set_result))
    worker = asyncio.create_task(take())
    try:
        async with aiohttp.ClientSession() as session:
            url = await asyncio.wait_for(listening, 10)
            yield Site(url, session, reception, store, spool.root, taker, taking, pool, door)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await taker.close()
        stopping.set()
        await asyncio.wait_for(serving, 20)


def form(*parts: tuple[str, Any, str | None, str | None]) -> aiohttp.FormData:
    made = aiohttp.FormData()
    for name, content, file, kind in parts:
        made.add_field(name, content, filename=file, content_type=kind)
    return made
