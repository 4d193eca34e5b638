"""Processes that a measurement starts, watched from outside: processor time and memory, as the kernel counts them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import orjson

_LOOK_EVERY_SECONDS = 0.02
_STOP_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_ERROR_LINES = 20


class BenchFailed(Exception):
    """A measurement could not be made; the text says which process failed, and how."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a process and those it had started had used at a moment."""

    at: float
    """Seconds since 1970."""
    cpu_seconds: float
    """User and system time of all of its threads, and of its children."""
    rss_mb: float
    """Resident sets added up: pages that two of them share count twice."""


class Child:
    """One process of ours, read until it ends. Linux: the readings come from /proc."""

    def __init__(self, process: asyncio.subprocess.Process, name: str, log: Path) -> None:
        self.name = name
        self.readings: list[Reading] = []
        self._process = process
        self._log = log

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def first_line(self) -> bytes:
        """What it says when it is ready.

        Raises:
            BenchFailed: it ended without a word.
        """
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line:
            raise self._failure()
        return line

    async def answer(self, *, within: float) -> dict[str, object]:
        """The JSON object it ends with.

        Raises:
            BenchFailed: it failed, or took longer than `within` seconds.
        """
        try:
            told, _ = await asyncio.wait_for(self._process.communicate(), within)
        except TimeoutError as error:
            raise BenchFailed(f"{self.name} took longer than {within:.0f} s") from error
        if self._process.returncode:
            raise self._failure()
        found: dict[str, object] = orjson.loads(told.splitlines()[-1])
        return found

    def check(self) -> None:
        """Raise BenchFailed if it has ended."""
        if not self.running:
            raise self._failure()

    def cpu_between(self, began: float, ended: float) -> float:
        """Processor seconds between two moments, straight lines between readings."""
        return self._cpu_at(ended) - self._cpu_at(began)

    def _cpu_at(self, moment: float) -> float:
        before = after = self.readings[0]
        for reading in self.readings:
            before, after = after, reading
            if reading.at >= moment:
                break
        if after.at <= moment or after.at == before.at:
            return after.cpu_seconds
        part = max(0.0, (moment - before.at) / (after.at - before.at))
        return before.cpu_seconds + part * (after.cpu_seconds - before.cpu_seconds)

    async def watch(self) -> None:
        """Take readings until it ends, its own children's use added to its own."""
        pid = self._process.pid
        with suppress(FileNotFoundError, ProcessLookupError):
            while self.running:
                cpu, rss = _used(pid)
                for child in _children(pid):
                    with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                        more = _used(child)
                        cpu, rss = cpu + more[0], rss + more[1]
                self.readings.append(Reading(time.time(), cpu, rss / 1e6))
                await asyncio.sleep(_LOOK_EVERY_SECONDS)

    async def kill(self) -> None:
        """End it as a power failure would."""
        self._process.kill()
        await self._process.wait()

    async def stop(self) -> None:
        """Ask it to end in order; kill it when it does not."""
        if not self.running:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_SECONDS)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def _failure(self) -> BenchFailed:
        lines = self._log.read_text("utf-8", "replace").splitlines()[-_ERROR_LINES:]
        return BenchFailed(f"{self.name} ended with exit code {self._process.returncode}:\n" + "\n".join(lines))


def _used(pid: int) -> tuple[float, int]:
    """Processor seconds, those of children that ended included, and bytes in memory: proc_pid_stat(5)."""
    after_name = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()
    return sum(map(int, after_name[11:15])) / _TICKS, int(after_name[21]) * _PAGE_BYTES


def _children(pid: int) -> list[int]:
    """Of all its threads; theirs, in turn, are none of ours."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):
            found += map(int, (task / "children").read_text("ascii").split())
    return found


@asynccontextmanager
async def started(name: str, arguments: list[str], folder: Path) -> AsyncIterator[Child]:
    """A Python process for the time of a block. Its standard error goes into `folder`/`name`.log."""
    log = folder / f"{name}.log"
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=errors, env=_environment()
        )
    child = Child(process, name, log)
    watching = asyncio.create_task(child.watch())
    try:
        yield child
    finally:
        await asyncio.shield(child.stop())
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def _environment() -> dict[str, str]:
    """Ours without Millstream's settings: a measurement must never reach a real database or a real Gmail."""
    given = os.environ  # noqa: TID251  handed on to processes, not read
    return {name: value for name, value in given.items() if not name.startswith("MILLSTREAM_")}
