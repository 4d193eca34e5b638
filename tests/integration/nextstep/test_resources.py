"""States of resources: set once, under a comment that names who decided, and known again by it."""

import orjson
import pytest
from exstream_site import customer
from step_desk import StepDesk

from millstream.nextstep.model import Verb

REVIEW = {
    "decision": "approved",
    "who": "anna@bank.example",
    "at": "2026-11-25T09:00:00Z",
    "message": "<m1@mail.example>",
}
COMMENT = "approved by anna@bank.example at 2026-11-25T09:00:00Z; Gmail message <m1@mail.example>"


async def ids(desk: StepDesk) -> dict[str, str]:
    return {each.name: each.id async for each in desk.server.design().resources()}


async def state(desk: StepDesk, number: str) -> str:
    return str((await desk.server.design().resource(number)).state)


async def test_an_approval_stands_with_who_decided_in_exstreams_own_trail(desk: StepDesk) -> None:
    number = (await ids(desk))["Interest notice"]
    step = await desk.ask(Verb.SET_STATE, number, state="APPROVED", **REVIEW)
    row = await desk.carry(step, await desk.carrier())
    assert row["state"] == "done", row["reason"]
    assert row["result"]["comment"] == COMMENT
    assert await state(desk, number) == "APPROVED"
    history = await desk.server.design().history(number)
    assert COMMENT in [entry.comment for entry in history]


@pytest.mark.parametrize(("point", "calls"), [("after", 1), ("before", 2)])
async def test_an_approval_whose_answer_was_lost_is_looked_for_first(desk: StepDesk, point, calls) -> None:
    number = (await ids(desk))["Interest notice"]
    await desk.site.fault(point, "500_html", method="resources.set_state", times=1)
    step = await desk.ask(Verb.SET_STATE, number, state="APPROVED", **REVIEW)
    row = await desk.carry(step, await desk.carrier())
    assert (row["state"], await state(desk, number)) == ("done", "APPROVED")
    assert await desk.calls("resources.set_state") == calls


async def test_in_levels_an_approval_that_leaves_the_state_is_known_by_its_comment(open_desk) -> None:
    groups = [{"roles": [{"role": "legal", "level": 1}, {"role": "brand", "level": 2}]}]
    desk = await open_desk(
        domains=[{"name": "bank", "workflow": "ADVANCED", "groups": groups}],
        clients={"millstream": {"roles": ["tenantadmins", "legal"]}},
    )
    number = (await ids(desk))["Interest notice"]
    await desk.site.fault("after", "500_json", method="resources.set_state", times=1)
    step = await desk.ask(Verb.SET_STATE, number, state="APPROVED", **REVIEW)
    row = await desk.carry(step, await desk.carrier())
    assert (row["state"], await desk.calls("resources.set_state")) == ("done", 1)
    assert await state(desk, number) == "REVIEW"


@pytest.mark.parametrize("name", ["Annual letter", "Collection letter", "Terms of business"])
async def test_what_the_workflow_forbids_fails_with_exstreams_words(desk: StepDesk, name) -> None:
    number = (await ids(desk))[name]
    wanted = "REJECTED" if name == "Terms of business" else "APPROVED"
    before = await state(desk, number)
    row = await desk.carry(await desk.ask(Verb.SET_STATE, number, state=wanted, **REVIEW), await desk.carrier())
    assert (row["state"], row["tries"], await state(desk, number)) == ("failed", 1, before)
    assert row["reason"]


async def test_many_resources_take_a_state_together(desk: StepDesk) -> None:
    found = await ids(desk)
    both = [found["Interest notice"], found["Account statement 2027"]]
    row = await desk.carry(
        await desk.ask(Verb.SET_STATES, "APPROVED", state="APPROVED", ids=both, **REVIEW), await desk.carrier()
    )
    assert row["state"] == "done", row["reason"]
    assert sorted(row["result"]["changed"]) == sorted(both)


async def test_of_many_those_that_did_not_take_it_are_named(desk: StepDesk) -> None:
    found = await ids(desk)
    both = [found["Interest notice"], found["Annual letter"]]
    row = await desk.carry(
        await desk.ask(Verb.SET_STATES, "APPROVED", state="APPROVED", ids=both, **REVIEW), await desk.carrier()
    )
    assert row["state"] == "failed"
    assert found["Annual letter"] in row["reason"]
    assert row["result"]["changed"] == [found["Interest notice"]]


@pytest.mark.parametrize(("point", "calls"), [("after", 1), ("before", 2)])
async def test_a_bulk_change_whose_answer_was_lost_is_looked_for_first(desk: StepDesk, point, calls) -> None:
    found = await ids(desk)
    both = [found["Interest notice"], found["Account statement 2027"]]
    await desk.site.fault(point, "500_empty", method="resources.set_states", times=1)
    step = await desk.ask(Verb.SET_STATES, "APPROVED", state="APPROVED", ids=both, **REVIEW)
    row = await desk.carry(step, await desk.carrier())
    assert (row["state"], await desk.calls("resources.set_states")) == ("done", calls)


@pytest.mark.parametrize("arguments", [{}, {"state": "GONE"}, {"state": 7}])
async def test_a_state_that_does_not_exist_is_never_asked_for(desk: StepDesk, arguments) -> None:
    row = await desk.carry(await desk.ask(Verb.SET_STATE, "x", **arguments), await desk.carrier())
    assert (row["state"], await desk.calls("resources.set_state")) == ("failed", 0)


async def test_a_comment_of_a_persons_own_is_taken_as_it_is_and_cut(desk: StepDesk) -> None:
    number = (await ids(desk))["Interest notice"]
    step = await desk.ask(Verb.SET_STATE, number, state="REJECTED", comment="no " * 400)
    row = await desk.carry(step, await desk.carrier())
    assert row["state"] == "done"
    assert len(row["result"]["comment"]) == 500


async def test_a_communication_is_found_by_its_name_for_generating(desk: StepDesk) -> None:
    step = await desk.ask(Verb.GENERATE, "Account statement", content=orjson.dumps(customer(1)), to="documents")
    row = await desk.carry(step, await desk.carrier())
    assert row["state"] == "done", row["reason"]
    assert len(row["result"]["outputs"]) == 2
