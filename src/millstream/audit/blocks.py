"""Makes blocks over the audit chain, so that a few entries can be proved without all the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from millstream.audit.block import FIRST, Block
from millstream.audit.chain import Pool, queries
from millstream.audit.errors import ChainBroken
from millstream.audit.merkle import Tree

MOST: Final = 4_096
"""Entries in a block: six million make 1,465 of them, and a proof is a dozen hashes long."""
TICK: Final = 60.0
AGED: Final = 86_400.0
"""Seconds after which entries become a block although it is not full: a quiet house has one a day to keep elsewhere."""


class Blocks:
    """Makes blocks, and proves entries by them.

    Args:
        pool: where the chain lies.
        most: entries in a block.
        aged: seconds after which entries become a block that is not full.
    """

    def __init__(self, pool: Pool, *, most: int = MOST, aged: float = AGED) -> None:
        self._pool = pool
        self._most = most
        self._aged = aged

    async def seal_due(self) -> int:
        """Make every block that is full, and one of what is a day old; answers how many were made.

        Raises:
            ChainBroken: entries are missing.
        """
        return await self._seal(whole=False)

    async def seal(self) -> int:
        """Make blocks of all entries there are; answers how many were made.

        Raises:
            ChainBroken: entries are missing.
        """
        return await self._seal(whole=True)

    async def _seal(self, *, whole: bool) -> int:
        made = 0
        while await self._seal_one(whole=whole):
            made += 1
        return made

    async def _seal_one(self, *, whole: bool) -> bool:
        async with self._pool.connection() as conn:
            await queries.lock_blocks(conn)
            waiting = await queries.waiting(conn, seconds=self._aged)
            entries = waiting["entries"]
            if not entries or not (whole or entries >= self._most or waiting["aged"]):
                return False
            last_seq = waiting["last_seq"]
            rows = [row async for row in queries.hashes(conn, after=last_seq, upto=last_seq + self._most)]
            if not rows or rows[-1]["seq"] != last_seq + len(rows):
                raise ChainBroken(
                    f"entries after {last_seq} are missing, so no block is made of them; `millstream audit verify` "
                    "says where the record is broken; compare with a backup"
                )
            hashes = [row["hash"] for row in rows]
            root = Tree(hashes).root
            bare = Block(waiting["number"] + 1, last_seq + 1, last_seq + len(rows), root, hashes[-1], b"")
            values = {name: getattr(bare, name) for name in ("number", "first_seq", "last_seq", "root")}
            before = FIRST if waiting["hash"] is None else waiting["hash"]
            await queries.add_block(conn, **values, hash=bare.hash_after(before))
        return True

    async def upto(self, seq: int) -> list[Block]:
        """All blocks from the first to the one that holds an entry; empty where none does yet."""
        async with self._pool.connection() as conn:
            rows = [row async for row in queries.blocks_upto(conn, seq=seq)]
        blocks = [Block(**row) for row in rows]
        return blocks if blocks and blocks[-1].last_seq >= seq else []

    async def paths(self, block: Block, wanted: Sequence[int]) -> dict[int, list[bytes]]:
        """For positions in a block the hashes that lead to its root.

        Raises:
            ChainBroken: its entries are not what they were when it was made.
        """
        async with self._pool.connection() as conn:
            rows = [row async for row in queries.hashes(conn, after=block.first_seq - 1, upto=block.last_seq)]
        tree = Tree(row["hash"] for row in rows)
        if tree.root != block.root:
            raise ChainBroken(
                f"the entries of block {block.number} are not those it was made of; compare with a backup"
            )
        return {seq: tree.path(seq - block.first_seq) for seq in wanted}
