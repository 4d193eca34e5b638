"""What doors made durable becomes communications, once, whatever happens on the way."""

import asyncio
import hashlib
from dataclasses import replace
from typing import Any

import orjson
import pytest

from millstream.communication.store import RunStore
from millstream.intake.consignment import Door, Kind, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import DocumentsFailed, NotYet
from millstream.intake.options import TakingOptions
from millstream.intake.reception import Reception
from millstream.intake.sources import Sources
from millstream.intake.taking import Taker, Tools
from millstream.storage.pool import transaction


@pytest.fixture
def store(pool):
    return ConsignmentStore(pool, patience=10.0)


@pytest.fixture
def reception(store, desk):
    return Reception(store, desk.documents)


@pytest.fixture
def tools(desk, pool):
    return Tools(RunStore(pool), desk.services, desk.documents, Sources(), desk.options, TakingOptions(first_gap=0.05))


@pytest.fixture
async def taker(store, tools):
    taker = Taker(store, tools)
    yield taker
    await taker.close()


def offer(key: str, content: bytes, **changes: Any) -> Offer:
    return Offer(
        **{
            "door": Door.HTTP,
            "key": key,
            "digest": hashlib.sha256(content).hexdigest(),
            "kind": Kind.DRIVER,
            "place": "",
            "size": len(content),
            "run_key": "october",
            "pool": "p",
            "source": "a test",
            **changes,
        }
    )


async def events(pool) -> list[dict[str, Any]]:
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT kind, subject, payload FROM event ORDER BY id")).fetchall()


async def test_what_was_posted_becomes_a_run(desk, reception, taker, record):
    content = b"".join(orjson.dumps(record(number)) + b"\n" for number in range(3))
    accepted = await reception.receive(offer("one", content), content)
    await taker.drain()
    found = await reception.settled(accepted.id, within=5)
    assert found.state == "taken"
    assert (found.receipt["lines"], found.receipt["new"]) == (3, 3)
    assert await desk.customers() == ["C-0", "C-1", "C-2"]
    assert {row["consignment_id"] for row in await desk.rows()} == {accepted.id}


async def test_many_who_hand_over_at_once_each_get_their_own_number(desk, reception, taker, store, record):
    contents = [orjson.dumps(record(number)) for number in range(100)]
    handed = [reception.receive(offer(f"k{n}", each), each) for n, each in enumerate(contents)]
    accepted = await asyncio.gather(*handed)
    assert len({each.id for each in accepted}) == 100
    await taker.drain()
    assert len(await desk.rows()) == 100
    receipts = [(await store.find(each.id))["receipt"] for each in accepted]
    assert {(receipt["lines"], receipt["new"]) for receipt in receipts} == {(1, 1)}
    assert await store.doors() == {"http": 100}


async def test_of_several_taken_together_only_the_bad_one_fails(desk, reception, taker, store, record):
    good, bad = orjson.dumps(record(1)), b"%PDF-1.7 no driver"
    first, second, third = await asyncio.gather(
        reception.receive(offer("a", good), good),
        reception.receive(offer("b", bad), bad),
        reception.receive(offer("c", orjson.dumps(record(2))), orjson.dumps(record(2))),
    )
    await taker.drain()
    assert [(await store.find(each.id))["state"] for each in (first, second, third)] == ["taken", "failed", "taken"]
    assert await desk.customers() == ["C-1", "C-2"]
    assert "it is a PDF" in (await store.find(second.id))["problem"]


async def test_a_row_that_no_ledger_can_hold_harms_no_other(reception, record):
    good = orjson.dumps(record(1))
    done = await asyncio.gather(
        reception.receive(offer("a", good), good),
        reception.receive(offer("b", good, source="a\x00b"), good),
        return_exceptions=True,
    )
    assert done[0].new
    assert isinstance(done[1], Exception)


async def test_rejected_lines_are_told_with_their_customer(desk, reception, taker, pool, record):
    lines = [record(1), record(1, subject="Another"), {"key": "x"}]
    content = b"\n".join(map(orjson.dumps, lines))
    accepted = await reception.receive(offer("one", content), content)
    await taker.drain()
    rejected, conflict = await events(pool)
    assert {rejected["kind"], conflict["kind"]} == {"intake.rejected"}
    assert rejected["subject"] == f"consignment:{accepted.id}"
    by_line = {each["payload"]["line"]: each["payload"] for each in (rejected, conflict)}
    assert by_line[2]["customer"] == "C-1"
    assert "line 1 has the same key" in by_line[2]["error"]
    assert (by_line[3]["key"], by_line[3]["door"], by_line[3]["run"]) == ("x", "http", "october")


async def test_of_many_rejected_lines_the_first_hundred_are_told_and_the_rest_counted(reception, taker, pool):
    content = b"".join(b'{"key": "%d"}\n' % number for number in range(130))
    await reception.receive(offer("one", content), content)
    await taker.drain()
    told = await events(pool)
    assert [each["kind"] for each in told] == ["intake.rejected"] * 100 + ["intake.rejected_more"]
    assert told[-1]["payload"]["lines"] == 30


async def test_what_is_held_for_its_content_is_told_with_its_customer_and_once(
    desk, store, reception, taker, pool, record
):
    lines = [record(1), record(2, recipient={"address": "no address"})]
    content = b"\n".join(map(orjson.dumps, lines))
    accepted = await reception.receive(offer("one", content, source="a test"), content)
    await taker.drain()
    [told] = await events(pool)
    facts = told["payload"]
    assert (told["kind"], told["subject"]) == ("intake.held", f"consignment:{accepted.id}")
    assert (facts["customer"], facts["reason"], facts["source"]) == ("C-2", "bad_recipient", "a test")
    assert facts["type"] == lines[1]["type"]
    assert "no address" in facts["error"]
    await store.tidied([accepted.id])
    assert await store.retaken(accepted.id, (await store.find(accepted.id))["place"])
    await taker.drain()
    assert len(await events(pool)) == 1
    assert (await store.find(accepted.id))["receipt"]["held"] == 1


async def test_of_many_that_are_held_the_first_hundred_are_told_and_the_rest_counted(reception, taker, pool, record):
    lines = [record(number, recipient={"address": "no address"}) for number in range(130)]
    content = b"\n".join(map(orjson.dumps, lines))
    await reception.receive(offer("one", content), content)
    await taker.drain()
    told = await events(pool)
    assert [each["kind"] for each in told] == ["intake.held"] * 100 + ["intake.held_more"]
    assert told[-1]["payload"]["communications"] == 30


class Late:
    """A source whose file is missing until somebody says otherwise."""

    def __init__(self) -> None:
        self.patience: list[bool] = []

    def __call__(self, consignments, fetch, /, *, patient):
        self.patience.append(patient)
        if patient:
            raise NotYet("customer 7, line 12: the file is not there yet")
        return Sources().opened(
            [replace(consignments[0], offer=replace(consignments[0].offer, kind=Kind.DRIVER))], fetch, patient=False
        )


async def test_what_may_still_come_is_waited_for_without_counting(store, reception, tools, record, eventually):
    late = Late()
    options = TakingOptions(first_gap=0.02, missing=0.3)
    taker = Taker(store, replace(tools, sources=Sources({Kind.MANIFEST: late}), options=options))
    content = orjson.dumps(record(1))
    accepted = await reception.receive(offer("m", content, kind=Kind.MANIFEST), content)
    waited = []

    async def taken() -> bool:
        await taker.take_due()
        await taker.rest()
        row = await store.find(accepted.id)
        waited.append((row["tries"], row["problem"]))
        return row["state"] == "taken"

    await eventually(taken, within=10)
    assert late.patience[0]
    assert not late.patience[-1]
    assert (0, "customer 7, line 12: the file is not there yet") in waited
    await taker.close()


class Full:
    """A document store without room."""

    async def get(self, _sha256):
        raise DocumentsFailed("the disk is full")


async def test_our_own_want_never_puts_it_aside(store, reception, tools, record):
    content = orjson.dumps(record(1))
    accepted = await reception.receive(offer("a", content), content)
    options = TakingOptions(first_gap=0.0, most_tries=2)
    full = Taker(store, replace(tools, contents=Full(), options=options))
    for _ in range(4):
        await full.take_due()
        await full.rest()
    row = await store.find(accepted.id)
    assert (row["state"], row["problem"]) == ("received", "the disk is full")
    assert row["tries"] == 4
    well = Taker(store, tools)
    await well.drain()
    assert (await store.find(accepted.id))["state"] == "taken"


class Broken:
    """Does not know what to do with it."""

    def __call__(self, *_: object, **__: object):
        raise KeyError("nobody thought of this")


async def test_poison_is_put_aside_with_an_event(store, reception, tools, pool):
    accepted = await reception.receive(offer("m", b"x", kind=Kind.MANIFEST), b"x")
    options = TakingOptions(first_gap=0.0, most_tries=3)
    taker = Taker(store, replace(tools, sources=Sources({Kind.MANIFEST: Broken()}), options=options))
    for _ in range(5):
        await taker.take_due()
        await taker.rest()
    row = await store.find(accepted.id)
    assert (row["state"], row["tries"]) == ("failed", 3)
    [told] = await events(pool)
    assert (told["kind"], told["payload"]["source"]) == ("intake.failed", "a test")


async def test_a_taker_that_is_stopped_gives_back_what_it_has(store, reception, tools, record):
    content = orjson.dumps(record(1))
    accepted = await reception.receive(offer("a", content), content)
    stopped = Taker(store, tools)
    await stopped.take_due()
    await stopped.close()
    other = Taker(store, tools)
    await other.drain()
    assert (await store.find(accepted.id))["state"] == "taken"


async def test_what_an_earlier_try_brought_in_counts_as_this_consignments(desk, store, reception, tools, taker, record):
    """As after a kill between the submit and the word that it is done."""
    content = b"".join(orjson.dumps(record(number)) + b"\n" for number in range(3))
    accepted = await reception.receive(offer("a", content), content)
    [mine] = await store.claim("killed", most=10, seconds=0.0)
    await Taker(store, tools)._bring([mine])
    assert (await store.find(accepted.id))["state"] == "received"
    await taker.drain()
    row = await store.find(accepted.id)
    assert (row["receipt"]["new"], row["receipt"]["unchanged"]) == (3, 0)
    assert len(await desk.rows()) == 3


class Holding:
    """Gives these bytes whatever is asked for: as much as a try that was killed had committed."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    async def get(self, _sha256: str) -> bytes:
        return self.content


async def test_after_a_kill_a_receipt_counts_and_tells_what_every_try_brought_in(store, reception, tools, pool, record):
    """As after a kill between two commits: what the first try held is counted, and told, by the second."""
    async with transaction(pool) as conn:
        await conn.execute(
            "INSERT INTO suppression (stream, address, reason, subject, actor) "
            "VALUES ('statement', 'c3@example.com', 'person', '', 'test')"
        )
    bad = {"recipient": {"address": "no address"}}
    lines = [record(1, **bad), record(2), record(3, recipient={"address": "C3@example.com"}), record(4, **bad)]
    content = b"\n".join(map(orjson.dumps, lines))
    accepted = await reception.receive(offer("a", content), content)
    [mine] = await store.claim("killed", most=10, seconds=0.0)
    first_three = content[: content.rindex(b"\n")]
    await Taker(store, replace(tools, contents=Holding(first_three)))._bring([mine])
    following = Taker(store, tools)
    await following.drain()
    await following.close()
    receipt = (await store.find(accepted.id))["receipt"]
    assert (receipt["new"], receipt["held"], receipt["suppressed"]) == (4, 3, 1)
    assert [each["payload"]["customer"] for each in await events(pool)] == ["C-1", "C-4"]


async def test_a_run_that_exists_otherwise_refuses_the_consignment(store, reception, taker, record):
    content = orjson.dumps(record(1))
    accepted = await reception.receive(offer("a", content, pool="others"), content)
    await taker.drain()
    row = await store.find(accepted.id)
    assert row["state"] == "failed"
    assert "exists with pool" in row["problem"]


class Unnumbered:
    """Reads drivers, and does not say which consignment brought what."""

    def __call__(self, consignments, fetch, /, *, patient):
        as_drivers = [replace(each, offer=replace(each.offer, kind=Kind.DRIVER)) for each in consignments]
        source = Sources().opened(as_drivers, fetch, patient=patient)

        class Source:
            name, folder = "unnumbered", None

            def arrivals(self):
                return (replace(each, consignment=None) for each in source.arrivals())

        return Source()


async def test_what_does_not_say_where_it_came_from_is_taken_one_by_one(desk, store, reception, tools, record):
    taker = Taker(store, replace(tools, sources=Sources({Kind.MESSAGE: Unnumbered()})))
    contents = [orjson.dumps(record(number)) for number in range(3)]
    await asyncio.gather(
        *(reception.receive(offer(str(n), each, kind=Kind.MESSAGE), each) for n, each in enumerate(contents))
    )
    await taker.drain()
    assert len(await desk.rows()) == 3
    assert await store.doors() == {"http": 3}


async def test_a_customer_with_odd_characters_still_lets_the_rest_be_taken(desk, store, reception, taker, record, pool):
    content = orjson.dumps(record(1, customer={"id": "a\x00b"})) + b"\n" + orjson.dumps(record(2))
    accepted = await reception.receive(offer("a", content), content)
    await taker.drain()
    assert (await store.find(accepted.id))["state"] == "taken"
    assert [row["customer"] for row in await desk.rows()] == ["C-2"]


async def test_a_large_one_keeps_no_letter_waiting(store, reception, tools, record, eventually):
    """The large one waits for a file that does not come; what is small is taken meanwhile."""
    waits = asyncio.Event()
    loop = asyncio.get_running_loop()

    class Slow:
        def __call__(self, *_: object, **__: object):
            class Source:
                name, folder = "slow", None

                def arrivals(self):
                    asyncio.run_coroutine_threadsafe(waits.wait(), loop).result()
                    return iter(())

            return Source()

    taker = Taker(store, replace(tools, sources=Sources({Kind.MANIFEST: Slow()})))
    large = [await reception.receive(offer(f"m{n}", b"x", kind=Kind.MANIFEST, run_key=f"m{n}"), b"x") for n in range(5)]
    assert await taker.take_due() == 1
    content = orjson.dumps(record(1))
    letter = await reception.receive(offer("a", content), content)

    async def taken() -> bool:
        await taker.take_due()
        return (await store.find(letter.id))["state"] == "taken"

    await eventually(taken, within=10)
    assert {(await store.find(each.id))["state"] for each in large} == {"received"}
    waits.set()
    await taker.drain()
    assert {(await store.find(each.id))["state"] for each in large} == {"taken"}
    await taker.close()


async def test_after_one_look_all_that_is_due_is_taken(store, reception, tools, record):
    """A hand that is done takes the next by itself, however many wait, large ones and small ones."""
    taker = Taker(store, replace(tools, options=TakingOptions(alone_from=100, together=1)))
    numbers = []
    for place in range(6):
        content = orjson.dumps(record(place)) if place % 2 else orjson.dumps(record(place)) + b"\n" + b" " * 200
        numbers.append((await reception.receive(offer(f"o{place}", content, run_key=f"o{place}"), content)).id)
    await taker.take_due()
    await taker.rest()
    assert {(await store.find(number))["state"] for number in numbers} == {"taken"}
    await taker.close()
