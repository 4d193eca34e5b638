"""How fast messages of 70 KB leave by the relay road, at which cost, and whether each arrives once.

Three senders: `worker` is a real `millstream worker` with 20 users of 8 messages each in flight, its ledger with fsync,
without limits; `transport` is our transport alone, in a program with no ledger; `aiosmtplib` the same program by that
library. Two sides: a thin sink with TLS that delays each group of replies, and Debian's Postfix behind a wire that
delays each byte. All share this machine's cores, so a line carries its load.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driver import write_driver
from postfix_house import postfix_house
from process import BenchFailed, Child
from relay_stage import Certificates, certificates, client, configure, relay_sink
from stage import House, Outcome, emit, house, say, work_folder

SENDERS = ("worker", "transport", "aiosmtplib")
_LIBRARIES = {"transport": "ours", "aiosmtplib": "aiosmtplib"}
_MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    messages: int = 4_000
    pdf_bytes: int = 50_000
    latencies_ms: Sequence[int] = (0, 50, 100)
    postfix_latency_ms: int = 50
    senders: Sequence[str] = SENDERS
    runs: int = 3


async def measure(plan: Plan) -> None:
    """Every sender at every latency of the sink, then against Postfix; the median of the runs."""
    async with work_folder() as folder:
        driver = write_driver(folder / "driver.jsonl", plan.messages, pdf_bytes=plan.pdf_bytes)
        sides = [("sink", latency) for latency in plan.latencies_ms] + [("postfix", plan.postfix_latency_ms)]
        for side, latency in sides:
            for sender in plan.senders:
                outcomes = []
                for number in range(plan.runs):
                    outcomes.append(await _one(side, sender, latency, driver, plan))
                    say(f"relay.throughput {side} {latency} ms, {sender}, run {number + 1}: {outcomes[-1]}")
                emit(_line(side, sender, latency, outcomes, plan))


async def _one(side: str, sender: str, latency: int, driver: Path, plan: Plan) -> Outcome:
    async with work_folder() as folder:
        made = certificates(folder)
        if side == "sink":
            return await _against_sink(folder, made, sender, latency, driver, plan)
        return await _against_postfix(folder, made, sender, latency, driver, plan)


async def _against_sink(
    folder: Path, made: Certificates, sender: str, latency: int, driver: Path, plan: Plan
) -> Outcome:
    async with relay_sink(folder, latency, made.server) as (port, there):
        if sender != "worker":
            told = await client(folder, port, made.trusted, _LIBRARIES[sender], plan.messages)
            return _of_client(told, Counter(await there.get("/tokens")), plan)
        async with house(folder) as here:
            worker = await _carried(here, port, made, driver, plan)
            began, ended = float((await there.get("/counts"))["began_at"]), await here.ended_at()
            return _of_worker(worker, began, ended, await here.tokens(), Counter(await there.get("/tokens")))


async def _against_postfix(
    folder: Path, made: Certificates, sender: str, latency: int, driver: Path, plan: Plan
) -> Outcome:
    async with postfix_house(folder, latency, made.server) as there:
        if sender != "worker":
            told = await client(folder, there.port, made.trusted, _LIBRARIES[sender], plan.messages)
            return _of_client(told, there.came(), plan)
        async with house(folder) as here:
            worker = await _carried(here, there.port, made, driver, plan)
            row = await here.ask(
                "SELECT extract(epoch FROM min(at)), (SELECT array_agg(trim(rfc822_id, '<>')) FROM delivery) "
                "FROM attempt WHERE kind = 'send'"
            )
            assert row is not None
            return _of_worker(worker, float(row[0]), await here.ended_at(), row[1], there.came())


async def _carried(here: House, port: int, made: Certificates, driver: Path, plan: Plan) -> Child:
    configure(here, port, made.trusted, driver.parent / "documents")
    await here.submit(driver, "direct")
    async with here.run("worker", "worker") as worker:
        if not await here.carried(worker, plan.messages, within=_MOST_SECONDS):
            raise BenchFailed(f"{plan.messages} deliveries took longer than {_MOST_SECONDS:.0f} s")
    return worker


def _of_worker(worker: Child, began: float, ended: float, wanted: Iterable[str], came: Counter[str]) -> Outcome:
    known = set(wanted)
    cpu_ms = 1000 * worker.cpu_between(began, ended) / len(known)
    return Outcome(len(known) / (ended - began), cpu_ms, _extra(came, known), len(known - came.keys()))


def _of_client(told: dict[str, Any], came: Counter[str], plan: Plan) -> Outcome:
    known = {f"bench.{number}@bank.example" for number in range(plan.messages)}
    return Outcome(
        per_second=plan.messages / told["seconds"],
        cpu_ms=1000 * told["cpu_seconds"] / plan.messages,
        duplicates=_extra(came, known),
        missing=len(known - came.keys()),
    )


def _extra(came: Counter[str], known: set[str]) -> int:
    """Second copies, and whatever nobody sent."""
    return sum(count - (name in known) for name, count in came.items())


def _line(side: str, sender: str, latency: int, outcomes: Sequence[Outcome], plan: Plan) -> dict[str, Any]:
    rates = [each.per_second for each in outcomes]
    costs = [each.cpu_ms for each in outcomes]
    return {
        "name": "relay.throughput",
        "latency_ms": latency,
        "side": side,
        "sender": sender,
        "per_second": round(statistics.median(rates), 1),
        "per_second_min": round(min(rates), 1),
        "per_second_max": round(max(rates), 1),
        "cpu_ms": round(statistics.median(costs), 2),
        "cpu_ms_min": round(min(costs), 2),
        "cpu_ms_max": round(max(costs), 2),
        "duplicates": sum(each.duplicates for each in outcomes),
        "missing": sum(each.missing for each in outcomes),
        "messages": plan.messages,
        "runs": len(outcomes),
    }
