"""Blocks over the chain: made once whoever makes them, and never over anything but what is there."""

from __future__ import annotations

import asyncio

import pytest

from millstream.audit import chain
from millstream.audit.block import misplaced
from millstream.audit.blocks import Blocks
from millstream.audit.errors import ChainBroken
from millstream.storage.pool import Pool, transaction


async def _append(pool: Pool, entries: int) -> None:
    async with transaction(pool) as conn:
        await conn.execute(
            "SELECT audit_append((SELECT json_agg(json_build_object('actor', 'a', 'kind', 'k', 'subject', 's:' || n, "
            "'payload', '{}')) FROM generate_series(1, %s) n))",
            (entries,),
        )


async def _forge(pool: Pool, sql: str) -> None:
    async with transaction(pool) as conn:
        for table in ("audit", "audit_block"):
            await conn.execute(f"ALTER TABLE {table} DISABLE TRIGGER {table}_append_only")
        await conn.execute(sql)


async def _sizes(pool: Pool) -> list[int]:
    async with transaction(pool) as conn:
        rows = await (await conn.execute("SELECT first_seq, last_seq FROM audit_block ORDER BY number")).fetchall()
    return [row["last_seq"] - row["first_seq"] + 1 for row in rows]


async def test_full_blocks_are_made_at_once_and_the_rest_when_it_is_asked_for(pool: Pool) -> None:
    blocks = Blocks(pool, most=8)
    assert await blocks.seal_due() == 0
    await _append(pool, 19)
    assert await blocks.seal_due() == 2
    assert await blocks.seal_due() == 0
    assert await blocks.seal() == 1
    assert await _sizes(pool) == [8, 8, 3]
    verdict = await chain.verify(pool)
    assert (verdict.intact, verdict.entries, verdict.block) == (True, 19, 3)
    assert misplaced(await blocks.upto(19)) is None


async def test_entries_that_are_old_become_a_block_that_is_not_full(pool: Pool) -> None:
    await _append(pool, 3)
    assert await Blocks(pool, most=8, aged=3_600.0).seal_due() == 0
    assert await Blocks(pool, most=8, aged=0.0).seal_due() == 1
    assert await _sizes(pool) == [3]


async def test_many_who_seal_at_once_make_every_block_once(pool: Pool) -> None:
    await _append(pool, 40)
    made = await asyncio.gather(*(Blocks(pool, most=7).seal() for _ in range(5)))
    assert sum(made) == len(await _sizes(pool)) == 6
    assert (await chain.verify(pool)).intact


async def test_entries_lead_to_their_block(pool: Pool) -> None:
    await _append(pool, 10)
    blocks = Blocks(pool, most=8)
    await blocks.seal()
    first, second = await blocks.upto(10)
    assert (first.size, second.size, await blocks.upto(11)) == (8, 2, [])
    assert [len(path) for path in (await blocks.paths(first, [1, 8])).values()] == [3, 3]
    await _forge(pool, "UPDATE audit SET hash = sha256('x') WHERE seq = 3")
    with pytest.raises(ChainBroken, match="entries of block 1 are not those it was made of"):
        await blocks.paths(first, [1])


async def test_no_block_is_made_over_a_gap(pool: Pool) -> None:
    await _append(pool, 10)
    await _forge(pool, "DELETE FROM audit WHERE seq = 4")
    with pytest.raises(ChainBroken, match="entries after 0 are missing"):
        await Blocks(pool, most=8).seal()
    assert await _sizes(pool) == []


@pytest.mark.parametrize(
    ("forgery", "block"),
    [
        ("UPDATE audit_block SET root = sha256('x') WHERE number = 2", 2),
        ("UPDATE audit_block SET hash = sha256('x') WHERE number = 1", 1),
        ("UPDATE audit_block SET last_seq = last_seq - 1 WHERE number = 1", 1),
        ("DELETE FROM audit_block WHERE number = 1", 1),
        ("DELETE FROM audit_block WHERE number = 2", 2),
    ],
)
async def test_a_forged_block_is_found(pool: Pool, forgery: str, block: int) -> None:
    await _append(pool, 24)
    await Blocks(pool, most=8).seal()
    await _forge(pool, forgery)
    verdict = await chain.verify(pool)
    assert (verdict.intact, verdict.broken_block) == (False, block)


async def test_entries_that_were_cut_off_after_they_were_sealed_are_found(pool: Pool) -> None:
    await _append(pool, 10)
    await Blocks(pool, most=8).seal()
    await _forge(pool, "DELETE FROM audit WHERE seq > 9")
    async with transaction(pool) as conn:
        await conn.execute("UPDATE audit_head SET seq = 9, hash = (SELECT hash FROM audit WHERE seq = 9)")
    assert (await chain.verify(pool)).broken_at == 10


async def test_the_chain_passes_through_a_block_that_was_noted(pool: Pool) -> None:
    await _append(pool, 20)
    await Blocks(pool, most=8).seal_due()
    noted = (await chain.verify(pool)).block_hash
    assert noted is not None
    await _append(pool, 20)
    await Blocks(pool, most=8).seal()
    assert (await chain.verify(pool, must_hold=noted)).intact
    assert not (await chain.verify(pool, must_hold="00" * 32)).intact
