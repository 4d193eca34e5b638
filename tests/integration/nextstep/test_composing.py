"""Compositions are handed in once for each step; a channel is never triggered twice on a guess."""

import orjson
import pytest
from exstream_site import customer
from step_desk import StepDesk, driver

from millstream.exstream import EngineService, ExstreamOptions
from millstream.nextstep.errors import HandingFailed
from millstream.nextstep.model import Verb

SOURCE = {"data_source": "statement_driver"}


async def communication(desk: StepDesk) -> str:
    """The id of the sandbox's communication."""
    return str(next(iter(desk.site.running.world.communications))[1])


class Taken:
    """Takes outputs in like a door, once for each step."""

    def __init__(self, failures: int = 0) -> None:
        self.steps: dict[int, list] = {}
        self.failures = failures

    async def __call__(self, step, outputs):
        if self.failures:
            self.failures -= 1
            raise HandingFailed("the spool is full")
        self.steps.setdefault(step.id, list(outputs))
        return {"consignment": 7}


async def test_a_generated_communication_is_kept_and_handed_in(desk: StepDesk) -> None:
    taken = Taken()
    carrier = await desk.carrier(hand_in=taken)
    number = await desk.ask(Verb.GENERATE, await communication(desk), content=orjson.dumps(customer(1)), **SOURCE)
    row = await desk.carry(number, carrier)
    assert row["state"] == "done", row["reason"]
    assert row["result"]["consignment"] == 7
    kinds = {each["media_type"]: each for each in row["result"]["outputs"]}
    assert kinds.keys() == {"application/pdf", "text/html"}
    pdf = await desk.documents.get(kinds["application/pdf"]["sha256"], check=True)
    assert pdf.startswith(b"%PDF-")
    assert {output.media_type for output in taken.steps[number]} == kinds.keys()


async def test_outputs_that_could_not_be_handed_in_are_composed_again(desk: StepDesk) -> None:
    taken = Taken(failures=1)
    carrier = await desk.carrier(hand_in=taken)
    number = await desk.ask(Verb.GENERATE, await communication(desk), content=orjson.dumps(customer(1)), **SOURCE)
    row = await desk.carry(number, carrier)
    assert (row["state"], row["tries"]) == ("done", 2)
    assert list(taken.steps) == [number]


async def test_only_documents_are_kept_where_no_run_is_wanted(desk: StepDesk) -> None:
    number = await desk.ask(
        Verb.GENERATE, await communication(desk), content=orjson.dumps(customer(1)), to="documents", **SOURCE
    )
    row = await desk.carry(number, await desk.carrier())
    assert (row["state"], "consignment" in row["result"]) == ("done", False)


async def test_an_answer_that_was_lost_is_composed_again_without_a_look(desk: StepDesk) -> None:
    await desk.site.fault("after", "reset", method="inputs.generate", times=1)
    taken = Taken()
    carrier = await desk.carrier(hand_in=taken)
    number = await desk.ask(Verb.GENERATE, await communication(desk), content=orjson.dumps(customer(1)), **SOURCE)
    row = await desk.carry(number, carrier)
    assert (row["state"], list(taken.steps)) == ("done", [number])


async def test_a_failure_inside_a_success_has_failed_with_its_words(desk: StepDesk) -> None:
    await desk.site.fault("odd", "status_error_200", method="inputs.generate", times=1)
    number = await desk.ask(Verb.GENERATE, await communication(desk), content=orjson.dumps(customer(1)), **SOURCE)
    row = await desk.carry(number, await desk.carrier(hand_in=Taken()))
    assert row["state"] == "failed"
    assert row["reason"]


@pytest.mark.parametrize("arguments", [{}, {"driver": 7}, {"driver": ""}, {"driver": {}}])
async def test_without_a_driver_nothing_is_called(desk: StepDesk, arguments) -> None:
    row = await desk.carry(await desk.ask(Verb.GENERATE, "c", **SOURCE, **arguments), await desk.carrier())
    assert (row["state"], await desk.calls("inputs.generate")) == ("failed", 0)
    assert "driver" in row["reason"]


async def test_a_driver_that_was_lost_from_the_store_fails_the_step(desk: StepDesk) -> None:
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(1))
    sha256 = (await desk.store.find(number))["content"]
    (desk.folder / "documents" / sha256[:2] / sha256).unlink()
    row = await desk.carry(number, await desk.carrier())
    assert (row["state"], await desk.calls("inputs.batch")) == ("failed", 0)


async def letter(desk: StepDesk) -> str:
    """A document that an editor finished in Empower."""
    inputs = desk.server.inputs()
    return await inputs.empower_document(
        await communication(desk),
        "statement_driver",
        orjson.dumps(customer(1)),
        empower_user=desk.site.running.world.config.empower_users[0],
    )


async def test_finished_documents_are_composed_and_handed_in_and_stay_in_empower(desk: StepDesk) -> None:
    taken = Taken()
    document = await letter(desk)
    number = await desk.ask(Verb.FULFIL, "Account statement", documents=[document])
    row = await desk.carry(number, await desk.carrier(hand_in=taken))
    assert row["state"] == "done", row["reason"]
    assert row["result"]["consignment"] == 7
    assert {each["media_type"] for each in row["result"]["outputs"]} == {"application/pdf", "text/html"}
    assert (list(taken.steps), document in desk.site.running.world.empower) == ([number], True)


async def test_documents_are_deleted_only_when_their_outputs_are_handed_in(desk: StepDesk) -> None:
    document = await letter(desk)
    seen = []

    class Watching(Taken):
        async def __call__(self, step, outputs):
            seen.append(document in desk.site.running.world.empower)
            return await super().__call__(step, outputs)

    taken = Watching(failures=1)
    number = await desk.ask(Verb.FULFIL, await communication(desk), documents=[document], delete=True, **SOURCE)
    row = await desk.carry(number, await desk.carrier(hand_in=taken))
    assert (row["state"], row["result"]["deleted"], list(taken.steps)) == ("done", True, [number]), row["reason"]
    assert seen == [True, True]
    assert document not in desk.site.running.world.empower


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_fulfilment_whose_answer_was_lost_is_asked_again(desk: StepDesk, point) -> None:
    document = await letter(desk)
    await desk.site.fault(point, "reset", method="inputs.fulfil", times=1)
    taken = Taken()
    number = await desk.ask(Verb.FULFIL, await communication(desk), documents=[document], delete=True, **SOURCE)
    row = await desk.carry(number, await desk.carrier(hand_in=taken))
    assert (row["state"], row["result"]["deleted"], list(taken.steps)) == ("done", True, [number])


async def test_a_deletion_that_fails_is_told_and_undoes_nothing(desk: StepDesk) -> None:
    document = await letter(desk)

    class Striking(Taken):
        async def __call__(self, step, outputs):
            await desk.site.fault("before", "500_json", method="inputs.fulfil", times=1)
            return await super().__call__(step, outputs)

    number = await desk.ask(Verb.FULFIL, await communication(desk), documents=[document], delete=True, **SOURCE)
    row = await desk.carry(number, await desk.carrier(hand_in=Striking()))
    assert (row["state"], row["result"]["deleted"], row["result"]["consignment"]) == ("done", False, 7)
    assert row["result"]["not_deleted"]
    assert document in desk.site.running.world.empower


@pytest.mark.parametrize("documents", [["nothing"], [], None, "nothing"])
async def test_documents_that_are_not_there_or_not_named_fail_the_step(desk: StepDesk, documents) -> None:
    number = await desk.ask(Verb.FULFIL, await communication(desk), documents=documents, **SOURCE)
    row = await desk.carry(number, await desk.carrier(hand_in=Taken()))
    assert row["state"] == "failed"
    assert "documents" in row["reason"] or "not found" in row["reason"]


async def test_a_channel_is_triggered_and_its_job_is_told(desk: StepDesk, eventually) -> None:
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(1, 2))
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "done", row["reason"]
    [job] = row["result"]["jobs"]
    assert (await eventually(lambda: desk.site.is_over(job), within=30))["status"] == "complete"


async def test_a_trigger_whose_answer_was_lost_is_found_by_its_new_job(desk: StepDesk) -> None:
    earlier = await desk.site.batch([customer(1)])
    await desk.site.fault("after", "500_json", method="inputs.batch", times=1)
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(2))
    row = await desk.carry(number, await desk.carrier())
    assert row["state"] == "done", row["reason"]
    [job] = row["result"]["jobs"]
    assert job != earlier
    assert await desk.calls("inputs.batch") == 2


@pytest.mark.parametrize("kind", ["500_html", "reset"])
async def test_a_trigger_that_left_no_trace_waits_for_a_person_and_is_not_repeated(desk: StepDesk, kind) -> None:
    await desk.site.fault("before", kind, method="inputs.batch", times=1)
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(1))
    carrier = await desk.carrier()
    row = await desk.carry(number, carrier)
    assert row["state"] == "uncertain"
    assert await desk.calls("inputs.batch") == 1
    await desk.store.settle_by_person(number, happened=False, why="Exstream's log shows nothing", actor="anna")
    assert (await desk.carry(number, carrier))["state"] == "done"
    assert await desk.calls("inputs.batch") == 2


async def test_a_trigger_among_other_new_jobs_is_not_guessed(desk: StepDesk) -> None:
    await desk.site.fault("after", "500_json", method="inputs.batch", times=1)
    number = await desk.ask(Verb.TRIGGER, "statements", content=driver(2))
    carrier = await desk.carrier()
    await carrier.carry_due()
    await carrier.drain()
    await desk.site.batch([customer(3)])
    assert (await desk.carry(number, carrier))["state"] == "uncertain"


async def test_a_trigger_that_is_refused_did_not_happen(desk: StepDesk) -> None:
    row = await desk.carry(await desk.ask(Verb.TRIGGER, "nothing", content=driver(1)), await desk.carrier())
    assert row["state"] == "failed"
    assert [effect for _, _, effect in await desk.attempts(row["id"])] == ["no"]


async def engine(desk: StepDesk) -> EngineService:
    """The sandbox's engine as a web service."""
    service = EngineService(desk.site.running.doors["ews_url"], None, ExstreamOptions(call_seconds=10.0))
    return await desk.stack.enter_async_context(service)


async def test_an_engine_composes_as_a_web_service_and_its_files_are_handed_in(desk: StepDesk) -> None:
    taken = Taken()
    carrier = await desk.carrier(exstream=None, engine=await engine(desk), hand_in=taken)
    number = await desk.ask(Verb.COMPOSE_EWS, "statement.pub", content=driver(1), file_pattern=".*")
    row = await desk.carry(number, carrier)
    assert row["state"] == "done", row["reason"]
    assert any(output.content.startswith(b"%PDF-") for output in taken.steps[number])


async def test_an_engine_that_gives_no_file_has_failed_with_its_messages(desk: StepDesk) -> None:
    broken = customer(1)
    del broken["data"]["currency"]
    carrier = await desk.carrier(exstream=None, engine=await engine(desk), hand_in=Taken())
    number = await desk.ask(Verb.COMPOSE_EWS, "statement.pub", content=orjson.dumps({"customers": [broken]}))
    row = await desk.carry(number, carrier)
    assert row["state"] == "failed"
    assert "EX" in row["reason"]
