"""The database goes away, disks fill up: nothing is lost, nothing is doubled, and it is said what to do."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from acceptance_stage import START, Child, Stage, one_each, record

from millstream.storage.embedded import EmbeddedServer

Mount = Callable[[Path, int], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Put a small disk of so many kilobytes at a folder; again at the same folder: another size."""
    mounted: list[Path] = []

    def put(place: Path, kilobytes: int) -> None:
        if os.geteuid() != 0:
            pytest.skip("only root can mount a small disk")
        again = ["remount"] if place in mounted else []
        options = ",".join([*again, f"size={kilobytes}k", "mode=755"])
        place.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            pytest.skip(f"mounting is not permitted here: {done.stderr.strip()}")
        if not again:
            mounted.append(place)

    yield put
    for place in mounted:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


async def test_a_database_that_is_away_for_ten_seconds_costs_time_alone(bare_stage: Stage, eventually) -> None:
    stage = bare_stage
    server = await EmbeddedServer.start(stage.folder / "database")
    stage.database_url = server.url
    stage.configure("s1@bank.example", "s2@bank.example", "s3@bank.example", database={"folder": str(server.folder)})
    config = stage.config_file.read_text("utf-8").replace(f'url = "{server.url}"\n', "")
    stage.config_file.write_text(config, "utf-8")  # the worker shares the embedded server
    addresses = await stage.submit(600)
    await stage.slow(0.2)
    worker = await stage.worker()
    await eventually(stage.reached(30), within=START)
    await server._control("stop", "-m", "immediate")
    back_at = asyncio.get_running_loop().time() + 10
    await eventually(lambda: asyncio.get_running_loop().time() > back_at, within=15)
    assert worker.alive, worker.said
    assert sum((await stage.arrived()).values()) < 600
    await server._launch()
    await stage.fair_weather()
    await eventually(stage.done(600), within=START)
    await eventually(stage.no_drafts, within=30)
    assert worker.alive
    assert await stage.arrived() == one_each(addresses)
    assert await stage.chain_is_intact()
    await stage.clear()
    await server.stop()


@pytest.mark.slow  # it has to outlast the last patience
async def test_ctrl_c_while_the_database_is_away_is_bounded(bare_stage: Stage, eventually) -> None:
    stage = bare_stage
    server = await EmbeddedServer.start(stage.folder / "database")
    stage.database_url = server.url
    stage.configure("s1@bank.example", "s2@bank.example")
    addresses = await stage.submit(200)
    await stage.slow(0.2)
    worker = await stage.worker()
    await eventually(stage.reached(10), within=START)
    await server._control("stop", "-m", "immediate")
    worker.signal(signal.SIGINT)
    await worker.end(60)
    await server._launch()
    await stage.fair_weather()
    await stage.worker()
    await eventually(stage.done(200), within=START)
    await eventually(stage.no_drafts, within=30)
    assert await stage.arrived() == one_each(addresses)
    await stage.clear()
    await server.stop()


async def test_a_full_document_store_stops_a_submit_which_goes_on_when_there_is_space(
    stage: Stage, mount: Mount, eventually
) -> None:
    documents = stage.folder / "documents"
    mount(documents, 512)
    lines = [
        record(number, documents=[{"name": "a.txt", "media_type": "text/plain", "content": f"{number:04}" * 4_000}])
        for number in range(100)
    ]
    driver = stage.driver(*lines)
    full = await stage.run("run", "submit", str(driver))
    assert full.code == 1
    assert f"The disk of the document store {documents} is full" in full.err
    assert "Make space there" in full.err
    assert "Traceback" not in full.err
    mount(documents, 16_384)
    receipt = (await stage.run("run", "submit", str(driver), "--json")).json
    assert receipt["new"] + receipt["unchanged"] == receipt["lines"] == 100
    await stage.worker()
    await eventually(stage.done(100), within=START)
    assert await stage.arrived() == one_each([line["recipient"]["address"] for line in lines])


@pytest.mark.slow  # half of it is PostgreSQL's recovery
async def test_a_database_whose_disk_is_full_goes_on_when_there_is_space(
    bare_stage: Stage, mount: Mount, eventually
) -> None:
    """PostgreSQL itself gives up when it cannot write its log; it comes back with all that was committed."""
    stage = bare_stage
    database = stage.folder / "database"
    mount(database, 200_000)
    server = await EmbeddedServer.start(database)
    stage.database_url = server.url
    stage.configure("s1@bank.example", "s2@bank.example")
    addresses = await stage.submit(300)
    await stage.slow(0.2)
    worker = await stage.worker()
    await eventually(stage.reached(20), within=START)
    filler = database / "filler"
    fill(filler)
    try:
        await eventually(lambda: stands_still(stage, worker), within=60)
    finally:
        filler.unlink()
    await server.stop()
    server = await EmbeddedServer.start(database)  # as any command of ours would
    await stage.fair_weather()
    await eventually(stage.done(300), within=START)
    await eventually(stage.no_drafts, within=30)
    assert worker.alive
    assert await stage.arrived() == one_each(addresses)
    assert await stage.chain_is_intact()
    await stage.clear()
    await server.stop()


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as out:
        for size in (1 << 20, 1 << 12):
            try:
                while out.write(bytes(size)) == size:
                    pass
            except OSError:
                continue


async def stands_still(stage: Stage, worker: Child) -> bool:
    """Whether the worker has noticed."""
    return "database_away" in worker.said
