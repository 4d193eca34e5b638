"""A desk with a sandbox of its own for each test."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from letters_desk import ANNA, BEN, POOL, QUICK, R1, R2, LettersDesk

from millstream.composer import Composer
from millstream.delivery.board import RunBoard
from millstream.delivery.ledger import Ledger
from millstream.delivery.store import LaneStore
from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool


@pytest.fixture
async def desk(pool: Pool, tmp_path: Path) -> AsyncIterator[LettersDesk]:
    """A desk with one lane, R1; R2 can be registered beside it."""
    everybody = (R1, R2, ANNA, BEN)
    async with AsyncExitStack() as stack:
        running = await serve(SandboxConfig(limits="none", notice_delay_seconds=0, mailboxes=everybody))
        stack.push_async_callback(running.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        options = GmailOptions(endpoint=running.url, token_url=f"{running.url}/token", call_seconds=5.0)
        tokens = StaticTokens({address: f"sandbox:{address}" for address in everybody})
        gmail = await stack.enter_async_context(Gmail(options, tokens))
        ledger = await stack.enter_async_context(Ledger(pool, gap=0.001, give_up_after=20.0))
        store = LaneStore(pool, patience=20.0)
        documents = open_store(str(tmp_path / "documents"))
        await store.register({POOL: (R1,)})
        yield LettersDesk(pool, running, session, ledger, gmail, store, RunBoard(store, QUICK.limits), documents)


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer()
