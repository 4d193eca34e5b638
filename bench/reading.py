"""How mailboxes are read: the first look into a large one, from push to sighting, and what a thousand idle ones cost.

A real `millstream worker` reads a Gmail sandbox in another process. `mailbox.first_sync` reads a mailbox of 100,000
letters under a quota that is sixty times Google's, so that it ends within minutes, and says which part of that quota
was used. `mailbox.push` waits for each letter's sighting in the database before it sends the next. `mailbox.idle` takes
the worker's processor time over a minute in which nothing comes.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from process import BenchFailed, Child, started
from stage import House, Sink, emit, house, say, work_folder

_INBOX = "inbox@bank.example"
_TOPIC, _PULL = "projects/bench/topics/gmail", "projects/bench/subscriptions/pull"
_MOST_SECONDS = 1_200.0
_START_SECONDS = 120.0
_UNITS = {"google": 6_000, "times": 60}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    letters: int = 100_000
    letter_bytes: int = 5_000
    pushes: int = 30
    mailboxes: int = 1_000
    idle_seconds: float = 60.0
    poll_seconds: float = 15.0


async def first_sync(plan: Plan) -> None:
    """A mailbox with many letters, read for the first time."""
    rate = f"{_UNITS['google'] * _UNITS['times']}/min"
    limits = f'[limits.overrides]\nunits_per_minute_user = "{rate}"\nunits_per_minute_project = "none"\n'
    async with _stage([_INBOX], f'limit_overrides = {{ units_per_minute_user = "{rate}" }}\n') as (here, there):
        await there.post(f"mailboxes/{_INBOX}/fill", {"count": plan.letters, "size": plan.letter_bytes})
        await here.configure_reading(there, [_INBOX], preset="google-2026", more=limits)
        async with here.worker() as worker:
            began, units = await _first(here, worker), 0
            say(f"mailbox.first_sync: {plan.letters:,} letters")
            while (told := await here.told()) < plan.letters:
                worker.check()
                units = max(units, (await there.get("/sandbox/v1/ledger"))["best_minute_units"])
                if time.time() - began > _MOST_SECONDS:
                    raise BenchFailed(f"{told} of {plan.letters} letters after {_MOST_SECONDS:.0f} s")
                await asyncio.sleep(1.0)
            seconds = time.time() - began
            refused = (await there.get("/sandbox/v1/ledger"))["refusals"]
        half = began + seconds / 2
        emit(
            {
                "name": "mailbox.first_sync",
                "messages": plan.letters,
                "per_second": round(plan.letters / seconds, 1),
                "fraction_of_quota": round(units / (_UNITS["google"] * _UNITS["times"]), 3),
                "refused": sum(refused.values()),
                "rss_mb": round(max(reading.rss_mb for reading in worker.readings)),
                "rss_mb_first_half": round(max(r.rss_mb for r in worker.readings if r.at < half)),
                "cpu_ms": round(1000 * worker.cpu_between(began, began + seconds) / plan.letters, 2),
                "twice": plan.letters - await here.distinct(),
            }
        )


async def push(plan: Plan) -> None:
    """Letter by letter, from its arrival (and Gmail's push) to its recorded sighting; no poll is due for an hour."""
    extra = f'topics = [{{ name = "{_TOPIC}" }}]\nsubscriptions = [{{ name = "{_PULL}", topic = "{_TOPIC}" }}]\n'
    async with _stage([_INBOX], extra) as (here, there):
        pull = (
            f'[push]\ntopic = "{_TOPIC}"\nsubscription = "{_PULL}"\nendpoint = "http://127.0.0.1:{there.pubsub_port}"\n'
        )
        await here.configure_reading(there, [_INBOX], preset="google-2026", more=pull, poll=3_600)
        async with here.worker() as worker:
            await here.wait_for("SELECT count(*) FROM mailbox WHERE watch_until IS NOT NULL AND phase = 'delta'", 1)
            took = []
            for number in range(plan.pushes):
                await asyncio.sleep(1.2)  # Gmail pushes once a second and drops what is more
                letter = {
                    "sender": "anna@example.org",
                    "recipients": [_INBOX],
                    "subject": f"{number}",
                    "text": "Hello.",
                }
                began = time.perf_counter()
                await there.post("deliver", letter)
                await here.wait_for("SELECT count(*) FROM sighting", number + 1, every=0.005)
                took.append(1000 * (time.perf_counter() - began))
                worker.check()
        took.sort()
        emit(
            {
                "name": "mailbox.push",
                "messages": len(took),
                "median_ms": round(statistics.median(took)),
                "p90_ms": round(took[int(0.9 * len(took))]),
                "max_ms": round(took[-1]),
            }
        )


async def idle(plan: Plan) -> None:
    """Mailboxes in which nothing happens, polled by one worker."""
    addresses = [f"box-{number:04}@bank.example" for number in range(plan.mailboxes)]
    async with _stage(addresses, 'limits = "none"\n') as (here, there):
        await here.configure_reading(there, addresses, preset="none", poll=plan.poll_seconds)
        async with here.worker() as worker:
            await here.wait_for("SELECT count(*) FROM mailbox WHERE phase = 'delta'", plan.mailboxes)
            await asyncio.sleep(2.5 * plan.poll_seconds)  # every cursor has come to rest
            say(f"mailbox.idle: {plan.idle_seconds:.0f} s of {plan.mailboxes:,} mailboxes")
            before = (await there.get("/sandbox/v1/ledger"))["calls"]["history.list"]
            began = time.time()
            await asyncio.sleep(plan.idle_seconds)
            ended = time.time()
            after = (await there.get("/sandbox/v1/ledger"))["calls"]["history.list"]
            worker.check()
            await asyncio.sleep(0.1)
        looks = after - before
        emit(
            {
                "name": "mailbox.idle",
                "mailboxes": plan.mailboxes,
                "looks_per_second": round(looks / (ended - began), 1),
                "core": round(worker.cpu_between(began, ended) / (ended - began), 4),
                "cpu_ms_per_look": round(1000 * worker.cpu_between(began, ended) / looks, 2),
                "rss_mb": round(max(reading.rss_mb for reading in worker.readings)),
            }
        )


async def _first(here: Reader, worker: Child) -> float:
    """When the first sighting came."""
    ends_at = time.monotonic() + _START_SECONDS
    while not await here.told():
        worker.check()
        if time.monotonic() > ends_at:
            raise BenchFailed("the worker read nothing; the cause stands in its log")
        await asyncio.sleep(0.05)
    return time.time()


class Reader:
    """A house whose worker reads and sends nothing."""

    def __init__(self, here: House) -> None:
        self._house = here

    async def configure_reading(
        self, there: Box, mailboxes: list[str], *, preset: str, more: str = "", poll: float = 15.0
    ) -> None:
        """What an operator would write to have these mailboxes read."""
        listed = ", ".join(f'"{mailbox}"' for mailbox in mailboxes)
        folder = self._house.folder
        self._house.config.write_text(
            f'folder = "{folder}"\n\n[gmail]\nendpoint = "{there.url}"\ntoken_url = "{there.url}/token"\n'
            f'auth = "service_account"\nkey_file = "{folder}/key.json"\n\n'
            f"[mailbox]\nrequest = [{listed}]\npoll_seconds = {poll}\npoll_slowest_seconds = {poll}\n"
            f"poll_units_per_day = 1_000_000_000\nlookback_days = 30\n\n"
            f'[limits]\npreset = "{preset}"\n\n{more}\n[logging]\nlevel = "warning"\n',
            "utf-8",
        )
        async with self._house.run("migrate", "db", "migrate", "--json") as child:
            await child.answer(within=_START_SECONDS)

    def worker(self) -> Any:
        """A worker as a process, for the time of a block."""
        return self._house.run("worker", "worker")

    async def told(self) -> int:
        """How many messages are recorded."""
        return int((await self._house._row("SELECT count(*) FROM sighting"))[0])  # noqa: SLF001  the stage's own

    async def distinct(self) -> int:
        """How many different ones."""
        row = await self._house._row("SELECT count(DISTINCT message_id) FROM sighting")  # noqa: SLF001  the same
        return int(row[0])

    async def wait_for(self, question: str, count: int, *, every: float = 0.1) -> None:
        """Wait until a count is reached.

        Raises:
            BenchFailed: it was not within two minutes.
        """
        ends_at = time.monotonic() + _START_SECONDS
        while (found := int((await self._house._row(question))[0])) < count:  # noqa: SLF001  the same
            if time.monotonic() > ends_at:
                raise BenchFailed(f"{found} of {count} after {_START_SECONDS:.0f} s: {question}")
            await asyncio.sleep(every)


@dataclass(frozen=True, slots=True)
class Box(Sink):
    """The sandbox as a process."""

    pubsub_port: int

    async def post(self, path: str, document: dict[str, Any]) -> None:
        """Change something in it."""
        async with self.session.post(f"{self.url}/sandbox/v1/{path}", json=document) as reply:
            reply.raise_for_status()


@asynccontextmanager
async def _stage(mailboxes: list[str], settings: str) -> AsyncIterator[tuple[Reader, Box]]:
    """A house, and a sandbox with these mailboxes."""
    async with work_folder() as folder, house(folder) as here, sandbox(folder, mailboxes, settings) as there:
        key = await there.get("/sandbox/v1/service-account")
        (folder / "key.json").write_bytes(orjson.dumps(key))
        yield Reader(here), there


@asynccontextmanager
async def sandbox(folder: Path, mailboxes: list[str], settings: str) -> AsyncIterator[Box]:
    """A Gmail sandbox in a process of its own, with these mailboxes and more of its settings."""
    place = folder / "sandbox.toml"
    listed = ", ".join(f'"{mailbox}"' for mailbox in mailboxes)
    place.write_text(f"mailboxes = [{listed}]\n{settings}", "utf-8")
    arguments = ["-m", "millstream", "sandbox", "gmail", "--settings", str(place), "--pubsub-port", "0", "--json"]
    async with started("sandbox", arguments, folder) as child, aiohttp.ClientSession() as session:
        told = orjson.loads(await child.first_line())
        yield Box(told["url"], session, child, told["pubsub_port"])
