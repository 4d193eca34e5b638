"""What every answer and every body goes through: headers that a browser obeys, and a bound on what is read."""

import asyncio

from fastapi import Request
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Nothing here is a page. So: no sniffing, no framing, no scripts, no copies, and no word of where one came from.
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
_PATIENCE = 8.0
"""Seconds for a body; Pub/Sub by default gives up on a push after ten."""


class BodyTooLarge(Exception):
    """More was sent than is read here."""


class BodyMissing(Exception):
    """The body did not come whole, or not in time."""


class SecurityHeaders:
    """Adds the headers to each answer, those of errors too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [*message["headers"], *(pair for pair in _HEADERS if pair[0] not in given)]
            await send(message)

        await self._app(scope, receive, shielded if scope["type"] == "http" else send)


async def read_body(request: Request, most: int) -> bytes:
    """The body, of which no more than ``most`` bytes are ever held.

    Raises:
        BodyTooLarge: it is larger, or says so.
        BodyMissing: it ended too early or took too long.
    """
    told = request.headers.get("content-length", "")
    if told.isdecimal() and int(told) > most:
        raise BodyTooLarge
    body = bytearray()
    try:
        async with asyncio.timeout(_PATIENCE):
            async for piece in request.stream():
                body += piece
                if len(body) > most:
                    raise BodyTooLarge
    except (TimeoutError, ClientDisconnect) as exc:
        raise BodyMissing from exc
    return bytes(body)
