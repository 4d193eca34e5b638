"""A wire with latency: passes bytes on to a port, each after so many milliseconds, in either direction.

For servers that cannot be told to be far away. Run as a process of its own; it prints its port. What waits is bounded:
TCP holds a sender whose bytes are not taken.
"""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

import uvloop

_MOST_WAITING = 4 * 2**20


class End(asyncio.Protocol):
    """One of the two ends of a connection: what it gets, the other one writes later."""

    def __init__(self, delay: float) -> None:
        self.other: End | None = None
        self.transport: Any = None
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._waiting = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        """Pass it on later."""
        self._waiting += len(data)
        if self._waiting > _MOST_WAITING and self.transport is not None:
            self.transport.pause_reading()
        self._loop.call_later(self._delay, self._pass_on, data)

    def connection_lost(self, exc: Exception | None) -> None:
        """The other end hears of it as late as of everything."""
        self._loop.call_later(self._delay, self._end, exc is not None)

    def _pass_on(self, data: bytes) -> None:
        self._waiting -= len(data)
        if self._waiting <= _MOST_WAITING and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        if self.other is not None and self.other.transport is not None:
            self.other.transport.write(data)

    def _end(self, torn: bool) -> None:  # noqa: FBT001  one word of two
        if self.other is not None and self.other.transport is not None:
            (self.other.transport.abort if torn else self.other.transport.close)()


class Near(End):
    """The end that was connected to; it connects to the port behind, which speaks first, as SMTP's servers do."""

    def __init__(self, delay: float, port: int) -> None:
        super().__init__(delay)
        self._port = port
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connect the other end."""
        super().connection_made(transport)
        self._task = self._loop.create_task(self._connect())

    async def _connect(self) -> None:
        assert self.transport is not None
        try:
            _, far = await self._loop.create_connection(lambda: End(self._delay), "127.0.0.1", self._port)
        except OSError:
            self.transport.abort()
            return
        far.other, self.other = self, far


async def main(port: int, delay: float) -> None:
    """Serve until ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Near(delay, port), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int, help="where to")
    parser.add_argument("--delay-ms", type=float, default=25.0, help="in each direction")
    wish = parser.parse_args()
    uvloop.run(main(wish.port, wish.delay_ms / 1000))
