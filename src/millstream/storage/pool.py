"""Connections to the database, and what to do while it is away."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

import orjson
import psycopg
from psycopg.pq import TransactionStatus
from psycopg.rows import DictRow, TupleRow, dict_row
from psycopg.types.json import set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool, PoolClosed

from millstream.storage.border import translated
from millstream.storage.errors import DatabaseAway, DatabaseBusy, DatabaseFull

Connection = psycopg.AsyncConnection[DictRow]
Pool = AsyncConnectionPool[Connection]
Result = TypeVar("Result")

_FIRST_GAP_SECONDS = 0.05
_LONGEST_GAP_SECONDS = 2.0
# How long a caller waits for a free connection before the database counts as away.
_CHECKOUT_SECONDS = 5.0
# After this the pool itself stops trying, so that the next caller's attempt is made at once and not after a gap
# that has grown to minutes (psycopg_pool doubles it: 1, 2, 4 … s).
_POOL_TRIES_SECONDS = 3.0


async def open_pool(url: str, *, minimum: int = 1, maximum: int = 10, name: str = "millstream") -> Pool:
    """Open a pool and wait until its first connections stand.

    Transactions are explicit (autocommit off): leaving `pool.connection()` in order commits. Times are in UTC,
    rows are dictionaries, JSON goes through orjson, a statement is prepared when it comes the third time, and the
    server ends a transaction that idles for a minute: none may stay open across a network call.

    Raises:
        DatabaseAway: no connection within 15 s.
        DatabaseRefused: the server does not let us in.
    """
    await _knock(url)
    pool: Pool = AsyncConnectionPool(
        url,
        connection_class=psycopg.AsyncConnection[DictRow],
        min_size=minimum,
        max_size=max(minimum, maximum),
        open=False,
        name=name,
        timeout=_CHECKOUT_SECONDS,
        reconnect_timeout=_POOL_TRIES_SECONDS,
        max_idle=300,
        configure=_configure,
        kwargs={**_arguments(name), "row_factory": dict_row},
    )
    with translated("opening connections"):
        await pool.open(wait=True, timeout=15)
    return pool


@asynccontextmanager
async def transaction(pool: Pool, *, patience: float = _CHECKOUT_SECONDS) -> AsyncIterator[Connection]:
    """Give a connection for one transaction: committed at the end of the block, rolled back on any error.

    `patience` is how many seconds to wait for a free connection.

    Raises:
        DatabaseError: whatever psycopg raised in the block or at the commit, in our words.
    """
    with translated("a transaction"):
        async with _lent(pool, patience) as connection:
            yield connection


@asynccontextmanager
async def single(pool: Pool, *, patience: float | None = None) -> AsyncIterator[Connection]:
    """Give a connection on which every statement is a transaction of its own: one round trip in place of three.

    Raises:
        DatabaseError: whatever psycopg raised in the block, in our words.
    """
    with translated("a statement"):
        async with _lent(pool, patience) as connection:
            await connection.set_autocommit(True)
            try:
                yield connection
            finally:
                if not connection.closed and connection.info.transaction_status is TransactionStatus.IDLE:
                    await connection.set_autocommit(False)
                else:
                    await connection.close()  # in the middle of something: the pool makes a new one


@asynccontextmanager
async def _lent(pool: Pool, patience: float | None) -> AsyncIterator[Connection]:
    """A connection of the pool, or the cancellation that came while we waited for it.

    The pool waits by `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes in the same turn of the
    loop as what is waited for (https://github.com/python/cpython/issues/86296): a worker would never stop.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    async with pool.connection(timeout=patience) as connection:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        yield connection


async def persist(
    pool: Pool,
    work: Callable[[Connection], Awaitable[Result]],
    *,
    give_up_after: float,
    one_statement: bool = False,
) -> Result:
    """Run `work(connection)` in one transaction, again and again with growing gaps while the database is away.

    With `one_statement` each statement of the work is its own transaction, for work that changes things by one alone.

    `work` must bear being run twice: when the connection breaks during COMMIT nobody knows whether it
    happened, and it runs again. A deadlock and a full disk of the server are waited out the same way.
    `give_up_after` is in seconds.

    Raises:
        DatabaseAway: still away after `give_up_after`, or the pool is closed.
        DatabaseBusy: still in conflict with others.
        DatabaseFull: still full.
        DatabaseError: anything that waiting does not mend, at once.
    """
    loop = asyncio.get_running_loop()
    began, gap = loop.time(), _FIRST_GAP_SECONDS
    lend = single if one_statement else transaction
    while True:
        try:
            patience = min(_CHECKOUT_SECONDS, max(_FIRST_GAP_SECONDS, began + give_up_after - loop.time()))
            async with lend(pool, patience=patience) as connection:
                return await work(connection)
        except (DatabaseAway, DatabaseBusy, DatabaseFull) as error:
            waited = loop.time() - began
            if waited + gap > give_up_after or isinstance(error.__cause__, PoolClosed):
                raise type(error)(f"{error} Given up after {waited:.0f} s.") from error
        # Connections that idled through a restart of the server are dead: let the pool find out before we try again.
        with suppress(psycopg.Error):
            await pool.check()
        await asyncio.sleep(gap)
        gap = min(gap * 2, _LONGEST_GAP_SECONDS)


async def connect(url: str, *, name: str = "millstream", autocommit: bool = False) -> psycopg.AsyncConnection[TupleRow]:
    """Open one connection outside any pool, set up alike but with tuples as rows; for LISTEN, migrations and checks."""
    with translated("connecting"):
        connection = await psycopg.AsyncConnection[TupleRow].connect(url, autocommit=autocommit, **_arguments(name))
        await _configure(connection)
    return connection


async def _knock(url: str) -> None:
    """Learn why the server does not let us in; a pool would only tell that time has run out."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while True:
        try:
            connection = await connect(url)
        except DatabaseAway:
            if loop.time() - began > _CHECKOUT_SECONDS:
                raise
            await asyncio.sleep(_FIRST_GAP_SECONDS * 4)
        else:
            await connection.close()
            return


def _arguments(name: str) -> dict[str, Any]:
    return {
        "application_name": name,
        "connect_timeout": 10,
        "prepare_threshold": 3,
        # A server that vanished without a word is noticed within half a minute: tcp(7).
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
    }


async def _configure(connection: psycopg.AsyncConnection[Any]) -> None:
    set_json_dumps(orjson.dumps, connection)
    set_json_loads(orjson.loads, connection)
    await connection.execute(
        "SELECT set_config('TimeZone', 'UTC', false), set_config('idle_in_transaction_session_timeout', '60s', false)"
    )
    if not connection.autocommit:
        await connection.commit()
