"""How much of what Google's quotas allow is used, and whether anything is refused.

The Gmail sandbox keeps Google's stricter regime; a real worker sends out of 40 mailboxes. After ten seconds one minute
is measured, in the sandbox's own ledger: units spent in it against 40 times the units a mailbox has in a minute.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from driver import write_driver
from millstream.quota import Limits
from process import BenchFailed, started
from stage import MAILBOXES, House, Sink, emit, house, say, work_folder

_WARM_UP_SECONDS = 10.0
_MINUTE = 60.0
_TAIL_SECONDS = 5.0
_MOST_START_SECONDS = 60.0
_QUOTA_STATUS = ("403 ", "429 ")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    mode: str = "draft"
    preset: str = "google-2026"
    each: int = 110
    """Communications for each mailbox: more than leave in the time, so that every lane stays busy."""


async def measure(plan: Plan) -> None:
    """One minute of every lane at its limit."""
    async with work_folder() as folder, house(folder) as here, _sandbox(folder, plan) as there:
        await _configure(here, there, plan)
        driver = write_driver(folder / "driver.jsonl", plan.each * len(MAILBOXES))
        await here.submit(driver, plan.mode)
        async with here.run("worker", "worker") as worker:
            await _first_call(there)
            say(f"ceiling: {_WARM_UP_SECONDS + _MINUTE + _TAIL_SECONDS:.0f} s at the limit")
            await asyncio.sleep(_WARM_UP_SECONDS)
            accepted = await here.accepted()
            await asyncio.sleep(_MINUTE)
            ledger, after = await there.get("/sandbox/v1/ledger"), await here.accepted()
            await asyncio.sleep(_TAIL_SECONDS)
            worker.check()
        last = await there.get("/sandbox/v1/ledger")
        if after >= plan.each * len(MAILBOXES):
            raise BenchFailed(f"all {after} deliveries left within the minute; lanes were idle, so it shows no ceiling")
    emit(_line(plan, ledger, last, after - accepted))


def _line(plan: Plan, ledger: dict[str, Any], last: dict[str, Any], messages: int) -> dict[str, Any]:
    rate = Limits.preset(plan.preset).units_per_minute_user
    assert rate is not None
    own = [used["units_last_minute"] / rate.amount for used in ledger["mailboxes"].values()]
    allowed = rate.amount * len(MAILBOXES)
    refused = {why: count for why, count in last["refusals"].items() if why.startswith(_QUOTA_STATUS)}
    return {
        "name": "ceiling",
        "mode": plan.mode,
        "fraction": round(ledger["units_last_minute"] / allowed, 4),
        "refused": sum(refused.values()),
        "fraction_worst_mailbox": round(min(own), 4),
        "fraction_best_minute": round(last["best_minute_units"] / allowed, 4),
        "per_second": round(messages / _MINUTE, 2),
        "mailboxes": len(own),
        "refusals": refused,
    }


async def _configure(here: House, there: Sink, plan: Plan) -> None:
    key_file = here.folder / "service-account.json"
    key_file.write_bytes(orjson.dumps(await there.get("/sandbox/v1/service-account")))
    gmail = (
        f'endpoint = "{there.url}"\ntoken_url = "{there.url}/token"\n'
        f'auth = "service_account"\nkey_file = "{key_file}"\n'
    )
    here.configure(gmail, preset=plan.preset, documents=here.folder / "documents", read=True)


async def _first_call(there: Sink) -> None:
    """Wait until the first draft or send was charged."""
    ends_at = time.monotonic() + _MOST_START_SECONDS
    while not (await there.get("/sandbox/v1/ledger"))["calls"]:
        if time.monotonic() > ends_at:
            raise BenchFailed("the worker called nothing; the cause stands in its log")
        await asyncio.sleep(0.1)


@asynccontextmanager
async def _sandbox(folder: Path, plan: Plan) -> AsyncIterator[Sink]:
    """The Gmail sandbox as a process, with our mailboxes in it; every other address is the outside world."""
    settings = folder / "sandbox.toml"
    listed = ", ".join(f'"{mailbox}"' for mailbox in MAILBOXES)
    settings.write_text(f'limits = "{plan.preset}"\nmailboxes = [{listed}]\n', "utf-8")
    arguments = ["-m", "millstream", "sandbox", "gmail", "--settings", str(settings), "--json"]
    async with started("sandbox", arguments, folder) as child, aiohttp.ClientSession() as session:
        yield Sink(orjson.loads(await child.first_line())["url"], session, child)
