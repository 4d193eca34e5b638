"""Exstream's own OpenAPI documents, reduced to the facts of the operations that Millstream uses, and mended in memory.

`python tests/contract/exstream/interface.py FOLDER` reduces the documents in FOLDER and writes `specs/`; see the README
there. What `mended` changes, and why, stands beside each change.
"""

import json
import sys
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "specs"
NAMES = {"orchestration": "exstream-orchestration-v1.json", "design": "exstream-design-v1.json"}

_RUNTIME = "/api/v1/runtime/{domain}"
USED = {
    "orchestration": (
        f"GET {_RUNTIME}/jobs",
        f"GET {_RUNTIME}/jobs/{{id}}",
        f"POST {_RUNTIME}/jobs/{{id}}/stop",
        f"POST {_RUNTIME}/jobs/{{id}}/reprocessing",
        f"POST {_RUNTIME}/jobs/post-sort",
        f"GET {_RUNTIME}/flow-instances",
        f"GET {_RUNTIME}/flow-instances/{{id}}",
        f"GET {_RUNTIME}/flow-instances/{{id}}/input",
        f"POST {_RUNTIME}/flow-instances/{{id}}/stop",
        f"POST {_RUNTIME}/flow-instances/{{id}}/release",
        f"POST {_RUNTIME}/flow-instances/counts",
        f"POST {_RUNTIME}/flow-instances/associated-jobs",
        f"GET {_RUNTIME}/flow-steps",
        f"GET {_RUNTIME}/flow-steps/{{id}}",
        f"GET {_RUNTIME}/flow-steps/{{id}}/message-file",
        f"GET {_RUNTIME}/flow-steps/{{id}}/delivery-file",
        f"GET {_RUNTIME}/flow-steps/{{id}}/delivery-file/outputs",
        f"GET {_RUNTIME}/flow-steps/{{id}}/delivery-file/output-files",
        f"GET {_RUNTIME}/flow-steps/{{id}}/artifact/{{artifactName}}",
        f"GET {_RUNTIME}/flow-steps/{{id}}/customer-artifacts/{{customerId}}",
        f"POST {_RUNTIME}/flow-steps/{{id}}/stop",
        f"POST {_RUNTIME}/flow-steps/{{id}}/release",
        "GET /api/v1/version",
        "GET /api/v1/config",
    ),
    "design": (
        "GET /api/v1/resources/{domain}",
        "GET /api/v1/resources/{domain}/{id}",
        "GET /api/v1/resources/{domain}/{id}/content",
        "PUT /api/v1/resources/{domain}/{id}/state",
        "PUT /api/v1/resources/{domain}/state",
        "GET /api/v1/resources/{domain}/history/{resourceId}",
        "GET /api/v1/domains",
        "GET /api/v1/links/{domain}",
        "GET /api/v1/manifests/{domain}/communication-set/{communicationSetId}",
        "GET /api/v1/authentication/{domain}/current-user",
        "GET /api/v1/authentication/current-user",
        "GET /api/v1/version",
    ),
}
_SENTENCES = {"description", "summary", "title", "externalDocs", "tags", "example", "examples", "operationId"}
_UNUSED_FILTERS = ("vfilter.", "tfilter.", "rfilter.")


def reduced(document: dict[str, Any], used: tuple[str, ...]) -> dict[str, Any]:
    """The named operations and the schemas they need, without a sentence of text."""
    paths: dict[str, Any] = {}
    for place in used:
        verb, path = place.split(" ")
        paths.setdefault(path, {})[verb.lower()] = _facts(document["paths"][path][verb.lower()])
    schemas = document["components"]["schemas"]
    needed: dict[str, Any] = {}
    todo = list(_references(paths))
    while todo:
        name = todo.pop()
        if name not in needed:
            needed[name] = _facts(schemas[name])
            todo += _references(needed[name])
    return {
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": paths,
        "components": {"schemas": dict(sorted(needed.items()))},
    }


def _facts(value: Any, *, named: bool = False) -> Any:
    """A value without its sentences; under `named` the keys are names and all stay."""
    if isinstance(value, list):
        used = [one for one in value if not (isinstance(one, dict) and _is_unused(one))]
        return [_facts(one) for one in used]
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in value.items() if named or key not in _SENTENCES}
    facts = {key: _facts(one, named=key in ("properties", "responses", "content")) for key, one in kept.items()}
    if "responses" in facts:
        facts["responses"] = {code: {"description": ""} | one for code, one in facts["responses"].items()}
    return facts


def _is_unused(parameter: dict[str, Any]) -> bool:
    return str(parameter.get("name", "")).startswith(_UNUSED_FILTERS)


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, one in value.items():
            if key == "$ref":
                yield one.rpartition("/")[2]
            else:
                yield from _references(one)
    elif isinstance(value, list):
        for one in value:
            yield from _references(one)


def load(service: str) -> dict[str, Any]:
    """A reduced document as it lies in `specs/`."""
    document: dict[str, Any] = json.loads((FOLDER / NAMES[service]).read_text(encoding="utf-8"))
    return document


def mended(document: dict[str, Any]) -> dict[str, Any]:
    """The document as a caller needs it; a copy."""
    whole = deepcopy(document)
    for path, operations in whole["paths"].items():
        for operation in operations.values():
            operation["parameters"] = list(_parameters(operation.get("parameters", ())))
            _answers(path, operation["responses"])
    whole["components"]["schemas"]["ErrorBody"] = _ERROR
    # A JSON tree may be anything; the document says so by an object without fields, which forbids lists inside maps.
    if "DataResponseMapObjectObject" in whole["components"]["schemas"]:
        whole["components"]["schemas"]["DataResponseMapObjectObject"]["properties"]["data"] = {"type": "object"}
    return whole


_ERROR = {
    # Seen on real servers and in the vendor's SDK; the documents name no error at all.
    "type": "object",
    "required": ["timestamp", "status", "message", "path"],
    "properties": {
        "timestamp": {"type": "integer"},
        "status": {"type": "integer"},
        "message": {"type": "string"},
        "error": {"type": "string"},
        "details": {"type": "string"},
        "errorCode": {"type": "integer"},
        "path": {"type": "string"},
    },
}


def _parameters(given: Any) -> Iterator[dict[str, Any]]:
    for parameter in given:
        if parameter["name"] in ("filterRequest", "pageRequest"):
            # Spring's query object: on the wire it is one text and two numbers, as the text of the operation says.
            if parameter["name"] == "filterRequest":
                yield {"name": "filter", "in": "query", "schema": {"type": "string", "maxLength": 200}}
            for name in ("offset", "count"):
                schema = {"type": "integer", "format": "int32", "minimum": 0}
                yield {"name": name, "in": "query", "schema": schema}
        elif "in" in parameter:  # the links' `sort` has no place, so it cannot be sent
            yield parameter


def _answers(path: str, responses: dict[str, Any]) -> None:
    for answer in responses.values():
        if "content" not in answer and path.endswith("{customerId}"):
            answer["content"] = {"*/*": {"schema": {"type": "string", "format": "binary"}}}
        for media in answer.get("content", {}).values():
            if str(media.get("schema", {}).get("$ref", "")).endswith("/StreamingResponseBody"):
                # Bytes of whatever it is; the document shows the Java class that writes them.
                media["schema"] = {}
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorBody"}}}
    responses.setdefault("default", {"description": "", "content": content})


if __name__ == "__main__":
    for service, name in NAMES.items():
        told = json.loads((Path(sys.argv[1]) / name).read_text(encoding="utf-8"))
        text = json.dumps(reduced(told, USED[service]), indent=1, ensure_ascii=False)
        (FOLDER / name).write_text(f"{text}\n", encoding="utf-8")
