"""One connection to a relay once its session stands: commands in groups, a body, and the dot.

It takes the socket over from aiosmtplib, which waits for each reply before the next command and tells nobody whether a
connection was lost before the dot or after it (docs/decisions/0030). Nothing raises here: whoever asks looks at the
replies that came and at `ended`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from millstream.gmail.relay.ports import Facts
from millstream.gmail.relay.reply import Replies, Reply

# So much waits in this process at most, when a body counts as handed over.
_BUFFERED: Final = 64 * 1024
_PIECE: Final = 256 * 1024
_LEAVING_SECONDS: Final = 3.0
"""How long a QUIT may take: nothing depends on it."""


class Why(StrEnum):
    """How a connection ended."""

    LOST = "lost"
    SILENT = "silent"
    UNREADABLE = "unreadable"
    CLOSING = "closing"
    """The relay said so without being asked, or said something else that belongs to nothing."""
    LEFT = "left"
    """By us."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a connection, in words; with the reply that was its last, where one came unasked."""

    why: Why
    text: str
    reply: Reply | None = None


class Line(asyncio.Protocol):
    """A session that stands. `ended` is set once it serves nobody any more."""

    def __init__(self, transport: asyncio.Transport, facts: Facts, *, gone: Callable[[Line], None]) -> None:
        self.name = _name(transport)
        self.facts = facts
        self.served = 0
        """Messages, those refused included."""
        self.ended: Ended | None = None
        self.idle_since = 0.0
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._gone = gone
        self._replies = Replies()
        self._got: list[Reply] = []
        self._wanted = 0
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        transport.set_protocol(self)
        transport.set_write_buffer_limits(high=_BUFFERED)

    # What the transport asks of it.

    async def ask(
        self, group: bytes, count: int, *, within: float, written: Callable[[], None] | None = None
    ) -> list[Reply]:
        """Write commands and give their replies: fewer where the connection ended, or the relay closes it (421)."""
        if not self.quiet:
            return []
        self._got, self._wanted = [], count
        self._transport.write(group)
        if written is not None:
            written()
        await self._wait(within)
        self._wanted = 0
        return self._got

    async def write(self, body: bytes, *, within: float) -> bool:
        """Write a body without its end; False where the connection ended. `within` is for each 256 KiB."""
        view = memoryview(body)
        for start in range(0, len(body), _PIECE):
            if self.ended is not None:
                return False
            self._transport.write(view[start : start + _PIECE])
            if self._paused:
                await self._wait(within)
        return self.ended is None

    @property
    def quiet(self) -> bool:
        """Whether it stands, and nothing has been said that was not asked for."""
        if self.ended is None and self._transport.is_closing():
            self.end(Why.LOST, "the connection ended")
        elif self.ended is None and self._replies.amid:
            self.end(Why.CLOSING, "the relay said something that nobody had asked for")
        return self.ended is None

    def abort(self, text: str = "given up") -> None:
        """End it at once: what was written and has no end yet is never finished."""
        self.end(Why.LEFT, text)

    def leave(self) -> None:
        """Say QUIT and end it when the relay has answered, or after three seconds."""
        if self.ended is not None:
            return
        self._transport.write(b"QUIT\r\n")
        self.ended = Ended(Why.LEFT, "left in order")
        self._stop_timer()
        self._timer = self._loop.call_later(_LEAVING_SECONDS, self._transport.abort)

    def end(self, why: Why, text: str, reply: Reply | None = None) -> None:
        """End it; the first reason is the one that counts."""
        if self.ended is None:
            self.ended = Ended(why, text, reply)
        self._stop_timer()
        self._transport.abort()
        self._wake()

    # What the event loop tells it.

    def data_received(self, data: bytes) -> None:
        """Replies, or parts of them."""
        if self.ended is not None:
            self._transport.abort()  # the answer to QUIT
            return
        for reply in self._replies.feed(data):
            if len(self._got) < self._wanted:
                self._got.append(reply)
                if reply.closing:
                    self._wanted = len(self._got)
            else:
                self.end(Why.CLOSING, reply.text, reply)
                return
        if self._replies.broken is not None:  # whoever asks still has the replies before it
            self.end(Why.UNREADABLE, self._replies.broken)
        elif self._wanted and len(self._got) == self._wanted:
            self._wake()

    def eof_received(self) -> None:
        """The relay ends it; what it says no more cannot be waited for."""
        self.end(Why.LOST, "the relay ended the connection")

    def connection_lost(self, exc: Exception | None) -> None:
        """It is over, whoever ended it."""
        if self.ended is None:
            self.ended = Ended(Why.LOST, f"{type(exc).__name__}: {exc}" if exc else "the connection ended")
        self._stop_timer()
        self._wake()
        self._gone(self)

    def pause_writing(self) -> None:
        """The relay reads more slowly than we write."""
        self._paused = True

    def resume_writing(self) -> None:
        """It has caught up."""
        self._paused = False
        if not self._wanted:
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, within: float) -> None:
        self._waiter = self._loop.create_future()
        self._until(self._loop.time() + within)
        try:
            await self._waiter
        except asyncio.CancelledError:
            self.abort("whoever waited was cancelled")
            raise
        finally:
            self._waiter = self._deadline = None

    def _until(self, deadline: float) -> None:
        """Keep one timer, which looks at the deadline when it rings: one for each reply would cost more."""
        self._deadline = deadline
        if self._timer is not None and self._timer.when() > deadline:
            self._stop_timer()
        if self._timer is None:
            self._timer = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._loop.time() >= self._deadline:
            self.end(Why.SILENT, "no answer in time")
        else:
            self._timer = self._loop.call_at(self._deadline, self._ring)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _name(transport: asyncio.Transport) -> str:
    ours, theirs = transport.get_extra_info("sockname"), transport.get_extra_info("peername")
    return f"{_shown(ours)} to {_shown(theirs)}"


def _shown(address: tuple[str, int] | None) -> str:
    if address is None:  # the other side is gone already
        return "?"
    return f"[{address[0]}]:{address[1]}" if ":" in address[0] else f"{address[0]}:{address[1]}"
