"""The methods of the Gmail API: what a call is, which methods there are, and how one is performed."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol

import orjson

from millstream.sandbox.gmail.account import Account, Watch
from millstream.sandbox.gmail.errors import BadArgument, FrontEnd
from millstream.sandbox.gmail.faults import FaultRule, Faults
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.tokens import FULL, Access
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.world import World

MAX_PAGE: Final = 500
DEFAULT_PAGE: Final = 100


@dataclass(frozen=True)
class Call:
    """One call of one method by somebody who may make it."""

    method: str
    account: Account
    access: Access
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes = b""
    media: bytes | None = None
    lag: float = 0.0

    @cached_property
    def document(self) -> dict[str, Any]:
        """The JSON body as an object; an empty body is an empty object."""
        if not self.body.strip():
            return {}
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            raise BadArgument("Invalid JSON payload received. Parse Error") from None
        if not isinstance(document, dict):
            raise BadArgument("Invalid JSON payload received. Root element must be a message.")
        return document

    def raw(self, message: Mapping[str, Any]) -> bytes | None:
        """The RFC 5322 message of this call: uploaded, or base64url in the `raw` field of a Message object."""
        if self.media is not None:
            return self.media
        text = message.get("raw")
        if not text:
            return None
        try:
            return base64.b64decode(str(text) + "=" * (-len(text) % 4), b"-_", validate=True)
        except (binascii.Error, TypeError):
            raise BadArgument("Invalid value at 'raw' (TYPE_BYTES), Base64 decoding failed") from None

    def one(self, name: str) -> str | None:
        """A query parameter, or None."""
        values = self.query.get(name)
        return values[-1] if values else None

    def many(self, name: str) -> list[str]:
        """A repeated query parameter; some clients join the values with commas."""
        return [part for value in self.query.get(name, ()) for part in value.split(",") if part]

    def flag(self, name: str) -> bool:
        """A boolean query parameter."""
        return (self.one(name) or "").lower() in ("true", "1")

    def page_size(self) -> int:
        """`maxResults`, at most 500."""
        text = self.one("maxResults")
        if text is None:
            return DEFAULT_PAGE
        if not text.isdecimal():
            raise BadArgument(f"Invalid value at 'max_results' (TYPE_UINT32), \"{text}\"")
        return min(int(text), MAX_PAGE) or DEFAULT_PAGE


class Tells(Protocol):
    """The part of `watch.Notifier` that methods need."""

    def first(self, account: Account, watch: Watch) -> None:
        """Send the message that a watch sends at once."""


@dataclass(frozen=True, slots=True)
class Room:
    """Everything a method works on."""

    world: World
    quota: Quota
    transit: Transit
    faults: Faults[FaultRule]
    notifier: Tells


Handler = Callable[[Room, Call], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Method:
    """One method: its name below `gmail.users.`, verb, path below `users/{userId}/`, scopes and whether it uploads."""

    name: str
    verb: str
    path: str
    handler: Handler
    scopes: frozenset[str]
    uploads: bool = False


def scopes(*names: str) -> frozenset[str]:
    """Scopes that allow a method: the named ones and full access. Those of Gmail add-ons are not known here."""
    return frozenset((*names, FULL))


@dataclass(slots=True)
class _Node:
    below: dict[str, "_Node"] = field(default_factory=dict)
    any: "_Node | None" = None
    methods: dict[str, Method] = field(default_factory=dict)


class Methods:
    """The table of methods, found by verb and path."""

    def __init__(self, methods: Iterable[Method]) -> None:
        self._root = _Node()
        self.names: list[str] = []
        for method in methods:
            self._insert(method)
            self.names.append(method.name)

    def _insert(self, method: Method) -> None:
        node = self._root
        for segment in method.path.split("/"):
            if segment.startswith("{"):
                node.any = node.any or _Node()
                node = node.any
            else:
                node = node.below.setdefault(segment, _Node())
        node.methods[method.verb] = method

    def find(self, verb: str, path: str) -> tuple[Method, dict[str, str]]:
        """The method for a path below `users/{userId}/`, with the values of its path parameters.

        Raises `FrontEnd` 404: a path the API does not have never reaches the API.
        """
        segments = path.split("/")
        node = self._root
        values = []
        for segment in segments:
            fixed = node.below.get(segment)
            if fixed is None and node.any is not None and segment:
                values.append(segment)
                fixed = node.any
            if fixed is None:
                raise FrontEnd(404)
            node = fixed
        method = node.methods.get(verb)
        if method is None:
            raise FrontEnd(404)
        names = [segment[1:-1] for segment in method.path.split("/") if segment.startswith("{")]
        return method, dict(zip(names, values, strict=True))
