"""What an operator does to a run while it leaves: pause, resume, cancel, Ctrl-C."""

import asyncio
import signal

from acceptance_stage import START, Stage, one_each, record

from stuck_at import stuck_at

MANY = 1_500


async def stands_still_within(stage: Stage, seconds: float, eventually) -> int:
    """How many have arrived when nothing arrives any more; that must begin within so many seconds from now."""
    loop = asyncio.get_running_loop()
    began = changed = loop.time()
    count = -1

    async def quiet() -> bool:
        nonlocal count, changed
        now = sum((await stage.arrived()).values())
        if now != count:
            count, changed = now, loop.time()
        return loop.time() - changed > 2.0

    await eventually(quiet, within=seconds + 30)
    assert changed - began < seconds, f"the last one arrived {changed - began:.1f} s after the command had returned"
    return count


async def test_pause_resume_and_cancel_act_within_a_second(stage: Stage, eventually) -> None:
    addresses = await stage.submit(MANY)
    await stage.slow(0.3)
    await stage.worker()
    await eventually(stage.reached(10), within=START)
    assert (await stage.run("run", "pause", "october", "--as", "Anna Ample")).code == 0
    # One second to hear of it, and the answers of what was in flight.
    paused_at = await stands_still_within(stage, 1.0 + 0.3 + 1.0, eventually)
    assert paused_at < MANY
    assert (await stage.run("run", "resume", "october")).code == 0
    await eventually(stage.reached(paused_at + 10), within=10)
    assert (await stage.run("run", "cancel", "october")).code == 0
    cancelled_at = await stands_still_within(stage, 1.0 + 0.3 + 1.0, eventually)
    assert cancelled_at < MANY

    async def all_said() -> bool:
        return await stage.counts() == {"accepted": cancelled_at, "cancelled": MANY - cancelled_at}

    await eventually(all_said, within=20)
    await eventually(stage.no_drafts, within=20)
    arrived = await stage.arrived()
    assert len(arrived) == sum(arrived.values()) == cancelled_at
    assert set(arrived) <= set(addresses)
    resumed = await stage.run("run", "resume", "october")
    assert (resumed.code, "was cancelled and does not come back" in resumed.err) == (1, True)


async def test_ctrl_c_in_the_middle_of_a_worker_ends_it_in_order(stage: Stage, eventually) -> None:
    addresses = await stage.submit(200)
    await stage.slow(0.2)
    worker = await stage.worker()
    await eventually(stage.reached(20), within=START)
    worker.signal(signal.SIGINT)
    assert await worker.end(20) == 0, worker.said
    assert "worker.stopped" in worker.said
    counts = await stage.counts()
    assert counts.get("sending", 0) == counts.get("uncertain", 0) == 0, counts  # nothing was in doubt
    assert counts["accepted"] == sum((await stage.arrived()).values())
    assert await stage.rows("SELECT mailbox FROM lane WHERE holder IS NOT NULL") == []
    await stage.fair_weather()
    await stage.worker()
    await eventually(stage.done(200), within=START)
    assert await stage.arrived() == one_each(addresses)
    assert await stage.drafts() == 0


async def test_ctrl_c_in_the_middle_of_a_submit_loses_nothing(stage: Stage, eventually) -> None:
    lines = 10_000
    driver = stage.driver(*(record(number) for number in range(lines)))

    async def some_are_in() -> int:
        return (await stage.rows("SELECT count(*) FROM communication"))[0]["count"]

    assert stage.database_url is not None
    async with stuck_at(stage.database_url, "october/05000") as it_waits:
        submit = await stage.start("run", "submit", str(driver))
        await eventually(it_waits, within=START)
        submit.signal(signal.SIGINT)
        assert await submit.end(30) == 1
    assert "interrupted; what was committed stays" in submit.said
    assert "Traceback" not in submit.said
    before = await some_are_in()
    assert 0 < before <= 5_000
    receipt = (await stage.run("run", "submit", str(driver), "--json")).json
    assert (receipt["unchanged"], receipt["new"], receipt["lines"]) == (before, lines - before, lines)
    assert await some_are_in() == lines


async def test_ctrl_c_while_a_worker_waits_for_gmail_is_bounded(stage: Stage, eventually) -> None:
    """Calls that hang are waited for as long as one call may take, and no longer."""
    await stage.submit(10)
    await stage.post("faults", {"point": "after", "kind": "hang", "method": "drafts.send", "delay": 60})
    worker = await stage.worker()
    await eventually(stage.reached(3), within=START)
    worker.signal(signal.SIGINT)
    assert await worker.end(20) == 0, worker.said
    await stage.fair_weather()
    await stage.worker()
    await eventually(stage.done(10), within=START)
    assert sum((await stage.arrived()).values()) == 10
