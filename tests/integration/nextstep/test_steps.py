"""Steps are asked once, in one hand at a time, and what a person decides about them counts."""

import asyncio
from dataclasses import dataclass, field, replace

import pytest
from step_desk import StepDesk

from millstream.exstream.errors import Call, Conflict, ServerError
from millstream.nextstep.carry import VERBS, Carrier, StepOptions
from millstream.nextstep.errors import BadWish, NotPossible, UnknownStep
from millstream.nextstep.listening import listeners
from millstream.nextstep.model import Attempt, Found, Move, StepState, Verb, Wish
from millstream.nextstep.store import StepStore
from millstream.nextstep.verbs import Plain, Tools
from millstream.storage.objects import open_store
from millstream.storage.pool import transaction
from millstream.work.events import Events, newest

WISH = Wish(key="event:1:stop_job", verb=Verb.STOP_JOB, target="j-1", subject="run:october", actor="lane")


@dataclass
class Scripted(Plain):
    """A verb whose calls end as a test says: None is success."""

    ends: list = field(default_factory=list)
    finds: list = field(default_factory=list)
    calls: int = 0
    gate: asyncio.Event | None = None

    async def call(self, _step, _tools):
        self.calls += 1
        if self.gate is not None:
            await self.gate.wait()
        end = self.ends.pop(0) if self.ends else None
        if end is not None:
            raise end
        return {"call": self.calls}

    async def look(self, _step, _tools):
        return self.finds.pop(0) if self.finds else Found("unknown", "unseen")


@pytest.fixture
def store(pool) -> StepStore:
    return StepStore(pool, patience=5.0)


@pytest.fixture
def tools(tmp_path) -> Tools:
    return Tools(documents=open_store(str(tmp_path / "documents")))


def carrier_of(store, tools, verb, **options) -> Carrier:
    rules = StepOptions(**{"settle": 0.01, "most_tries": 3, **options})
    return Carrier(store, tools, rules, {**VERBS, Verb.STOP_JOB: verb})


async def carried(store, carrier, number, rounds: int = 20):
    for _ in range(rounds):
        async with transaction(store._pool) as conn:
            await conn.execute("UPDATE next_step SET due_at = now() WHERE due_at IS NOT NULL")
        await carrier.carry_due()
        await carrier.drain()
        row = await store.find(number)
        if row["due_at"] is None:
            return row
    raise AssertionError(row)


async def test_the_same_key_asks_once_and_its_asker_is_told_so(store) -> None:
    number, new = await store.ask_now(WISH)
    assert new
    assert await store.ask_now(replace(WISH, target="j-2")) == (number, False)
    assert (await store.find(number))["target"] == "j-1"
    assert await store.waiting() == 1


async def test_a_wish_is_undone_with_its_askers_transaction(store, pool) -> None:
    async def change_its_mind() -> None:
        async with transaction(pool) as conn:
            assert await StepStore.ask(conn, WISH) is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_its_mind()
    assert await store.newest() == []


async def test_two_processes_never_have_the_same_step(store, tools) -> None:
    for number in range(20):
        await store.ask_now(replace(WISH, key=f"k{number}"))
    verb = Scripted()
    one, two = carrier_of(store, tools, verb), carrier_of(store, tools, verb)
    taken = await asyncio.gather(*(each.carry_due() for each in (one, two, one, two)))
    await asyncio.gather(one.drain(), two.drain())
    assert sum(taken) == 20
    assert verb.calls == 20
    assert {row["state"] for row in await store.newest()} == {"done"}


async def test_a_cancelled_step_is_never_called(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted()
    await store.cancel(number, why="asked in error", actor="anna")
    await carrier_of(store, tools, verb).carry_due()
    assert verb.calls == 0
    with pytest.raises(NotPossible, match="cancelled"):
        await store.cancel(number, why="again", actor="anna")


async def test_a_step_that_was_cancelled_after_it_was_claimed_is_not_begun(store) -> None:
    number, _ = await store.ask_now(WISH)
    [step] = await store.claim("one", most=1, seconds=30)
    with pytest.raises(NotPossible, match="in hand"):
        await store.cancel(number, why="too late", actor="anna")
    async with transaction(store._pool) as conn:
        await conn.execute("UPDATE next_step SET leased_until = now() - interval '1 second'")
    await store.cancel(number, why="the worker is dead", actor="anna")
    assert await store.begin("one", step, {}) is None


async def test_who_lost_a_step_moves_it_no_more_but_its_attempt_stays(store) -> None:
    number, _ = await store.ask_now(WISH)
    [mine] = await store.claim("one", most=1, seconds=30)
    begun = await store.begin("one", mine, {})
    async with transaction(store._pool) as conn:
        await conn.execute("UPDATE next_step SET leased_until = now() - interval '1 second'")
    [theirs] = await store.claim("two", most=1, seconds=30)
    assert theirs.state is StepState.DOING
    assert not await store.settle("one", begun, Move(StepState.DONE, Attempt("call", "done", "yes")))
    assert (await store.find(number))["state"] == "doing"
    assert [row["outcome"] for row in await store.attempts(number)] == ["done"]
    assert await store.settle("two", theirs, Move(StepState.DONE, Attempt("probe", "seen", "yes")))


async def test_an_uncertain_step_is_settled_by_a_person_either_way(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    lost = ServerError(Call("stop", write=True), status=500)
    verb = Scripted(ends=[lost])
    carrier = carrier_of(store, tools, verb)
    assert (await carried(store, carrier, number))["state"] == "uncertain"
    assert verb.calls == 1
    await store.settle_by_person(number, happened=False, why="the log shows nothing", actor="anna")
    row = await carried(store, carrier, number)
    assert (row["state"], row["result"], verb.calls) == ("done", {"call": 2}, 2)
    assert ("person", "not_happened") in [(a["kind"], a["outcome"]) for a in await store.attempts(number)]
    with pytest.raises(NotPossible, match="is done"):
        await store.settle_by_person(number, happened=True, why="?", actor="anna")


async def test_an_uncertain_step_can_be_looked_at_again(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted(ends=[ServerError(Call("stop", write=True), status=500)])
    carrier = carrier_of(store, tools, verb)
    await carried(store, carrier, number)
    verb.finds = [Found("yes", "canceled", "it is canceled")]
    assert await store.retry(number, why="Exstream is back", actor="anna") is StepState.DOING
    assert (await carried(store, carrier, number))["state"] == "done"
    assert verb.calls == 1


async def test_a_failed_step_is_tried_again_when_a_person_says_so(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted(ends=[Conflict(Call("stop", write=True), status=409)])
    carrier = carrier_of(store, tools, verb)
    assert (await carried(store, carrier, number))["state"] == "failed"
    assert await store.retry(number, why="mended", actor="anna") is StepState.DUE
    assert (await carried(store, carrier, number))["state"] == "done"


async def test_an_error_of_our_own_is_not_taken_for_a_no(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted(ends=[KeyError("bug")], finds=[Found("yes", "canceled")])
    row = await carried(store, carrier_of(store, tools, verb), number)
    assert row["state"] == "done"
    assert [a["outcome"] for a in await store.attempts(number)] == ["internal_error", "canceled"]


async def test_a_carrier_that_ends_waits_for_its_calls_and_gives_the_rest_back(store, tools) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted(gate=asyncio.Event())
    async with carrier_of(store, tools, verb) as carrier:
        await carrier.carry_due()
        asyncio.get_running_loop().call_later(0.05, verb.gate.set)
    assert (await store.find(number))["state"] == "done"


async def test_a_call_that_does_not_end_in_time_is_the_next_processs_to_look_at(store, tools, eventually) -> None:
    number, _ = await store.ask_now(WISH)
    verb = Scripted(gate=asyncio.Event())
    async with carrier_of(store, tools, verb, closing=0.05) as carrier:
        await carrier.carry_due()
        await eventually(lambda: verb.calls)
    assert (await store.find(number))["state"] == "doing"
    seen = Scripted(finds=[Found("yes", "canceled")])
    assert (await carried(store, carrier_of(store, tools, seen), number))["state"] == "done"
    assert seen.calls == 0


async def test_a_long_call_keeps_its_lease(store, tools, eventually) -> None:
    await store.ask_now(WISH)
    verb = Scripted(gate=asyncio.Event())
    async with carrier_of(store, tools, verb, lease=0.3) as carrier:
        await carrier.carry_due()
        began = asyncio.get_running_loop().time()

        async def nobody_else_gets_it() -> bool:
            assert await store.claim("thief", most=1, seconds=30) == []
            return asyncio.get_running_loop().time() - began > 0.8

        await eventually(nobody_else_gets_it)
        verb.gate.set()
    assert (await store.newest())[0]["state"] == "done"


async def test_an_event_asks_once_however_often_it_is_answered(store, pool) -> None:
    payload = '{"verb": "stop_job", "target": "j-7", "domain": "bank", "actor": "anna", "arguments": {"a": 1}}'
    async with transaction(pool) as conn:
        await conn.execute(
            "INSERT INTO event (kind, subject, payload) VALUES ('step.asked', 'review:9', %s::jsonb)", (payload,)
        )
    events = Events(pool, {kind: (each,) for kind, each in listeners().items()})
    assert await events.answer_due() == 1
    async with transaction(pool) as conn:
        await conn.execute("UPDATE event SET due_at = now(), answered_at = NULL")
    assert await events.answer_due() == 1
    [row] = await store.newest()
    assert (row["verb"], row["target"], row["subject"], row["actor"]) == ("stop_job", "j-7", "review:9", "anna")
    assert (await store.find(row["id"]))["arguments"] == {"a": 1}


@pytest.mark.parametrize(
    "payload", ['{"verb": "explode", "target": "x"}', '{"verb": "stop_job"}', '{"verb": "stop_job", "target": 7}', "{}"]
)
async def test_an_event_that_asks_for_nonsense_is_put_aside_with_its_reason(store, pool, payload) -> None:
    async with transaction(pool) as conn:
        await conn.execute(
            "INSERT INTO event (kind, subject, payload, tries) VALUES ('step.asked', 'review:9', %s::jsonb, 7)",
            (payload,),
        )
    await Events(pool, {kind: (each,) for kind, each in listeners().items()}).answer_due()
    [aside] = await newest(pool, aside=True)
    assert "BadWish" in aside["failure"]
    assert await store.newest() == []


async def test_who_asks_about_what_is_not_there_is_told_so(store) -> None:
    with pytest.raises(UnknownStep, match="step list"):
        await store.find(77)
    with pytest.raises(UnknownStep):
        await store.retry(77, why="x", actor="y")


async def test_what_an_installation_lacks_fails_with_the_setting_to_set(desk: StepDesk) -> None:
    bare = await desk.carrier(exstream=None)
    wishes = [
        (Verb.STOP_JOB, "j", {}, "exstream.mode"),
        (Verb.COMPOSE_EWS, "x.pub", {"driver": "<c/>"}, "ews_url"),
        (Verb.DROP_FILE, "d.xml", {"driver": "<c/>"}, "drop_folder"),
        (Verb.SET_STATE, "r", {"state": "APPROVED"}, "exstream.mode"),
    ]
    for verb, target, arguments, words in wishes:
        row = await desk.carry(await desk.ask(verb, target, **arguments), bare)
        assert row["state"] == "failed", verb
        assert words in row["reason"]


def test_every_verb_has_its_way_of_being_done() -> None:
    assert set(VERBS) == set(Verb)
    assert issubclass(BadWish, Exception)
