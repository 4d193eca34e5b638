"""The schema grows by steps, once, whoever starts first."""

import asyncio

import psycopg
import pytest

from millstream.storage import migrate as room
from millstream.storage.errors import DatabaseRefused, MigrationFailed, SchemaTooNew
from millstream.storage.migrate import migrate, status, steps


async def _tables(url: str) -> set[str]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return {row[0] async for row in rows}


async def test_an_empty_database_gets_every_step_in_order(empty_database_url: str) -> None:
    assert (await status(empty_database_url)).pending == tuple(str(step) for step in steps())
    assert await migrate(empty_database_url) == [str(step) for step in steps()]
    assert (await status(empty_database_url)).pending == ()
    assert {"run", "delivery", "attempt", "lane", "audit", "procrastinate_jobs"} <= await _tables(empty_database_url)


async def test_a_second_migration_does_nothing(database_url: str) -> None:
    assert await migrate(database_url) == []


async def test_of_several_at_once_one_does_the_work(empty_database_url: str) -> None:
    done = await asyncio.gather(*(migrate(empty_database_url) for _ in range(4)))
    assert sorted(map(len, done)) == [0, 0, 0, len(steps())]


async def test_a_database_of_a_newer_release_is_refused(database_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        await connection.execute("UPDATE schema_version SET version_num = '9999'")
    with pytest.raises(SchemaTooNew, match="9999"):
        await migrate(database_url)


async def test_a_missing_database_is_refused(empty_database_url: str) -> None:
    with pytest.raises(DatabaseRefused):
        await migrate(empty_database_url.replace("/test_", "/missing_"))


def test_steps_are_numbered_without_a_gap() -> None:
    assert [int(step.number) for step in steps()] == list(range(1, len(steps()) + 1))


async def test_a_step_that_fails_leaves_nothing_behind(
    empty_database_url: str, tmp_path: "room.Path", monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = tmp_path / "0001_good.sql", tmp_path / "0002_bad.sql"
    good.write_text("CREATE TABLE kept (id int);", encoding="utf-8")
    bad.write_text("CREATE TABLE half (id int);\nCREATE TABLE half (id int);", encoding="utf-8")
    found = (room.Step("0001", "good", good), room.Step("0002", "bad", bad))
    from millstream.storage import apply  # noqa: PLC0415  it is what is replaced

    monkeypatch.setattr(apply, "steps", lambda: found)
    with pytest.raises(MigrationFailed, match="0002_bad"):
        await asyncio.to_thread(apply.apply, empty_database_url)
    assert await _tables(empty_database_url) == set()
