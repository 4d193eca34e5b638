"""What the client asks for, against Exstream's own OpenAPI documents: address, query, body, of every call it has.

A server that records and answers with an empty list stands for Exstream; its answers are of no account here. Inputs,
OTDS and EWS stand in no document.
"""

import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import pytest
from aiohttp import web
from interface import USED, load, mended
from jsonschema import Draft202012Validator

from millstream.exstream import Design, Exstream, ExstreamOptions, Runtime, StaticTokens
from millstream.exstream.errors import ExstreamError
from millstream.exstream.model import ResourceState

ID = "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f"
NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
Calls = dict[str, Callable[[Any], Any]]

RUNTIME: Calls = {
    "jobs": lambda it: it.jobs(
        fetch_deleted=True, statuses=["complete", "error"], channel="statements", start_date_start=date(2026, 11, 1)
    ),
    "flow_instances": lambda it: it.flow_instances(job_id=ID, statuses="holding"),
    "flow_steps": lambda it: it.flow_steps(check_artifacts=True, flow_instance_id=ID, step_types=["communication"]),
    "job": lambda it: it.job(ID),
    "flow_instance": lambda it: it.flow_instance(ID),
    "flow_step": lambda it: it.flow_step(ID),
    "counts": lambda it: it.counts(flow_model_ids=(ID,), start=date(2026, 11, 1), end=date(2026, 11, 2), fill=True),
    "associated_jobs": lambda it: it.associated_jobs(offset=10, count=5, job_id=ID, statuses=["complete"]),
    "message_file": lambda it: it.message_file(ID, io.BytesIO()),
    "delivery_file": lambda it: it.delivery_file(ID, io.BytesIO()),
    "artifact": lambda it: it.artifact(ID, "out/1 a.pdf", io.BytesIO()),
    "customer_artifacts": lambda it: it.customer_artifacts(ID, 7, io.BytesIO()),
    "input": lambda it: it.input(ID, io.BytesIO()),
    "outputs": lambda it: it.outputs(ID),
    "output_files": lambda it: it.output_files(ID),
    "stop_job": lambda it: it.stop_job(ID),
    "reprocess": lambda it: it.reprocess(ID, current_model=True, current_context=True),
    "stop_flow": lambda it: it.stop_flow(ID),
    "release_flow": lambda it: it.release_flow(ID),
    "stop_step": lambda it: it.stop_step(ID),
    "release_step": lambda it: it.release_step(ID),
    "post_sort": lambda it: it.post_sort(
        ID, customers="1-3", queue="Print", external_id="x", consolidate=True, dry_run=True
    ),
}
DESIGN: Calls = {
    "resources": lambda it: it.resources(
        states=ResourceState.REVIEW, types=["exstrdocument", "exstremail"], last_modified_date_start=NOW
    ),
    "review": lambda it: it.review("exstremail"),
    "communications": lambda it: it.communications(),
    "resource": lambda it: it.resource(ID, version=2),
    "set_state": lambda it: it.set_state(ID, ResourceState.APPROVED, "by Ada"),
    "set_states": lambda it: it.set_states([ID], ResourceState.REJECTED, "by Ada"),
    "history": lambda it: it.history(ID),
    "content": lambda it: it.content(ID, io.BytesIO()),
    "domains": lambda it: it.domains(),
    "links": lambda it: it.links(ID),
    "manifest": lambda it: it.manifest(ID),
    "resolve": lambda it: it.resolve("Account statement"),
    "current_user": lambda it: it.current_user(),
    "version": lambda it: it.version(),
}
CLIENT: Calls = {"version": lambda it: it.version(), "config": lambda it: it.config(), "probe": lambda it: it.probe()}
TABLES = {"runtime": RUNTIME, "design": DESIGN, "client": CLIENT}
ALL = [(where, name) for where, table in TABLES.items() for name in table]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    content_type: str
    body: bytes

    @property
    def service(self) -> str:
        return self.path.split("/")[1]


@pytest.fixture
async def recorded() -> AsyncIterator[tuple[Exstream, list[Asked]]]:
    """A client, and what it has asked for."""
    asked: list[Asked] = []

    async def answer(request: web.Request) -> web.Response:
        path = request.raw_path.partition("?")[0]
        query = tuple(request.query.items())
        asked.append(Asked(request.method, path, query, request.content_type, await request.read()))
        page = {"totalElements": 0, "pageSize": 10, "currentPageNumber": 0}
        return web.json_response({"status": "success", "data": [], "page": page})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    options = ExstreamOptions(orchestration_url=f"{url}/orchestration", design_url=f"{url}/design", domain="bank")
    async with Exstream(options, StaticTokens("t")) as client:
        yield client, asked
    await runner.cleanup()


async def _call(client: Exstream, where: str, name: str) -> None:
    about: Any = {"runtime": client.runtime, "design": client.design, "client": lambda: client}[where]()
    made = TABLES[where][name](about)
    try:
        if isinstance(made, Awaitable):
            await made
        else:
            async for _ in made:
                pass
    except ExstreamError:
        pass  # an empty list is no job


def _strict(document: dict[str, Any]) -> dict[str, Any]:
    """The same with no field allowed beside those that it names: what we misspell must not pass."""
    for schema in document["components"]["schemas"].values():
        if schema.get("type") == "object" and "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return document


def _place(asked: Asked, document: dict[str, Any]) -> str | None:
    """The operation's address as the document writes it; a fixed part goes before one that may be anything."""
    path = asked.path.removeprefix(f"/{asked.service}")
    fits = [
        place
        for place, operations in document["paths"].items()
        if asked.method.lower() in operations and re.fullmatch(re.sub(r"{\w+}", "[^/]+", place), path)
    ]
    return min(fits, key=lambda place: place.count("{"), default=None)


def _wrong(asked: Asked, document: dict[str, Any]) -> list[str]:
    """What of a request does not conform; empty where all does."""
    place = _place(asked, document)
    if place is None:
        return [f"{asked.method} {asked.path} is no operation"]
    operation = document["paths"][place][asked.method.lower()]
    return _wrong_query(asked, operation, document) + _wrong_body(asked, operation, document)


def _wrong_query(asked: Asked, operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    known = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    found = [f"{name} is no parameter" for name, _ in asked.query if name not in known]
    given: dict[str, list[str]] = {}
    for name, value in asked.query:
        given.setdefault(name, []).append(value)
    found += [f"{name} is missing" for name, each in known.items() if each.get("required") and name not in given]
    for name in given.keys() & known.keys():
        schema = known[name]["schema"]
        values = [_typed(value, schema.get("items", schema)) for value in given[name]]
        if schema.get("type") != "array" and len(values) > 1:
            found.append(f"{name} is given more than once")
        found += _faults(values if schema.get("type") == "array" else values[0], schema, document)
    return found


def _typed(value: str, schema: dict[str, Any]) -> Any:
    try:
        return json.loads(value) if schema.get("type") in {"integer", "boolean", "number"} else value
    except json.JSONDecodeError:
        return value


def _wrong_body(asked: Asked, operation: dict[str, Any], document: dict[str, Any]) -> list[str]:
    wanted = operation.get("requestBody", {}).get("content")
    if wanted is None:
        return [f"a body of {len(asked.body)} bytes is not expected"] if asked.body else []
    if asked.content_type not in wanted:
        return [f"a body of {asked.content_type} is not expected"]
    return _faults(json.loads(asked.body), wanted[asked.content_type]["schema"], document)


def _faults(value: Any, schema: dict[str, Any], document: dict[str, Any]) -> list[str]:
    whole = {**schema, "components": document["components"]}
    return [f"{error.json_path}: {error.message[:200]}" for error in Draft202012Validator(whole).iter_errors(value)]


@pytest.mark.parametrize(("where", "name"), ALL)
async def test_what_the_client_asks_for_conforms(recorded, where: str, name: str) -> None:
    client, asked = recorded
    await _call(client, where, name)
    assert asked
    found = [(each.path, wrong) for each in asked for wrong in _wrong(each, _strict(mended(load(each.service))))]
    assert found == []


async def test_every_operation_of_the_documents_is_asked_for(recorded) -> None:
    client, asked = recorded
    for where, name in ALL:
        await _call(client, where, name)
    called = {(each.service, f"{each.method} {_place(each, mended(load(each.service)))}") for each in set(asked)}
    never = {("design", "GET /api/v1/authentication/current-user")}  # the client always works in a domain
    assert {(service, place) for service, places in USED.items() for place in places} - called == never


async def test_a_request_that_does_not_conform_is_found(recorded) -> None:
    document = _strict(mended(load("design")))
    path = f"/design/api/v1/resources/bank/{ID}/state"
    good = b'{"state": "APPROVED", "comment": "x"}'
    assert _wrong(Asked("POST", path, (), "application/json", good), document)
    assert _wrong(Asked("PUT", path, (("version", "1"),), "application/json", good), document)
    assert _wrong(Asked("PUT", path, (), "text/plain", good), document)
    assert _wrong(Asked("PUT", path, (), "application/json", b'{"sate": "APPROVED"}'), document)
    assert _wrong(Asked("GET", "/design/api/v1/resources/bank", (("count", "ten"),), "", b""), document)


def test_every_call_of_the_client_stands_here() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in vars(kind) if not name.startswith("_") and callable(getattr(kind, name))}

    assert public(Runtime) == RUNTIME.keys()
    assert public(Design) == DESIGN.keys()
