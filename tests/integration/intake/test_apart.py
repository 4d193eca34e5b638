"""A large consignment is read and made in a process of its own: it ends as it would here, whatever becomes of it."""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from folder_stage import Stage, write

from millstream.composer import ComposerLater
from millstream.intake.errors import ComposerFailed, Unreadable, UnreadableDriver, WorkshopLost
from millstream.intake.folder.manifest import ManifestSource
from millstream.intake.submit import submit

_ROWS = ("key", "customer", "subject", "body_text", "body_html", "content_hash", "source_hash", "disposition", "reason")


@pytest.fixture
def apart(desk):
    """The desk, whose submits are made in a process of their own."""
    desk.options = replace(desk.options, apart=str(desk.folder / "documents"))
    return desk


def children() -> set[int]:
    """The processes that this one has started and that make."""
    found = set()
    for place in Path("/proc/self/task").iterdir():
        for pid in map(int, (place / "children").read_text().split()):
            if b"millstream.intake.apart.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.add(pid)
    return found


async def test_a_submit_ends_the_same_in_a_process_as_in_threads(desk, record, pdf):
    lines = [
        record(1, documents=[{"path": "a.pdf"}]),
        record(2, recipient={"address": "nobody"}),
        b"{broken\n",
        record(3, documents=[{"path": "none.pdf"}]),
        record(4, documents=[{"path": "broken.pdf"}]),
        record(1, documents=[{"path": "a.pdf"}]),
        record(5, text=None, html="<p>Dear customer</p><p>Yours</p>"),
        record(1, subject="Another"),
        *map(record, range(6, 20)),
    ]
    driver = desk.driver(*lines)
    write(driver.folder / "a.pdf", pdf)
    write(driver.folder / "broken.pdf", b"%PDF-1.7 no more")
    here = await desk.hand_in(driver)
    expected = [{name: row[name] for name in _ROWS} | {"detail": row["detail"]} for row in await desk.rows()]
    await desk.open_run("november")
    desk.options = replace(desk.options, apart=str(desk.folder / "documents"))
    there = await desk.hand_in(driver)
    assert replace(there, seconds=0) == replace(here, seconds=0)
    assert (there.new, there.held, there.rejected, there.conflicts, there.repeated) == (19, 3, 1, 1, 1)
    rows = [row for row in await desk.rows() if row["run_id"] == desk.run.id]
    assert [{name: row[name] for name in _ROWS} | {"detail": row["detail"]} for row in rows] == expected
    assert await desk.documents.get(rows[0]["documents"][0]["sha256"]) == pdf
    assert children() == set()


async def test_a_second_submit_finds_what_is_in(apart, record):
    driver = apart.driver(*map(record, range(11)))
    await apart.hand_in(driver)
    receipt = await apart.hand_in(driver)
    assert (receipt.lines, receipt.new, receipt.unchanged, receipt.repeated) == (11, 0, 11, 0)


async def test_it_composes_there(apart, record):
    bad = record(1, subject=None, text=None, template="statement", data={"number": 1})
    receipt = await apart.submit(bad, record(2), composer=ComposerLater())
    assert (receipt.new, receipt.held) == (2, 1)
    assert (await apart.rows())[0]["reason"] == "bad_data"


async def test_errors_say_there_what_they_say_here(apart, record, tmp_path):
    with pytest.raises(UnreadableDriver, match="cannot read the driver"):
        await apart.hand_in(replace(apart.driver(), path=tmp_path / "none.jsonl"))
    with pytest.raises(ComposerFailed, match="no composer"):
        await apart.submit(record(1), record(2, subject=None, text=None, template="statement", data={}))
    assert children() == set()


async def test_what_was_read_before_the_source_broke_is_in(apart, stage: Stage):
    good = "".join(stage.customer(number) for number in range(9))
    path = write(stage.root / "job-1" / "m.xml", f"<outputList>{good}<broken".encode())
    source = ManifestSource(path, stage.handing)
    with pytest.raises(Unreadable, match=r"m\.xml, line"):
        await submit(source, apart.run, apart.services, options=apart.options)
    assert await apart.customers() == [f"C-{number}" for number in range(8)]


@pytest.mark.parametrize("after", [4, 40, 120])
async def test_a_process_that_is_killed_loses_and_doubles_nothing(apart, record, pdf, after):
    driver = apart.driver(*(record(number, documents=[{"path": "a.pdf"}]) for number in range(200)))
    write(driver.folder / "a.pdf", pdf)

    def kill(receipt):
        if receipt.new >= after:
            for pid in children():
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(WorkshopLost, match="SIGKILL"):
        await submit(driver, apart.run, apart.services, kill, options=apart.options)
    came = len(await apart.rows())
    assert after <= came < 200
    receipt = await apart.hand_in(driver)
    assert (receipt.new, receipt.unchanged) == (200 - came, came)
    assert await apart.customers() == [f"C-{number}" for number in range(200)]


async def test_a_submit_that_is_cancelled_leaves_no_process(apart, record):
    driver = apart.driver(*map(record, range(400)))
    begun = asyncio.Event()
    task = asyncio.create_task(submit(driver, apart.run, apart.services, lambda _: begun.set(), options=apart.options))
    await begun.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert children() == set()
    assert (await apart.hand_in(driver)).lines == 400
    assert len(await apart.rows()) == 400


async def test_a_consignment_whose_process_was_killed_is_taken_at_the_next_try(stage: Stage, eventually):
    stage.manifest([stage.customer(number) for number in range(2_000)])
    stage.take_apart()
    await stage.look()
    taking = asyncio.create_task(stage.taker.drain())
    await eventually(children, within=30)
    [pid] = children()
    await eventually(lambda: some_are_in(stage), within=30)
    os.kill(pid, signal.SIGKILL)
    await taking
    await eventually(lambda: taken(stage), within=60)
    rows = await stage.rows()
    assert [row["customer"] for row in rows] == [f"C-{number}" for number in range(2_000)]
    [consignment] = await stage.consignments()
    assert (consignment["state"], consignment["receipt"]["new"], consignment["tries"]) == ("taken", 2_000, 1)


async def some_are_in(stage: Stage) -> bool:
    return bool(await stage.rows())


async def taken(stage: Stage) -> bool:
    await stage.taker.drain()
    return [each["state"] for each in await stage.consignments()] == ["taken"]
