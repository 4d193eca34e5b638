"""How fast messages come in by SMTP, each durable before its 250; and that a killed door has what it answered.

`millstream smtp` and the client are processes of their own; the database runs with fsync. First all messages are sent
and timed. Then a second client begins, the door is killed with SIGKILL in the middle, and what it answered with 250 is
looked for: the row, and the message in the document store.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from process import BenchFailed, Child, started
from stage import House, emit, house, say, work_folder

_CLIENT = Path(__file__).with_name("mail_client.py")
_CONFIGURATION = """
folder = "{folder}"

[documents]
url = "{folder}/documents"

[intake_smtp]
connections_per_address = 50
messages_per_connection = 100000

[logging]
level = "warning"
"""
_KILL_AFTER_SECONDS = 1.5
_IN_MS = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    messages: int = 3_000
    bytes: int = 200_000
    connections: int = 16
    seconds: float = 300.0
    """How long it may take."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a client tells: the consignments that 250 named, the seconds each waited for it, and when."""

    ids: list[int]
    waited: list[float]
    began: float
    ended: float

    @classmethod
    def of(cls, told: dict[str, Any]) -> Sent:
        """Read its answer."""
        return cls(told["ids"], told["waited"], told["began"], told["ended"])


async def measure(plan: Plan) -> None:
    """Messages come in, and a door is killed."""
    async with work_folder() as folder, house(folder) as here:
        here.config.write_text(_CONFIGURATION.format(folder=folder), "utf-8")
        async with here.run("smtp", "smtp", "--port", "0", "--json") as door:
            port = int(orjson.loads(await door.first_line())["port"])
            say(f"intake.smtp: {plan.messages:,} messages of {plan.bytes:,} bytes")
            async with _client(folder, port, plan, plan.messages, 0) as client:
                sent = Sent.of(await client.answer(within=plan.seconds))
            began, ended = sent.began, sent.ended
            cpu_ms = _IN_MS * door.cpu_between(began, ended) / plan.messages
            rss = max(reading.rss_mb for reading in door.readings)
            async with _client(folder, port, plan, plan.messages, plan.messages) as client:
                await asyncio.sleep(_KILL_AFTER_SECONDS)
                await door.kill()
                late = Sent.of(await client.answer(within=plan.seconds))
            missing = await _missing(here, [*sent.ids, *late.ids])
    if len(sent.ids) != plan.messages:
        raise BenchFailed(f"{len(sent.ids)} of {plan.messages} messages were answered with 250")
    waited = sorted(sent.waited)
    emit(
        {
            "name": "intake.smtp",
            "messages": plan.messages,
            "bytes": plan.bytes,
            "connections": plan.connections,
            "per_second": round(plan.messages / (ended - began)),
            "seconds": round(ended - began, 1),
            "wait_ms_median": round(_IN_MS * statistics.median(waited), 1),
            "wait_ms_p99": round(_IN_MS * waited[int(len(waited) * 0.99)], 1),
            "cpu_ms": round(cpu_ms, 2),
            "rss_mb": round(rss),
            "answered_before_the_kill": len(late.ids),
            "answered_and_missing": missing,
        }
    )


@asynccontextmanager
async def _client(folder: Path, port: int, plan: Plan, messages: int, first: int) -> AsyncIterator[Child]:
    wish = {"port": port, "messages": messages, "bytes": plan.bytes, "connections": plan.connections, "first": first}
    arguments = [part for name, value in wish.items() for part in (f"--{name}", str(value))]
    async with started("client", [str(_CLIENT), *arguments], folder) as child:
        yield child


async def _missing(here: House, answered: list[int]) -> int:
    """How many that were answered with 250 are not there."""
    row = await here.ask("SELECT json_object_agg(id, place) FROM consignment WHERE door = 'smtp'")
    places: dict[str, str] = row[0] if row else {}
    missing = 0
    for number in answered:
        sha256 = places.get(str(number), "").removeprefix("sha256:")
        there = bool(sha256) and (here.folder / "documents" / sha256[:2] / sha256).is_file()
        missing += not there
    return missing
