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


@pytest.mark.parametrize("point", ["after_receipt", "after_submit_before_taken", "after_taken_before_tidy"])
async def test_killed_and_started_again_each_customer_is_in_once(
    stage: Stage, database_url: str, tmp_path: Path, eventually, point: str
) -> None:
    (tmp_path / "m.toml").write_text(_CONFIGURATION.format(folder=tmp_path / "home", watched=stage.root))
    stage.manifest([stage.customer(number) for number in range(30)])
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
    assert (consignment["state"], consignment["receipt"]["new"]) == ("taken", 30)
    assert await stage.store.doors() == {"folder": 30}
