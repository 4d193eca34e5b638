"""The SMTP door: submission and relay in one, as smtp-relay.gmail.com keeps it (reference 1.6, 2.1)."""

import asyncio
import contextlib

from millstream.log import get_logger
from millstream.sandbox.gmail.smtp_relay import Relay
from millstream.sandbox.gmail.smtp_session import Conversation
from millstream.sandbox.gmail.smtp_wire import Wire
from millstream.sandbox.serving import HOST

_log = get_logger(__name__)


class OpenDoor:
    """The listening ports of the relay and the conversations behind them."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._servers: list[asyncio.Server] = []
        self._talking: dict[asyncio.Task[None], Wire] = {}
        self._outage: asyncio.Task[None] | None = None
        self.port = 0
        self.tls_port: int | None = None
        relay.shut = self._shut

    async def open(self, port: int, tls_port: int | None = None) -> None:
        """Listen on 127.0.0.1; raises `OSError` where a port is taken."""
        self.port = await self._listen(port, implicit_tls=False)
        if tls_port is not None:
            self.tls_port = await self._listen(tls_port, implicit_tls=True)

    async def _listen(self, port: int, *, implicit_tls: bool) -> int:
        loop = asyncio.get_running_loop()
        context = self._relay.context() if implicit_tls else None
        server = await loop.create_server(lambda: Wire(self._begin), HOST, port, ssl=context)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _begin(self, wire: Wire) -> None:
        tally = self._relay.limits.tally
        tally.connections += 1
        task = asyncio.get_running_loop().create_task(self._talk(wire))
        self._talking[task] = wire
        tally.connections_now = len(self._talking)
        tally.connections_peak = max(tally.connections_peak, len(self._talking))
        task.add_done_callback(self._ended)

    async def _talk(self, wire: Wire) -> None:
        await Conversation(self._relay, wire).run()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        wire = self._talking.pop(task)
        self._relay.limits.tally.connections_now = len(self._talking)
        if not task.cancelled() and task.exception() is not None:
            _log.error("smtp_conversation_failed", exc_info=task.exception())
            wire.reset()

    def _shut(self, seconds: float) -> None:
        """Refuse connections for some real seconds; an outage under way goes on as it is."""
        if self._outage is None or self._outage.done():
            self._outage = asyncio.create_task(self._be_away(seconds))

    async def _be_away(self, seconds: float) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()
        await asyncio.sleep(seconds)
        await self.open(self.port, self.tls_port)

    async def close(self) -> None:
        """Stop listening and hang up."""
        self._relay.stopping.set()
        if self._outage is not None:
            self._outage.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._outage
        for server in self._servers:
            server.close()
        for task, wire in list(self._talking.items()):
            wire.close()
            task.cancel()
        await asyncio.gather(*self._talking, return_exceptions=True)


async def open_door(relay: Relay, port: int, tls_port: int | None = None) -> OpenDoor:
    """Listen; raises `OSError` where a port is taken."""
    door = OpenDoor(relay)
    await door.open(port, tls_port)
    return door
