"""Decisions that reach Exstream, and Exstream that is watched: a desk beside a sandbox on real sockets."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # this folder's helpers and the sandbox's, in any import mode
sys.path.insert(0, str(Path(__file__).parents[2] / "sandbox" / "exstream"))
sys.path.insert(0, str(Path(__file__).parents[2] / "nextstep"))

from exstream_site import Site
from office import Office, open_office

from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.server import serve
from millstream.storage.pool import Pool

OpenOffice = Callable[..., Awaitable[Office]]


@pytest.fixture
async def office_of(pool: Pool, tmp_path: Path) -> AsyncIterator[OpenOffice]:
    """Open an office with policies and a sandbox of the test's choice."""
    opened: list[Office] = []

    async def start(*, policies: dict[str, Any] | None = None, **settings: Any) -> Office:
        running = await serve(SandboxConfig(**settings))
        site = Site(running, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        office = await open_office(pool, site, tmp_path, policies=policies)
        opened.append(office)
        await site.log_in()
        return office

    yield start
    for office in opened:
        await office.close()


@pytest.fixture
async def office(office_of: OpenOffice) -> Office:
    """An office with a policy for resources and one for held flow steps, beside a sandbox as it comes."""
    return await office_of()
