"""The watch on Exstream, put together: what waits there for review is put to people."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from millstream.app.house import House
from millstream.app.steps import open_exstream
from millstream.intake.customer import CustomerOutputs
from millstream.intake.errors import Unreadable
from millstream.intake.folder.manifest import read_manifest
from millstream.review.desk import ReviewDesk
from millstream.review.steps import Steps
from millstream.review.watch import Watch
from millstream.review.watched import Levels, Torn, Watched
from millstream.storage.duty import Duty
from millstream.storage.errors import DatabaseError
from millstream.work.engine import Sweep

DUTY: Final = "review.watch"
_LEAVING = 5.0
_LOOKS_MISSED = 3
"""So many looks may be missed before another process takes over."""
_SHORTEST_LEASE = 15.0


@asynccontextmanager
async def watching(
    house: House, desk: ReviewDesk, steps: Steps, levels: Levels, *, every: float
) -> AsyncIterator[tuple[Sweep, ...]]:
    """The sweep that looks at Exstream; none where this installation has no services of it.

    Raises:
        ExstreamError: what its tokens need is not set.
    """
    async with open_exstream(house.settings) as server:
        if server is None:
            yield ()
            return
        duty = Duty(house.pool, DUTY, lease=max(_SHORTEST_LEASE, _LOOKS_MISSED * every))
        watched = Watched(server, house.documents, read)
        watch = Watch(house.pool, desk, steps, server=server, watched=watched, levels=levels, hold=duty.hold)
        try:
            yield (Sweep("review_watch", every, watch.sweep),)
        finally:
            with suppress(DatabaseError, TimeoutError):
                async with asyncio.timeout(_LEAVING):
                    await duty.leave()


def read(manifest: Path) -> Iterator[CustomerOutputs]:
    """The customers of an engine's manifest. It blocks.

    Raises:
        Torn: it cannot be read.
    """
    try:
        yield from read_manifest(manifest)
    except Unreadable as error:
        raise Torn(f"its manifest cannot be read: {error}") from error
