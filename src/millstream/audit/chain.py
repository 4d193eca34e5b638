"""Reads and proves the audit chain; `audit_append` in the schema writes it (docs/decisions/0002).

An entry's hash is SHA-256 over the hash before it and, joined by U+001F, its position, time, actor, kind, subject
and payload, all as stored. Changing, removing or inserting an entry breaks every hash after it; cutting off the tail
contradicts the head, whose hash an auditor keeps elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiosql
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)

_GENESIS = hashlib.sha256(b"millstream").digest()
_PAGE = 5_000

Pool = AsyncConnectionPool[AsyncConnection[DictRow]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a walk along the chain found."""

    entries: int
    head: str
    """Hex of the last hash; keep it elsewhere and compare."""
    broken_at: int | None
    """The first position that does not follow from the one before, or None."""

    @property
    def intact(self) -> bool:
        """Whether every entry follows from the one before."""
        return self.broken_at is None


def follow(before: bytes, entry: Mapping[str, Any]) -> bytes:
    """The hash that must stand at `entry`, given the hash before it."""
    names = ("seq", "at", "actor", "kind", "subject", "payload")
    return hashlib.sha256(before + "\x1f".join(str(entry[name]) for name in names).encode()).digest()


async def verify(pool: Pool, *, must_hold: str | None = None) -> Verdict:
    """Recompute the whole chain, page by page; memory stays flat.

    `must_hold` is a hash (hex) kept from before: the chain must still pass through it.
    """
    before, seq, met = _GENESIS, 0, must_hold is None
    while True:
        async with pool.connection() as conn:
            page = [row async for row in queries.entries(conn, after=seq, most=_PAGE)]
        for entry in page:
            if entry["seq"] != seq + 1 or follow(before, entry) != entry["hash"]:
                return Verdict(seq, before.hex(), seq + 1)
            before, seq = entry["hash"], entry["seq"]
            met = met or before.hex() == must_hold
        if len(page) < _PAGE:
            break
    if not met:
        return Verdict(seq, before.hex(), seq + 1)
    async with pool.connection() as conn:
        head = await queries.head(conn)
    # Entries may have been appended since the last page; then the head lies further on, never behind.
    if head["seq"] < seq or (head["seq"] == seq and head["hash"] != before):
        return Verdict(seq, before.hex(), seq + 1)
    if head["seq"] > seq and not await _has(pool, seq + 1):
        return Verdict(seq, before.hex(), seq + 1)
    return Verdict(seq, before.hex(), None)


async def history(pool: Pool, subject: str) -> list[dict[str, Any]]:
    """What happened to one subject (`delivery:<token>`, `run:<key>`, `lane:<mailbox>`), in order."""
    async with pool.connection() as conn:
        return [row async for row in queries.history(conn, subject=subject)]


async def _has(pool: Pool, seq: int) -> bool:
    async with pool.connection() as conn:
        return bool([row async for row in queries.entries(conn, after=seq - 1, most=1) if row["seq"] == seq])
