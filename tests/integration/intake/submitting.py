"""A process that submits a driver into the run "october" and says so after each commit, until it is killed."""

import asyncio
import sys
from pathlib import Path

from millstream.communication.store import RunStore
from millstream.intake.batch import BatchSize
from millstream.intake.driver import Driver
from millstream.intake.submit import IntakeOptions, Receipt, Services, submit
from millstream.storage.objects import open_store
from millstream.storage.pool import open_pool


def tell(receipt: Receipt) -> None:
    """One line after each commit."""
    sys.stdout.write(f"{receipt.new}\n")
    sys.stdout.flush()


async def main(url: str, driver: str, documents: str) -> None:
    """Submit in batches of four."""
    pool = await open_pool(url)
    ledger = RunStore(pool)
    options = IntakeOptions(most_bytes=1_000_000, batch=BatchSize(records=4))
    services = Services(ledger, open_store(documents))
    try:
        await submit(Driver(Path(driver)), await ledger.find("october"), services, tell, options=options)
    finally:
        await pool.close()  # after Ctrl-C too: a pool that is left open can keep its loop from ending


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
