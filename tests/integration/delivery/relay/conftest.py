"""A desk of the relay for each test."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helpers, whatever import mode the suite runs in

from delivery_desk import S1, Desk
from relay_desk import RelayDesk

from millstream.delivery.organisation import Organisation
from millstream.quota import Limits
from millstream.storage.pool import Pool

OpenDesk = Callable[..., Awaitable[Desk]]
OpenRelay = Callable[..., Awaitable[RelayDesk]]


@pytest.fixture
async def open_relay(open_desk: OpenDesk, pool: Pool) -> AsyncIterator[OpenRelay]:
    """Open a desk whose organisation has limits of the test's choice, and a sandbox with its settings."""
    opened: list[Organisation] = []

    async def open_one(*, limits: Limits | None = None, **settings: Any) -> RelayDesk:
        desk = await open_desk(**settings)
        organisation = Organisation(pool, limits or Limits.preset("none"), patience=20.0, wait=0.4)
        opened.append(organisation)
        return RelayDesk(
            *(desk.pool, desk.running, desk.session, desk.ledger, desk.gmail, desk.store, desk.board),
            organisation=organisation,
        )

    yield open_one
    for each in opened:
        await each.give_back()


@pytest.fixture
async def relay_desk(open_relay: OpenRelay) -> RelayDesk:
    """A desk with one lane, S1's by the relay."""
    desk = await open_relay()
    await desk.register_roads([S1])
    return desk
