"""The addresses where runs and communications are posted: requests in, answers out, everything else is the room's.

Whoever calls is known before a byte of its body is read, and a body is read as it comes, never whole.
"""

from collections.abc import AsyncIterator, Awaitable, Callable

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from millstream.intake.http import Answer, Head, HttpDoor, Interrupted, Refused
from millstream.log import get_logger

log = get_logger(__name__)

_NOTHING = 204
_WRITING = ["POST", "PUT"]
"""Exstream's HTTP(S) Submit connector does either (reference/exstream.md)."""

Take = Callable[[Head, AsyncIterator[bytes]], Awaitable[Answer]]


def add_intake(app: FastAPI, door: HttpDoor) -> None:
    """Add the addresses of the HTTP door."""

    @app.api_route("/api/v1/runs", methods=_WRITING)
    async def runs(request: Request) -> Response:
        """Take a run in."""
        return await _taken(request, door, door.run)

    @app.api_route("/api/v1/communications", methods=_WRITING)
    async def communications(request: Request) -> Response:
        """Take one communication in."""
        return await _taken(request, door, door.communication)

    @app.get("/api/v1/consignments/{number}")
    async def consignment(request: Request, number: str) -> Response:
        """Say how one stands."""
        try:
            caller = door.caller(request.headers.get("authorization"))
            # As long as a bigint at most: what is longer is no number of ours.
            asked = int(number) if number.isascii() and number.isdecimal() and len(number) < len(str(2**63)) else 0
            return _told(await door.standing(caller, asked))
        except Refused as refusal:
            return _refused(refusal)


async def _taken(request: Request, door: HttpDoor, take: Take) -> Response:
    try:
        caller = door.caller(request.headers.get("authorization"))
        head = Head(caller, request.url.query, dict(request.headers))
        return _told(await take(head, _pieces(request)))
    except Refused as refusal:
        # What of the body is still to come is not read: nobody may send on into the next request.
        return _refused(refusal, close=True)
    except Interrupted:
        log.info("http.interrupted", path=request.url.path)
        return Response(status_code=_NOTHING)  # for nobody


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    try:
        async for piece in request.stream():
            if piece:
                yield piece
    except ClientDisconnect as error:
        raise Interrupted from error


def _told(answer: Answer) -> Response:
    return JSONResponse(dict(answer.body), status_code=answer.status, headers=dict(answer.headers))


def _refused(refusal: Refused, *, close: bool = False) -> Response:
    body: dict[str, object] = {"error": str(refusal)}
    if refusal.line:
        body["line"] = refusal.line
    headers = refusal.headers | ({"Connection": "close"} if close else {})
    return JSONResponse(body, status_code=refusal.status, headers=headers)
