"""Next steps against an Exstream sandbox on real sockets."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # this folder's helpers and the sandbox's, in any import mode
sys.path.insert(0, str(Path(__file__).parents[1] / "sandbox" / "exstream"))

from exstream_site import Site
from step_desk import StepDesk, client_of

from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.server import serve
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool

OpenDesk = Callable[..., Awaitable[StepDesk]]


@pytest.fixture
async def open_desk(pool: Pool, tmp_path: Path) -> AsyncIterator[OpenDesk]:
    """Start a sandbox with settings of the test's choice, and a desk of steps beside it."""
    opened: list[StepDesk] = []

    async def start(**settings: Any) -> StepDesk:
        running = await serve(SandboxConfig(**settings))
        site = Site(running, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        documents = open_store(str(tmp_path / "documents"))
        desk = StepDesk(pool, site, client_of(running.doors), documents, tmp_path)
        opened.append(desk)
        await site.log_in()
        return desk

    yield start
    for desk in opened:
        await desk.close()


@pytest.fixture
async def desk(open_desk: OpenDesk) -> StepDesk:
    """A desk beside a sandbox as it comes."""
    return await open_desk()
