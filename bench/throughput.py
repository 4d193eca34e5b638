"""How fast deliveries with a PDF each leave, at which cost, and whether each arrives once.

A run: a new embedded database with fsync; the driver is taken in; then a real `millstream worker` carries it to a sink
in another process, out of 40 mailboxes with 4 calls in flight each, without limits. Measured from the first upload
that reaches the sink to the last acceptance in the ledger. The sink counts what came by delivery token.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from driver import write_driver
from process import BenchFailed, started
from stage import Counted, Outcome, emit, house, say, sink, work_folder

MODES = ("draft", "direct")
THREADS = 32
PEER = f"google-api-python-client-{THREADS}-threads"
_PEER = Path(__file__).with_name("google_client.py")
_MOST_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    messages: int = 2_000
    pdf_bytes: int = 50_000
    latencies_ms: Sequence[int] = (0, 50, 100, 300)
    modes: Sequence[str] = (*MODES, PEER)
    runs: int = 3


async def measure(plan: Plan) -> None:
    """Every mode at every latency, run by run beside each other; the median of the runs."""
    async with work_folder() as folder:
        driver = write_driver(folder / "driver.jsonl", plan.messages, pdf_bytes=plan.pdf_bytes)
        for latency in plan.latencies_ms:
            outcomes: dict[str, list[Outcome]] = {mode: [] for mode in plan.modes}
            for number in range(plan.runs):
                for mode in plan.modes:
                    outcome = await _one(mode, driver, latency, plan)
                    say(f"throughput {latency} ms, {mode}, run {number + 1} of {plan.runs}: {outcome}")
                    outcomes[mode].append(outcome)
            for mode in plan.modes:
                emit(_line(mode, latency, outcomes[mode], plan))


async def _one(mode: str, driver: Path, latency: int, plan: Plan) -> Outcome:
    if mode == PEER:
        return await _peer(driver, latency, plan)
    async with work_folder() as folder, house(folder) as here, sink(folder, latency) as there:
        here.configure(here.static(there), preset="none", documents=driver.parent / "documents")
        await here.submit(driver, mode)
        async with here.run("worker", "worker") as worker:
            if not await here.carried(worker, plan.messages, within=_MOST_SECONDS):
                raise BenchFailed(f"{plan.messages} deliveries took longer than {_MOST_SECONDS:.0f} s")
        began, ended = float((await there.get("/counts"))["began_at"]), await here.ended_at()
        counted = await Counted.at(there, await here.tokens())
    cpu_ms = 1000 * worker.cpu_between(began, ended) / plan.messages
    return Outcome(plan.messages / (ended - began), cpu_ms, counted.duplicates, counted.missing)


async def _peer(driver: Path, latency: int, plan: Plan) -> Outcome:
    async with work_folder() as folder, sink(folder, latency) as there:
        arguments = [str(_PEER), there.url, str(driver), "--threads", str(THREADS)]
        async with started("peer", arguments, folder) as child:
            told: dict[str, Any] = await child.answer(within=_MOST_SECONDS)
        counts = await there.get("/counts")
    return Outcome(
        per_second=plan.messages / told["seconds"],
        cpu_ms=1000 * told["cpu_seconds"] / plan.messages,
        duplicates=counts["duplicates"],
        missing=plan.messages - counts["sent"],
    )


def _line(mode: str, latency: int, outcomes: Sequence[Outcome], plan: Plan) -> dict[str, Any]:
    rates = [each.per_second for each in outcomes]
    costs = [each.cpu_ms for each in outcomes]
    return {
        "name": "throughput",
        "mode": mode,
        "latency_ms": latency,
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
