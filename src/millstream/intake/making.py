"""Making: the batches of a source are read, and what is new of each is made, here or in a process of its own."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import Any, Protocol

from millstream.communication.entries import Reject
from millstream.intake.batch import Batch
from millstream.intake.files import HandedIn
from millstream.intake.path import Made, make, slow
from millstream.intake.ports import Head, Terms

_TOGETHER = 50
"""Records that are made in one go, where none is slow."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A batch as the ledger needs it, without what it holds."""

    heads: list[Head] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    @classmethod
    def of(cls, batch: Batch) -> Outline:
        """Of this batch."""
        return cls([handed.head for handed in batch.handed], batch.rejects)


class Workshop(Protocol):
    """Where batches are read and made. One task asks for batches and begins them, another one takes what was made."""

    async def batch(self) -> Outline | None:
        """The next batch, in order; None after the last. The one before was begun.

        Raises:
            IntakeError: the source cannot be read.
        """

    async def begin(self, fresh: Sequence[int], /) -> None:
        """Make what lies at these places of the batch that came last."""

    def made(self) -> AsyncIterator[list[Made]]:
        """What was made of the batch begun longest ago, in order, as soon as it is there.

        Raises:
            IntakeError: the composer failed for all, or the document store.
        """

    async def close(self) -> None:
        """Stop, wherever it is."""


class Here:
    """Reads in a thread, and makes in a few others, in order."""

    def __init__(self, coming: Generator[Batch, None, None], terms: Terms, parallel: int) -> None:
        self._coming = coming
        self._terms = terms
        self._reader = ThreadPoolExecutor(1, "millstream-intake-read")
        self._makers = ThreadPoolExecutor(parallel, "millstream-intake-make")
        self._reading: asyncio.Future[Batch | None] | None = None
        self._last = Batch()
        self._begun: deque[list[asyncio.Future[list[Made]]]] = deque()
        self._futures: set[asyncio.Future[list[Made]]] = set()

    async def batch(self) -> Outline | None:
        """The next batch, read in the thread."""
        self._reading = asyncio.get_running_loop().run_in_executor(self._reader, next, self._coming, None)
        found = await self._reading
        if found is None:
            return None
        self._last = found
        return Outline.of(found)

    async def begin(self, fresh: Sequence[int], /) -> None:
        """Give it to the threads."""
        loop = asyncio.get_running_loop()
        handed = [self._last.handed[place] for place in fresh]
        self._last = Batch()
        coming = [
            loop.run_in_executor(self._makers, make_all, group, self._terms) for group, _ in groups(handed, self._terms)
        ]
        self._futures.update(coming)
        self._begun.append(coming)

    async def made(self) -> AsyncIterator[list[Made]]:
        """What the threads have made."""
        for future in self._begun.popleft():
            yield await future
            self._futures.discard(future)

    async def close(self) -> None:
        """The batch being read comes to its end first: a file must not close under its reader."""
        unread: list[asyncio.Future[Any]] = [*self._futures]
        if self._reading is not None:
            unread.append(self._reading)
        for future in unread:
            future.cancel()
        await asyncio.gather(*unread, return_exceptions=True)
        self._makers.shutdown(wait=False, cancel_futures=True)
        await asyncio.to_thread(self._reader.shutdown)
        self._coming.close()


def make_all(handed: Sequence[HandedIn], terms: Terms) -> list[Made]:
    """Make them all. Raises ComposerFailed."""
    return [make(each, terms) for each in handed]


def groups(handed: Sequence[HandedIn], terms: Terms) -> Iterator[tuple[list[HandedIn], bool]]:
    """In order: what is slow by itself (told by True), so that threads share it; of the rest so many together."""
    for alone, group in groupby(handed, key=lambda each: slow(each.arrival.record, terms)):
        together = 1 if alone else _TOGETHER
        while some := list(islice(group, together)):
            yield some, alone
