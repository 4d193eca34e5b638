"""A sandbox on real sockets for each test that asks for one."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve


@pytest.fixture
async def open_desk() -> AsyncIterator[Open]:
    """Start sandboxes with settings of the test's choice; limits and delays are off unless asked for."""
    opened: list[Desk] = []

    async def start(**settings: Any) -> Desk:
        defaults: dict[str, Any] = {"limits": "none", "notice_delay_seconds": 0, "mailboxes": (SENDER, COLLEAGUE)}
        running = await serve(SandboxConfig(**defaults | settings))
        opened.append(Desk(running, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20))))
        return opened[-1]

    yield start
    for desk in opened:
        await desk.session.close()
        await desk.running.close()


@pytest.fixture
async def desk(open_desk: Open) -> Desk:
    """A sandbox without limits."""
    return await open_desk()


@pytest.fixture
def letter() -> Letter:
    """Make a small letter."""

    def make(to: str = "anna@example.org", *, sender: str = SENDER, delivery: str = "d-1", **headers: str) -> bytes:
        lines = [f"From: Statements <{sender}>", f"To: {to}", f"X-Millstream-Delivery: {delivery}"]
        named = {"Subject": "Your statement"} | {name.replace("_", "-"): value for name, value in headers.items()}
        lines += [f"{name}: {value}" for name, value in named.items()]
        return "\r\n".join([*lines, "", "The body.", ""]).encode()

    return make


@pytest.fixture
def in_thread() -> Callable[..., Any]:
    """Run a function that blocks beside the event loop, for clients that are not asynchronous."""
    return asyncio.to_thread
