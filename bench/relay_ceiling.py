"""How much of the organisation's recipients of a period is used, by workers that share it, and whether any is refused.

The sandbox's relay keeps the limit in Google's words; two real workers send through it. A period and a tenth of it are
waited for; then the sandbox's own window of the last period is read, against the limit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from driver import write_driver
from millstream.quota import Rate
from process import BenchFailed, Child, started
from stage import House, Sink, emit, house, say, work_folder

_USERS = tuple(f"statements-{number:02}@bank.example" for number in range(1, 9))
_MOST_START_SECONDS = 60.0
_OVER = 1.1
"""Of a period: so long is sent, so that the window that is read was full from its first second."""
_SPARE = 1.3


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. 50 a second: more than that the sandbox's server of SMTP takes of a core by itself."""

    period: str = "30_000/10min"
    workers: int = 2


async def measure(plan: Plan) -> None:
    """One period of the organisation at its limit."""
    rate = Rate.parse(plan.period)
    async with work_folder() as folder, house(folder) as here, _sandbox(folder, plan) as (there, port):
        await _configure(here, there, port, plan)
        count = int(rate.amount * _OVER * _SPARE)
        await here.submit(write_driver(folder / "driver.jsonl", count), "direct")
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(here.run(f"worker-{n}", "worker")) for n in range(plan.workers)]
            await _first_message(there, workers)
            say(f"relay.ceiling: {rate.seconds * _OVER:.0f} s at the limit of {plan.period}")
            await _watched(workers, rate.seconds * _OVER)
            used = (await there.get("/sandbox/v1/relay"))["used"]
            if await here.accepted() >= count:
                raise BenchFailed("everything left within the time; lanes were idle, so it shows no ceiling")
    emit(_line(plan, rate, used))


def _line(plan: Plan, rate: Rate, used: dict[str, Any]) -> dict[str, Any]:
    refused = used["refused"]
    return {
        "name": "relay.ceiling",
        "fraction": round(used["period_used"] / rate.amount, 4),
        "fraction_peak": round(used["period_peak"] / rate.amount, 4),
        "refused": sum(refused.values()),
        "refusals": refused,
        "period": plan.period,
        "workers": plan.workers,
        "users": len(_USERS),
    }


async def _configure(here: House, there: Sink, port: int, plan: Plan) -> None:
    authority = here.folder / "relay-ca.pem"
    async with there.session.get(f"{there.url}/sandbox/v1/relay/ca") as reply:
        authority.write_bytes(await reply.read())
    overrides = ", ".join(
        f'{name} = "{value}"'
        for name, value in (
            ("relay_recipients_per_period", plan.period),
            ("relay_messages_per_day", "none"),
            ("relay_recipients_per_user_day", "none"),
        )
    )
    users = ", ".join(f'"{user}"' for user in _USERS)
    here.config.write_text(
        f'folder = "{here.folder}"\n\n[senders]\nname = "Example Bank"\n\n'
        f'[relay]\nhost = "localhost"\nport = {port}\ncertificates = "{authority}"\nhelo = "bank.example"\n'
        f'users = {{ default = [{users}] }}\nunclear = "hold"\n\n[delivery]\nroad = "relay"\n\n'
        f'[mailbox]\nread = false\n\n[limits]\noverrides = {{ {overrides} }}\n\n[logging]\nlevel = "warning"\n',
        "utf-8",
    )


async def _first_message(there: Sink, workers: list[Child]) -> None:
    """Wait until the relay took the first message."""
    ends_at = time.monotonic() + _MOST_START_SECONDS
    while not (await there.get("/sandbox/v1/relay"))["used"]["accepted"]:
        for worker in workers:
            worker.check()
        if time.monotonic() > ends_at:
            raise BenchFailed("the workers sent nothing; the cause stands in their logs")
        await asyncio.sleep(0.1)


async def _watched(workers: list[Child], seconds: float) -> None:
    """Let the workers send for so long; one that ends is a failure at once."""
    ends_at = time.monotonic() + seconds
    while (left := ends_at - time.monotonic()) > 0:
        for worker in workers:
            worker.check()
        await asyncio.sleep(min(1.0, left))


@asynccontextmanager
async def _sandbox(folder: Path, plan: Plan) -> AsyncIterator[tuple[Sink, int]]:
    """The Gmail sandbox as a process, with the users in it; every other address is the outside world."""
    settings = folder / "sandbox.toml"
    listed = ", ".join(f'"{user}"' for user in _USERS)
    settings.write_text(
        f'limits = "none"\nmailboxes = [{listed}]\n\n[limit_overrides]\n'
        f'relay_recipients_per_period = "{plan.period}"\n',
        "utf-8",
    )
    arguments = ["-m", "millstream", "sandbox", "gmail", "--settings", str(settings), "--smtp-port", "0", "--json"]
    async with started("sandbox", arguments, folder) as child, aiohttp.ClientSession() as session:
        announced = orjson.loads(await child.first_line())
        yield Sink(announced["url"], session, child), int(announced["smtp_port"])
