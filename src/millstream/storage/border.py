"""The one border where the database driver's errors become ours."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from millstream.storage.errors import (
    ConstraintBroken,
    DatabaseAway,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DatabaseRefused,
    QueryFailed,
)

# PostgreSQL 18, appendix A, read 2026-11-23. The longest prefix that fits decides.
_BY_SQLSTATE: dict[str, type[DatabaseError]] = {
    "08": DatabaseAway,  # connection exception
    "25P03": DatabaseAway,  # idle in transaction too long: the server hung up
    "28": DatabaseRefused,  # invalid authorization
    "3D": DatabaseRefused,  # invalid catalog name: no such database
    "40": DatabaseBusy,  # serialization failure, deadlock
    "42501": DatabaseRefused,  # insufficient privilege
    "53": DatabaseAway,  # insufficient resources: too many connections, out of memory
    "53100": DatabaseFull,  # disk full
    "55P03": DatabaseBusy,  # lock not available
    "57P": DatabaseAway,  # admin shutdown, crash shutdown, cannot connect now
}

# A login that fails carries no SQLSTATE in libpq, only the server's sentence.
_REFUSALS = (
    "password authentication failed",
    "no pg_hba.conf entry",
    "does not exist",
    "no password supplied",
    "fe_sendauth",
    "permission denied",
)

_ADVICE: dict[type[DatabaseError], str] = {
    DatabaseAway: "See that the server runs and can be reached: millstream doctor.",
    DatabaseBusy: "Another transaction was in the way; trying again helps.",
    DatabaseFull: "Make space on the disk of the database server; nothing committed is lost.",
    DatabaseRefused: "Check user, password, database and its grants in database.url.",
}


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn psycopg's errors inside the block into ours; `doing` completes "… failed while".

    Raises:
        DatabaseError: one of its kinds, with the driver's error as its cause.
    """
    try:
        yield
    except psycopg.Error as error:
        raise translate(error, doing) from error


def translate(error: psycopg.Error, doing: str) -> DatabaseError:
    """Return our error for one of psycopg's."""
    kind = _kind_of(error)
    said = " ".join(str(error).split()) or type(error).__name__
    text = f"The database failed while {doing}: {said.rstrip('.')}."
    if kind is ConstraintBroken:
        return ConstraintBroken(text, constraint=error.diag.constraint_name or "")
    if kind is QueryFailed:
        return QueryFailed(text, sqlstate=error.sqlstate or "")
    return kind(f"{text} {_ADVICE[kind]}")


def _kind_of(error: psycopg.Error) -> type[DatabaseError]:
    if isinstance(error, psycopg.IntegrityError):
        return ConstraintBroken
    state = error.sqlstate
    if state is None:
        if not isinstance(error, psycopg.OperationalError):
            return QueryFailed
        return DatabaseRefused if any(words in str(error) for words in _REFUSALS) else DatabaseAway
    fitting = [prefix for prefix in _BY_SQLSTATE if state.startswith(prefix)]
    return _BY_SQLSTATE[max(fitting, key=len)] if fitting else QueryFailed
