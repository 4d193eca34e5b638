"""Debian's Postfix as the relay: its own instance, its queue in memory, 25 ms away in each direction, all discarded."""

from __future__ import annotations

import re
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from process import BenchFailed, started
from relay_stage import PROGRAM, SLOTS, Postfix, postfix

_DELAY = Path(__file__).with_name("delay.py")
_MESSAGE_ID = re.compile(r"cleanup\[\d+\]: \w+: message-id=<([^>]+)>")


@dataclass(frozen=True, slots=True)
class PostfixHouse:
    """One that runs; `port` is the near end of the wire."""

    port: int
    inside: Postfix

    def came(self) -> Counter[str]:
        """How often each Message-ID came, by its log."""
        return Counter(_MESSAGE_ID.findall(self.inside.log()))


@asynccontextmanager
async def postfix_house(folder: Path, latency_ms: int, server: bytes) -> AsyncIterator[PostfixHouse]:
    """One for the time of a block; needs root, as Postfix does."""
    if not PROGRAM.exists():
        raise BenchFailed("Postfix is missing: run `make mail-deps`")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "virtual_mailbox_domains": "",
        "default_process_limit": str(SLOTS + 40),
        "smtpd_client_connection_count_limit": "0",
        "smtpd_client_connection_rate_limit": "0",
        "smtpd_tls_loglevel": "0",
        "in_flow_delay": "0",
    }
    async with postfix(port, server, names=(), place="/dev/shm", **settings) as inside:  # noqa: S108  memory, not a file anybody could foresee
        arguments = [str(_DELAY), str(port), "--delay-ms", str(latency_ms / 2)]
        async with started("delay", arguments, folder) as wire:
            yield PostfixHouse(int(await wire.first_line()), inside)
