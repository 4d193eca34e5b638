"""How long it takes from an event to the call at Exstream, through a real worker.

An event `step.asked` is written as a room writes it; a `millstream worker` of its own answers it, writes the step,
makes it durable and calls. The server that is called is this process: it notes when each release arrives. Events come
at random moments, so that no two measure the same place between two sweeps.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from process import BenchFailed
from stage import House, emit, house, say, work_folder

_READY_SECONDS = 60.0
_MOST_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    steps: int = 200
    gap_seconds: float = 0.3
    """Between two events at most."""


@dataclass(slots=True)
class Server:
    """Stands for Exstream: gives tokens, and notes when a release arrives, by the step's id."""

    url: str = ""
    arrived: dict[str, float] = field(default_factory=dict)
    calls: int = 0

    async def token(self, _request: web.Request) -> web.Response:
        """Any client gets one."""
        return web.json_response({"access_token": "bench", "token_type": "Bearer", "expires_in": 900})

    async def release(self, request: web.Request) -> web.Response:
        """Note the moment, answer as Exstream does."""
        self.calls += 1
        self.arrived.setdefault(request.match_info["id"], time.time())
        return web.json_response("success")


async def measure(plan: Plan) -> None:
    """One line: from event to call, median, 99th percentile and maximum in milliseconds."""
    async with work_folder() as folder, house(folder) as here, server() as there:
        here.configure(_nowhere(), preset="none", documents=folder / "documents")
        with here.config.open("a", encoding="utf-8") as config:
            config.write(_sections(there.url))
        async with here.run("worker", "worker") as worker:
            await _one(here, there, within=_READY_SECONDS)  # the schema stands, and the sweeps run
            say(f"next steps: {plan.steps} events")
            seconds = []
            for _ in range(plan.steps):
                await asyncio.sleep(random.uniform(0, plan.gap_seconds))  # noqa: S311  no secret
                worker.check()
                seconds.append(await _one(here, there, within=_MOST_SECONDS))
    seconds.sort()
    emit(
        {
            "name": "exstream.next_step",
            "median_ms": round(1000 * statistics.median(seconds), 1),
            "p99_ms": round(1000 * seconds[int(0.99 * (len(seconds) - 1))], 1),
            "max_ms": round(1000 * seconds[-1], 1),
            "steps": plan.steps,
            "calls": there.calls - 1,
        }
    )


async def _one(here: House, there: Server, *, within: float) -> float:
    """Seconds from one event's commit to its call's arrival."""
    number = str(uuid.uuid4())
    payload = orjson.dumps({"verb": "release_step", "target": number, "actor": "bench"}).decode()
    began = await here.tell("step.asked", "bench:next_step", payload, within=within)
    ends_at = time.time() + within
    while number not in there.arrived:
        if time.time() > ends_at:
            raise BenchFailed(f"a step was not called within {within:.0f} s")
        await asyncio.sleep(0.001)
    return there.arrived[number] - began


@asynccontextmanager
async def server() -> AsyncIterator[Server]:
    """The server, in this process, for the time of a block."""
    made = Server()
    app = web.Application()
    app.router.add_post("/token", made.token)
    app.router.add_post("/orchestration/api/v1/runtime/bank/flow-steps/{id}/release", made.release)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


def _nowhere() -> str:
    return 'endpoint = "http://127.0.0.1:9"\nauth = "static"\nstatic_token = "bench"\n'


def _sections(url: str) -> str:
    return (
        f'\n[exstream]\nmode = "local"\nbase_url = "{url}"\ndomain = "bank"\n\n'
        f'[exstream_tokens]\nlayout = "url"\nurl = "{url}/token"\nclient_id = "bench"\nclient_secret = "bench"\n'
    )
