"""What every test may ask for: an own migrated database in milliseconds, a pool on it, and waiting for outcomes."""

import asyncio
import inspect
import itertools
import os
import shutil
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from millstream.storage.embedded import EmbeddedServer
from millstream.storage.migrate import migrate
from millstream.storage.pool import Pool, open_pool

_TEMPLATE = "millstream_template"
_numbers = itertools.count(1)

Eventually = Callable[..., Awaitable[Any]]


@pytest.fixture(scope="session")
def durable_folder() -> Iterator[Path]:
    """A folder that PostgreSQL may use and whose path is short enough for its socket; gone afterwards."""
    place = "/var/lib" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="millstream-test-", dir=place))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres(durable_folder: Path) -> Iterator[EmbeddedServer]:
    """The embedded server of this test run, with a migrated database to copy from."""
    server = asyncio.run(EmbeddedServer.start(durable_folder / "database"))
    _administer(server, f"CREATE DATABASE {_TEMPLATE}")
    asyncio.run(migrate(server.url_of(_TEMPLATE)))
    yield server
    asyncio.run(server.stop())


@pytest.fixture
def empty_database_url(postgres: EmbeddedServer) -> Iterator[str]:
    """A database of this test's own, without any table."""
    yield from _database(postgres, "template1")


@pytest.fixture
def database_url(postgres: EmbeddedServer) -> Iterator[str]:
    """A migrated database of this test's own."""
    yield from _database(postgres, _TEMPLATE)


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Pool]:
    """Connections to this test's own migrated database."""
    pool = await open_pool(database_url, maximum=8)
    yield pool
    await pool.close()


@pytest.fixture
def eventually() -> Eventually:
    """Wait for an outcome: `await eventually(predicate, within=5.0)` gives the first true answer.

    The predicate is a plain or an async function; the wait is bounded, and its failure shows the last answer.
    """
    return _eventually


@pytest.fixture
def free_port() -> Callable[[], int]:
    """Give a TCP port of the loopback that nobody uses."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


async def _eventually(predicate: Callable[[], Any], within: float = 5.0) -> Any:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    gap = 0.005
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if loop.time() > deadline:
            pytest.fail(f"Not within {within} s; the last answer was {answer!r}")
        await asyncio.sleep(gap)
        gap = min(gap * 1.5, 0.1)


def _database(server: EmbeddedServer, template: str) -> Iterator[str]:
    name = f"test_{next(_numbers)}"
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template}")
    yield server.url_of(name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: EmbeddedServer, statement: str) -> None:
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        connection.execute(statement)
