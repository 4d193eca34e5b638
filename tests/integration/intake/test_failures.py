"""Whatever ends a submit, whole batches are in, and the same submit again brings the rest."""

import asyncio
import signal
import sys
from asyncio import subprocess
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from millstream.intake.errors import DocumentsFailed, LedgerFailed
from millstream.storage.errors import StoreFull
from stuck_at import stuck_at

CHILD = Path(__file__).with_name("submitting.py")


class FullStore:
    """A document store with room for so many documents."""

    def __init__(self, store, room):
        self.store = store
        self.room = room

    async def put(self, content):
        if self.room == 0:
            raise StoreFull("no space left on device.")
        self.room -= 1
        return await self.store.put(content)

    async def flush(self):
        await self.store.flush()


class Ledger:
    """The real ledger, with something that happens before each batch is added."""

    def __init__(self, ledger, before):
        self.ledger = ledger
        self.before = before
        self.known = ledger.known
        self.reject = ledger.reject

    async def add(self, run, communications):
        await self.before(communications)
        return await self.ledger.add(run, communications)


def attached(record, number):
    return record(number, documents=[{"name": "a.txt", "media_type": "text/plain", "content": "YQ=="}])


async def test_a_full_store_stops_the_submit_and_the_rest_follows_when_there_is_space(desk, record):
    driver = desk.driver(*(attached(record, number) for number in range(12)))
    with pytest.raises(DocumentsFailed, match=r"no space left on device\. What was committed is in; submit the same"):
        await desk.hand_in(driver, documents=FullStore(desk.documents, room=5))
    assert await desk.customers() == ["C-0", "C-1", "C-2", "C-3"]  # two batches of two, and not half of the third
    receipt = await desk.hand_in(driver)
    assert (receipt.unchanged, receipt.new) == (4, 8)


async def test_a_database_that_goes_away_and_comes_back_is_waited_for(desk, record):
    failures = iter([True, True])

    async def break_connection(_):
        if next(failures, False):
            async with desk.pool.connection() as connection:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    receipt = await desk.submit(*map(record, range(10)), ledger=Ledger(desk.ledger, break_connection))
    assert receipt.new == len(await desk.rows()) == 10


async def test_a_database_that_stays_away_stops_the_submit(desk, record):
    async def away(_):
        raise psycopg.OperationalError("connection refused")

    desk.options = replace(desk.options, patience_seconds=0.1)
    with pytest.raises(LedgerFailed, match="connection refused"):
        await desk.submit(record(1), ledger=Ledger(desk.ledger, away))


async def test_a_database_that_refuses_us_stops_the_submit_at_once(desk, record):
    async def refuse(_):
        raise psycopg.errors.InsufficientPrivilege("permission denied for table communication")

    with pytest.raises(LedgerFailed, match="permission denied"):
        await desk.submit(record(1), ledger=Ledger(desk.ledger, refuse))


async def test_a_communication_that_the_ledger_cannot_hold_is_put_aside_alone(desk, record):
    async def refuse_the_seventh(communications):
        if any(each.key == "2025-10/0007" for each in communications):
            raise psycopg.errors.UntranslatableCharacter("unsupported Unicode escape sequence")

    receipt = await desk.submit(*map(record, range(12)), ledger=Ledger(desk.ledger, refuse_the_seventh))
    assert (receipt.new, receipt.rejected, receipt.lines) == (11, 1, 12)
    (reject,) = await desk.ledger.rejects(desk.run)
    assert (reject["line"], reject["key"]) == (8, "2025-10/0007")
    assert "C-7" not in await desk.customers()


async def test_a_cancelled_submit_leaves_whole_batches_and_the_next_completes(desk, record):
    driver = desk.driver(*map(record, range(30)))
    third = asyncio.Event()

    async def stop_in_the_third(communications):
        if communications[0].key == "2025-10/0008":
            third.set()
            await asyncio.Event().wait()

    under_way = asyncio.create_task(desk.hand_in(driver, ledger=Ledger(desk.ledger, stop_in_the_third)))
    await third.wait()
    under_way.cancel()
    with pytest.raises(asyncio.CancelledError):
        await under_way
    assert len(await desk.rows()) == 8
    receipt = await desk.hand_in(driver)
    assert (receipt.unchanged, receipt.new) == (8, 22)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
async def test_a_killed_submit_leaves_whole_batches_and_the_next_completes(desk, record, database_url, eventually, how):
    driver = desk.driver(*map(record, range(1000)))
    documents = str(desk.folder / "documents")
    async with stuck_at(database_url, "2025-10/0502") as it_waits:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, str(CHILD), database_url, str(driver.path), documents),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        await eventually(it_waits, within=30)
        child.send_signal(how)
        assert await child.wait() != 0
    receipt = await desk.hand_in(driver)
    assert 0 < receipt.unchanged < 1000
    assert receipt.unchanged % 4 == 0
    assert receipt.unchanged + receipt.new == len(await desk.rows()) == 1000
