"""A desk with a sandbox of its own for each test."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from delivery_desk import QUICK, S1, S2, S3, Desk, static_tokens
from sighting_desk import Office

from millstream.delivery.board import RunBoard
from millstream.delivery.ledger import Ledger
from millstream.delivery.store import LaneStore
from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve
from millstream.storage.pool import Pool

OpenDesk = Callable[..., Awaitable[Desk]]


@pytest.fixture
async def open_desk(pool: Pool) -> AsyncIterator[OpenDesk]:
    """Open a desk on a sandbox with settings of the test's choice; limits and delays are off unless asked for."""
    async with AsyncExitStack() as stack:

        async def open_one(**settings: Any) -> Desk:
            defaults: dict[str, Any] = {"limits": "none", "notice_delay_seconds": 0, "mailboxes": (S1, S2, S3)}
            running = await serve(SandboxConfig(**defaults | settings))
            stack.push_async_callback(running.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            options = GmailOptions(endpoint=running.url, token_url=f"{running.url}/token", call_seconds=2.0)
            gmail = await stack.enter_async_context(Gmail(options, StaticTokens(static_tokens((S1, S2, S3)))))
            ledger = await stack.enter_async_context(Ledger(pool, gap=0.001, give_up_after=20.0))
            store = LaneStore(pool, patience=20.0)
            return Desk(pool, running, session, ledger, gmail, store, RunBoard(store, QUICK.limits))

        yield open_one


@pytest.fixture
async def desk(open_desk: OpenDesk) -> Desk:
    """A desk with one lane, S1."""
    desk = await open_desk()
    await desk.register(S1)
    return desk


@pytest.fixture
async def office(pool: Pool) -> Office:
    """A ledger without lanes at work."""
    return Office(pool)
