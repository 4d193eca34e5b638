"""One HTTP exchange with Google: nothing is ever sent twice from here.

aiohttp 3.14 by itself sends an idempotent request (GET, DELETE …, never POST) a second time when a kept
connection turns out to be closed (client.py, ``retry_persistent_connection``), and follows redirects, which
repeats the body on 307 and 308. Both are switched off: a failure reaches the caller after exactly one try.
"""

import io
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from yarl import URL

from millstream.gmail import translate
from millstream.gmail.errors import Call
from millstream.gmail.options import GmailOptions

# Above this aiohttp wants a file, which it writes in pieces so that one upload does not hold up the loop.
_IN_ONE_PIECE = 2**20
_REFUSED = 400


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class _FailedError(Exception):
    """Carries a failure past aiohttp's own second try."""

    def __init__(self, cause: BaseException) -> None:
        super().__init__(cause)
        self.cause = cause


async def _only_once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    try:
        return await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as exc:
        raise _FailedError(exc) from exc


class Transport:
    """The connections to Google of one event loop; made at the first call, ended by :meth:`close`."""

    def __init__(self, options: GmailOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        connect = options.connect_seconds
        self._short = aiohttp.ClientTimeout(total=options.call_seconds, connect=connect, sock_connect=connect)
        self._long = aiohttp.ClientTimeout(total=options.upload_seconds, connect=connect, sock_connect=connect)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(
        self, call: Call, verb: str, url: URL, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Send one request once and read the whole answer.

        Raises:
            ConnectionLost, TimedOut, BadRequest: the errors of :func:`millstream.gmail.translate.broken`.
        """
        session = self._session or self._open()
        large = body is not None and len(body) > _IN_ONE_PIECE
        try:
            response = await session.request(
                verb,
                url,
                data=io.BytesIO(body) if large and body is not None else body,
                headers=headers,
                timeout=self._long if large else self._short,
                allow_redirects=False,
                # A POST is never tried twice by aiohttp, so the hot calls go without what keeps the others from it.
                middlewares=() if verb == "POST" else None,
            )
        except _FailedError as failed:
            raise translate.broken(call, failed.cause) from failed.cause
        except (aiohttp.ClientError, OSError) as exc:
            raise translate.broken(call, exc) from _harmless(exc)
        try:
            content = await response.read()
        except (aiohttp.ClientError, OSError) as exc:
            response.close()
            if response.status < _REFUSED:
                raise translate.broken(call, exc) from _harmless(exc)
            content = b""  # the status line has said enough: it was refused
        return Reply(response.status, response.headers, content)

    def _open(self) -> aiohttp.ClientSession:
        options = self._options
        trust: ssl.SSLContext | bool = True
        if options.certificates is not None:
            trust = ssl.create_default_context()
            trust.load_verify_locations(options.certificates)
        connector = aiohttp.TCPConnector(
            limit=options.connections, keepalive_timeout=options.idle_seconds, ttl_dns_cache=300, ssl=trust
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            # Uncompressed on purpose: answers are small, and unpacking costs more than it saves.
            headers={"User-Agent": options.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(_only_once,),
            proxy=options.proxy,
        )
        return self._session


def _harmless(exc: BaseException) -> BaseException | None:
    """The cause to keep in the chain; aiohttp's response errors hold the request's headers, so not those."""
    return None if isinstance(exc, aiohttp.ClientResponseError) else exc


def utc_now() -> datetime:
    """Our clock, aware."""
    return datetime.now(UTC)
