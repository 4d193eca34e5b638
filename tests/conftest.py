"""What every test may ask for: an own migrated database in milliseconds, a pool on it, and waiting for outcomes."""

import asyncio
import contextlib
import inspect
import itertools
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # the helpers beside this file, whatever import mode the suite runs in

# gRPC's fork handlers end some processes that are forked beside it (see lazy.load_grpc), and tests import it directly.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # noqa: TID251  gRPC's own, and only set

from millstream.storage.embedded import EmbeddedServer
from millstream.storage.migrate import migrate
from millstream.storage.pool import Pool, open_pool

# A shell that starts us in the background (`make test &`) has us ignore Ctrl-C, which every process of a test would
# inherit: POSIX, Shell Command Language 2.11.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_TEMPLATE = "millstream_template"
_numbers = itertools.count(1)
_ports = (20_000 + (os.getpid() * 97 + number) % 12_000 for number in itertools.count())

# How long an example takes tells of the machine's load, not of the code; pytest's own timeout ends what hangs.
settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("suite")

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
    # These databases outlive no test: nobody waits for the disk. A copied database is two checkpoints, which are
    # cheap without fsync, where the default writes every page of it to the log: 27 ms with its end, against 140 ms.
    _administer(server, "ALTER SYSTEM SET fsync = off", "ALTER SYSTEM SET full_page_writes = off")
    _administer(server, "SELECT pg_reload_conf()", f"CREATE DATABASE {_TEMPLATE}")
    asyncio.run(migrate(server.url_of(_TEMPLATE)))
    yield server
    asyncio.run(server._control("stop", "-m", "immediate"))  # nothing of it is kept
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
    """Give a TCP port of the loopback that nobody uses, and that nobody is given before the test takes it."""
    return _free_port


def _free_port() -> int:
    """Look below the ports that the kernel hands out by itself (32768 and up), to clients too; none comes twice.

    Each run begins somewhere else, for several may share a machine.
    """
    for port in _ports:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


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
    _administer(server, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield server.url_of(name)
    _administer(server, f"DROP DATABASE {name} WITH (FORCE)")


def _administer(server: EmbeddedServer, *statements: str) -> None:
    with psycopg.connect(server.url_of("postgres"), autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)
