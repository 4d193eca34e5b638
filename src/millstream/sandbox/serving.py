"""What every sandbox's server does alike: its port, and its end."""

import asyncio
import contextlib
import signal
from collections.abc import Callable, Iterator
from typing import Final, Protocol, TypeVar

from aiohttp import web

HOST: Final = "127.0.0.1"
KEEP_ALIVE_SECONDS: Final = 3_600.0
"""Longer than any client keeps an idle connection: httplib2 fails where the server closes first (reference 9)."""


class Serving(Protocol):
    """A sandbox that serves."""

    async def close(self) -> None:
        """Stop serving."""


Sandbox = TypeVar("Sandbox", bound=Serving)


class Port:
    """The HTTP port: open, shut for a while by an outage, or closed for good."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner = runner
        self._outage: asyncio.Task[None] | None = None
        self._site: web.TCPSite | None = None
        self.number = port

    async def open(self) -> None:
        """Listen; port 0 becomes the free one that was found."""
        self._site = web.TCPSite(self._runner, HOST, self.number, reuse_address=True)
        await self._site.start()
        self.number = int(self._runner.addresses[0][1])

    def shut(self, seconds: float) -> None:
        """Refuse connections for some real seconds; an outage under way goes on as it is."""
        if self._outage is None or self._outage.done():
            self._outage = asyncio.create_task(self._shut(seconds))

    async def _shut(self, seconds: float) -> None:
        if self._site is not None:
            await self._site.stop()
        await asyncio.sleep(seconds)
        await self.open()

    async def close(self) -> None:
        """End an outage without opening again."""
        if self._outage is not None:
            self._outage.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._outage


@contextlib.contextmanager
def told_to_end() -> Iterator[asyncio.Event]:
    """Set at SIGINT or SIGTERM, from before anybody can know that there is somebody to send one to."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    try:
        yield ended
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


async def until_told(running: Sandbox, announce: Callable[[Sandbox], None]) -> None:
    """Go on until SIGINT or SIGTERM, then close; `announce` is called at the start."""
    try:
        with told_to_end() as ended:
            announce(running)
            await ended.wait()
    finally:
        await running.close()
