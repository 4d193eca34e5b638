"""How fast communications come in by HTTP: one large run, and many small ones beside each other.

`millstream web` takes the bodies and `millstream worker` makes communications of them, each a process of its own; no
mailbox is set, so nothing leaves meanwhile. The time runs from the first byte sent until the last consignment is taken.
Every record has its own PDF inline, in base64. Memory is the resident set of the web server, read from outside.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import aiohttp
import orjson
import pikepdf
import pybase64

from process import BenchFailed, Child
from stage import House, emit, house, say, work_folder

_TOKEN = "bench"  # noqa: S105  of the loopback
_CONFIGURATION = f"""
folder = "{{folder}}"

[documents]
url = "{{folder}}/documents"

[intake_http]
tokens = {{{{ bench = "{_TOKEN}" }}}}

[gmail]
auth = "static"
static_token = "bench"

[mailbox]
read = false

[logging]
level = "warning"
"""
_LOOK_EVERY_SECONDS = 0.1
_FRAME = 700
_RECORDS_A_PIECE = 20
_STATES = (
    "SELECT count(*) FILTER (WHERE state = 'taken'), count(*) FILTER (WHERE state = 'failed'), "
    "sum((receipt ->> 'new')::integer), sum((receipt ->> 'held')::integer), extract(epoch FROM max(taken_at))::float8, "
    "min(problem) FROM consignment WHERE door = 'http'"
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    communications: int = 20_000
    """Of the large run."""
    posts: int = 16
    each: int = 500
    """Communications of each of the small ones."""
    pdf_bytes: int = 20_000
    seconds: float = 300.0
    """How long each may take."""


async def measure(plan: Plan) -> None:
    """One large run, then many small ones."""
    await _measured(plan, "one run", [plan.communications])
    await _measured(plan, f"{plan.posts} at a time", [plan.each] * plan.posts)


async def _measured(plan: Plan, shape: str, counts: list[int]) -> None:
    total = sum(counts)
    async with work_folder() as folder, house(folder) as here:
        here.config.write_text(_CONFIGURATION.format(folder=folder), "utf-8")
        async with here.run("web", "web", "--port", "0", "--json") as web, here.run("worker", "worker") as worker:
            url = orjson.loads(await web.first_line())["url"]
            await asyncio.sleep(3.0)  # both are up
            idle = web.readings[-1].rss_mb
            say(f"intake.http: {total:,} communications, {shape}")
            pdf = _Pdf(plan.pdf_bytes)
            began = time.time()
            async with aiohttp.ClientSession() as session:
                posted = [_post(session, url, pdf, at, count) for at, count in enumerate(counts)]
                sizes = await asyncio.gather(*posted)
            uploaded = time.time()
            new, ended = await _taken(here, web, worker, len(counts), plan)
            cpu_ms = 1000 * web.cpu_between(began, ended) / total
            rss = max(reading.rss_mb for reading in web.readings)
    if new != total:
        raise BenchFailed(f"{new} of {total} communications came in")
    emit(
        {
            "name": "intake.http",
            "shape": shape,
            "communications": total,
            "megabytes": round(sum(sizes) / 1e6),
            "per_second": round(total / (ended - began)),
            "seconds": round(ended - began, 1),
            "upload_seconds": round(uploaded - began, 1),
            "web_cpu_ms": round(cpu_ms, 3),
            "web_rss_mb": round(rss),
            "web_rss_mb_idle": round(idle),
        }
    )


async def _post(session: aiohttp.ClientSession, url: str, pdf: _Pdf, at: int, count: int) -> int:
    """Post a run of so many records; answers its bytes."""
    size = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal size
        for start in range(0, count, _RECORDS_A_PIECE):
            piece = b"".join(_line(at, number, pdf) for number in range(start, min(count, start + _RECORDS_A_PIECE)))
            size += len(piece)
            yield piece

    headers = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/x-ndjson"}
    async with session.post(f"{url}/api/v1/runs?wait=0&run=run-{at}", data=body(), headers=headers) as reply:
        if reply.status not in (201, 202):
            raise BenchFailed(f"the run was not taken: {await reply.text()}")
    return size


async def _taken(here: House, web: Child, worker: Child, runs: int, plan: Plan) -> tuple[int, float]:
    """Wait until all are taken; answers how many communications are new, and when the last one was taken."""
    ends_at = time.monotonic() + plan.seconds
    while time.monotonic() < ends_at:
        web.check()
        worker.check()
        row: tuple[Any, ...] | None = await here.ask(_STATES)
        if row is not None and (row[1] or row[3]):
            raise BenchFailed(f"not everything came in well: {row}")
        if row is not None and row[0] == runs:
            return int(row[2]), float(row[4])
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
    raise BenchFailed(f"not taken within {plan.seconds:.0f} s")


class _Pdf:
    """PDFs that differ in a number: one page whose content is noise, which no compression makes smaller."""

    def __init__(self, size: int) -> None:
        with pikepdf.new() as pdf:
            page = pdf.add_blank_page()
            page.Contents = pdf.make_stream(b"% " + os.urandom(size - _FRAME).replace(b"\n", b"\0"))
            out = BytesIO()
            pdf.save(out, compress_streams=False)
        raw = out.getvalue()
        # All but the end is the same for all, and encoded once.
        self._start = pybase64.b64encode(raw[: len(raw) // 3 * 3]).decode()
        self._end = raw[len(raw) // 3 * 3 :]

    def encoded(self, number: int, at: int) -> str:
        """Base64 of another one."""
        return self._start + pybase64.b64encode(self._end + f"%% {at}/{number}\n".encode()).decode()


def _line(at: int, number: int, pdf: _Pdf) -> bytes:
    return (
        orjson.dumps(
            {
                "key": f"2025-10/{number:06}",
                "type": "statement",
                "customer": {"id": f"C{number}", "name": f"Customer {number}"},
                "recipient": {"address": f"customer{at}-{number}@example.net"},
                "subject": f"Your statement of October, account {number}",
                "text": f"Dear Customer {number},\n\nyour statement of October is attached.\n\nYours,\nthe bank\n",
                "documents": [{"name": "Statement October 2025.pdf", "content": pdf.encoded(number, at)}],
            }
        )
        + b"\n"
    )
