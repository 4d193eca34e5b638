"""An Exstream sandbox on real sockets for each test that asks for one."""

import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from exstream_site import Site

from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.server import serve

OpenSite = Callable[..., Awaitable[Site]]


@pytest.fixture
async def open_site() -> AsyncIterator[OpenSite]:
    """Start sandboxes with settings of the test's choice; the session has a token."""
    opened: list[Site] = []

    async def start(**settings: Any) -> Site:
        running = await serve(SandboxConfig(**settings))
        site = Site(running, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)))
        opened.append(site)
        await site.log_in()
        return site

    yield start
    for site in opened:
        await site.session.close()
        await site.running.close()


@pytest.fixture
async def site(open_site: OpenSite) -> Site:
    """A sandbox as it comes."""
    return await open_site()
