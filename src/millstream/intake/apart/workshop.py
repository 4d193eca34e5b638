"""A workshop in a process of its own, started for one source and ended with it."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

from millstream.intake.apart.wire import LENGTH, Answer, Ended, Order, Piece, frame, unframed
from millstream.intake.errors import WorkshopLost
from millstream.intake.making import Outline
from millstream.intake.path import Made

_CHILD: Final = "millstream.intake.apart.child"
_BUFFERED: Final = 256 * 1024
_GOES_SECONDS: Final = 1.0
"""How long it may take to end by itself; what it has in hand then is lost to nobody."""


class Apart:
    """Sends one order to a new process and hears what it answers.

    However the process ends before its work is done, WorkshopLost comes to whoever waits: what it had not told is not
    in the ledger, and is made again by the next try.
    """

    def __init__(self, order: Order) -> None:
        self._order = order
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._outlines: asyncio.Queue[Outline | Ended] = asyncio.Queue()
        self._pieces: asyncio.Queue[Piece | Ended] = asyncio.Queue()

    @property
    def pid(self) -> int | None:
        """Of the process, once it was started."""
        return None if self._process is None else self._process.pid

    async def batch(self) -> Outline | None:
        """The next batch that the process has read."""
        if self._process is None:
            await self._start()
        found = await self._outlines.get()
        if isinstance(found, Ended):
            if found.error is not None:
                raise found.error
            return None
        return found

    async def begin(self, fresh: Sequence[int], /) -> None:
        """Tell it what to make."""
        if self._writer is not None:
            with suppress(ConnectionError):  # the hearing says how it ended
                self._writer.write(frame(list(fresh)))
                await self._writer.drain()

    async def made(self) -> AsyncIterator[list[Made]]:
        """What it has made."""
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, Ended):
                raise piece.error or WorkshopLost("the process that makes ended before its work was done")
            if piece.last:
                return
            yield piece.made

    async def close(self) -> None:
        """Hang up; a process that goes on with what it has in hand is ended."""
        if self._hearing is not None:
            self._hearing.cancel()
            await asyncio.gather(self._hearing, return_exceptions=True)
        if self._writer is not None:
            self._writer.close()
            with suppress(OSError):  # it may have hung up first
                await self._writer.wait_closed()
        if self._process is not None and self._process.returncode is None:
            try:
                await asyncio.wait_for(self._process.wait(), _GOES_SECONDS)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    self._process.kill()
                await self._process.wait()

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable, "-m", _CHILD, stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL
                )
            reader, self._writer = await asyncio.open_unix_connection(sock=ours, limit=_BUFFERED)
        except OSError as error:
            ours.close()
            raise WorkshopLost(f"a process that makes cannot be started: {error.strerror or error}") from error
        except BaseException:  # cancelled: it sees that nobody will ask
            ours.close()
            raise
        self._writer.write(frame(self._order))
        self._hearing = asyncio.create_task(self._hear(reader, self._process))

    async def _hear(self, reader: asyncio.StreamReader, process: asyncio.subprocess.Process) -> None:
        try:
            while True:
                (size,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
                answer: Answer = unframed(await reader.readexactly(size))
                if isinstance(answer, Outline):
                    self._outlines.put_nowait(answer)
                elif isinstance(answer, Piece):
                    self._pieces.put_nowait(answer)
                else:
                    self._end(answer)
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self._end(Ended(_lost(await process.wait())))
        except Exception as error:  # noqa: BLE001  whoever waits must hear of it
            self._end(Ended(error))

    def _end(self, ended: Ended) -> None:
        self._outlines.put_nowait(ended)
        self._pieces.put_nowait(ended)


def _lost(code: int) -> WorkshopLost:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        memory = "; the system does so where memory runs out" if code == -signal.SIGKILL else ""
        how = f"was ended by {name}{memory}"
    else:
        how = f"ended with exit code {code}; what it said stands in the log"
    return WorkshopLost(f"the process that makes {how}. What was committed is in, and the rest is made again.")
