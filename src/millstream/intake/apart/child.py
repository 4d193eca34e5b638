"""The process that reads and makes: it answers its order batch by batch, and ends when it is hung up on.

One thread reads and makes in turn: two would wait for each other's lock. What is slow, composing and protecting, is
given to others, because those libraries let go of the lock. What is made lies in the document store before it is told.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from millstream.intake.apart.wire import Ended, Order, Piece, Wire, WireClosed, sent_alone
from millstream.intake.batch import Batch, batches
from millstream.intake.making import Outline, groups, make_all
from millstream.intake.patience import Patience
from millstream.intake.shelving import Shelving
from millstream.killable import raise_killable
from millstream.storage.objects import open_store

_READ_AHEAD: Final = 2
"""Batches that were read and not made: while one is made, the ledger is asked about the other."""


def main() -> None:
    """Serve the one order that comes over standard input."""
    for number in (signal.SIGINT, signal.SIGTERM):  # meant for the one that started us, which then hangs up
        signal.signal(number, signal.SIG_IGN)
    raise_killable()
    wire = Wire(socket.socket(fileno=0))
    with suppress(WireClosed):
        _Bench(wire, wire.receive()).work()


class _Bench:
    """One order being carried out."""

    def __init__(self, wire: Wire, order: Order) -> None:
        self._wire = wire
        self._order = order
        self._loop = asyncio.Runner()
        self._makers = ThreadPoolExecutor(order.parallel, "millstream-intake-make")

    def work(self) -> None:
        """Read, tell, make and tell, until the source has no more. Raises WireClosed."""
        gc.collect()
        gc.freeze()
        with self._loop, self._makers:
            try:
                self._shelving = Shelving(open_store(self._order.documents), Patience(self._order.patience_seconds))
                self._wire.send(Ended(self._carry_out()))
            except WireClosed:
                raise
            except Exception as error:  # noqa: BLE001  whatever it is, it is raised on the other side
                self._wire.send(Ended(sent_alone(error)))
            self._wire.receive()  # until it hangs up

    def _carry_out(self) -> Exception | None:
        """What was read before the source failed is made all the same; the answer is why it failed."""
        waiting: deque[Batch] = deque()
        failure = None
        order = self._order
        try:
            for batch in batches(order.source, order.terms, order.size):
                self._wire.send(Outline.of(batch))
                waiting.append(batch)
                if len(waiting) >= _READ_AHEAD:
                    self._make(waiting.popleft())
        except WireClosed:
            raise
        except Exception as error:  # noqa: BLE001  the same
            failure = sent_alone(error)
        while waiting:
            self._make(waiting.popleft())
        return failure

    def _make(self, batch: Batch) -> None:
        terms = self._order.terms
        handed = [batch.handed[place] for place in self._wire.receive()]
        pieces = [
            (group, self._makers.submit(make_all, group, terms) if alone else None)
            for group, alone in groups(handed, terms)
        ]
        try:
            for group, future in pieces:
                made = make_all(group, terms) if future is None else future.result()
                self._wire.send(Piece(self._loop.run(self._shelving.stored(made))))
        finally:
            for _, future in pieces:
                if future is not None:
                    future.cancel()
        self._wire.send(Piece([], last=True))


if __name__ == "__main__":
    main()
