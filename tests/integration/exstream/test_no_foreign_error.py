"""Whatever a server says to whatever call: a value or an error of ours; nothing of aiohttp, JSON, XML or the system."""

import inspect
import io
from collections.abc import AsyncIterator

import pytest
from exstream_server import FakeExstream, says

from millstream.exstream import Design, EngineCall, EngineService, Exstream, Inputs, Runtime
from millstream.exstream.errors import ExstreamError
from millstream.exstream.model import ResourceState

ID = "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f"

RUNTIME = {
    "jobs": lambda runtime: runtime.jobs(statuses="complete"),
    "flow_instances": lambda runtime: runtime.flow_instances(job_id="1"),
    "flow_steps": lambda runtime: runtime.flow_steps(flow_instance_id="1", step_types=["hold"]),
    "job": lambda runtime: runtime.job(ID),
    "flow_instance": lambda runtime: runtime.flow_instance(ID),
    "flow_step": lambda runtime: runtime.flow_step(ID),
    "counts": lambda runtime: runtime.counts(fill=True),
    "associated_jobs": lambda runtime: runtime.associated_jobs(job_id="1"),
    "message_file": lambda runtime: runtime.message_file(ID, io.BytesIO()),
    "delivery_file": lambda runtime: runtime.delivery_file(ID, io.BytesIO()),
    "artifact": lambda runtime: runtime.artifact(ID, "a", io.BytesIO()),
    "customer_artifacts": lambda runtime: runtime.customer_artifacts(ID, 1, io.BytesIO()),
    "input": lambda runtime: runtime.input(ID, io.BytesIO()),
    "outputs": lambda runtime: runtime.outputs(ID),
    "output_files": lambda runtime: runtime.output_files(ID),
    "stop_job": lambda runtime: runtime.stop_job(ID),
    "reprocess": lambda runtime: runtime.reprocess(ID, current_model=True),
    "stop_flow": lambda runtime: runtime.stop_flow(ID),
    "release_flow": lambda runtime: runtime.release_flow(ID),
    "stop_step": lambda runtime: runtime.stop_step(ID),
    "release_step": lambda runtime: runtime.release_step(ID),
    "post_sort": lambda runtime: runtime.post_sort(ID),
}
INPUTS = {
    "generate": lambda inputs: inputs.generate(ID, "d", b"{}"),
    "generate_pdf": lambda inputs: inputs.generate_pdf(ID, "d", b"{}"),
    "empower_document": lambda inputs: inputs.empower_document(ID, "d", b"{}", empower_user="x"),
    "fulfil": lambda inputs: inputs.fulfil(ID, "d", ["1"]),
    "batch": lambda inputs: inputs.batch("s", b"{}"),
    "on_demand": lambda inputs: inputs.on_demand("s", b"{}"),
}
DESIGN = {
    "resources": lambda design: design.resources(types="exstremail"),
    "review": lambda design: design.review("exstremail"),
    "communications": lambda design: design.communications(),
    "resource": lambda design: design.resource(ID, version=2),
    "set_state": lambda design: design.set_state(ID, ResourceState.APPROVED, "x"),
    "set_states": lambda design: design.set_states([ID], ResourceState.APPROVED, "x"),
    "history": lambda design: design.history(ID),
    "content": lambda design: design.content(ID, io.BytesIO()),
    "domains": lambda design: design.domains(),
    "links": lambda design: design.links(ID),
    "manifest": lambda design: design.manifest(ID),
    "resolve": lambda design: design.resolve(ID),
    "current_user": lambda design: design.current_user(),
    "version": lambda design: design.version(),
}
CLIENT = {
    "version": lambda client: client.version(),
    "config": lambda client: client.config(),
    "probe": lambda client: client.probe(),
}

ANSWERS = {
    "nothing": says(status=200),
    "no content": says(status=204),
    "null": says(status=200, text="null", content_type="application/json"),
    "a number": says(7),
    "a list": says([1, None, {}]),
    "an object": says({}),
    "data of the wrong kind": says({"status": "success", "data": 7}),
    "data that is text": says({"data": "x", "page": []}),
    "a list of nothing": says({"data": [None, 1, "x", []], "page": {"totalElements": "many"}}),
    "an id of the wrong kind": says({"data": [{"id": {"a": 1}}, {"id": None}]}),
    "fields of the wrong kind": says(
        {"data": {"id": "1", "status": [], "approvalInfo": 3, "name": {}, "roles": 7, "page": 1}}
    ),
    "lists of fields of the wrong kind": says(
        {"data": [{"id": 1, "status": {}, "approvalInfo": {"approvals": 7}, "approvalGroups": [{"resourceTypes": 7}]}]}
    ),
    "flows of the wrong kind": says({"data": {"flowInstances": 7, "jobs": []}}),
    "lists of changes of the wrong kind": says({"data": {"stateChangedResources": [7, {"id": []}, None]}}),
    "output of the wrong kind": says({"data": [{"content": {"a": 1}, "engineOutputContext": 7}]}),
    "sources of the wrong kind": says({"data": [{"linkObjectId": None}], "dsnlist": 7, "queueList": {"a": 1}}),
    "a failure": says({"status": "error", "data": [{"errorMessage": None, "statusCode": 401}]}),
    "a failure without words": says({"status": "failure", "data": {"a": [1]}}),
    "a negative total": says({"data": [{"id": "1"}], "page": {"totalElements": -5, "currentPageNumber": -1}}),
    "deep JSON": says(status=200, text="[" * 100_000, content_type="application/json"),
    "large numbers": says(status=200, text='{"data": {"id": 1e400}}', content_type="application/json"),
    "a page": says(status=200, text="<html>Sign in</html>", content_type="text/html"),
    "XML": says(status=200, text="<?xml version='1.0'?><a/>", content_type="text/xml"),
    "bytes": says(status=200, body=bytes(range(256)), content_type="application/octet-stream"),
    "an unknown charset": says(status=200, body=b"x", headers={"Content-Type": "text/html; charset=klingon"}),
    "a wrong packing": says(status=200, body=b"x", headers={"Content-Encoding": "gzip"}),
    "a strange name": says(status=200, body=b"x", headers={"Content-Disposition": "attachment; filename*=x''%ff%"}),
    "a redirect": says(status=302, headers={"Location": "http://["}),
    "bad request": says({"message": {"a": 1}, "errorCode": []}, 400),
    "unauthorized": says(status=401),
    "conflict": says({"message": "x", "status": 409}, 409),
    "server error": says(status=500, text="<html><title>x", content_type="text/html"),
    "an odd status": says(status=999),
}


def unlisted(kind: type, table: dict) -> set[str]:
    """Public methods that call and stand in no table."""
    methods = {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if not name.startswith("_")}
    return methods - set(table) - {"close", "runtime", "inputs", "design"}


def test_every_call_stands_in_a_table() -> None:
    assert unlisted(Runtime, RUNTIME) == set()
    assert unlisted(Inputs, INPUTS) == set()
    assert unlisted(Design, DESIGN) == set()
    assert unlisted(Exstream, CLIENT) == set()
    assert unlisted(EngineService, {"compose": 1, "wsdl": 1}) == set()


async def finish(call: object) -> None:
    if isinstance(call, AsyncIterator):
        async for _ in call:
            pass
    elif inspect.isawaitable(call):
        await call


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_answer_makes_anything_but_an_error_of_ours(exstream: FakeExstream, answer: str) -> None:
    exstream.usual = ANSWERS[answer]
    foreign = []
    async with exstream.client() as client:
        calls = [
            *((f"runtime.{name}", call, client.runtime()) for name, call in RUNTIME.items()),
            *((f"inputs.{name}", call, client.inputs()) for name, call in INPUTS.items()),
            *((f"design.{name}", call, client.design()) for name, call in DESIGN.items()),
            *((name, call, client) for name, call in CLIENT.items()),
        ]
        for name, call, part in calls:
            try:
                await finish(call(part))
            except ExstreamError:
                continue
            except Exception as exc:  # noqa: BLE001  which ones escape is what is asked
                foreign.append(f"{name}: {exc!r}")
    assert foreign == []


@pytest.mark.parametrize("answer", ANSWERS)
async def test_no_answer_of_otds_or_of_an_engine_does_either(exstream: FakeExstream, answer: str) -> None:
    exstream.usual = ANSWERS[answer]
    tokens = exstream.otds()
    with pytest.raises(ExstreamError):
        await tokens.token("design")
    await tokens.close()
    async with EngineService(exstream.url, None, exstream.options()) as engine:
        with pytest.raises(ExstreamError):
            await engine.compose(EngineCall(driver=b"", file_name="DRIVER"))
        with pytest.raises(ExstreamError):
            await engine.wsdl()
