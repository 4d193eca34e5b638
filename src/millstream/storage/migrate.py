"""Bringing the schema to where this release needs it.

Alembic orders the steps and keeps the book of what was applied (table `schema_version`); a step is a file of
plain SQL. All pending steps are one transaction under one advisory lock: of several processes that start at once
one does the work and the others find it done, and a step that fails leaves nothing behind.
"""

import asyncio
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from millstream.storage.border import translated
from millstream.storage.errors import MigrationFailed, SchemaTooNew

VERSIONS = Path(__file__).with_name("migrations") / "versions"

BOOK = "schema_version"
_FILE_NAME = re.compile(r"(?P<number>\d{4})_(?P<name>[a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Step:
    """One file of the schema; `number` has four digits, `name` says what the step brings."""

    number: str
    name: str
    path: Path

    def __str__(self) -> str:
        return f"{self.number}_{self.name}"


@dataclass(frozen=True, slots=True)
class SchemaStatus:
    """Where a database stands: the step it is at (None when empty) and the steps it lacks."""

    at: str | None
    pending: tuple[str, ...]


async def migrate(url: str) -> list[str]:
    """Apply the steps that are missing, in order; return their names, which is empty when there were none.

    Raises:
        SchemaTooNew: the database was brought further by a newer release.
        MigrationFailed: a step did not pass; the database is as it was.
        DatabaseAway, DatabaseRefused: no connection.
    """
    before = await status(url)
    if not before.pending:
        return []
    # Alembic and SQLAlchemy take a second to import, and almost every start finds nothing to do.
    from millstream.storage.apply import apply  # noqa: PLC0415  for the reason above

    return await asyncio.to_thread(apply, url)


async def status(url: str) -> SchemaStatus:
    """Return where the database stands.

    Raises:
        SchemaTooNew: its step is not among ours.
        DatabaseAway, DatabaseRefused: no connection.
    """
    with translated("reading the schema's version"):
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True, connect_timeout=10)
        async with connection:
            known = await (await connection.execute("SELECT to_regclass(%s)", [BOOK])).fetchone()
            at = None
            if known and known[0]:
                row = await (await connection.execute(f"SELECT version_num FROM {BOOK}")).fetchone()  # noqa: S608  a constant
                at = row[0] if row else None
    numbers = [step.number for step in steps()]
    if at is not None and at not in numbers:
        raise SchemaTooNew(
            f"The database is at step {at}, this release ends at {numbers[-1]}. "
            "Install the release that wrote it, or a newer one."
        )
    return SchemaStatus(at, tuple(str(step) for step in steps() if at is None or step.number > at))


@cache
def steps() -> tuple[Step, ...]:
    """Return every step in order.

    Raises:
        MigrationFailed: a file's name has no number, or the numbers have a gap or a double.
    """
    found = []
    for path in sorted(VERSIONS.glob("*.sql")):
        named = _FILE_NAME.fullmatch(path.name)
        if named is None:
            raise MigrationFailed(f"{path} is not named like 0001_what_it_brings.sql. Rename it.")
        found.append(Step(named["number"], named["name"], path))
    expected = [f"{n:04}" for n in range(1, len(found) + 1)]
    if [step.number for step in found] != expected:
        raise MigrationFailed(f"The numbers of the steps in {VERSIONS} must follow each other: {expected}.")
    return tuple(found)
