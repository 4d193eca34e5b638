"""Gmail's discovery document as JSON Schema, to hold replies on the wire against Google's own description."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from importlib import resources
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")
DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)")
INTEGER_RANGES = {"int32": (-(2**31), 2**31 - 1), "uint32": (0, 2**32 - 1)}
KEPT = ("type", "format", "enum", "pattern", "required")


def load_document() -> dict[str, Any]:
    """The Gmail description that ships inside google-api-python-client."""
    folder = resources.files("googleapiclient") / "discovery_cache" / "documents"
    return json.loads((folder / "gmail.v1.json").read_text(encoding="utf-8"))


def relocated(document: Mapping[str, Any], endpoint: str) -> dict[str, Any]:
    """The description with its service moved to `endpoint`.

    The client's own endpoint option leaves media uploads at https, so the document itself has to move.
    """
    root = endpoint.rstrip("/") + "/"
    moved = {key: value for key, value in document.items() if key not in {"mtlsRootUrl", "endpoints"}}
    return moved | {"rootUrl": root, "baseUrl": root}


def to_json_schema(described: Mapping[str, Any]) -> dict[str, Any]:
    """One discovery schema as JSON Schema draft 2020-12; a property that the document does not name is refused."""
    if "$ref" in described:
        return {"$ref": f"#/$defs/{described['$ref']}"}
    schema: dict[str, Any] = {key: described[key] for key in KEPT if key in described and key != "required"}
    if schema.get("type") == "any":
        del schema["type"]
    if schema.get("format") in INTEGER_RANGES:
        schema["minimum"], schema["maximum"] = INTEGER_RANGES[schema["format"]]
    if "items" in described:
        schema["items"] = to_json_schema(described["items"])
    if described.get("type") == "object":
        properties = described.get("properties", {})
        schema["properties"] = {name: to_json_schema(value) for name, value in properties.items()}
        extra = described.get("additionalProperties")
        schema["additionalProperties"] = to_json_schema(extra) if extra else False
    return schema


class DiscoverySchemas:
    """Answers what is wrong with a reply to a method, by the discovery document alone."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._definitions = {name: to_json_schema(schema) for name, schema in document["schemas"].items()}
        self._responses = dict(_responses(document))
        self._formats = _formats()

    def methods(self) -> frozenset[str]:
        """Every method id of the document, for example `gmail.users.drafts.create`."""
        return frozenset(self._responses)

    def problems(self, method: str, content: bytes) -> list[str]:
        """Sentences, one a fault of a successful reply's body; empty when the body is as described."""
        response = self._responses[method]
        if response is None:
            return [] if content in {b"", b"{}"} else [f"{method} answers nothing, but the body was {content[:80]!r}"]
        try:
            body = json.loads(content)
        except ValueError as error:
            return [f"{method}: the body is no JSON ({error}): {content[:80]!r}"]
        return [f"{method}: {fault}" for fault in self.faults(response, body)]

    def faults(self, name: str, body: Any) -> list[str]:
        """Faults of a decoded `body` against the schema called `name`."""
        schema = {"$ref": f"#/$defs/{name}", "$defs": self._definitions}
        validator = Draft202012Validator(schema, format_checker=self._formats)
        return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(body)]


def _responses(resource: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    for method in resource.get("methods", {}).values():
        yield method["id"], method.get("response", {}).get("$ref")
    for child in resource.get("resources", {}).values():
        yield from _responses(child)


def _formats() -> FormatChecker:
    checker = FormatChecker(formats=())
    checks: dict[str, Callable[[str], bool]] = {
        "int64": lambda text: bool(DECIMAL.fullmatch(text)) and -(2**63) <= int(text) < 2**63,
        "uint64": lambda text: bool(DECIMAL.fullmatch(text)) and 0 <= int(text) < 2**64,
        "byte": _is_padded_base64url,
        "google-datetime": lambda text: datetime.fromisoformat(text).tzinfo is not None,
    }
    for name, check in checks.items():
        checker.checks(name, raises=ValueError)(_for_text(check))
    return checker


def _for_text(check: Callable[[str], bool]) -> Callable[[object], bool]:
    """A format says nothing about values of another type; their type is refused by `type`."""
    return lambda value: not isinstance(value, str) or check(value)


def _is_padded_base64url(text: str) -> bool:
    """Gmail pads (a client that expects padding breaks without it), and uses the alphabet of RFC 4648 section 5."""
    if not BASE64URL.fullmatch(text) or len(text) % 4:
        return False
    return base64.urlsafe_b64encode(base64.urlsafe_b64decode(text)) == text.encode()
