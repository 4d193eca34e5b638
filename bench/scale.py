"""How fast communications come in, and in how much memory: 100,000 small ones into a database of their own.

Prints one JSON line: {"name": "scale", "intake_per_second": …, "again_per_second": …, "rss_mb": …}.
`again_per_second` is a second submit of the same file, which changes nothing.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import tempfile
from pathlib import Path

import orjson
import uvloop

from millstream.communication.model import Mode, Policy
from millstream.communication.store import RunStore
from millstream.intake.driver import Driver
from millstream.intake.submit import IntakeOptions, Receipt, Services, submit
from millstream.storage.embedded import embedded
from millstream.storage.migrate import migrate
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool

TEXT = "Dear {name},\n\nyour account {number} has a new statement. It is ready for you.\n\nYours,\nthe bank\n"


def write_driver(path: Path, count: int) -> None:
    """A driver of `count` small communications."""
    with path.open("wb") as file:
        for number in range(count):
            name = f"Customer {number}"
            file.write(orjson.dumps(record(number, name)) + b"\n")


def record(number: int, name: str) -> dict[str, object]:
    """One small communication: subject and text."""
    return {
        "key": f"2025-10/{number:06}",
        "type": "notice",
        "customer": {"id": f"C{number}", "name": name},
        "recipient": {"address": f"customer{number}@example.net", "name": name},
        "locale": "en-GB",
        "subject": f"Your statement of October, account {number}",
        "text": TEXT.format(name=name, number=number),
        "source": {"system": "bench", "job": "scale"},
    }


async def take_in(folder: Path, count: int) -> tuple[Receipt, Receipt]:
    """Submit the driver twice to a new embedded database."""
    driver = Driver(folder / "driver.jsonl")
    write_driver(driver.path, count)
    async with embedded(folder / "database") as url:
        await migrate(url)
        pool = await open_pool(url, maximum=4)
        ledger = RunStore(pool)
        run = await ledger.open_run("scale", pool="bench", mode=Mode.DRAFT, policy=Policy(), source=driver.name)
        services = Services(ledger, open_store(str(folder / "documents")))
        options = IntakeOptions(most_bytes=25_000_000)
        first = await submit(driver, run, services, options=options)
        again = await submit(driver, run, services, options=options)
        await pool.close()
    return first, again


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--communications", type=int, default=100_000)
    count = parser.parse_args().communications
    folder = Path(tempfile.mkdtemp(prefix="millstream-scale-", dir="/var/lib" if os.geteuid() == 0 else None))
    try:
        first, again = uvloop.run(take_in(folder, count))
    finally:
        shutil.rmtree(folder)
    assert (first.new, again.unchanged) == (count, count), (first, again)
    figures = {
        "name": "scale",
        "communications": count,
        "intake_per_second": round(count / first.seconds),
        "again_per_second": round(count / again.seconds),
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    print(orjson.dumps(figures).decode())


if __name__ == "__main__":
    main()
