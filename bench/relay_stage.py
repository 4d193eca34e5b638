"""What measurements of the relay stand on: certificates, a sink with TLS, a client program, a house of its own."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from process import started
from stage import MAILBOXES, House, Sink

_HERE = Path(__file__).parent
# The suite's own certificates and its Postfix: what is measured against is what is tested against.
sys.path.insert(1, str(_HERE.parent / "tests"))
sys.path.insert(1, str(_HERE.parent / "tests" / "contract"))

from postfix_instance import PROGRAM, Postfix, postfix  # noqa: E402  in reach since the lines above

from tls import authority  # noqa: E402  the same

__all__ = [
    "PROGRAM",
    "SLOTS",
    "Certificates",
    "Postfix",
    "certificates",
    "client",
    "configure",
    "postfix",
    "relay_sink",
]

USERS = MAILBOXES[:20]
PER_LANE = 8
SLOTS = len(USERS) * PER_LANE


@dataclass(frozen=True, slots=True)
class Certificates:
    """Of one folder: whom to trust, and a server's own."""

    trusted: Path
    server: bytes


def certificates(folder: Path) -> Certificates:
    """New ones for localhost."""
    trusted = folder / "authority.pem"
    trusted.write_bytes(authority().pem)
    return Certificates(trusted, authority().issue("localhost"))


@asynccontextmanager
async def relay_sink(folder: Path, latency_ms: int, server: bytes) -> AsyncIterator[tuple[int, Sink]]:
    """A sink in a process of its own for the time of a block: its SMTP port, and what it says about what came."""
    pem = folder / "sink.pem"
    pem.write_bytes(server)
    arguments = [str(_HERE / "relay_sink.py"), str(pem), "--latency-ms", str(latency_ms)]
    async with started("relay_sink", arguments, folder) as child, aiohttp.ClientSession() as session:
        smtp, http = map(int, (await child.first_line()).split())
        yield smtp, Sink(f"http://127.0.0.1:{http}", session, child)


def configure(house: House, port: int, trusted: Path, documents: Path) -> None:
    """A tenant that sends by the relay alone, as an operator would write it."""
    users = ", ".join(f'"{user}"' for user in USERS)
    house.config.write_text(
        f'folder = "{house.folder}"\n\n[gmail]\nendpoint = "http://127.0.0.1:9"\nauth = "static"\n'
        f'static_token = "bench"\n\n[documents]\nurl = "{documents}"\n\n[senders]\nname = "Example Bank"\n'
        f"pools = {{ default = [{users}] }}\n\n[mailbox]\nread = false\n\n"
        f'[delivery]\nroad = "relay"\n\n[relay]\nhost = "localhost"\nport = {port}\nhelo = "bank.example"\n'
        f'certificates = "{trusted}"\nusers = {{ default = [{users}] }}\nunclear = "hold"\n'
        f"connections = {SLOTS}\nper_lane = {PER_LANE}\n\n"
        f'[limits]\npreset = "none"\n\n[logging]\nlevel = "warning"\n',
        "utf-8",
    )


async def client(folder: Path, port: int, trusted: Path, library: str, messages: int) -> dict[str, Any]:
    """Messages by a program with no ledger; what it says of itself."""
    arguments = [str(_HERE / "relay_client.py"), str(port), str(trusted), "--library", library]
    arguments += ["--messages", str(messages), "--connections", str(SLOTS)]
    async with started("relay_client", arguments, folder) as child:
        return await child.answer(within=300.0)
