"""The database that comes with Millstream: one PostgreSQL per folder, shared by every process that names it.

The first process to come starts the server, the last one to leave stops it. Who is using it is known by file
locks, which the kernel releases however a process ends: after a kill the server stays up, the next process
finds it, and the last one to leave in order still stops it.

Layout of a folder: `data` (PostgreSQL's own), `run` (the socket and the log), and the two lock files `turn`
(held while starting or stopping) and `users` (held, shared, while using). There is no TCP port; the socket
admits its owner alone, and root. Why not the wheel's own life cycle: docs/decisions/0011.
"""

import asyncio
import fcntl
import os
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psycopg

from millstream.storage import programs
from millstream.storage.errors import EmbeddedError, FolderUnfit, ServerNotStarted
from millstream.storage.programs import Owner

DATABASE = "millstream"
SUPERUSER = "postgres"

# fsync, full_page_writes and synchronous_commit keep PostgreSQL's defaults: a commit that returned is on disk.
SETTINGS: dict[str, str] = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",  # trust is given to the socket, so the socket is given to its owner only
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",  # fewer checkpoints while a run of 100,000 comes in
    "checkpoint_timeout": "15min",
    "wal_buffers": "16MB",
    "jit": "off",  # compiles for 50 ms what runs in 1
    "max_parallel_workers_per_gather": "0",  # two cores belong to the lanes; and /dev/shm may be small
    "random_page_cost": "1.1",
    "autovacuum_naptime": "15s",  # rows of the ledger change several times within seconds
    "log_min_messages": "warning",
    "log_checkpoints": "off",
}

# sun_path holds 108 bytes on Linux with the closing zero: unix(7).
_LONGEST_SOCKET = 107
_SOCKET_FILE = ".s.PGSQL.5432"
_LONGEST_LOG = 10_000_000
_PATIENCE_SECONDS = 120.0
_LOOK_AGAIN_SECONDS = 0.05
_LOG_LINES_SHOWN = 8


@asynccontextmanager
async def embedded(folder: Path | str) -> AsyncIterator[str]:
    """Hold the embedded server of `folder` for the time of a block; gives the URL of its database."""
    server = await EmbeddedServer.start(folder)
    try:
        yield server.url
    finally:
        await asyncio.shield(server.stop())


@dataclass(slots=True)
class EmbeddedServer:
    """One process's share in the server of one folder."""

    folder: Path
    owner: Owner
    _using: int | None = field(default=None, repr=False)

    @classmethod
    async def start(cls, folder: Path | str) -> "EmbeddedServer":
        """Start the server, or join the one that is running.

        Raises:
            FolderUnfit: the folder's path is too long for a socket, or the folder is another user's.
            ServerNotStarted: PostgreSQL did not come up.
        """
        path = _absolute(folder)
        _check_length(path)
        try:
            owner = await asyncio.to_thread(_furnish, path)
        except OSError as error:
            raise _unfit(path, error) from error
        server = cls(path, owner)
        async with server._turn():
            await server._bring_up()
            await server._ensure_database()
            server._using = _open_lock(path / "users")
            fcntl.flock(server._using, fcntl.LOCK_SH)
        return server

    @property
    def url(self) -> str:
        """The libpq URL of Millstream's database on this server."""
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """Return the libpq URL of any database on this server."""
        return f"postgresql://{SUPERUSER}@/{quote(database)}?host={quote(str(self.folder / 'run'), safe='')}"

    async def stop(self) -> None:
        """Give up our share; whoever is last stops the server. A second call does nothing."""
        if self._using is None:
            return
        using, self._using = self._using, None
        try:
            async with self._turn():
                # The two steps of raising the lock are not one; they need not be, for nobody joins during our turn.
                with suppress(BlockingIOError):
                    fcntl.flock(using, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    if await asyncio.to_thread(_processes_in, self.folder / "data"):
                        await self._control("stop", "-m", "fast")
        finally:
            os.close(using)

    async def _bring_up(self) -> None:
        waited = 0.0
        while (answer := await self._probe()) != "ready":
            if answer == "absent" and not await asyncio.to_thread(_processes_in, self.folder / "data"):
                await asyncio.to_thread(_forget_stale_locks, self.folder)
                await self._launch()
                return
            # A server is recovering, or the children of a killed one are still letting go of their memory.
            waited += _LOOK_AGAIN_SECONDS
            if waited > _PATIENCE_SECONDS:
                raise ServerNotStarted(
                    f"PostgreSQL of {self.folder} has been {answer} for {_PATIENCE_SECONDS:.0f} s. "
                    f"Its log says: {self._log_end()}"
                )
            await asyncio.sleep(_LOOK_AGAIN_SECONDS)

    async def _launch(self) -> None:
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            await self._initialise()
        log = self.folder / "run" / "log"
        if log.exists() and log.stat().st_size > _LONGEST_LOG:
            log.replace(log.with_name("log.1"))
        settings = SETTINGS | {"unix_socket_directories": str(self.folder / "run")}
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        await self._control("start", "-l", str(log), "-o", options)

    async def _initialise(self) -> None:
        data = self.folder / "data"
        how = ["--username", SUPERUSER, "--auth", "trust", "--encoding", "UTF8", "--no-instructions"]
        # The builtin provider sorts by code point on every machine: an index survives a change of the C library.
        where = ["--locale-provider", "builtin", "--builtin-locale", "C.UTF-8", "--locale", "C", "--pgdata", str(data)]
        done = await asyncio.to_thread(
            programs.run, "initdb", [*how, *where], owner=self.owner, folder_of_work=self.folder
        )
        if done.returncode != 0:
            raise _not_started(self.folder, "initdb", done.stdout)

    async def _control(self, verb: str, *options: str) -> None:
        """Run `pg_ctl`, waiting for its effect."""
        words = [verb, "-s", "-w", "-t", str(int(_PATIENCE_SECONDS)), "-D", str(self.folder / "data"), *options]
        done = await asyncio.to_thread(programs.run, "pg_ctl", words, owner=self.owner, folder_of_work=self.folder)
        if done.returncode != 0:
            raise _not_started(self.folder, f"pg_ctl {verb}", f"{done.stdout}\n{self._log_end()}")

    async def _probe(self) -> str:
        """Ask the socket: ready, absent, or unwilling with its reason (starting up, too many clients …)."""
        try:
            connection = await psycopg.AsyncConnection.connect(self.url_of(SUPERUSER), connect_timeout=10)
        except psycopg.OperationalError as error:
            # libpq gives no SQLSTATE for a login that failed, only the system's or the server's sentence.
            nobody_there = ("No such file or directory", "Connection refused")
            return "absent" if any(words in str(error) for words in nobody_there) else f"unwilling ({error})"
        await connection.close()
        return "ready"

    async def _ensure_database(self) -> None:
        connection = await psycopg.AsyncConnection.connect(self.url_of(SUPERUSER), autocommit=True)
        async with connection:
            found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
            if await found.fetchone() is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Be the only process that starts or stops this server."""
        lock = _open_lock(self.folder / "turn")
        try:
            waited = 0.0
            while not _try_lock(lock):
                waited += _LOOK_AGAIN_SECONDS
                if waited > _PATIENCE_SECONDS:
                    raise ServerNotStarted(
                        f"Another process has been starting or stopping PostgreSQL of {self.folder} for "
                        f"{_PATIENCE_SECONDS:.0f} s. See what holds {self.folder / 'turn'} (fuser) and end it."
                    )
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
            yield
        finally:
            os.close(lock)

    def _log_end(self) -> str:
        log = self.folder / "run" / "log"
        if not log.exists():
            return "(no log yet)"
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES_SHOWN:])


def _absolute(folder: Path | str) -> Path:
    return Path(folder).expanduser().absolute()


def _check_length(folder: Path) -> None:
    spare = _LONGEST_SOCKET - len(os.fsencode(folder / "run" / _SOCKET_FILE))
    if spare < 0:
        raise FolderUnfit(
            f"The folder of the embedded database is {-spare} bytes too long for a socket: {folder}. "
            "Choose a shorter one: database.folder, or MILLSTREAM_DATABASE__FOLDER."
        )


def _furnish(folder: Path) -> Owner:
    """Create what is missing of the folder, with the rights that PostgreSQL asks for."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    with _alone(folder):
        owner = programs.owner_of(data)
        programs.let_in(owner, folder_of_work=folder)
        for path, mode in ((data, stat.S_IRWXU), (folder / "run", 0o755)):
            if not path.exists():
                path.mkdir(mode=mode)
                os.chown(path, owner.uid, owner.gid)
            elif path.stat().st_uid != owner.uid:
                raise PermissionError(f"{path} belongs to user {path.stat().st_uid}, we are {owner.name} ({owner.uid})")
        for name in ("turn", "users"):
            os.close(_open_lock(folder / name))
    return owner


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """For the moment of the block no other process furnishes the folder: one that is made is not yet its owner's."""
    held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield
    finally:
        os.close(held)


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)


def _unfit(folder: Path, error: OSError) -> FolderUnfit:
    return FolderUnfit(
        f"The embedded database cannot use {folder}: {error}. "
        "Run as the user who owns it, or choose another: database.folder, or MILLSTREAM_DATABASE__FOLDER."
    )


def _not_started(folder: Path, step: str, said: str) -> EmbeddedError:
    advice = "Read the log above, or name a server of your own: MILLSTREAM_DATABASE__URL=postgresql://…"
    if "No space left on device" in said:
        advice = f"The disk of {folder} is full: make space there and start again; nothing committed is lost."
    elif "Permission denied" in said:
        advice = f"See who owns {folder} and what is in it, and that its disk is not mounted read-only."
    return ServerNotStarted(f"PostgreSQL of {folder} did not obey ({step}):\n{said.strip()}\n{advice}")


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _processes_in(data: Path) -> list[int]:
    """Return the ids of the PostgreSQL processes of these data: each has them as its working folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (entry / "cwd").readlink() == data.resolve():
                found.append(int(entry.name))
    return found


def _forget_stale_locks(folder: Path) -> None:
    """Remove lock files whose process number now belongs to a stranger, or to a dead process nobody has reaped.

    Both happen in containers: numbers start anew, and their first process may not reap. PostgreSQL itself sees
    through a number that nobody has. Called only when no process works in the data.
    """
    for lock in (folder / "data" / "postmaster.pid", folder / "run" / f"{_SOCKET_FILE}.lock"):
        with suppress(OSError, ValueError, IndexError):
            number = int(lock.read_text(encoding="ascii").splitlines()[0])
            if Path(f"/proc/{number}").exists():
                lock.unlink()
