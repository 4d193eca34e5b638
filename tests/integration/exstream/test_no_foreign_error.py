"""Whatever a server says to whatever call: a value or an error of ours; nothing of aiohttp, JSON, XML or the system."""

import inspect
from collections.abc import AsyncIterator

import pytest
from exstream_server import FakeExstream, says

from exstream_calls import CLIENT, DESIGN, INPUTS, RUNTIME
from millstream.exstream import Design, EngineCall, EngineService, Exstream, Inputs, Runtime
from millstream.exstream.errors import ExstreamError

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
