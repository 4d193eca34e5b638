"""The embedded server: shared, restarted, survived."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from millstream.storage.embedded import EmbeddedServer, _furnish, embedded
from millstream.storage.errors import FolderUnfit, ServerNotStarted

_CHILD = """
import asyncio, sys
from millstream.storage.embedded import EmbeddedServer

async def main():
    server = await EmbeddedServer.start(sys.argv[1])
    print(server.url, flush=True)
    sys.stdin.read()
    await server.stop()

asyncio.run(main())
"""


@pytest.fixture
def folder(durable_folder: Path, request: pytest.FixtureRequest) -> Path:
    return durable_folder / f"s{abs(hash(request.node.name)) % 10**8}"


def _child(folder: Path) -> "subprocess.Popen[str]":
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline().startswith("postgresql://")
    return child


def _end(child: "subprocess.Popen[str]", *, kill: bool) -> None:
    if kill:
        child.send_signal(signal.SIGKILL)
        child.wait()
        for stream in (child.stdin, child.stdout):
            if stream is not None:
                stream.close()
    else:
        child.communicate("", timeout=60)
        assert child.returncode == 0


def _postmaster(folder: Path) -> int | None:
    lock = folder / "data" / "postmaster.pid"
    return int(lock.read_text(encoding="ascii").splitlines()[0]) if lock.exists() else None


async def _count(url: str) -> int:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM note")).fetchone()
    assert row is not None
    return int(row[0])


async def _write(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS note (at timestamptz DEFAULT now())")
        await connection.execute("INSERT INTO note DEFAULT VALUES")


async def test_what_was_committed_is_there_after_a_stop_and_a_start(folder: Path) -> None:
    async with embedded(folder) as url:
        await _write(url)
    assert _postmaster(folder) is None
    async with embedded(folder) as url:
        assert await _count(url) == 1


async def test_the_last_of_several_users_stops_the_server(folder: Path) -> None:
    first = await EmbeddedServer.start(folder)
    child = await asyncio.to_thread(_child, folder)
    await first.stop()
    assert _postmaster(folder) is not None
    await asyncio.to_thread(_end, child, kill=False)
    assert _postmaster(folder) is None


async def test_a_server_whose_starter_was_killed_is_joined_and_then_stopped(folder: Path) -> None:
    child = await asyncio.to_thread(_child, folder)
    before = _postmaster(folder)
    await asyncio.to_thread(_end, child, kill=True)
    async with embedded(folder) as url:
        await _write(url)
        assert _postmaster(folder) == before
    assert _postmaster(folder) is None


async def test_a_killed_user_leaves_the_server_to_the_others(folder: Path) -> None:
    async with embedded(folder) as url:
        child = await asyncio.to_thread(_child, folder)
        await asyncio.to_thread(_end, child, kill=True)
        await _write(url)
    assert _postmaster(folder) is None


async def test_a_killed_server_is_started_again_with_all_that_was_committed(folder: Path) -> None:
    first = await EmbeddedServer.start(folder)
    await _write(first.url)
    postmaster = _postmaster(folder)
    assert postmaster is not None
    os.kill(postmaster, signal.SIGKILL)
    async with embedded(folder) as url:
        assert await _count(url) == 1
    await first.stop()
    assert _postmaster(folder) is None


async def test_a_lock_file_with_a_strangers_number_does_not_keep_the_server_down(folder: Path) -> None:
    async with embedded(folder) as url:
        await _write(url)
    lock = folder / "data" / "postmaster.pid"
    owner = lock.parent.stat()
    lock.write_text(f"{os.getpid()}\n{folder / 'data'}\n1\n5432\n{folder / 'run'}\n\n1 1\nready\n", encoding="ascii")
    os.chown(lock, owner.st_uid, owner.st_gid)
    async with embedded(folder) as url:
        assert await _count(url) == 1


async def test_many_that_start_at_once_share_one_server(folder: Path) -> None:
    servers = await asyncio.gather(*(EmbeddedServer.start(folder) for _ in range(4)))
    assert len({server.url for server in servers}) == 1
    await asyncio.gather(*(server.stop() for server in servers))
    assert _postmaster(folder) is None


def test_a_folder_that_many_furnish_at_once_is_its_owners(folder: Path) -> None:
    with ThreadPoolExecutor(16) as threads:
        for each in range(20):
            owners = set(threads.map(_furnish, [folder / str(each)] * 16))
            assert len(owners) == 1


async def test_a_second_stop_does_nothing(postgres: EmbeddedServer) -> None:
    server = await EmbeddedServer.start(postgres.folder)
    await server.stop()
    await server.stop()
    assert _postmaster(postgres.folder) is not None


def test_the_socket_admits_nobody_but_its_owner(postgres: EmbeddedServer) -> None:
    mode = (postgres.folder / "run" / ".s.PGSQL.5432").stat().st_mode
    assert stat.S_IMODE(mode) & (stat.S_IRWXG | stat.S_IRWXO) == 0


async def test_commits_are_synced_to_disk(folder: Path) -> None:
    async with embedded(folder) as url, await psycopg.AsyncConnection.connect(url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            row = await (await connection.execute("SELECT current_setting(%s)", [setting])).fetchone()
            assert row == ("on",)


async def test_a_folder_too_long_for_a_socket_is_refused_with_advice(durable_folder: Path) -> None:
    with pytest.raises(FolderUnfit, match=r"bytes too long for a socket.*MILLSTREAM_DATABASE__FOLDER"):
        await EmbeddedServer.start(durable_folder / ("x" * 100))


async def test_a_folder_of_somebody_else_is_refused_with_advice(folder: Path) -> None:
    (folder / "data").mkdir(parents=True)
    (folder / "run").mkdir()
    if os.geteuid() == 0:
        os.chown(folder / "data", 12345, 12345)
    else:
        (folder / "turn").write_text("")
        (folder / "turn").chmod(0)
    with pytest.raises(FolderUnfit, match=r"Run as the user who owns it.*MILLSTREAM_DATABASE__FOLDER"):
        await EmbeddedServer.start(folder)


async def test_a_full_disk_is_told_with_advice(small_disk: Path) -> None:
    with pytest.raises(ServerNotStarted, match="is full: make space"):
        await EmbeddedServer.start(small_disk / "database")


async def test_a_server_that_does_not_come_up_shows_its_log_and_says_what_to_do(folder: Path) -> None:
    async with embedded(folder):
        pass
    settings = folder / "data" / "postgresql.conf"
    settings.write_text("no_such_setting = 1\n", encoding="ascii")
    with pytest.raises(ServerNotStarted, match=r"(?s)no_such_setting.*MILLSTREAM_DATABASE__URL"):
        await EmbeddedServer.start(folder)
