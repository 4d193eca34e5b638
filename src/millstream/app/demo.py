"""The demo's cast: sandbox and worker as processes of their own, real statements, and the counting.

It uses what a user uses: a configuration file, `millstream sandbox gmail`, `millstream worker`, a driver. What arrived
is counted in the recipients' mailboxes.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from millstream.demo.cdnow import data_file, driver_records, read_customers

DOMAIN = "bank.example"
KEY_FILE = "service-account.json"
_STOP_PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Cast:
    """How large the demo is."""

    customers: int
    lanes: int = 40

    @property
    def mailboxes(self) -> list[str]:
        """The sender mailboxes."""
        return [f"statements-{number:02}@{DOMAIN}" for number in range(1, self.lanes + 1)]


@asynccontextmanager
async def stage() -> AsyncIterator[Path]:
    """A folder for one demo, gone afterwards. As root it lies where the embedded server's own user can reach it."""
    place = "/var/lib" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="millstream-demo-", dir=place))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def write_driver(folder: Path, cast: Cast) -> tuple[Path, list[str]]:
    """The driver of the real customers, and the addresses that must each get one statement."""
    path, addresses = folder / "statements.jsonl", []
    with path.open("wb") as file:
        for record in islice(driver_records(read_customers(data_file())), cast.customers):
            addresses.append(record["recipient"]["address"])
            file.write(orjson.dumps(record) + b"\n")
    return path, addresses


@dataclass(slots=True)
class Process:
    """A process of the demo's, of our own command line."""

    arguments: Sequence[str]
    log_file: Path
    environment: dict[str, str] = field(default_factory=dict)
    peak_rss_mb: float = 0.0
    _child: asyncio.subprocess.Process | None = None

    async def start(self, *, answers: bool = False) -> dict[str, Any]:
        """Start it; with `answers` wait for the JSON line it begins with.

        Raises:
            RuntimeError: it ended instead of answering.
        """
        with self.log_file.open("ab") as log:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "millstream",
                *self.arguments,
                stdout=asyncio.subprocess.PIPE if answers else log,
                stderr=log,
                env={**os.environ, **self.environment},  # noqa: TID251  handed on, not read
                start_new_session=True,  # Ctrl-C is the demo's; it ends its processes in order
            )
        if not answers or self._child.stdout is None:
            return {}
        line = await self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"millstream {' '.join(self.arguments)} did not start; see {self.log_file}")
        told: dict[str, Any] = orjson.loads(line)
        return told

    @property
    def ended(self) -> int | None:
        """Its exit code, or None while it runs."""
        return self._child.returncode if self._child else None

    def measure(self) -> None:
        """Note its peak resident memory so far (Linux: VmHWM)."""
        if self._child is None or self.ended is not None:
            return
        with suppress(OSError):
            for line in Path(f"/proc/{self._child.pid}/status").read_text("ascii").splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_rss_mb = max(self.peak_rss_mb, int(line.split()[1]) / 1024)

    async def stop(self) -> None:
        """Ask it to end, and wait."""
        if self._child is None or self.ended is not None:
            return
        self.measure()
        self._child.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._child.wait(), _STOP_PATIENCE)
        except TimeoutError:
            self._child.kill()
            await self._child.wait()


class Sandbox:
    """The Gmail sandbox's control API."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self.url = url
        self._session = session

    async def get(self, path: str) -> dict[str, Any]:
        """Read a control document."""
        async with self._session.get(f"{self.url}/sandbox/v1/{path}") as reply:
            reply.raise_for_status()
            return orjson.loads(await reply.read())  # type: ignore[no-any-return]  # documents are objects

    async def post(self, path: str, document: object) -> dict[str, Any]:
        """Change something."""
        async with self._session.post(f"{self.url}/sandbox/v1/{path}", data=orjson.dumps(document)) as reply:
            reply.raise_for_status()
            return orjson.loads(await reply.read())  # type: ignore[no-any-return]  # documents are objects

    async def clear_faults(self) -> None:
        """Good weather again."""
        async with self._session.delete(f"{self.url}/sandbox/v1/faults") as reply:
            reply.raise_for_status()


@dataclass(frozen=True, slots=True)
class Arrived:
    """What the recipients' mailboxes hold."""

    customers: int
    duplicates: int
    missing: int
    doubled: tuple[str, ...] = ()
    """Addresses that have more than one."""

    @classmethod
    async def count(cls, sandbox: Sandbox, addresses: Sequence[str]) -> Arrived:
        """Count statements in every customer's mailbox."""
        counts = (await sandbox.get("counts"))["by_recipient"]
        each = [counts.get(address, 0) for address in addresses]
        doubled = tuple(address for address, got in zip(addresses, each, strict=True) if got > 1)
        return cls(len(each), sum(max(0, got - 1) for got in each), sum(got == 0 for got in each), doubled)


def write_settings(
    folder: Path, cast: Cast, sandbox_url: str, *, storm: bool, more: str = "", road: str = "api"
) -> Path:
    """The configuration a user would write, pointed at the sandboxes; `more` holds sections of doors and roads."""
    pool = ", ".join(f'"{mailbox}"' for mailbox in cast.mailboxes)
    # Shorter waits than in earnest, so that a person sees recovery happen; the rules are the same.
    patience = "call_seconds = 3\n" if storm else ""
    text = f"""\
folder = "{folder}"

[gmail]
endpoint = "{sandbox_url}"
token_url = "{sandbox_url}/token"
auth = "service_account"
key_file = "{folder / KEY_FILE}"
connections = 400
{patience}
[senders]
name = "Example Bank"
reply_to = "statements-01@{DOMAIN}"
pools = {{ default = [{pool}], review = ["reviews@{DOMAIN}"] }}

[delivery]
road = "{road}"
heartbeat_seconds = 1
stalled_after_seconds = 4
probe_floor_seconds = 1.5
stray_grace_seconds = 4
recheck_seconds = 4

[mailbox]
poll_seconds = 3
poll_sending_seconds = 1.5
settle_seconds = 3
{more}"""
    path = folder / "millstream.toml"
    path.write_text(text, encoding="utf-8")
    return path
