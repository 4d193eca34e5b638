"""Events between rooms: answered once, together with what follows; poison is put aside and harms nobody else."""

import asyncio

import pytest

from millstream.storage.pool import Connection, Pool
from millstream.work import events
from millstream.work.events import MOST_TRIES, Event, Events


async def write(pool: Pool, *kinds: str) -> None:
    """Let these things have happened."""
    async with pool.connection() as conn:
        for kind in kinds:
            await conn.execute("INSERT INTO event (kind, subject, payload) VALUES (%s, 'x:1', '{\"a\": 1}')", [kind])


async def note(conn: Connection, event: Event) -> None:
    """A listener whose effect can be seen."""
    await conn.execute("INSERT INTO reading (mailbox, units) VALUES (%s, %s)", [event.kind, event.payload["a"]])


async def refuse(conn: Connection, event: Event) -> None:
    """A listener that does something and then fails."""
    await note(conn, event)
    raise ValueError("no\x00pe")


async def effects(pool: Pool) -> list[str]:
    async with pool.connection() as conn:
        rows = await (await conn.execute("SELECT mailbox FROM reading ORDER BY mailbox")).fetchall()
    return [row["mailbox"] for row in rows]


async def due_again(pool: Pool) -> None:
    """The next try is now."""
    async with pool.connection() as conn:
        await conn.execute("UPDATE event SET due_at = now() WHERE due_at IS NOT NULL")


async def test_an_event_is_answered_once_by_all_who_listen(pool: Pool) -> None:
    await write(pool, "a.happened", "b.happened", "nobody.listens")
    both = Events(pool, {"a.happened": [note, note], "b.happened": [note]})
    assert await both.answer_due() == 3
    assert await both.answer_due() == 0
    assert await effects(pool) == ["a.happened", "a.happened", "b.happened"]
    assert await events.waiting(pool) == 0
    assert await events.newest(pool, aside=True) == []


async def test_two_workers_answer_each_event_once(pool: Pool) -> None:
    await write(pool, *["a.happened"] * 30)
    one, two = (Events(pool, {"a.happened": [note]}) for _ in range(2))
    assert sum(await asyncio.gather(one.answer_due(), two.answer_due())) == 30
    assert len(await effects(pool)) == 30


async def test_what_fails_leaves_nothing_behind_and_stops_no_other(pool: Pool) -> None:
    await write(pool, "a.happened", "b.happened")
    await Events(pool, {"a.happened": [note, refuse], "b.happened": [note]}).answer_due()
    assert await effects(pool) == ["b.happened"]
    assert await events.waiting(pool) == 1


async def test_poison_is_put_aside_told_and_answered_after_it_was_mended(pool: Pool) -> None:
    await write(pool, "a.happened")
    broken = Events(pool, {"a.happened": [refuse]})
    for _ in range(MOST_TRIES):
        assert await broken.answer_due() == 1
        await due_again(pool)
    assert await broken.answer_due() == 0
    [aside] = await events.newest(pool, aside=True)
    assert (aside["kind"], aside["tries"], aside["failure"]) == ("a.happened", MOST_TRIES, "ValueError: nope")
    assert await events.again(pool) == 1
    assert await Events(pool, {"a.happened": [note]}).answer_due() == 1
    assert await effects(pool) == ["a.happened"]
    assert await events.newest(pool, aside=True) == []


@pytest.mark.parametrize("kind", ["Happened", "a happened", "a."])
async def test_a_kind_is_a_room_and_the_past_tense(pool: Pool, kind: str) -> None:
    with pytest.raises(Exception, match="event_kind_check"):
        await write(pool, kind)
