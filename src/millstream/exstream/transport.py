"""One HTTP exchange with Exstream or OTDS: nothing is ever sent twice from here, and no redirect is followed.

A redirect of Exstream's leads to a login page, and a second try is not aiohttp's to make (:mod:`millstream.one_try`): a
failure reaches the caller after exactly one try.
"""

from __future__ import annotations

import io
import re
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.message import Message
from typing import BinaryIO, NamedTuple

import aiohttp
from yarl import URL

from millstream.closing import Closing
from millstream.exstream import translate
from millstream.exstream.errors import BadRequest, Call, TooLarge
from millstream.exstream.options import ExstreamOptions
from millstream.one_try import FailedError, harmless, only_once

# Above this aiohttp wants a file, which it writes in pieces so that one upload does not hold up the loop.
_IN_ONE_PIECE = 2**20
_HEAD = 65_536
_MOST = 512 * 2**20
"""Bytes of an answer that is kept in memory: compositions come as base64 in one JSON document."""
_REFUSED = 400
_SUCCESS = range(200, 300)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray


class Fetched(NamedTuple):
    """A file that was written to where the caller said."""

    size: int
    media_type: str
    file_name: str | None
    """As the answer names it, or None."""


Check = Callable[[int, Mapping[str, str], bytes, bool], None]
"""Looks at a file before a byte of it is written: status, headers, its first bytes, whether these are all of it."""


class Transport(Closing):
    """The connections of one event loop; made at the first call, ended by :meth:`close`."""

    def __init__(self, options: ExstreamOptions) -> None:
        self._options = options
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End all connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def exchange(
        self,
        call: Call,
        verb: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        within: float | None = None,
    ) -> Reply:
        """Send one request once and read the whole answer within so many seconds (None: as a usual call).

        Raises:
            ConnectionLost, TimedOut, BadRequest: the errors of :func:`millstream.exstream.translate.broken`.
            Unreadable: the answer does not end.
        """
        waits = self._waits(total=within or self._options.call_seconds)
        response = await self._asked(call, verb, url, headers, body, waits)
        try:
            return Reply(response.status, response.headers, await _whole(call, response))
        finally:
            response.release()

    async def stream(
        self, call: Call, url: str, *, headers: Mapping[str, str], to: BinaryIO, most: int, check: Check
    ) -> Reply | Fetched:
        """GET a file and write it as it comes; a refusal is given back as it is, and writes nothing.

        ``check`` sees the first 64 KiB and raises where this is not the file. On an error what was written is to be
        thrown away.

        Raises:
            TooLarge: the file is larger than ``most`` bytes.
            NoSpace, NotWritable: it cannot be written.
            ConnectionLost, TimedOut, BadRequest: as in :meth:`exchange`.
        """
        waits = self._waits(total=self._options.file_seconds, sock_read=self._options.call_seconds)
        response = await self._asked(call, "GET", url, headers, None, waits)
        try:
            head, whole = await _first(call, response)
            if response.status not in _SUCCESS:
                return Reply(response.status, response.headers, head)
            check(response.status, response.headers, head, whole)
            size = await _written(call, response, head, to, most)
            return Fetched(size, response.content_type, file_name(response.headers.get("Content-Disposition", "")))
        finally:
            response.release()

    async def _asked(
        self,
        call: Call,
        verb: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        waits: aiohttp.ClientTimeout,
    ) -> aiohttp.ClientResponse:
        session = self._session or self._open(call)
        for name, value in headers.items():
            if _CONTROLS.search(f"{name}{value}"):
                raise BadRequest(call, text=f"the header {_CONTROLS.sub('?', name)} holds control characters")
        try:
            data = io.BytesIO(body) if body is not None and len(body) > _IN_ONE_PIECE else body
            return await session.request(
                verb, _address(url), data=data, headers=headers, timeout=waits, allow_redirects=False
            )
        except FailedError as failed:
            raise translate.broken(call, failed.cause) from harmless(failed.cause)
        except (aiohttp.ClientError, OSError) as exc:
            raise translate.broken(call, exc) from harmless(exc)
        except ValueError as exc:
            raise translate.broken(call, aiohttp.InvalidURL(str(exc))) from None

    def _waits(self, *, total: float, sock_read: float | None = None) -> aiohttp.ClientTimeout:
        connect = self._options.connect_seconds
        return aiohttp.ClientTimeout(total=total, connect=connect, sock_connect=connect, sock_read=sock_read)

    def _open(self, call: Call) -> aiohttp.ClientSession:
        options = self._options
        trust: ssl.SSLContext | bool = True
        if options.certificates is not None:
            trust = ssl.create_default_context()
            try:
                trust.load_verify_locations(options.certificates)
            except OSError as exc:
                said = f"exstream.certificates, {options.certificates}, cannot be read: {exc}"
                raise BadRequest(call, text=said) from exc
        connector = aiohttp.TCPConnector(
            limit=options.connections, keepalive_timeout=options.idle_seconds, ttl_dns_cache=300, ssl=trust
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            # Uncompressed on purpose: a small answer that unpacks without end has no way in.
            headers={"User-Agent": options.user_agent, "Accept-Encoding": "identity"},
            skip_auto_headers=("Accept", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=(only_once,),
            proxy=options.proxy,
        )
        return self._session


def file_name(disposition: str) -> str | None:
    """The file name in a Content-Disposition header, without any folders; None where it names none."""
    field = Message()
    field["Content-Disposition"] = _CONTROLS.sub(" ", disposition)
    try:
        named = field.get_filename()
    except (LookupError, ValueError, TypeError, AttributeError):  # what the parser of the standard library trips over
        return None
    name = _CONTROLS.sub("", named or "").replace("\\", "/").rpartition("/")[2].strip()
    return name if name not in {"", ".", ".."} else None


def _address(url: str) -> URL:
    address = URL(url, encoded=True)
    _ = address.explicit_port  # yarl looks at a port when it is asked for it
    if address.scheme not in {"http", "https"} or not address.host:
        raise ValueError("it does not begin with http:// or https:// and a host")
    return address


async def _whole(call: Call, response: aiohttp.ClientResponse) -> bytes | bytearray:
    content = bytearray()
    while piece := await _piece(call, response):
        content += piece
        if len(content) > _MOST:
            response.close()
            raise translate.unreadable(call, response.status, f"an answer of more than {_MOST} bytes")
    return content


async def _first(call: Call, response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """What comes first, and whether it is all."""
    head = bytearray()
    while len(head) <= _HEAD:
        piece = await _piece(call, response)
        if not piece:
            return bytes(head), True
        head += piece
    return bytes(head), False


async def _written(call: Call, response: aiohttp.ClientResponse, head: bytes, to: BinaryIO, most: int) -> int:
    size = 0
    piece = head
    while piece:
        size += len(piece)
        if size > most:
            response.close()
            raise TooLarge(call, status=response.status, text=f"the file is larger than {most} bytes")
        try:
            to.write(piece)
        except OSError as exc:
            response.close()
            raise translate.unwritable(call, exc) from exc
        piece = await _piece(call, response)
    return size


async def _piece(call: Call, response: aiohttp.ClientResponse) -> bytes:
    """What has come since; nothing at the end, and nothing of a refusal that broke off: its status has said enough."""
    try:
        return await response.content.readany()
    except (aiohttp.ClientError, OSError) as exc:
        response.close()
        if response.status >= _REFUSED:
            return b""
        raise translate.broken(call, exc) from harmless(exc)


def utc_now() -> datetime:
    """Our clock, aware."""
    return datetime.now(UTC)
