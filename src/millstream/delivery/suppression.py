"""Addresses that nothing of a stream is sent to: the list, and what people do to it.

Addresses are compared whole and in lower case. RFC 5321 §2.4 lets a server tell local parts by their case, and asks
servers not to; where one did, a namesake's mail would be held with its reason in sight, and a person lets it go. The
other way round a dead address, written once in capitals, would be mailed again. The delivery itself goes to the address
as it was given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosql

from millstream.delivery.errors import NotSuppressed
from millstream.storage.pool import Connection, Pool, transaction

queries = aiosql.from_path(Path(__file__).with_name("suppression.sql"), "apsycopg", mandatory_parameters=False)


@dataclass(frozen=True, slots=True)
class Removed:
    """What taking an address off the list did."""

    streams: int
    """Streams whose list it stood on."""
    released: int
    """Deliveries held for it that are queued now."""


class Suppressions:
    """The list of suppressed addresses in Postgres."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def list(
        self, *, stream: str | None = None, address: str | None = None, most: int = 100
    ) -> list[dict[str, Any]]:
        """Entries, the newest first: stream, address, reason, detail, subject, actor, at."""
        async with transaction(self._pool) as conn:
            rows = queries.list_suppressed(conn, stream=stream, address=address, most=most)
            return [row async for row in rows]

    async def add(self, address: str, *, stream: str, why: str, actor: str) -> bool:
        """A person puts an address on a stream's list; answers whether it was not there already."""
        async with transaction(self._pool) as conn:
            row = await queries.suppress(
                conn, stream=stream, address=address, reason="person", detail=why, subject=None, actor=actor
            )
        return bool(row["added"])

    async def remove(self, address: str, *, stream: str | None, why: str, actor: str, release: bool = False) -> Removed:
        """A person takes an address off the list of a stream, or of all; with `release` what was held for it goes.

        Raises:
            NotSuppressed: it is on no such list, and nothing that was held for it was released.
        """
        async with transaction(self._pool) as conn:
            row = await queries.unsuppress(conn, stream=stream, address=address, why=why, actor=actor, release=release)
        if not row["removed"] and not row["released"]:
            where = f"in stream {stream!r}" if stream else "in any stream"
            raise NotSuppressed(f"{address} is not suppressed {where}; `millstream suppression list` shows what is")
        return Removed(row["removed"], row["released"])


async def suppress(conn: Connection, address: str, *, stream: str, reason: str, detail: str, subject: str) -> bool:
    """A mailbox told us that an address takes no mail; answers whether it was not on the stream's list already."""
    row = await queries.suppress(
        conn, stream=stream, address=address, reason=reason, detail=detail, subject=subject, actor="sightings"
    )
    return bool(row["added"])
