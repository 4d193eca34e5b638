"""A room with a sandbox of its own for each test."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from answer_room import BOX, PEOPLE, AnswerRoom, OpenRoom, book

from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool


@pytest.fixture
async def open_room(pool: Pool, tmp_path: Path) -> AsyncIterator[OpenRoom]:
    """Open a room whose policy is as the test wants it."""
    async with AsyncExitStack() as stack:

        async def open_one(**policy: Any) -> AnswerRoom:
            config = SandboxConfig(limits="none", notice_delay_seconds=0, mailboxes=(BOX, *PEOPLE))
            running = await serve(config)
            stack.push_async_callback(running.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            options = GmailOptions(endpoint=running.url, token_url=f"{running.url}/token", call_seconds=5.0)
            tokens = StaticTokens({BOX: f"sandbox:{BOX}"})
            gmail = await stack.enter_async_context(Gmail(options, tokens))
            documents = open_store(str(tmp_path / "documents"))
            room = AnswerRoom(pool, running, session, gmail, documents, book(**policy))
            await room.register()
            return room

        yield open_one


@pytest.fixture
async def room(open_room: OpenRoom) -> AnswerRoom:
    """A room in which one of three is enough."""
    return await open_room()
