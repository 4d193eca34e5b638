"""Runs an application in the loop that is already there: uvicorn without its signal handlers and without its banner."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from millstream.web.errors import AddressUnusable

LOOPBACK = "127.0.0.1"
"""Where to listen unless told otherwise; what the world shall reach stands behind a proxy that speaks TLS."""

_GRACE = 10
"""Seconds that requests under way get when we are asked to stop: what Pub/Sub itself waits for a push by default."""
_CONNECTIONS = 1000
_BACKLOG = 512
_HEAD_BYTES = 32 * 1024


class _Protocol(HttpToolsProtocol):
    """Bounds the head of a request: uvicorn 0.54 with httptools would keep one that never ends, whole."""

    _in_head = True
    _head = 0

    def data_received(self, data: bytes) -> None:
        """Read on; hang up when the head grows too large."""
        # A piece that ends a head, or lies in a body, adds nothing: the callbacks below set these two anew.
        self._head += len(data) if self._in_head else 0
        super().data_received(data)
        if self._head > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The head of the request is too large.")

    def on_headers_complete(self) -> None:
        """Take the head, which was of a size."""
        self._in_head, self._head = False, 0
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Take the body; the next head may begin."""
        super().on_message_complete()
        self._in_head = True


class _Server(uvicorn.Server):
    """One that leaves signals to whoever owns the process, and says when it listens."""

    def __init__(self, config: uvicorn.Config, listening: Callable[[], object]) -> None:
        super().__init__(config)
        self._listening = listening

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take no signal."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and say so."""
        await super().startup(sockets)
        self._listening()


async def serve(
    app: ASGIApp, host: str, port: int, stopping: asyncio.Event, *, announce: Callable[[str], object]
) -> None:
    """Serve until ``stopping`` is set; requests under way then end in order, for ten seconds at most.

    Args:
        app: what answers.
        host: the address to listen at; :data:`LOOPBACK` unless a proxy on another machine shall reach us.
        port: 0 lets the system choose.
        stopping: set by whoever owns the process.
        announce: told the address (``http://127.0.0.1:8025``) once requests are taken there.

    Raises:
        AddressUnusable: we cannot listen there.
    """
    listener = await _listener(host, port)
    config = uvicorn.Config(
        app,
        loop="none",
        http=_Protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=_GRACE,
    )
    address = _address(listener)
    server = _Server(config, lambda: announce(address))
    waiting = asyncio.create_task(_stop(server, stopping), name="web stops")
    try:
        await server.serve([listener])
    finally:
        waiting.cancel()
        for open_one in getattr(server, "servers", ()):  # still there when we were cancelled
            open_one.close()
        listener.close()
        await asyncio.gather(waiting, return_exceptions=True)


async def _stop(server: uvicorn.Server, stopping: asyncio.Event) -> None:
    await stopping.wait()
    server.should_exit = True


async def _listener(host: str, port: int) -> socket.socket:
    """A socket of our own: uvicorn ends the process when it cannot listen, which is not its to decide."""
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, place = found[0]
        return socket.create_server(place[:2], family=family, backlog=_BACKLOG)
    except (OSError, OverflowError, UnicodeError) as exc:
        raise AddressUnusable(host, port, getattr(exc, "strerror", None) or str(exc)) from exc


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if listener.family is socket.AF_INET6 else f"http://{host}:{port}"
