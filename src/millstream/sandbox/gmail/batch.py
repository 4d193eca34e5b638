"""`/batch` and `/batch/gmail/v1`: many calls in one multipart/mixed body, each with its own status."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import orjson
from aiohttp import web

from millstream.sandbox.gmail.api import Call, Method
from millstream.sandbox.gmail.errors import BadArgument, FrontEnd, MissingCredentials, Refusal
from millstream.sandbox.gmail.faults import Point
from millstream.sandbox.gmail.fields import narrowed
from millstream.sandbox.gmail.front import JSON_TYPE, Front, refused
from millstream.sandbox.gmail.strikes import spoil, strike

MOST_CALLS: Final = 100
"""Calls in one batch (batch guide)."""

_BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]+)"|([^;\s]+))', re.IGNORECASE)
_BLANK = re.compile(rb"\r?\n\r?\n")
_PREFIX: Final = "/gmail/v1/users/"
_PHRASES: Final = {200: "OK", 204: "No Content", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden",
                   404: "Not Found", 409: "Conflict", 429: "Too Many Requests"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Inner:
    """One call inside a batch: its name in the batch, request line, headers (names lower case) and body."""

    content_id: str
    verb: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Batch:
    """Serves batches over the methods of a front."""

    def __init__(self, front: Front) -> None:
        self._front = front

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One batch: its calls run in order; parts and whole are counted as calls, each costs its own units."""
        try:
            calls = read_batch(request.headers.get("Content-Type", ""), await request.read())
        except Refusal as refusal:
            return refused(request, refusal)
        authorization = request.headers.get("Authorization")
        boundary = f"batch_{self._front.room.world.new_token()}"
        parts = [self._part(boundary, inner, self._answer(inner, authorization)) for inner in calls]
        body = b"".join(parts) + f"--{boundary}--\r\n".encode()
        return web.Response(body=body, headers={"Content-Type": f"multipart/mixed; boundary={boundary}"})

    def _answer(self, inner: Inner, authorization: str | None) -> tuple[int, str, bytes]:
        try:
            result = self._perform(inner, inner.headers.get("authorization") or authorization)
        except FrontEnd as refusal:
            return refusal.code, "text/html; charset=UTF-8", refusal.page().encode()
        except Refusal as refusal:
            return refusal.code, JSON_TYPE, orjson.dumps(refusal.body())
        if result is None:
            return 204, JSON_TYPE, b""
        return 200, JSON_TYPE, result

    def _perform(self, inner: Inner, authorization: str | None) -> bytes | None:
        front = self._front
        url = urlsplit(inner.target)
        if not url.path.startswith(_PREFIX):
            # Uploads are not allowed in batches (Google's general rule).
            raise FrontEnd(404)
        user, _, tail = unquote(url.path.removeprefix(_PREFIX)).partition("/")
        method, path = front.methods.find(inner.verb, tail)
        query = parse_qs(url.query)
        token = query.get("access_token", [None])[0]
        if authorization is None and token is None:
            raise MissingCredentials
        access = front.tokens.check(authorization, token)
        account = front.admit(access, user, method)
        call = Call(method.name, account, access, path, query, inner.body)
        try:
            result = self._run(method, call)
        except Refusal as refusal:
            front.room.quota.note_refusal(account.address, refusal)
            raise
        return None if result is None else orjson.dumps(narrowed(result, call.one("fields")))

    def _run(self, method: Method, call: Call) -> dict[str, Any] | None:
        room, address = self._front.room, call.account.address
        use = room.quota.enter(address)
        try:
            spoil(room, strike(room, Point.BEFORE, method.name, address), method.name, address, in_batch=True)
            result = self._front.perform(method, call, strike(room, Point.ODD, method.name, address))
            spoil(room, strike(room, Point.AFTER, method.name, address), method.name, address, in_batch=True)
        finally:
            use.in_flight -= 1
        return result

    @staticmethod
    def _part(boundary: str, inner: Inner, answer: tuple[int, str, bytes]) -> bytes:
        code, content_type, body = answer
        name = f"Content-ID: <response-{inner.content_id.lstrip('<').rstrip('>')}>\r\n" if inner.content_id else ""
        head = (
            f"--{boundary}\r\nContent-Type: application/http\r\n{name}\r\n"
            f"HTTP/1.1 {code} {_PHRASES.get(code, 'Error')}\r\n"
            f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body + b"\r\n"


def read_batch(content_type: str, body: bytes) -> list[Inner]:
    """The calls of a batch; raises `BadArgument` for what is none or holds too many."""
    match = _BOUNDARY.search(content_type)
    if match is None or not content_type.lower().startswith("multipart/mixed"):
        raise BadArgument("Failed to parse batch request, error: Missing multipart boundary")
    marker = b"--" + (match[1] or match[2]).encode()
    pieces = re.split(rb"(?:^|\r?\n)" + re.escape(marker), body)[1:-1]
    if not pieces:
        raise BadArgument("Failed to parse batch request, error: 0 items")
    if len(pieces) > MOST_CALLS:
        raise BadArgument(f"The batch request contains {len(pieces)} calls; the limit is {MOST_CALLS}.")
    return [_inner(piece) for piece in pieces]


def _inner(piece: bytes) -> Inner:
    outer, _, request = _cut(piece.lstrip(b"\r\n"))
    head, _, body = _cut(request)
    line, _, fields = head.replace(b"\r\n", b"\n").partition(b"\n")
    words = line.decode("latin-1").split()
    if len(words) < 2:  # noqa: PLR2004  a request line has a verb and a target
        raise BadArgument("Failed to parse batch request, error: Missing request line")
    names = _fields(outer.replace(b"\r\n", b"\n"))
    return Inner(names.get("content-id", ""), words[0].upper(), words[1], _fields(fields), body)


def _cut(content: bytes) -> tuple[bytes, bytes, bytes]:
    match = _BLANK.search(content)
    if match is None:
        return content, b"", b""
    return content[: match.start()], match.group(), content[match.end() :]


def _fields(block: bytes) -> dict[str, str]:
    fields = {}
    for line in block.decode("latin-1").split("\n"):
        name, colon, value = line.partition(":")
        if colon:
            fields[name.strip().lower()] = value.strip()
    return fields
