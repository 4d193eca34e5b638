"""A line to the database that can be torn at the worst moment: after a commit was passed on, before its answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from tcp_server import serving

_CHANGES = b'"lane_epoch"'
"""Stands in the ledger's changes, and nowhere else; they are committed by the statement that brings them."""


@dataclass(slots=True)
class TornLine:
    """Passes bytes between clients and the server's socket; `tears` is how many commits lose their answer."""

    socket: str
    tears: int = 0
    waiting: bool = False
    """Whether an answer may come before the line is torn; without it the server may still be committing."""
    torn: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        from_server, to_server = await asyncio.open_unix_connection(self.socket)
        back = asyncio.create_task(_pass(from_server, writer))
        try:
            while data := await reader.read(65_536):
                tear = self.tears > 0 and _CHANGES in data
                if tear:
                    self.tears -= 1
                    back.cancel()
                    await asyncio.gather(back, return_exceptions=True)
                to_server.write(data)
                await to_server.drain()
                if tear:
                    if self.waiting:
                        await from_server.read(1)
                    self.torn.set()
                    break
        finally:
            back.cancel()
            writer.transport.abort()
            to_server.close()  # before the wait, which is broken off where the line goes away meanwhile
            with suppress(OSError):
                await asyncio.gather(back, return_exceptions=True)


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def torn_line(url: str) -> AsyncIterator[tuple[TornLine, str]]:
    """A line to the server of `url`, and the URL that leads over it."""
    parts = urlsplit(url)
    folder = unquote(parse_qs(parts.query)["host"][0])
    line = TornLine(f"{folder}/.s.PGSQL.5432")
    async with serving(line.serve) as port:
        yield line, f"postgresql://{parts.username}@127.0.0.1:{port}{parts.path}?gssencmode=disable&sslmode=disable"
