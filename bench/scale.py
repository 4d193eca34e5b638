"""A large run of small communications: how fast it comes in, and in how much memory it comes in and leaves.

`millstream run submit` takes in the driver; then a `millstream worker` carries the run to a sink that answers at once,
for a bounded time. Memory is the resident set, read from outside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from driver import write_driver
from process import Reading
from stage import Counted, emit, house, say, sink, work_folder


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    communications: int = 100_000
    worker_seconds: float = 240.0
    """How long the worker may carry; what has not left then does not count as missing."""


async def measure(plan: Plan) -> None:
    """One run in, and as much of it out as the time allows."""
    async with work_folder() as folder, house(folder) as here, sink(folder, 0) as there:
        here.configure(here.static(there), preset="none", documents=folder / "documents")
        driver = write_driver(folder / "driver.jsonl", plan.communications)
        receipt, intake_rss = await here.submit(driver, "draft")
        say(f"scale: {plan.communications:,} are in after {receipt['seconds']:.1f} s; now they leave")
        async with here.run("worker", "worker") as worker:
            whole = await here.carried(worker, plan.communications, within=plan.worker_seconds, every=2.0)
            readings = list(worker.readings)
        began, ended = float((await there.get("/counts"))["began_at"]), await here.ended_at()
        carried = await here.accepted()
        counted = await Counted.at(there, await here.tokens())
        cpu_ms = 1000 * worker.cpu_between(began, ended) / carried
    emit(
        {
            "name": "scale",
            "communications": plan.communications,
            "intake_per_second": round(receipt["new"] / receipt["seconds"]),
            "intake_rss_mb": round(intake_rss),
            **_memory([reading for reading in readings if began <= reading.at <= ended]),
            "carried": carried,
            "per_second": round(carried / (ended - began), 1),
            "cpu_ms": round(cpu_ms, 2),
            "duplicates": counted.duplicates,
            "missing": counted.missing if whole else 0,
        }
    )


def _memory(readings: list[Reading]) -> dict[str, Any]:
    """The worker's memory, and that of its first and last quarter of the time: flat if these are alike."""
    sizes = [reading.rss_mb for reading in readings]
    quarter = max(1, len(sizes) // 4)
    return {
        "rss_mb": round(max(sizes)),
        "rss_mb_first_quarter": round(max(sizes[:quarter])),
        "rss_mb_last_quarter": round(max(sizes[-quarter:])),
    }
