"""A desk with a sandbox of its own for each test."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from reading_desk import BOX, OTHER, ReadingDesk, static_tokens

from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool

OpenDesk = Callable[..., Awaitable[ReadingDesk]]


@pytest.fixture
async def open_desk(pool: Pool, tmp_path: Path) -> AsyncIterator[OpenDesk]:
    """Open a desk on a sandbox with settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def open_one(**settings: Any) -> ReadingDesk:
            defaults: dict[str, Any] = {"limits": "none", "notice_delay_seconds": 0, "mailboxes": (BOX, OTHER)}
            running = await serve(SandboxConfig(**defaults | settings))
            stack.push_async_callback(running.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            options = GmailOptions(endpoint=running.url, token_url=f"{running.url}/token", call_seconds=5.0)
            gmail = await stack.enter_async_context(Gmail(options, StaticTokens(static_tokens(BOX, OTHER))))
            return ReadingDesk(pool, running, session, gmail, open_store(str(tmp_path / "documents")))

        yield open_one


@pytest.fixture
async def desk(open_desk: OpenDesk) -> ReadingDesk:
    """A desk that reads one sender mailbox."""
    desk = await open_desk()
    await desk.register(BOX)
    return desk
