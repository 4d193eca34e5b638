"""The HTTP front: who calls, what is spoiled, what is done, what is answered.

The order is the promise of the sandbox: everything that can refuse a call comes before its effect, and what fails after
the effect never says that nothing happened.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson
from aiohttp import web

from millstream.log import get_logger
from millstream.sandbox.exstream import errors
from millstream.sandbox.exstream.engine import Engine
from millstream.sandbox.exstream.errors import BadRequest, DataRefusal, Forbidden, Refusal, TooLarge
from millstream.sandbox.exstream.faults import FaultRule, Kind
from millstream.sandbox.exstream.otds import Access, Otds
from millstream.sandbox.exstream.wire import Paging, Style
from millstream.sandbox.exstream.world import World
from millstream.sandbox.gmail.faults import Point
from millstream.sandbox.gmail.strikes import Cut, cut, pause

_log = get_logger(__name__)

LOGIN_PAGE: Final = "<!doctype html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1></body></html>\n"
PROXY_PAGE: Final = (
    "<!doctype html>\n<html><head><title>500 Internal Server Error</title></head>\n"
    "<body><h1>Internal Server Error</h1><p>The gateway could not complete your request.</p></body></html>\n"
)
OTDS_DOWN: Final = (
    "org.apache.http.conn.HttpHostConnectException: Connect to otdsws failed: Connection refused (Connection refused)"
)


@dataclass(frozen=True, slots=True)
class Call:
    """One call by somebody who may make it."""

    operation: str
    access: Access
    domain: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    style: Style
    paging: Paging

    def flag(self, name: str) -> bool:
        """A query parameter that is true or false; raises `BadRequest` for anything else."""
        text = self.one(name).lower()
        if text not in ("true", "false", ""):
            raise BadRequest(f"Parameter {name} must be true or false, not {text[:40]!r}")
        return text == "true"

    def one(self, name: str) -> str:
        """A query parameter, else an empty text."""
        values = self.query.get(name)
        return values[-1] if values else ""

    @property
    def document(self) -> dict[str, Any]:
        """The JSON body as an object; raises `BadRequest`."""
        try:
            told = orjson.loads(self.body)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"JSON parse error: {error}") from None
        if not isinstance(told, dict):
            raise BadRequest("JSON parse error: the body is no object")
        return told


@dataclass(frozen=True, slots=True)
class Answer:
    """What is answered: a JSON document, or bytes of a type."""

    document: Any = None
    content: bytes | None = None
    media_type: str = "application/json"
    file_name: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation: its name in fault rules, where it is, what does it, which right it needs."""

    name: str
    verb: str
    path: str
    handler: Handler
    right: str = ""


class Front:
    """Serves operations."""

    def __init__(self, world: World, engine: Engine, otds: Otds) -> None:
        self.world = world
        self.engine = engine
        self.otds = otds
        self.stopping = asyncio.Event()

    def route(self, operation: Operation) -> web.RouteDef:
        """The route of an operation."""

        async def serve(request: web.Request) -> web.StreamResponse:
            domain = request.match_info.get("domain", "")
            self.world.calls[operation.name] += 1
            try:
                return await self._serve(request, operation, domain)
            except Refusal as refusal:
                return refused(request, refusal, self.world.clock.milliseconds())
            except DataRefusal as refusal:
                return web.Response(body=orjson.dumps(refusal.body()), status=refusal.status, content_type=JSON)
            except Cut as event:
                return await cut(request, event, self.stopping)

        return web.RouteDef(operation.verb, operation.path, serve, {})

    async def _serve(self, request: web.Request, operation: Operation, domain: str) -> web.StreamResponse:
        access = self.otds.check(request.headers.get("Authorization"))
        if operation.right and operation.right not in access.rights:
            raise Forbidden(f"{access.name} lacks the permission {operation.right}")
        if domain:
            self.world.domain(domain)
        spoiled = self.spoil(Point.BEFORE, operation.name, domain)
        if spoiled is not None:
            return spoiled
        odd = self.world.faults.strike(Point.ODD, operation.name, domain)
        if odd is not None and odd.kind in (Kind.STATUS_ERROR, Kind.HTML_200):
            return _odd_answer(odd.kind)
        call = await self._call(request, operation, access, odd)
        answer = await operation.handler(call)
        if odd is not None and odd.kind is Kind.SLOW:
            await pause(odd.delay, self.stopping)
        spoiled = self.spoil(Point.AFTER, operation.name, domain)
        return spoiled if spoiled is not None else reply(answer, odd)

    async def _call(self, request: web.Request, operation: Operation, access: Access, odd: FaultRule | None) -> Call:
        config = self.world.config
        query = {name: request.query.getall(name) for name in request.query}
        last = {name: values[-1] for name, values in query.items()}
        return Call(
            operation=operation.name,
            access=access,
            domain=request.match_info.get("domain", ""),
            path=request.match_info,
            query=query,
            headers=request.headers,
            body=await self.read(request),
            style=Style(milliseconds=config.dates == "milliseconds", odd=odd.kind if odd else None),
            paging=Paging.of(last, config.page_size, config.most_page_size, by_pages=config.offsets == "pages"),
        )

    async def read(self, request: web.Request) -> bytes:
        """The body; raises `TooLarge`."""
        if (request.content_length or 0) > self.world.config.body_bytes:
            raise TooLarge("The body is larger than the server takes")
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise TooLarge("The body is larger than the server takes") from None

    def spoil(self, point: Point, operation: str, domain: str) -> web.Response | None:
        """What a fault rule makes of a call at a point: an answer, a raised refusal, a cut connection, or nothing."""
        rule = self.world.faults.strike(point, operation, domain)
        if rule is None:
            return None
        match rule.kind:
            case Kind.RESET | Kind.HANG:
                raise Cut(rule.delay if rule.kind is Kind.HANG else 0.0)
            case Kind.HTML_500:
                return web.Response(text=PROXY_PAGE, status=500, content_type="text/html")
            case Kind.EMPTY_500:
                return web.Response(status=500)
            case Kind.OTDS_DOWN:
                self.world.send_otds_away(rule.delay)
                raise errors.Broken(OTDS_DOWN)
            case Kind.LIMITED:
                raise errors.Limited("Too many requests", retry_after=rule.delay)
        refusal = _REFUSALS[rule.kind]()
        raise refusal


JSON: Final = "application/json"
_REFUSALS: Final[dict[Kind, Callable[[], Refusal]]] = {
    Kind.UNAUTHORIZED: lambda: errors.Unauthorized("The access token expired"),
    Kind.FORBIDDEN: lambda: errors.Forbidden("Access is denied"),
    Kind.CONFLICT: lambda: errors.Conflict("The resource was changed by another user"),
    Kind.JSON_500: lambda: errors.Broken("Unexpected error"),
}


def _odd_answer(kind: Kind) -> web.Response:
    if kind is Kind.HTML_200:
        return web.Response(text=LOGIN_PAGE, content_type="text/html")
    refusal = DataRefusal("The request could not be processed", status=200, code="500")
    return web.Response(body=orjson.dumps(refusal.body()), content_type=JSON)


def reply(answer: Answer, odd: FaultRule | None = None) -> web.Response:
    """An answer as a response."""
    if answer.content is None:
        body, media_type = orjson.dumps(answer.document), JSON
        return web.Response(body=body, status=answer.status, content_type=media_type, headers=answer.headers)
    content = answer.content
    if odd is not None and odd.kind is Kind.HALF_FILE:
        content = content[: len(content) // 2]
    headers = dict(answer.headers) | {"Content-Type": answer.media_type}
    if answer.file_name:
        plain = answer.file_name.encode("ascii", "replace").decode().replace('"', "_")
        headers["Content-Disposition"] = f'attachment; filename="{plain}"'
    return web.Response(body=content, status=answer.status, headers=headers)


def refused(request: web.Request, refusal: Refusal, now: int) -> web.Response:
    """A refusal as an answer."""
    _log.debug("exstream_refusal", path=request.path, status=refusal.status, details=refusal.details)
    headers = {} if refusal.retry_after is None else {"Retry-After": str(max(1, round(refusal.retry_after)))}
    if refusal.status == errors.Unauthorized.status:
        headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'
    body = orjson.dumps(refusal.body(request.path, now))
    return web.Response(body=body, status=refusal.status, content_type=JSON, headers=headers)
