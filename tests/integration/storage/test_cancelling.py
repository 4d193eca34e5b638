"""A task that is cancelled while it waits for a connection ends, in whatever turn of the loop that comes."""

import asyncio

import pytest

from millstream.storage.pool import open_pool, persist, transaction


@pytest.mark.parametrize("turns", range(14))
async def test_a_cancellation_that_comes_with_the_connection_is_not_lost(database_url, turns, eventually) -> None:
    pool = await open_pool(database_url, maximum=1)

    async def ask_for_ever() -> None:
        while True:
            await persist(pool, lambda connection: connection.execute("SELECT 1"), give_up_after=5, one_statement=True)
            await asyncio.sleep(0)

    async with transaction(pool):
        task = asyncio.create_task(ask_for_ever())
        await eventually(lambda: pool.get_stats().get("requests_waiting"))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    ended, _ = await asyncio.wait([task], timeout=5)
    try:
        assert ended == {task}
        assert task.cancelled()
    finally:
        task.cancel()
        await pool.close()
