"""A TCP server of a test's own making, which leaves no connection behind."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


@asynccontextmanager
async def serving(serve: Serve, **settings: Any) -> AsyncIterator[int]:
    """Serve connections on a port of the loopback for the time of a block; gives the port.

    Every connection is torn and its task ended with the block. Left to themselves they would outlive the loop, which
    ends with the test, and Python tells of it wherever their writers happen to be collected: in another test.
    """
    connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
    over = False

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if over:  # it was being accepted while the port was shut
            writer.transport.abort()
            return
        connections[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(connected, "127.0.0.1", 0, **settings)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        over = True
        server.close()
        for task, writer in connections.items():
            task.cancel()
            writer.transport.abort()
        ends = [end for task, writer in connections.items() for end in (task, writer.wait_closed())]
        await asyncio.wait_for(asyncio.gather(*ends, return_exceptions=True), 10)
