"""Release, stop and reprocess: done once, whatever becomes of the answer."""

import pytest
from exstream_site import customer
from step_desk import StepDesk

from millstream.nextstep.model import Verb

UNCLEAR = ["500_json", "500_html", "500_empty", "reset"]


async def test_a_held_step_is_released_and_the_asker_learns_of_it(desk: StepDesk, eventually) -> None:
    job, step = await desk.held(eventually)
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(number, await desk.carrier())
    assert (row["state"], row["tries"]) == ("done", 1)
    assert await desk.attempts(number) == [("call", "done", "yes")]
    assert (await eventually(lambda: desk.site.is_over(job)))["status"] == "complete"
    [event] = await desk.events()
    assert (event["kind"], event["subject"]) == ("step.done", "run:october")
    assert (event["payload"]["verb"], event["payload"]["step"]) == ("release_step", number)
    assert await desk.audited(number) == ["step.due", "step.doing", "step.done"]


@pytest.mark.parametrize("kind", UNCLEAR)
async def test_a_release_whose_answer_is_lost_is_found_and_not_asked_twice(desk: StepDesk, eventually, kind) -> None:
    _, step = await desk.held(eventually)
    await desk.site.fault("after", kind, method="steps.release", times=1)
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "done"
    assert await desk.calls("steps.release") == 1
    [call, look] = await desk.attempts(number)
    assert (call[0], call[2]) == ("call", "unknown")
    assert (look[0], look[2]) == ("probe", "yes")


@pytest.mark.parametrize("kind", UNCLEAR)
async def test_a_release_that_did_not_happen_is_asked_again(desk: StepDesk, eventually, kind) -> None:
    _, step = await desk.held(eventually)
    await desk.site.fault("before", kind, method="steps.release", times=1)
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(number, await desk.carrier())
    assert (row["state"], row["tries"]) == ("done", 2)
    assert [effect for _, _, effect in await desk.attempts(number)] == ["unknown", "no", "yes"]


async def test_what_exstream_refuses_has_failed_with_its_words(desk: StepDesk, eventually) -> None:
    _, step = await desk.held(eventually)
    carrier = await desk.carrier()
    await desk.carry(await desk.ask(Verb.RELEASE_STEP, step["id"]), carrier)
    again = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(again, carrier)
    assert row["state"] == "failed"
    [attempt] = await desk.store.attempts(again)
    assert (attempt["status"], attempt["effect"]) == (409, "no")
    assert row["reason"] == attempt["evidence"]
    failed = (await desk.events())[-1]
    assert (failed["kind"], failed["payload"]["reason"]) == ("step.failed", row["reason"])


async def test_a_flow_that_was_stopped_meanwhile_cannot_be_released(desk: StepDesk, eventually) -> None:
    _, step = await desk.held(eventually)
    flow = step["flowInstanceId"]
    await desk.site.fault("before", "500_json", method="flows.release", times=1)
    carrier = await desk.carrier()
    number = await desk.ask(Verb.RELEASE_FLOW, flow)
    await carrier.carry_due()
    await carrier.drain()
    assert (await desk.store.find(number))["state"] == "doing"
    await desk.site.act(f"flow-instances/{flow}/stop")
    row = await desk.carry(number, carrier)
    assert row["state"] == "failed"
    assert "canceled" in row["reason"]


@pytest.mark.parametrize("verb", [Verb.STOP_FLOW, Verb.STOP_JOB])
@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_stop_ends_it_whether_its_answer_came_or_not(desk: StepDesk, eventually, verb, point) -> None:
    job, step = await desk.held(eventually)
    await desk.site.fault(point, "500_html", method="flows.stop", times=1)
    await desk.site.fault(point, "500_html", method="jobs.stop", times=1)
    number = await desk.ask(verb, job if verb is Verb.STOP_JOB else step["flowInstanceId"])
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "done"
    assert (await eventually(lambda: desk.site.is_over(job)))["status"] == "canceled"


async def test_a_job_that_is_over_cannot_be_stopped_and_that_is_said(desk: StepDesk, eventually) -> None:
    job = await desk.site.batch([customer(1)])
    await eventually(lambda: desk.site.is_over(job), within=30)
    row = await desk.carry(await desk.ask(Verb.STOP_JOB, job), await desk.carrier())
    assert row["state"] == "failed"


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_job_is_reprocessed_once_whether_the_answer_came_or_not(desk: StepDesk, eventually, point) -> None:
    await desk.site.publish(fail={"customers": ["C-1"], "message": "EX003004S broken", "mended_by_reprocessing": True})
    job = await desk.site.batch([customer(1)])
    assert (await eventually(lambda: desk.site.is_over(job), within=30))["status"] == "error"
    await desk.site.fault(point, "500_empty", method="jobs.reprocess", times=1)
    number = await desk.ask(Verb.REPROCESS, job)
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "done"

    async def mended() -> bool:
        over = await desk.site.is_over(job)
        return over is not None and over["status"] == "complete"

    await eventually(mended, within=30)
    assert await desk.calls("jobs.reprocess") == (1 if point == "after" else 2)


async def test_a_thing_that_is_not_there_fails_at_once(desk: StepDesk) -> None:
    for verb in (Verb.RELEASE_STEP, Verb.STOP_JOB, Verb.REPROCESS):
        number = await desk.ask(verb, "5f0b9fb4-2a5c-4d5e-8c5b-0b6f6b1f4a11")
        row = await desk.carry(number, await desk.carrier())
        assert (row["state"], row["tries"]) == ("failed", 1), verb


async def test_while_otds_is_down_a_step_is_put_off_and_then_carried_out(desk: StepDesk, eventually) -> None:
    _, step = await desk.held(eventually)
    await desk.site.control("POST", "outage", {"seconds": 3600, "part": "otds"})
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    carrier = await desk.carrier()
    await carrier.carry_due()
    await carrier.drain()
    row = await desk.store.find(number)
    assert (row["state"], row["due_at"] is not None) == ("due", True)
    assert [effect for _, _, effect in await desk.attempts(number)] == ["no"]
    desk.site.running.world.otds_away_until = 0.0
    assert (await desk.carry(number, carrier))["state"] == "done"


async def test_after_too_many_tries_a_step_has_failed(desk: StepDesk, eventually) -> None:
    _, step = await desk.held(eventually)
    await desk.site.fault("before", "429", method="steps.release")
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(number, await desk.carrier())
    assert (row["state"], row["tries"]) == ("failed", 3)


async def test_a_call_that_cannot_be_looked_at_waits_for_a_person(desk: StepDesk, eventually) -> None:
    _, step = await desk.held(eventually)
    await desk.site.fault("after", "500_json", method="steps.release", times=1)
    await desk.site.fault("before", "500_json", method="steps.get")
    number = await desk.ask(Verb.RELEASE_STEP, step["id"])
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "uncertain"
    assert await desk.calls("steps.release") == 1
    assert (await desk.events())[-1]["kind"] == "step.unclear"
