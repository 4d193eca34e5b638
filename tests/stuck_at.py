"""A place in the ledger where whoever comes by must wait, so that a test can act in the middle of a submit."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from psycopg import AsyncConnection

_WAIT = """
CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END';
CREATE TRIGGER wait BEFORE INSERT ON communication FOR EACH ROW WHEN (NEW.key = '{key}') EXECUTE FUNCTION wait();
SELECT pg_advisory_lock(7);
"""
_SOMEBODY_WAITS = """
SELECT EXISTS (SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND NOT granted
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))
"""


@asynccontextmanager
async def stuck_at(url: str, key: str) -> AsyncIterator[Callable[[], Awaitable[bool]]]:
    """Who brings in the communication of this key waits until the block ends; gives a question: does anybody wait?"""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute(_WAIT.format(key=key))

        async def somebody_waits() -> bool:
            row = await (await connection.execute(_SOMEBODY_WAITS)).fetchone()
            assert row is not None
            return bool(row[0])

        yield somebody_waits
