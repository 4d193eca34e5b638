"""The kept connections of one process: the last one used is used first, so that those too many grow idle and end.

How many there may be follows what the relay says: a connection that it closes (421) takes one away, and what it takes
adds four over as many messages as there are connections. At one refusal in a hundred all are kept, at one in ten the
square root's rule settles near thirty-six. A connection refused while others stand is a ceiling for a minute.
"""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from millstream.gmail.errors import Call
from millstream.gmail.relay import errors
from millstream.gmail.relay.connect import Connector
from millstream.gmail.relay.line import Line
from millstream.gmail.relay.options import RelayOptions
from millstream.gmail.relay.ports import Facts

_GAIN: Final = 4.0
_CEILING_SECONDS: Final = 60.0
_CLOSE_SECONDS: Final = 6.0
_CLOSING_CODE: Final = 421


class LinePool:
    """Leases lines one message at a time."""

    def __init__(self, options: RelayOptions) -> None:
        self.facts: Facts | None = None
        """What the relay said last."""
        self._options = options
        self._connector = Connector(options)
        self._alive: set[Line] = set()
        self._leased: set[Line] = set()
        self._idle: list[Line] = []
        self._making = 0
        self._wishes: deque[asyncio.Future[None]] = deque()
        self._allowed = float(options.connections)
        self._ceiling = options.connections
        self._ceiling_until = 0.0
        self._closed = False
        self._tending: asyncio.TimerHandle | None = None
        self._emptied = asyncio.Event()

    @property
    def most(self) -> int:
        """How many connections there may be now."""
        allowed = max(1, int(self._allowed))
        if self._ceiling_until and asyncio.get_running_loop().time() < self._ceiling_until:
            return min(allowed, self._ceiling)
        return allowed

    async def lease(self, call: Call, *, fresh: bool = False) -> Line:
        """A line for one message, kept (`served` is not 0) or new; always a new one if `fresh`.

        Raises:
            RelayError: as :meth:`Connector.connect`. One connection too many is no error while others stand.
        """
        line = await self._found(call, fresh=fresh)
        self._leased.add(line)
        return line

    def give_back(self, line: Line) -> None:
        """Its message is done, and it may serve another."""
        self._leased.discard(line)
        if self._closed or line.served >= self._options.messages_per_connection or not line.quiet:
            line.leave()
        else:
            line.idle_since = asyncio.get_running_loop().time()
            self._idle.append(line)
            if self._tending is None:
                self._tend()
        self._serve_wishes()

    def drop(self, line: Line) -> None:
        """End it at once."""
        self._leased.discard(line)
        line.abort()
        self._serve_wishes()

    def eased(self) -> None:
        """The relay took a message."""
        self._allowed = min(float(self._options.connections), self._allowed + _GAIN / self._allowed)

    def pressed(self) -> None:
        """The relay closed a connection (421)."""
        self._allowed = max(1.0, self._allowed - 1.0)

    async def probe(self, call: Call) -> Facts:
        """Of a connection that carries nothing.

        Raises:
            RelayError: as :meth:`Connector.connect`.
        """
        line = await self._connect(call)
        line.leave()
        return line.facts

    async def close(self) -> None:
        """End what is idle in order; what is leased ends when it is given back."""
        self._closed = True
        if self._tending is not None:
            self._tending.cancel()
            self._tending = None
        for line in self._idle:
            line.leave()
        self._idle.clear()
        self._emptied.clear()
        if self._alive - self._leased:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await self._emptied.wait()

    async def _found(self, call: Call, *, fresh: bool) -> Line:
        waited = False
        while True:
            if not self._wishes or waited or fresh:
                line = None if fresh else self._kept()
                if line is not None:
                    return line
                if fresh and self._idle and self._count() >= self.most:
                    self._idle.pop(0).leave()
                if self._count() < self.most:
                    line = await self._made(call)
                    if line is not None:
                        return line
            await self._wish(first=waited)
            waited = True

    def _kept(self) -> Line | None:
        while self._idle:
            line = self._idle.pop()
            if line.quiet:
                return line
        return None

    async def _made(self, call: Call) -> Line | None:
        """A new line; None where the relay takes no more than those that stand."""
        self._making += 1
        try:
            line = await self._connect(call)
        except (errors.RelayAway, errors.GreetingRefused, errors.LoginAway) as error:
            others = self._count() - 1
            if error.status != _CLOSING_CODE or others < 1:
                raise
            self._ceiling = others
            self._ceiling_until = asyncio.get_running_loop().time() + _CEILING_SECONDS
            return None
        finally:
            self._making -= 1
            self._serve_wishes()
        return line

    async def _connect(self, call: Call) -> Line:
        line = await self._connector.connect(call, gone=self._gone)
        self._alive.add(line)
        self.facts = line.facts
        return line

    def _count(self) -> int:
        return self._making + len(self._idle) + sum(line.ended is None for line in self._leased)

    async def _wish(self, *, first: bool) -> None:
        wish: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if first:  # it was woken, and somebody was faster
            self._wishes.appendleft(wish)
        else:
            self._wishes.append(wish)
        try:
            await wish
        except asyncio.CancelledError:
            if wish in self._wishes:
                self._wishes.remove(wish)
            self._serve_wishes()
            raise

    def _serve_wishes(self) -> None:
        """Wake as many as find something; who does not waits on, in front."""
        if not self._wishes:
            return
        found = len(self._idle) + self.most - self._count()
        for _ in range(min(max(0, found), len(self._wishes))):
            self._wishes.popleft().set_result(None)

    def _gone(self, line: Line) -> None:
        self._alive.discard(line)
        if line in self._idle:
            self._idle.remove(line)
        if not self._alive - self._leased:
            self._emptied.set()
        self._serve_wishes()

    def _tend(self) -> None:
        """End who was idle for too long, the longest first, and look again when the next one is due."""
        loop = asyncio.get_running_loop()
        self._tending = None
        before = loop.time() - self._options.idle_seconds
        while self._idle and self._idle[0].idle_since <= before:
            self._idle.pop(0).leave()
        if self._idle:
            due = self._idle[0].idle_since + self._options.idle_seconds
            self._tending = loop.call_at(due, self._tend)
