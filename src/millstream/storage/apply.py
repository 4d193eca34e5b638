"""The half of the migrations that needs alembic; imported only when there is something to apply."""

from collections.abc import Iterator, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import psycopg
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from millstream.storage.border import translate, translated
from millstream.storage.errors import MigrationFailed
from millstream.storage.migrate import BOOK, VERSIONS, Step, steps

# A step asks for procrastinate's schema by this line, so that a new database gets that of the installed release.
PROCRASTINATE = "-- procrastinate:schema"

_LOCK = 0x6D696C6C  # "mill": any constant that nobody else locks


def apply(url: str) -> list[str]:
    """Apply the steps that are missing and return their names; blocks.

    Raises:
        MigrationFailed: a step did not pass; the database is as it was.
        DatabaseError: the database refused or went away.
    """
    engine = create_engine("postgresql+psycopg://", creator=partial(psycopg.connect, url), poolclass=NullPool)
    try:
        with translated("building the schema"), engine.begin() as connection:
            return _apply_pending(connection)
    except DBAPIError as error:
        if isinstance(error.orig, psycopg.Error):
            raise translate(error.orig, "building the schema") from error
        raise MigrationFailed(f"The book of the schema's steps could not be kept: {error}") from error


def _apply_pending(connection: Connection) -> list[str]:
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
    scripts = _Steps(str(VERSIONS.parent))
    applied: list[str] = []

    def pending(at: Any, _context: MigrationContext) -> Sequence[Any]:
        missing = scripts._upgrade_revs("head", at)  # noqa: SLF001  what alembic's own upgrade command calls
        applied.extend(step.revision.module.__name__ for step in missing)
        return missing

    context = MigrationContext.configure(connection, opts={"version_table": BOOK, "fn": pending, "script": scripts})
    context.run_migrations(connection=connection)
    return applied


class _Steps(ScriptDirectory):
    """Alembic's directory of scripts, reading SQL files where alembic would read Python."""

    def _load_revisions(self) -> Iterator[Script]:
        before: str | None = None
        for step in steps():
            module = ModuleType(str(step), step.name.replace("_", " "))
            module.__dict__.update(revision=step.number, down_revision=before, upgrade=partial(_run, step))
            yield Script(module, step.number, str(step.path))
            before = step.number


def _run(step: Step, connection: Connection) -> None:
    statements = step.path.read_text(encoding="utf-8").replace(PROCRASTINATE, SchemaManager.get_schema())
    driver = connection.connection.driver_connection
    if driver is None:
        raise MigrationFailed(f"The connection was lost before step {step}. Run millstream db migrate again.")
    try:
        # Past SQLAlchemy, without parameters: the driver then takes many statements at once and no % for its own.
        driver.execute(statements)
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise MigrationFailed(f"Step {step} did not pass, and nothing of it stays: {error}") from error
