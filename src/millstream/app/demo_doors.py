"""How the demo's statements come in: made by the Exstream sandbox in one batch job, and through one of the doors.

The job leaves Exstream the way a real installation's would: as an output tree, by an HTTP or SMTP connector, or kept to
be fetched. `driver` alone goes without Exstream.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from millstream.app.demo import Process, Sandbox
from millstream.app.exstream import exstream
from millstream.app.house import House
from millstream.app.submit import submit_driver
from millstream.communication.model import Mode, Policy
from millstream.intake.consignment import Door
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.options import Point
from millstream.intake.submit import Receipt

SERVICE = "statements"
_LOOK_EVERY = 0.5
_QUIET_FOR = 30.0
"""Seconds without anything new after which what did not come will not."""
_CALLER = "exstream"
_DEATH = {"MILLSTREAM_INTAKE__DRILL": f"{Point.AFTER_RECEIPT}:20"}


@dataclass(slots=True)
class _Server:
    """A door's server; one that has died is started again, as by any supervisor."""

    arguments: list[str]
    log_file: Path
    _process: Process | None = None
    _keeper: asyncio.Task[None] | None = None

    async def start(self, environment: dict[str, str]) -> str:
        self._process = Process(self.arguments, self.log_file, environment)
        told = await self._process.start(answers=True)
        self._keeper = asyncio.create_task(self._keep())
        return str(told.get("url", ""))

    async def _keep(self) -> None:
        while self._process is not None:
            if self._process.ended is not None:
                self._process = Process(self.arguments, self.log_file)
                await self._process.start(answers=True)
            await asyncio.sleep(_LOOK_EVERY)

    async def stop(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        if self._process is not None:
            await self._process.stop()


def _free_port() -> int:
    """A port that a server keeps over its restarts."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@dataclass(slots=True)
class Incoming:
    """One door of the demo, while statements come through it."""

    door: Door
    folder: Path
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    port: int = field(default_factory=_free_port)
    smtp_port: int = field(default_factory=_free_port)
    told: dict[str, Any] = field(default_factory=dict)
    """What the Exstream sandbox says of itself."""
    control: Sandbox | None = None
    shelves: tuple[str, ...] = ()
    """Options of the Exstream sandbox: what lies there besides."""
    pages: bool = False
    """Whether reviewers need our web server."""
    base_url: str = ""
    """Of our web server, once it is up."""
    composed: int = 0
    arrived: int = 0

    async def begin(self, stack: AsyncExitStack, session: aiohttp.ClientSession) -> None:
        """Start the Exstream sandbox."""
        server = Process(["sandbox", "exstream", *self.shelves, "--json"], self.folder / "exstream.log")
        self.told = await server.start(answers=True)
        stack.push_async_callback(server.stop)
        self.control = Sandbox(self.told["url"], session)

    def settings(self) -> str:
        """What a user would write into the configuration to connect Exstream through this door."""
        return f"""
[web]
port = {self.port}

[exstream]
mode = "local"
orchestration_url = "{self.told["orchestration_url"]}"
design_url = "{self.told["design_url"]}"
domain = "{self.told["domain"]}"

[exstream_tokens]
layout = "url"
url = "{self.told["token_url"]}"
client_id = "{self.told["client_id"]}"
client_secret = "{self.told["client_secret"]}"
{self._door_settings()}"""

    def _door_settings(self) -> str:
        match self.door:
            case Door.FOLDER:
                return f"""
[intake_folder]
path = "{self._tree}"
poll_seconds = 0.5
settle_seconds = 0.5
run = "{SERVICE}"
"""
            case Door.HTTP:
                return f"""
[intake_http]
tokens = {{ {_CALLER} = "{self.secret}" }}
"""
            case Door.SMTP:
                return f"""
[intake_smtp]
port = {self.smtp_port}
run = "{SERVICE}"
"""
            case _:
                return """
[intake_pull]
on = true
poll_seconds = 0.5
per = "flow"
"""

    @property
    def _tree(self) -> Path:
        return self.folder / "output"

    async def open(self, stack: AsyncExitStack, settings_file: Path, *, dies: bool) -> None:
        """Open the door: start its server where it has one, and tell Exstream where its output goes.

        A server that `dies` kills itself when it has received something and told nobody, once; it is started again.
        """
        if self.control is None:
            return
        self._tree.mkdir(exist_ok=True)
        commands = [
            *(["web"] if self.pages or self.door is Door.HTTP else []),
            *(["smtp"] if self.door is Door.SMTP else []),
        ]
        for command in commands:
            arguments = ["--config", str(settings_file), command, "--json"]
            server = _Server(arguments, self.folder / f"{command}.log")
            own = command == ("smtp" if self.door is Door.SMTP else "web")
            address = await server.start(_DEATH if dies and own and self.door in {Door.HTTP, Door.SMTP} else {})
            stack.push_async_callback(server.stop)
            self.base_url = address if command == "web" else self.base_url
        if self.door is Door.DRIVER:
            return
        await self.control.post(
            "flows",
            {
                "name": "Statements",
                "domain": self.told["domain"],
                "service": SERVICE,
                "template": "statement",
                "customers_per_flow": 40,
                "channels": [self.channel],
            },
        )

    @property
    def channel(self) -> dict[str, Any]:
        """Where Exstream's output goes, so that it comes in by this door."""
        match self.door:
            case Door.FOLDER:
                return {"type": "file", "directory": str(self._tree)}
            case Door.HTTP:
                headers = {"Authorization": f"Bearer {self.secret}"}
                return {
                    "type": "https",
                    "url": f"{self.base_url}/api/v1/communications?run={SERVICE}",
                    "headers": headers,
                }
            case Door.SMTP:
                return {"type": "smtp", "host": "127.0.0.1", "port": self.smtp_port}
            case _:
                return {"type": "retained"}

    async def come_in(self, house: House, driver: Path, customers: int) -> None:
        """Have the statements made, and wait until they are in, or nothing more comes.

        Raises:
            ExstreamError: the job could not be started.
            IntakeError: the driver could not be read, or a store failed.
        """
        if self.door is Door.DRIVER:
            await self._submit(house, driver)
            return
        records = [orjson.loads(line) for line in (await asyncio.to_thread(driver.read_bytes)).splitlines()]
        async with exstream(house.settings) as client:
            await client.inputs().batch(SERVICE, orjson.dumps({"customers": records}))
        store = ConsignmentStore(house.pool)
        changed_at = time.monotonic()
        while self.arrived < customers and time.monotonic() - changed_at < _QUIET_FOR:
            arrived = (await store.doors()).get(self.door, 0)
            if arrived != self.arrived or await store.waiting():
                self.arrived, changed_at = arrived, time.monotonic()
            await self._look()
            await asyncio.sleep(_LOOK_EVERY)
        await self._look()

    async def _look(self) -> None:
        if self.control is not None:
            self.composed = (await self.control.get("state"))["customers"]

    async def _submit(self, house: House, driver: Path) -> None:
        def heard(receipt: Receipt) -> None:
            self.composed, self.arrived = receipt.composed, receipt.new

        run = await house.runs.open_run(
            SERVICE, pool="default", mode=Mode.DRAFT, policy=Policy(), source="CDNOW purchase records"
        )
        await submit_driver(house, run, driver, heard)


def by_door(incoming: Incoming) -> dict[str, int]:
    """Door to communications that came in by it, for the demo's answer."""
    return {incoming.door.value: incoming.arrived}
