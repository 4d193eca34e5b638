"""What doors took in: each key once, taken by one process at a time, and no promise without a row."""

import asyncio
import hashlib

import pytest

from millstream.communication.model import Mode, Policy
from millstream.communication.store import RunStore
from millstream.intake.consignment import Door, Kind, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import UnknownConsignment
from millstream.storage.duty import Duty


@pytest.fixture
def store(pool):
    return ConsignmentStore(pool, patience=10.0)


def offer(key: str = "a", content: bytes = b"one", **changes) -> Offer:
    digest = hashlib.sha256(content).hexdigest()
    given = {
        "door": Door.HTTP,
        "key": key,
        "digest": digest,
        "kind": Kind.DRIVER,
        "place": f"sha256:{digest}",
        "size": len(content),
        "run_key": "october",
    }
    return Offer(**{**given, **changes})


async def test_a_key_is_taken_in_once(store) -> None:
    [first] = await store.receive([offer()])
    [again] = await store.receive([offer()])
    [other] = await store.receive([offer(content=b"two")])
    assert first.new
    assert not first.conflict
    assert (again.id, again.new, again.conflict) == (first.id, False, False)
    assert (other.id, other.new, other.conflict) == (first.id, False, True)
    assert len(await store.newest()) == 1


async def test_the_same_key_twice_in_one_go_is_one_consignment(store) -> None:
    one, two, three = await store.receive([offer(), offer(), offer("b")])
    assert one.id == two.id != three.id
    assert len(await store.newest()) == 2


async def test_the_same_key_from_two_processes_at_once_is_one_consignment_and_no_conflict(store, pool) -> None:
    stores = [ConsignmentStore(pool, patience=10.0) for _ in range(4)]
    for number in range(20):
        told = await asyncio.gather(*(each.receive([offer(f"k{number}")]) for each in stores))
        answers = [accepted for [accepted] in told]
        assert len({accepted.id for accepted in answers}) == 1
        assert sum(accepted.new for accepted in answers) == 1
        assert not any(accepted.conflict for accepted in answers)


async def test_the_same_key_at_another_door_is_another_consignment(store) -> None:
    await store.receive([offer(), offer(door=Door.SMTP)])
    assert {row["door"] for row in await store.newest()} == {"http", "smtp"}


async def test_what_is_due_is_in_one_hand_at_a_time(store, pool) -> None:
    policy = Policy(unsubscribe="mailto:stop@example.com")
    await store.receive([offer(policy=policy, mode=Mode.DIRECT, facts={"job": "j-1"})])
    [mine] = await store.claim("one", most=10, seconds=30)
    assert mine.offer.policy == policy
    assert mine.offer.mode is Mode.DIRECT
    assert mine.offer.facts == {"job": "j-1"}
    assert await store.claim("two", most=10, seconds=30) == []
    async with pool.connection() as conn:
        await conn.execute("UPDATE consignment SET leased_until = now() - interval '1 second'")
    [theirs] = await store.claim("two", most=10, seconds=30)
    run = await RunStore(pool).open_run("october", pool="default", mode=Mode.DRAFT, policy=Policy(), source="")
    assert await store.taken("one", {mine.id: {"new": 1}}, run_id=run.id) == 0, "who lost it says nothing"
    assert await store.taken("two", {theirs.id: {"new": 1}}, run_id=run.id) == 1
    standing = await store.standing(mine.id)
    assert (standing.state, standing.receipt) == ("taken", {"new": 1})
    assert await store.doors() == {"http": 1}
    assert await store.waiting() == 0


async def test_what_fails_is_told_by_an_event_and_can_be_tried_again(store, pool) -> None:
    [accepted] = await store.receive([offer(source="statements.jsonl")])
    await store.claim("one", most=10, seconds=30)
    await store.put_off("one", [accepted.id], "a file is missing", seconds=0)
    await store.claim("one", most=10, seconds=30)
    await store.fail("one", accepted.id, "line 3 is no JSON", {"line": 3})
    async with pool.connection() as conn:
        [event] = await (await conn.execute("SELECT kind, subject, payload FROM event")).fetchall()
    assert event["kind"] == "intake.failed"
    assert event["payload"]["error"] == "line 3 is no JSON"
    assert event["payload"]["line"] == 3
    assert event["payload"]["source"] == "statements.jsonl"
    assert await store.claim("one", most=10, seconds=30) == []
    await store.again(accepted.id)
    assert len(await store.claim("one", most=10, seconds=30)) == 1
    with pytest.raises(UnknownConsignment):
        await store.again(accepted.id)
    with pytest.raises(UnknownConsignment):
        await store.find(999)


async def test_what_lies_about_is_tidied_once(store, pool) -> None:
    [accepted] = await store.receive([offer(place="file:/in/a.jsonl")])
    assert await store.untidy() == []
    await store.claim("one", most=1, seconds=30)
    await store.fail("one", accepted.id, "unreadable")
    [(consignment, state, problem)] = await store.untidy(door=Door.HTTP)
    assert (consignment.path, consignment.sha256, state, problem) == ("/in/a.jsonl", None, "failed", "unreadable")
    await store.tidied([accepted.id])
    assert await store.untidy() == []


async def test_a_duty_is_one_processs_at_a_time(pool) -> None:
    one, two = Duty(pool, "folder", lease=30.0), Duty(pool, "folder", lease=30.0)
    assert await one.hold()
    assert await one.hold()
    assert not await two.hold()
    await one.leave()
    assert await two.hold()
    assert not await one.hold()
    assert await Duty(pool, "pull").hold(), "another duty is another's"
