"""One HTTP exchange with Google: nothing is ever sent twice from here.

aiohttp follows redirects, which repeats the body on 307 and 308, and makes a second try of its own
(:mod:`millstream.one_try`). Both are switched off: a failure reaches the caller after exactly one try.

A message of 30 MB is an answer of 41 MB. Of what is read (GET), the first MiB is taken at once; for more than that an
answer waits until fewer than two such answers are being read in this process, and TCP holds its sender meanwhile.
"""

import asyncio
import io
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from millstream.closing import Closing
from millstream.gmail import translate
from millstream.gmail.errors import Call
from millstream.gmail.options import GmailOptions
from millstream.one_try import FailedError, harmless, only_once

# Above this aiohttp wants a file, which it writes in pieces so that one upload does not hold up the loop.
_IN_ONE_PIECE = 2**20
_REFUSED = 400
_FREELY = 2**20
_LARGE_AT_ONCE = 2
# A message is inserted with at most 150 MiB (discovery document of Gmail v1), which is 200 MiB of base64.
_MOST = 220 * 2**20

# For each loop, as a semaphore lives in one; a process has one loop that speaks to Google.
_large_answers: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray


class Transport(Closing):
    """The connections to Google of one event loop; made at the first call, ended by :meth:`close`."""

    def __init__(self, options: GmailOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None
        connect = options.connect_seconds
        self._short = aiohttp.ClientTimeout(total=options.call_seconds, connect=connect, sock_connect=connect)
        self._long = aiohttp.ClientTimeout(total=options.upload_seconds, connect=connect, sock_connect=connect)
        # The clock of aiohttp runs on while an answer waits for its turn, so reads have clocks of our own.
        self._own = aiohttp.ClientTimeout(total=None, connect=connect, sock_connect=connect)

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
        if verb == "GET" and body is None:
            return await self._read(call, url, headers)
        large = body is not None and len(body) > _IN_ONE_PIECE
        data = io.BytesIO(body) if large and body is not None else body
        response = await self._asked(call, verb, url, headers, data, self._long if large else self._short)
        try:
            content: bytes | bytearray = await response.read()
        except (aiohttp.ClientError, OSError) as exc:
            content = _broken_off(call, response, exc)
        return Reply(response.status, response.headers, content)

    async def _read(self, call: Call, url: URL, headers: Mapping[str, str]) -> Reply:
        """A GET: a small answer within the short time; what is large waits for its turn and then has the long one."""
        content: bytes | bytearray
        try:
            async with asyncio.timeout(self._options.call_seconds):
                response = await self._asked(call, "GET", url, headers, None, self._own)
                content, whole = await _first(call, response)
            if not whole:
                async with _turn(), asyncio.timeout(self._options.upload_seconds):
                    content = await _rest(call, response, content)
        except TimeoutError as exc:
            raise translate.broken(call, exc) from exc
        return Reply(response.status, response.headers, content)

    async def _asked(
        self,
        call: Call,
        verb: str,
        url: URL,
        headers: Mapping[str, str],
        data: io.BytesIO | bytes | None,
        within: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        session = self._session or self._open()
        try:
            _ = url.explicit_port  # yarl looks at a port when it is asked for it
        except ValueError as exc:
            raise translate.broken(call, aiohttp.InvalidURL("its port is no number")) from exc
        try:
            return await session.request(
                verb,
                url,
                data=data,
                headers=headers,
                timeout=within,
                allow_redirects=False,
                # A POST is never tried twice by aiohttp, so the hot calls go without what keeps the others from it.
                middlewares=() if verb == "POST" else None,
            )
        except FailedError as failed:
            raise translate.broken(call, failed.cause) from failed.cause
        except (aiohttp.ClientError, OSError) as exc:
            raise translate.broken(call, exc) from harmless(exc)

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
            middlewares=(only_once,),
            proxy=options.proxy,
        )
        return self._session


def _turn() -> asyncio.Semaphore:
    return _large_answers.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(_LARGE_AT_ONCE))


async def _first(call: Call, response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """What comes first, and whether it is all."""
    pieces: list[bytes] = []
    size = 0
    try:
        while size <= _FREELY and (piece := await response.content.readany()):
            pieces.append(piece)
            size += len(piece)
    except (aiohttp.ClientError, OSError) as exc:
        return _broken_off(call, response, exc), True
    except BaseException:
        response.close()
        raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces), response.content.at_eof()


async def _rest(call: Call, response: aiohttp.ClientResponse, first: bytes) -> bytes | bytearray:
    """All of it in one buffer that grows: pieces to be joined would need their room twice."""
    content = bytearray(first)
    try:
        while len(content) <= _MOST and (piece := await response.content.readany()):
            content += piece
    except (aiohttp.ClientError, OSError) as exc:
        return _broken_off(call, response, exc)
    except BaseException:
        response.close()
        raise
    if len(content) > _MOST:
        response.close()
        raise translate.unreadable(call, response.status, b"an answer without end", ValueError("too long"))
    return content


def _broken_off(call: Call, response: aiohttp.ClientResponse, exc: Exception) -> bytes:
    """An answer that ended too early: nothing if it was a refusal, as its status line has said enough."""
    response.close()
    if response.status < _REFUSED:
        raise translate.broken(call, exc) from harmless(exc)
    return b""


def utc_now() -> datetime:
    """Our clock, aware."""
    return datetime.now(UTC)
