"""Policies that were taken out or renamed while people are asked, or letters are held, by them.

An open question keeps the terms it was asked under (`review.terms`), so it goes on: reminders, ladder, answers, next
steps. What is held and was put to nobody yet has no terms: it waits until its policy is back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiosql
from psycopg import AsyncConnection
from psycopg.rows import class_row

from millstream.log import get_logger
from millstream.review.store import dumps
from millstream.storage.pool import Pool, transaction

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("missing.sql"), "apsycopg", mandatory_parameters=False)

RAISED: Final = "review.policy_missing"
TICK: Final = 60.0


@dataclass(frozen=True, slots=True)
class Missing:
    """A policy that is named and not there."""

    policy: str
    reviews: int
    """Open, or waiting for new content."""
    letters: int
    """Held by it."""
    unasked: int
    """Those of them that nobody was asked about, nor will be."""

    def __str__(self) -> str:
        told = (
            f"policy {self.policy!r} is in no file: {self.reviews:,} reviews open, {self.letters:,} letters held by it"
        )
        return f"{told}, {self.unasked:,} of which nobody is asked about" if self.unasked else told

    @property
    def action(self) -> str:
        """What to do."""
        named = f"`millstream review list --policy {self.policy}`"
        back = "put it back under its name in a file of review.policies and start the workers again"
        if self.unasked:
            return f"{back}: until then these letters stay held ({named}; `millstream run cancel` gives a run up)"
        return f"nothing, if its questions are to end under the terms they were asked under; else {back} ({named})"


async def missing(conn: AsyncConnection[Any], known: Iterable[str]) -> list[Missing]:
    """The policies that are missed, by name."""
    async with conn.cursor(row_factory=class_row(Missing)) as cursor:
        await cursor.execute(queries.missing.sql, {"known": list(known)})
        return await cursor.fetchall()


async def owed(pool: Pool) -> bool:
    """Whether reviews are open or letters held, whatever policies there are now."""
    async with transaction(pool) as conn:
        return bool((await queries.owed(conn))["owed"])


class Missed:
    """Says once in each process which policies are missing, and raises it for people."""

    def __init__(self, pool: Pool, known: Iterable[str]) -> None:
        self._pool = pool
        self._known = tuple(known)
        self._told: set[str] = set()

    async def look(self) -> int:
        """Look for them; answers how many were found that were not told before.

        Raises:
            DatabaseError: the database is away.
        """
        async with transaction(self._pool) as conn:
            found = await missing(conn, self._known)
            fresh = [each for each in found if each.policy not in self._told]
            for each in fresh:
                about = {"policy": each.policy, "error": str(each), "action": each.action, "source": "review.policies"}
                counts = {"reviews": each.reviews, "letters": each.letters, "unasked": each.unasked}
                subject = f"policy:{each.policy}"
                await queries.raise_missing(conn, kind=RAISED, subject=subject, payload=dumps({**about, **counts}))
        for each in fresh:
            log.warning("review.policy_missing", what=str(each), action=each.action)
        self._told = {each.policy for each in found}
        return len(fresh)
