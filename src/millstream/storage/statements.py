"""What a room's store does with a statement: ask it, wait out a database that is away, and give rows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from millstream.storage.pool import Connection, Pool, persist


class Statements:
    """Runs single statements, each a transaction of its own, for up to `patience` seconds of a database that is away.

    Raises from every question: `DatabaseError` where it did not come back, or the statement was refused.
    """

    def __init__(self, pool: Pool, *, patience: float) -> None:
        self._pool = pool
        self._patience = patience

    async def _all(self, sql: str, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Every row."""

        async def work(conn: Connection) -> list[dict[str, Any]]:
            return await (await conn.execute(sql, values)).fetchall()

        return await persist(self._pool, work, give_up_after=self._patience, one_statement=True)

    async def _one(self, sql: str, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The first row, or None."""
        rows = await self._all(sql, values)
        return rows[0] if rows else None

    async def _do(self, sql: str, values: Mapping[str, Any]) -> None:
        """A statement that gives no row."""

        async def work(conn: Connection) -> None:
            await conn.execute(sql, values)

        await persist(self._pool, work, give_up_after=self._patience, one_statement=True)
