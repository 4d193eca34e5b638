"""What the client asks for, against Exstream's own OpenAPI documents: address, query, body, of every call it has.

A server that records and answers with an empty list stands for Exstream; its answers are of no account here. Inputs,
OTDS and EWS stand in no document.
"""

import json
import re
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from interface import USED, load, mended
from jsonschema import Draft202012Validator

from exstream_calls import CLIENT, DESIGN, ID, RUNTIME
from millstream.exstream import Design, Exstream, ExstreamOptions, Runtime, StaticTokens
from millstream.exstream.errors import ExstreamError

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
