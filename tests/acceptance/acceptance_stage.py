"""What an acceptance test needs: a configuration, a sandbox, and processes that are killed by their own pid."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from millstream.app.house import open_house
from millstream.app.submit import submit_driver
from millstream.audit import chain
from millstream.communication.model import Mode, Policy
from millstream.config import load
from millstream.intake.submit import Receipt

START = 90.0
"""Seconds that a process may take to come up on a busy machine."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that came to its end."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The last line, which is one JSON value."""
        return orjson.loads(self.out.strip().splitlines()[-1])


@dataclass(slots=True)
class Child:
    """A process of ours."""

    process: asyncio.subprocess.Process
    log: Path

    @property
    def alive(self) -> bool:
        return self.process.returncode is None

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self.log.read_text("utf-8", errors="replace")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        self.process.send_signal(number)

    async def end(self, within: float) -> int:
        """Its exit code; it must come in time."""
        return await asyncio.wait_for(self.process.wait(), within)


@dataclass(slots=True)
class Stage:
    """One test's installation."""

    folder: Path
    sandbox_url: str
    session: aiohttp.ClientSession
    database_url: str | None
    children: list[Child] = field(default_factory=list)

    @property
    def config_file(self) -> Path:
        return self.folder / "millstream.toml"

    def configure(self, *mailboxes: str, **sections: dict[str, Any]) -> None:
        """Write the configuration: short waits, no limits, and what the test asks for on top."""
        settings: dict[str, dict[str, Any]] = {
            "gmail": {
                "endpoint": self.sandbox_url,
                "token_url": f"{self.sandbox_url}/token",
                "auth": "service_account",
                "key_file": str(self.folder / "key.json"),
                "call_seconds": 5,
            },
            "senders": {"name": "Example Bank", "pools": {"default": list(mailboxes)}},
            "limits": {"preset": "none"},
            "delivery": {
                "slice_seconds": 20,
                "linger_seconds": 0.5,
                "heartbeat_seconds": 0.5,
                "stalled_after_seconds": 2,
                "probe_floor_seconds": 0.5,
                "probe_for_seconds": 3,
                "stray_grace_seconds": 0.5,
                "recheck_seconds": 1,
            },
            "mailbox": {
                "poll_seconds": 1,
                "poll_sending_seconds": 0.3,
                "settle_seconds": 0.5,
                "lease_seconds": 2,
            },
            "logging": {"format": "json"},
        }
        if self.database_url is not None:
            settings["database"] = {"url": self.database_url}
        for name, values in sections.items():
            settings[name] = settings.get(name, {}) | values
        lines = [f"folder = {_toml(str(self.folder))}"]
        for name, values in settings.items():
            lines += [f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        self.config_file.write_text("\n".join(lines), "utf-8")

    # Processes

    async def run(self, *arguments: str, within: float = START) -> Ended:
        """A command from start to end."""
        process = await self._spawn(arguments, asyncio.subprocess.PIPE, asyncio.subprocess.PIPE)
        child = Child(process, self.folder / "none")
        self.children.append(child)
        out, err = await asyncio.wait_for(process.communicate(), within)
        return Ended(process.returncode or 0, out.decode(), err.decode())

    async def start(self, *arguments: str, **variables: str) -> Child:
        """A process that goes on in the background, with variables `MILLSTREAM_…` (given without that prefix)."""
        log = self.folder / f"{arguments[0]}-{len(self.children)}.log"
        with log.open("wb") as file:
            process = await self._spawn(arguments, file, file, variables)
        child = Child(process, log)
        self.children.append(child)
        return child

    async def worker(self, **variables: str) -> Child:
        """A worker."""
        return await self.start("worker", **variables)

    async def _spawn(
        self, arguments: Sequence[str], out: Any, err: Any, variables: dict[str, str] | None = None
    ) -> asyncio.subprocess.Process:
        ours = {f"MILLSTREAM_{name.upper()}": value for name, value in (variables or {}).items()}
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "millstream", "--config", str(self.config_file), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            env={**os.environ, **ours},  # noqa: TID251  handed on, not read
            start_new_session=True,
        )

    async def clear(self) -> None:
        """End what is still running, each by its own pid."""
        for child in self.children:
            if child.alive:
                child.signal(signal.SIGCONT)
                child.process.kill()
                await child.process.wait()

    # Work

    def driver(self, *records: dict[str, Any] | bytes, name: str = "october") -> Path:
        """A driver of these lines."""
        path = self.folder / f"{name}.jsonl"
        path.write_bytes(b"".join(one if isinstance(one, bytes) else orjson.dumps(one) + b"\n" for one in records))
        return path

    async def submit(self, count: int, *, mode: Mode = Mode.DRAFT, key: str = "october") -> list[str]:
        """Submit so many small communications; answers the addresses that must each get one."""
        records = [record(number, key=key) for number in range(count)]
        path = self.driver(*records, name=key)
        async with open_house(load(self.config_file)) as house:
            run = await house.runs.open_run(key, pool="default", mode=mode, policy=Policy(), source="")
            receipt: Receipt = await submit_driver(house, run, path)
        assert receipt.new == count, receipt
        return [each["recipient"]["address"] for each in records]

    # What became of it

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """Ask the database."""
        assert self.database_url is not None
        async with await AsyncConnection.connect(
            self.database_url, row_factory=dict_row, autocommit=True
        ) as connection:
            return await (await connection.execute(sql, values)).fetchall()

    async def counts(self, key: str = "october") -> dict[str, int]:
        """Deliveries of a run by disposition."""
        found = await self.rows(
            "SELECT disposition, count(*) FROM delivery d JOIN run r ON r.id = d.run_id "
            "WHERE r.key = %(key)s GROUP BY disposition",
            key=key,
        )
        return {row["disposition"]: row["count"] for row in found}

    def done(self, count: int, key: str = "october") -> Callable[[], Any]:
        """Whether the ledger says accepted for all."""

        async def accepted() -> bool:
            return await self.counts(key) == {"accepted": count}

        return accepted

    def reached(self, count: int) -> Callable[[], Any]:
        """Whether so many statements have arrived."""

        async def arrived() -> bool:
            return sum((await self.arrived()).values()) >= count

        return arrived

    async def get(self, path: str) -> dict[str, Any]:
        """Read a control document of the sandbox."""
        async with self.session.get(f"{self.sandbox_url}/sandbox/v1/{path}") as reply:
            reply.raise_for_status()
            return await reply.json()

    async def post(self, path: str, document: Any) -> None:
        """Change something in the sandbox."""
        async with self.session.post(f"{self.sandbox_url}/sandbox/v1/{path}", json=document) as reply:
            assert reply.status == 200, await reply.text()

    async def slow(self, seconds: float, method: str = "*.send") -> None:
        """Let calls take their time, so that there is something to interrupt."""
        await self.post("faults", {"point": "odd", "kind": "slow", "method": method, "delay": seconds})

    async def fair_weather(self) -> None:
        """No faults from here on."""
        async with self.session.delete(f"{self.sandbox_url}/sandbox/v1/faults") as reply:
            reply.raise_for_status()

    async def arrived(self) -> dict[str, int]:
        """How many statements each address holds."""
        return (await self.get("counts"))["by_recipient"]

    async def drafts(self) -> int:
        """Drafts in all mailboxes."""
        return (await self.get("state"))["drafts"]

    async def no_drafts(self) -> bool:
        return await self.drafts() == 0

    async def chain_is_intact(self) -> bool:
        """Whether the audit trail follows from its beginning."""
        async with open_house(load(self.config_file)) as house:
            return (await chain.verify(house.pool)).intact


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_toml(key)} = {_toml(each)}" for key, each in value.items()) + " }"
    return orjson.dumps(value).decode()


def record(number: int, *, key: str = "october", **changes: Any) -> dict[str, Any]:
    """A line of a driver."""
    return {
        "key": f"{key}/{number:05}",
        "type": "statement",
        "customer": {"id": f"C-{number}"},
        "recipient": {"address": f"{key}-{number}@example.org", "name": "Anna Ample"},
        "subject": f"Your statement {number}",
        "text": "Dear customer,\n\nyour statement.\n",
        **changes,
    }


def one_each(addresses: Sequence[str]) -> dict[str, int]:
    """What `arrived` must say."""
    return dict.fromkeys(addresses, 1)


@asynccontextmanager
async def opened(stage: Stage) -> AsyncIterator[Stage]:
    """A stage whose processes end with it."""
    try:
        yield stage
    finally:
        await stage.clear()
