"""What every measurement stands on: a folder of its own, the embedded database, a configuration, a sink, a worker."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psycopg

from millstream.storage.embedded import embedded
from process import BenchFailed, Child, started

MAILBOXES = tuple(f"statements-{number:02}@bank.example" for number in range(1, 41))
_SINK = Path(__file__).with_name("sink.py")
_LOOK_EVERY_SECONDS = 0.1
_SUBMIT_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """One run of messages."""

    per_second: float
    cpu_ms: float
    duplicates: int
    missing: int


def say(sentence: str) -> None:
    """Progress, to standard error."""
    print(sentence, file=sys.stderr, flush=True)


def emit(measurement: dict[str, Any]) -> None:
    """One measurement, one line; with the machine's load, because a busy machine measures itself."""
    print(orjson.dumps(measurement | {"load": round(os.getloadavg()[0], 1)}).decode(), flush=True)


@asynccontextmanager
async def work_folder() -> AsyncIterator[Path]:
    """A folder for one measurement, gone afterwards. As root it lies where the embedded server's user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="millstream-bench-", dir="/var/lib" if os.geteuid() == 0 else None))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Sink:
    """A server that we started for Gmail, and what it says about what came."""

    url: str
    session: aiohttp.ClientSession
    child: Child

    async def get(self, path: str) -> dict[str, Any]:
        """Read a document of its own."""
        self.child.check()
        async with self.session.get(f"{self.url}{path}") as reply:
            reply.raise_for_status()
            found: dict[str, Any] = orjson.loads(await reply.read())
            return found


@asynccontextmanager
async def sink(folder: Path, latency_ms: int) -> AsyncIterator[Sink]:
    """A sink in a process of its own for the time of a block."""
    arguments = [str(_SINK), "--latency-ms", str(latency_ms)]
    async with started("sink", arguments, folder) as child, aiohttp.ClientSession() as session:
        yield Sink(f"http://127.0.0.1:{int(await child.first_line())}", session, child)


@dataclass(frozen=True, slots=True)
class Counted:
    """Messages by delivery token, sink against ledger."""

    duplicates: int
    missing: int

    @classmethod
    async def at(cls, sink: Sink, submitted: list[str]) -> Counted:
        """Compare what came with what was submitted; a message that nobody submitted counts as a duplicate."""
        came: dict[str, int] = await sink.get("/tokens")
        wanted = set(submitted)
        extra = sum(count - (token in wanted) for token, count in came.items())
        return cls(duplicates=extra, missing=len(wanted - came.keys()))


class House:
    """A Millstream of its own: database, configuration, and its commands as real processes."""

    def __init__(self, folder: Path, database: psycopg.AsyncConnection[Any]) -> None:
        self.folder = folder
        self.config = folder / "millstream.toml"
        self._database = database

    def configure(self, gmail: str, *, preset: str, documents: Path, read: bool = False) -> None:
        """Write the configuration an operator would write; `gmail` is the body of its section.

        `read`: whether the mailboxes are read too. The sink has nothing to read.
        """
        mailboxes = ", ".join(f'"{mailbox}"' for mailbox in MAILBOXES)
        self.config.write_text(
            f'folder = "{self.folder}"\n\n[gmail]\n{gmail}connections = 400\n\n'
            f'[documents]\nurl = "{documents}"\n\n[senders]\nname = "Example Bank"\n'
            f"pools = {{ default = [{mailboxes}] }}\n\n[mailbox]\nread = {str(read).lower()}\n\n"
            f'[limits]\npreset = "{preset}"\n\n[logging]\nlevel = "warning"\n',
            "utf-8",
        )

    def static(self, sink: Sink) -> str:
        """The Gmail section that points at a sink."""
        return f'endpoint = "{sink.url}"\nauth = "static"\nstatic_token = "bench"\n'

    def run(self, name: str, *arguments: str) -> Any:
        """One `millstream` command as a process, for the time of a block."""
        return started(name, ["-m", "millstream", "--config", str(self.config), *arguments], self.folder)

    async def submit(self, driver: Path, mode: str) -> tuple[dict[str, Any], float]:
        """Take a driver in; answers the receipt and the process's peak memory in MB."""
        async with self.run("submit", "run", "submit", str(driver), "--mode", mode, "--json") as child:
            receipt = await child.answer(within=_SUBMIT_SECONDS)
            peak = max(reading.rss_mb for reading in child.readings)
        if receipt["new"] != receipt["lines"] or receipt["held"]:
            raise BenchFailed(f"the bench's own driver was not taken in whole: {receipt}")
        return receipt, peak

    async def accepted(self) -> int:
        """How many deliveries Gmail has."""
        return int((await self._row("SELECT count(*) FROM delivery WHERE disposition = 'accepted'"))[0])

    async def ended_at(self) -> float:
        """When the last acceptance became known, in seconds since 1970."""
        return float((await self._row("SELECT extract(epoch FROM max(accepted_at)) FROM delivery"))[0])

    async def tokens(self) -> list[str]:
        """The delivery tokens of all that was submitted."""
        return list((await self._row("SELECT array_agg(token) FROM delivery"))[0])

    async def tell(self, kind: str, subject: str, payload: str, *, within: float) -> float:
        """Write an event as a room does; answers when it was committed, in seconds since 1970. Waits for the schema."""
        ends_at = time.monotonic() + within
        while True:
            try:
                await self._database.execute(
                    "INSERT INTO event (kind, subject, payload) VALUES (%s, %s, %s::jsonb)", (kind, subject, payload)
                )
            except psycopg.errors.UndefinedTable:
                if time.monotonic() > ends_at:
                    raise
                await asyncio.sleep(_LOOK_EVERY_SECONDS)
            else:
                return time.time()

    async def carried(self, worker: Child, count: int, *, within: float, every: float = _LOOK_EVERY_SECONDS) -> bool:
        """Wait until `count` deliveries are accepted; answers whether they were within so many seconds."""
        ends_at = time.monotonic() + within
        while await self.accepted() < count:
            worker.check()
            if time.monotonic() > ends_at:
                return False
            await asyncio.sleep(every)
        return True

    async def ask(self, question: str) -> tuple[Any, ...] | None:
        """The first row of an answer, or None."""
        row = await (await self._database.execute(question)).fetchone()
        return None if row is None else tuple(row)

    async def _row(self, question: str) -> tuple[Any, ...]:
        row = await (await self._database.execute(question)).fetchone()
        assert row is not None
        return tuple(row)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    """A new house in a folder; its database runs, with fsync, for the time of the block."""
    async with (
        embedded(folder / "database") as url,
        await psycopg.AsyncConnection.connect(url, autocommit=True) as database,
    ):
        yield House(folder, database)
