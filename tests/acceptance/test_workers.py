"""Several workers on one database: they share the lanes, take over from each other, and never send twice."""

import signal

from acceptance_stage import START, Stage, one_each
from psycopg.types.json import Jsonb


async def holders(stage: Stage) -> dict[str, int]:
    """Lanes that each process holds, by its pid."""
    found = await stage.rows("SELECT holder, count(*) FROM lane WHERE holder IS NOT NULL GROUP BY holder")
    return {row["holder"].rpartition(":")[2]: row["count"] for row in found}


async def test_two_workers_share_the_lanes_and_one_takes_over_from_the_other(
    stage: Stage, mailboxes, eventually
) -> None:
    stage.configure(*mailboxes[:4], worker={"lanes": 2}, delivery={"slice_seconds": 4})
    addresses = await stage.submit(400)
    await stage.slow(0.2)
    first, second = await stage.worker(), await stage.worker()

    async def shared() -> bool:
        return await holders(stage) == {str(first.process.pid): 2, str(second.process.pid): 2}

    await eventually(shared, within=START)
    await eventually(stage.reached(40), within=START)
    first.process.kill()
    await first.end(10)

    async def taken_over() -> bool:
        found = await stage.rows(
            "SELECT mailbox FROM lane WHERE holder NOT LIKE %(dead)s AND heartbeat_at > now() - interval '2 s'",
            dead=f"%:{first.process.pid}",
        )
        seen.update(row["mailbox"] for row in found)
        return seen == set(mailboxes[:4])

    seen: set[str] = set()
    await eventually(taken_over, within=60)
    await stage.fair_weather()
    await eventually(stage.done(400), within=START)
    await eventually(stage.no_drafts, within=30)
    assert await stage.arrived() == one_each(addresses)
    assert await stage.chain_is_intact()


async def test_a_worker_that_stood_still_writes_nothing_when_it_wakes(stage: Stage, eventually) -> None:
    addresses = await stage.submit(300)
    await stage.slow(0.2)
    stale = await stage.worker()
    await eventually(stage.reached(20), within=START)
    stale.signal(signal.SIGSTOP)
    epochs = {row["mailbox"]: row["epoch"] for row in await stage.rows("SELECT mailbox, epoch FROM lane")}
    fresh = await stage.worker()

    async def taken_over() -> bool:
        rows = await stage.rows("SELECT mailbox, epoch, holder FROM lane")
        return all(row["epoch"] > epochs[row["mailbox"]] for row in rows)

    await eventually(taken_over, within=START)
    [now] = await stage.rows("SELECT now() AS at")
    stale.signal(signal.SIGCONT)
    await eventually(stage.reached(60), within=30)
    await stage.fair_weather()
    await eventually(stage.done(300), within=START)
    late = await stage.rows(
        "SELECT mailbox, kind, outcome FROM attempt "
        "WHERE at > %(at)s AND epoch <= (%(epochs)s::jsonb ->> mailbox)::bigint",
        at=now["at"],
        epochs=Jsonb(epochs),
    )
    assert late == []
    await eventually(stage.no_drafts, within=30)
    assert await stage.arrived() == one_each(addresses)
    assert stale.alive
    assert fresh.alive
    # The one that woke is a worker like any other again.
    fresh.signal(signal.SIGTERM)
    assert await fresh.end(30) == 0
    more = await stage.submit(30, key="november")
    await eventually(stage.done(30, "november"), within=START)
    assert await stage.arrived() == one_each([*addresses, *more])
    stale.signal(signal.SIGTERM)
    assert await stale.end(30) == 0, stale.said
