"""A little relay and our side of it, for every test."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from little_relay import LittleRelay, little_relay

from millstream.gmail.relay import Envelope, SmtpRelay, Taken
from tls import authority

ENVELOPE = Envelope("statements+b-token@bank.example", "customer@example.net")
RAW = b"Subject: Hello\r\nMessage-ID: <m.1@bank.example>\r\n\r\nHello.\r\n"


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[LittleRelay]:
    async with little_relay(tmp_path) as made:
        yield made


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Callable[..., SmtpRelay]]:
    """Our side, of a relay and with changed options; closed at the end."""
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority().pem)
    async with AsyncExitStack() as made:

        def client(relay: LittleRelay, **changes: Any) -> SmtpRelay:
            ours = SmtpRelay(relay.options(**({"certificates": trusted} | changes)))
            made.push_async_callback(ours.close)
            return ours

        yield client


@pytest.fixture
def send() -> Callable[..., Any]:
    """Open and finish one message."""

    async def send(ours: SmtpRelay, raw: bytes = RAW, envelope: Envelope = ENVELOPE) -> Taken:
        return await ours.finish(await ours.open(envelope, raw))

    return send


@pytest.fixture
def together() -> Callable[..., Any]:
    """Several at the same time; their outcomes."""

    async def together(*waits: Any) -> list[Any]:
        return await asyncio.gather(*waits, return_exceptions=True)

    return together
