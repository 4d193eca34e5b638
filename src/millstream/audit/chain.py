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

from millstream.audit.block import FIRST, Block
from millstream.audit.merkle import Tree

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)

GENESIS = hashlib.sha256(b"millstream").digest()
"""What stands before the first entry."""
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
    block: int = 0
    """The number of the last block that stands for its entries; 0: there is none yet."""
    block_hash: str | None = None
    """Its hash in hex; keep it elsewhere as well: a bundle is compared with it."""
    broken_block: int | None = None
    """The first block that does not stand for its entries, or None."""

    @property
    def intact(self) -> bool:
        """Whether every entry follows from the one before, and every block from its entries."""
        return self.broken_at is None and self.broken_block is None


def follow(before: bytes, entry: Mapping[str, Any]) -> bytes:
    """The hash that must stand at `entry`, given the hash before it."""
    names = ("seq", "at", "actor", "kind", "subject", "payload")
    return hashlib.sha256(before + "\x1f".join(str(entry[name]) for name in names).encode()).digest()


async def verify(pool: Pool, *, must_hold: str | None = None) -> Verdict:
    """Recompute the whole chain and its blocks, page by page; memory stays flat.

    `must_hold` is a hash (hex) kept from before, of an entry or of a block: the chain must still pass through it.
    """
    walk = _Walk(must_hold)
    found = await _walked(pool, walk)
    if found is not None:
        return found
    # What is in hand now is a block over entries that are not there.
    if walk.in_block or not walk.met or not await _ends_there(pool, walk):
        return walk.verdict(broken_at=walk.seq + 1)
    return walk.verdict()


async def _walked(pool: Pool, walk: _Walk) -> Verdict | None:
    """Walk to the end; answers where something does not follow, or None."""
    while True:
        await walk.take_block(pool)
        async with pool.connection() as conn:
            page = [row async for row in queries.entries(conn, after=walk.seq, most=_PAGE)]
        for entry in page:
            if not walk.follows(entry):
                return walk.verdict(broken_at=walk.seq + 1)
            if walk.block_ends:
                if not walk.block_stands():
                    return walk.verdict(broken_block=walk.number + 1)
                await walk.take_block(pool)
        if not page or (len(page) < _PAGE and not walk.in_block):
            return None


async def _ends_there(pool: Pool, walk: _Walk) -> bool:
    """Whether the chain's head is where the walk ended, or further on where entries were appended since."""
    async with pool.connection() as conn:
        head = await queries.head(conn)
    if head["seq"] > walk.seq:
        return await _has(pool, walk.seq + 1)
    return bool(head["seq"] == walk.seq and head["hash"] == walk.before)


class _Walk:
    """How far a walk has come: the last entry, and the block that it is in."""

    def __init__(self, must_hold: str | None) -> None:
        self.seq, self.before = 0, GENESIS
        self.number, self._last_seq, self._block_before = 0, 0, FIRST
        self.met = must_hold is None
        self._must_hold = must_hold
        self._block: Mapping[str, Any] | None = None
        self._hashes: list[bytes] = []

    async def take_block(self, pool: Pool) -> None:
        """Take up the next block, where none is in hand.

        One that was made only now covers entries that were passed already, and is left alone.
        """
        if self._block is None and self.seq == self._last_seq:
            async with pool.connection() as conn:
                self._block = await queries.block_after(conn, number=self.number)

    def follows(self, entry: Mapping[str, Any]) -> bool:
        """Take an entry; False where it does not follow from the one before."""
        if entry["seq"] != self.seq + 1 or follow(self.before, entry) != entry["hash"]:
            return False
        self.before, self.seq = entry["hash"], entry["seq"]
        self.met = self.met or self.before.hex() == self._must_hold
        if self._block is not None:
            self._hashes.append(self.before)
        return True

    @property
    def block_ends(self) -> bool:
        """Whether the block in hand is at its last entry, or should have been."""
        return self._block is not None and self.seq >= self._block["last_seq"]

    @property
    def in_block(self) -> bool:
        """Whether the block in hand has entries that were not passed yet."""
        return self._block is not None

    def block_stands(self) -> bool:
        """Whether the block in hand is what its entries and the block before make; puts it down."""
        assert self._block is not None  # noqa: S101  asked for at its end
        root, last = Tree(self._hashes).root, self.before
        block = Block(**self._block, last_hash=last)
        expected = (self.number + 1, self._last_seq + 1, self.seq, root)
        if (block.number, block.first_seq, block.last_seq, block.root) != expected:
            return False
        if block.hash_after(self._block_before) != block.hash:
            return False
        self.number, self._last_seq, self._block_before = block.number, block.last_seq, block.hash
        self.met = self.met or block.hash.hex() == self._must_hold
        self._block, self._hashes = None, []
        return True

    def verdict(self, *, broken_at: int | None = None, broken_block: int | None = None) -> Verdict:
        """What was found."""
        named = self._block_before.hex() if self.number else None
        return Verdict(self.seq, self.before.hex(), broken_at, self.number, named, broken_block)


async def history(pool: Pool, subject: str) -> list[dict[str, Any]]:
    """What happened to one subject (`delivery:<token>`, `run:<key>`, `lane:<mailbox>`), in order."""
    async with pool.connection() as conn:
        return [row async for row in queries.history(conn, subject=subject)]


async def _has(pool: Pool, seq: int) -> bool:
    async with pool.connection() as conn:
        return bool([row async for row in queries.entries(conn, after=seq - 1, most=1) if row["seq"] == seq])
