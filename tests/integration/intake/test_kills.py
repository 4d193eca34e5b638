"""A worker that is killed at any point, and the next one: every customer comes in exactly once."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest
from folder_stage import Stage

_CONFIGURATION = """
folder = "{folder}"

[intake_folder]
path = "{watched}"
settle_seconds = 0.1
poll_seconds = 0.1

[intake]
pool = "p"
lease_seconds = 1.0

[gmail]
auth = "static"
static_token = "none"

[mailbox]
read = false

[logging]
level = "error"
"""


async def worker(folder: Path, url: str, drill: str | None) -> asyncio.subprocess.Process:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MILLSTREAM_")}  # noqa: TID251  handed on
    settings = {"MILLSTREAM_DATABASE__URL": url} | ({"MILLSTREAM_INTAKE__DRILL": drill} if drill else {})
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "millstream", "--config", str(folder / "m.toml"), "worker", env=clean | settings
    )


LARGE = 2_500
"""Customers of a manifest beyond a megabyte, which is made in a process of its own."""


async def test_a_worker_killed_in_the_middle_of_a_large_one_leaves_no_process_and_doubles_nothing(
    stage: Stage, database_url: str, tmp_path: Path, eventually
) -> None:
    (tmp_path / "m.toml").write_text(_CONFIGURATION.format(folder=tmp_path / "home", watched=stage.root))
    manifest = stage.manifest([stage.customer(number) for number in range(LARGE)])
    assert manifest.stat().st_size > 1024 * 1024
    first = await worker(tmp_path, database_url, None)
    await eventually(stage.rows, within=60)
    makers = children_of(first.pid)
    first.kill()
    await first.wait()
    assert len(makers) == 1
    await eventually(lambda: not any(makes(pid) for pid in makers), within=10)
    assert len(await stage.rows()) < LARGE
    following = await worker(tmp_path, database_url, None)
    try:
        # By its name: thousands of files are being moved, and a walk through the tree trips over one that is gone.
        await eventually((stage.root / "done/job-1/_STDDELIVERYFILE.xml").exists, within=120)
    finally:
        following.send_signal(signal.SIGTERM)
        await asyncio.wait_for(following.wait(), 60)
    assert [row["customer"] for row in await stage.rows()] == [f"C-{number}" for number in range(LARGE)]
    [consignment] = await stage.consignments()
    assert (consignment["state"], consignment["receipt"]["new"]) == ("taken", LARGE)


def children_of(pid: int) -> set[int]:
    """The processes that it started to make."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return {child for task in tasks for child in map(int, (task / "children").read_text().split()) if makes(child)}


def makes(pid: int) -> bool:
    try:
        return b"millstream.intake.apart.child" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("point", ["after_receipt", "after_submit_before_taken", "after_taken_before_tidy"])
async def test_killed_and_started_again_each_customer_is_in_once(
    stage: Stage, database_url: str, tmp_path: Path, eventually, point: str
) -> None:
    (tmp_path / "m.toml").write_text(_CONFIGURATION.format(folder=tmp_path / "home", watched=stage.root))
    bad = {"CustomerEmail": "no address"}
    stage.manifest([stage.customer(number, keys=bad if number in {3, 20} else {}) for number in range(30)])
    killed = await worker(tmp_path, database_url, f"{point}:1")
    assert await asyncio.wait_for(killed.wait(), 60) == -signal.SIGKILL
    assert len(await stage.consignments()) == 1
    assert "job-1/_STDDELIVERYFILE.xml" in stage.tree()
    async with stage.pool.connection() as connection:  # the dead one's fifteen seconds are over
        await connection.execute("UPDATE duty SET leased_until = now() WHERE name = 'folder'")
    following = await worker(tmp_path, database_url, None)
    try:
        await eventually(lambda: "done/job-1/_STDDELIVERYFILE.xml" in stage.tree(), within=60)
    finally:
        following.send_signal(signal.SIGTERM)
        await asyncio.wait_for(following.wait(), 60)
    rows = await stage.rows()
    assert sorted(row["customer"] for row in rows) == sorted(f"C-{number}" for number in range(30))
    [consignment] = await stage.consignments()
    receipt = consignment["receipt"]
    assert (consignment["state"], receipt["new"], receipt["held"]) == ("taken", 30, 2)
    told = [(event["kind"], event["payload"]["customer"]) for event in await stage.events()]
    assert told == [("intake.held", "C-3"), ("intake.held", "C-20")]
    assert await stage.store.doors() == {"folder": 30}
