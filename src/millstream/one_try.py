"""What keeps aiohttp from sending a request twice, and its errors from telling what a request carried.

aiohttp 3.14 by itself sends an idempotent request (GET, PUT, DELETE …, never POST) a second time when a kept connection
turns out to be closed (client.py, ``retry_persistent_connection``). Whether something is tried again is for those to
decide who know what it does, so a failure reaches the caller after exactly one try.
"""

from __future__ import annotations

import aiohttp


class FailedError(Exception):
    """Carries a failure past aiohttp's own second try."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


async def only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A session's middleware. Raises FailedError where the connection failed."""
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise FailedError(exc) from exc


def harmless(exc: BaseException) -> BaseException | None:
    """The cause to keep in the chain; aiohttp's response errors hold the request's headers, so not those."""
    return None if isinstance(exc, aiohttp.ClientResponseError) else exc
