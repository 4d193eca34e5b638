"""A disk without room: nothing is lost, nothing is moved twice, and it goes on by itself."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from folder_stage import MANIFEST, write

from millstream.intake.errors import SpoolFull
from millstream.intake.spool import Spool, spooling


@contextmanager
def no_room(most: int = 0) -> Iterator[None]:
    """No file grows beyond so many bytes in this block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_document_store_without_room_leaves_the_consignment_due(stage):
    stage.manifest([stage.customer(1)])
    await stage.look()
    with no_room(100):
        await stage.taker.take_due()
        await stage.taker.rest()
    [waiting] = await stage.consignments()
    assert waiting["state"] == "received"
    assert waiting["problem"]
    assert await stage.rows() == []

    async def again() -> None:
        while (await stage.consignments())[0]["state"] != "taken":
            await stage.taker.take_due()
            await stage.taker.rest()

    await again()
    assert len(await stage.rows()) == 1


async def test_files_that_cannot_be_moved_stay_and_are_moved_later_once(stage):
    write(stage.root / "job-1" / MANIFEST, b"<o><broken></o>")
    await stage.look()
    await stage.taker.drain()
    with no_room():
        await stage.door.look()
    assert f"job-1/{MANIFEST}" in stage.tree()
    await stage.door.look()
    await stage.door.look()
    assert [path for path in stage.tree() if not path.startswith(".")] == [
        "error/job-1.problem.txt",
        f"error/job-1/{MANIFEST}",
    ]


def test_a_spool_without_room_says_so(tmp_path):
    spool = Spool(tmp_path)
    folder = spool.new()
    with no_room(10), pytest.raises(SpoolFull, match="no room for a body"), spooling("a body"):
        (folder / "body").write_bytes(b"x" * 100)
    spool.drop(folder)
    assert list((tmp_path / "incoming").iterdir()) == []


def test_what_the_spool_keeps_is_whole_and_the_same_name_again_is_the_same(tmp_path):
    spool = Spool(tmp_path)
    first = spool.new()
    (first / "a").write_bytes(b"one")
    kept = spool.keep(first, "abcdef")
    second = spool.new()
    (second / "a").write_bytes(b"two")
    assert spool.keep(second, "abcdef") == kept
    assert (kept / "a").read_bytes() == b"one"
    assert not first.exists()
    assert not second.exists()
    spool.drop(kept)
    assert not kept.exists()


def test_the_spool_drops_nothing_outside(tmp_path):
    (tmp_path / "other").mkdir()
    Spool(tmp_path / "spool").drop(tmp_path / "other")
    Spool(tmp_path / "spool").drop(tmp_path / "spool" / ".." / "other")
    assert (tmp_path / "other").exists()
