"""Connections, and a database that goes away and comes back."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from millstream.storage import programs
from millstream.storage.border import translate
from millstream.storage.embedded import EmbeddedServer, embedded
from millstream.storage.errors import ConstraintBroken, DatabaseAway, DatabaseRefused, QueryFailed
from millstream.storage.pool import Connection, Pool, connect, open_pool, persist, transaction


async def _note(connection: Connection) -> None:
    await connection.execute("INSERT INTO note (text) VALUES ('here')")


async def _prepare(url: str) -> None:
    connection = await connect(url, autocommit=True)
    await connection.execute("CREATE TABLE note (id bigint GENERATED ALWAYS AS IDENTITY, text text UNIQUE)")
    await connection.close()


async def _count(pool: Pool) -> int:
    async with transaction(pool) as connection:
        row = await (await connection.execute("SELECT count(*) AS notes FROM note")).fetchone()
    assert row is not None
    return int(row["notes"])


@pytest.fixture
async def notes(empty_database_url: str) -> Pool:
    await _prepare(empty_database_url)
    pool = await open_pool(empty_database_url)
    yield pool
    await pool.close()


async def test_a_connection_speaks_utc_and_ends_transactions_that_idle(notes: Pool) -> None:
    async with transaction(notes) as connection:
        query = (
            "SELECT current_setting('TimeZone') AS zone, current_setting('application_name') AS name, "
            "current_setting('idle_in_transaction_session_timeout') AS idle"
        )
        row = await (await connection.execute(query)).fetchone()
    assert row == {"zone": "UTC", "name": "millstream", "idle": "1min"}


async def test_json_comes_back_as_it_went_in(notes: Pool) -> None:
    async with transaction(notes) as connection:
        sent = {"name": "Łucja", "amounts": [1, 2.5, None]}
        row = await (await connection.execute("SELECT %s::jsonb AS it", [psycopg.types.json.Jsonb(sent)])).fetchone()
    assert row == {"it": sent}


async def test_an_error_in_the_block_leaves_nothing_behind(notes: Pool) -> None:
    async def fail(connection: Connection) -> None:
        await _note(connection)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await persist(notes, fail, give_up_after=1)
    assert await _count(notes) == 0


async def test_a_broken_rule_of_the_schema_is_named(notes: Pool) -> None:
    await persist(notes, _note, give_up_after=1)
    with pytest.raises(ConstraintBroken) as caught:
        await persist(notes, _note, give_up_after=1)
    assert caught.value.constraint == "note_text_key"


async def test_a_wrong_statement_is_told_at_once_with_its_sqlstate(notes: Pool) -> None:
    with pytest.raises(QueryFailed) as caught:
        async with transaction(notes) as connection:
            await connection.execute("SELECT nothing FROM nowhere")
    assert caught.value.sqlstate == "42P01"


async def test_an_unknown_database_is_refused_without_waiting(postgres: EmbeddedServer) -> None:
    with pytest.raises(DatabaseRefused, match="no_such"):
        await open_pool(postgres.url_of("no_such"))


async def test_connections_cut_by_the_server_are_replaced(notes: Pool, postgres: EmbeddedServer) -> None:
    other = await connect(postgres.url_of("postgres"), autocommit=True)
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millstream' "
        "AND pid <> pg_backend_pid() AND datname LIKE 'test_%'"
    )
    await other.close()
    await persist(notes, _note, give_up_after=10)
    assert await _count(notes) == 1


async def test_a_database_that_is_away_for_a_while_is_waited_for(durable_folder: Path) -> None:
    folder = durable_folder / "away"
    async with embedded(folder) as url:
        await _prepare(url)
        pool = await open_pool(url, maximum=4)
        await _stop(folder)
        waiting = asyncio.create_task(persist(pool, _note, give_up_after=60))
        # It is away for as long as an attempt needs to fail; the task is then between two attempts, or in one.
        with pytest.raises(DatabaseAway):
            await persist(pool, _note, give_up_after=0.2)
        assert not waiting.done()
        async with embedded(folder):
            await waiting
            assert await _count(pool) == 1
            await pool.close()


async def test_a_database_that_stays_away_is_reported_with_the_time_waited(durable_folder: Path) -> None:
    folder = durable_folder / "gone"
    async with embedded(folder) as url:
        pool = await open_pool(url)
        await _stop(folder)
        with pytest.raises(DatabaseAway, match=r"Given up after \d+ s"):
            await persist(pool, _note, give_up_after=0.5)
        await pool.close()


async def test_a_closed_pool_is_not_waited_for(empty_database_url: str) -> None:
    pool = await open_pool(empty_database_url)
    await pool.close()
    with pytest.raises(DatabaseAway):
        await persist(pool, _note, give_up_after=3600)


async def test_two_that_deadlock_are_both_done_in_the_end(notes: Pool) -> None:
    async with transaction(notes) as connection:
        await connection.execute("INSERT INTO note (text) VALUES ('a'), ('b')")
    met = asyncio.Barrier(2)
    tries = {"a": 0, "b": 0}

    async def cross(connection: Connection, first: str, second: str) -> None:
        tries[first] += 1
        change = "UPDATE note SET id = DEFAULT WHERE text = %s"
        await connection.execute(change, [first])
        if tries[first] == 1:
            await met.wait()
        await connection.execute(change, [second])

    await asyncio.gather(
        persist(notes, lambda connection: cross(connection, "a", "b"), give_up_after=30),
        persist(notes, lambda connection: cross(connection, "b", "a"), give_up_after=30),
    )
    assert sorted(tries.values()) == [1, 2]


def test_no_error_of_the_driver_escapes_translation() -> None:
    for name in dir(psycopg.errors):
        foreign = getattr(psycopg.errors, name)
        if isinstance(foreign, type) and issubclass(foreign, psycopg.Error):
            ours = translate(foreign("said"), "testing")
            assert str(ours).startswith("The database failed while testing: said.")


async def _stop(folder: Path) -> None:
    owner = programs.owner_of(folder / "data")
    words = ["stop", "-m", "immediate", "-w", "-D", str(folder / "data")]
    ended = await asyncio.to_thread(programs.run, "pg_ctl", words, owner=owner, folder_of_work=folder)
    assert ended.returncode == 0, ended.stdout
