"""A small Google of our own: a real server on a real socket that records what it is asked."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from millstream.gmail import GmailOptions
from tcp_server import serving

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

Handler = Callable[["Asked"], web.Response]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


def error(code: int, message: str, reason: str = "", **headers: str) -> web.Response:
    entry = [{"message": message, "domain": "global", "reason": reason}]
    return web.json_response(
        {"error": {"code": code, "message": message, "errors": entry}}, status=code, headers=headers
    )


@dataclass
class FakeGoogle:
    """Answers with what was put into ``answers``, first things first; otherwise with ``usual``."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[web.Response | Handler] = field(default_factory=list)
    usual: Handler = lambda _asked: web.json_response({"id": "r-1", "message": {"id": "m-1", "threadId": "t-1"}})

    async def handle(self, request: web.Request) -> web.Response:
        asked = Asked(request.method, request.raw_path, dict(request.headers), await request.read())
        self.asked.append(asked)
        answer = self.answers.pop(0) if self.answers else self.usual
        return answer if isinstance(answer, web.Response) else answer(asked)

    def options(self, **changes: Any) -> GmailOptions:
        """Options of a client that finds everything here."""
        at = {
            "endpoint": self.url,
            "token_url": f"{self.url}/token",
            "auth_url": f"{self.url}/auth",
            "iam_endpoint": f"{self.url}/iam",
            "metadata_endpoint": f"{self.url}/metadata",
            "connect_seconds": 2.0,
            "call_seconds": 5.0,
            "upload_seconds": 10.0,
        }
        return GmailOptions(**{**at, **changes})


@pytest.fixture
async def google() -> AsyncIterator[FakeGoogle]:
    fake = FakeGoogle()
    app = web.Application(client_max_size=64 * 2**20)
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    fake.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield fake
    await runner.cleanup()


Behaviour = Callable[["RudeServer", asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class RudeServer:
    """Speaks just enough HTTP to read a request whole, and then behaves as told. Counts what arrived."""

    behaviour: Behaviour
    url: str = ""
    connections: int = 0
    requests: list[tuple[str, bytes]] = field(default_factory=list)

    async def read_request(self, reader: asyncio.StreamReader) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        body = await reader.readexactly(length)
        self.requests.append((head.split(b" ", 1)[0].decode(), body))

    @staticmethod
    async def answer(writer: asyncio.StreamWriter, document: object, *, declared: int | None = None) -> None:
        body = json.dumps(document).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {declared or len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    @staticmethod
    def reset(writer: asyncio.StreamWriter) -> None:
        """End the connection with RST, as a machine does that dies."""
        writer.transport.abort()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self.behaviour(self, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def rude() -> AsyncIterator[Callable[[Behaviour], Awaitable[RudeServer]]]:
    async with AsyncExitStack() as servers:

        async def start(behaviour: Behaviour) -> RudeServer:
            server = RudeServer(behaviour)
            server.url = f"http://127.0.0.1:{await servers.enter_async_context(serving(server.serve))}"
            return server

        yield start


@dataclass(frozen=True)
class Key:
    info: dict[str, str]
    public: bytes


@pytest.fixture(scope="session")
def key() -> Key:
    """A service account's key file and the public half to check its signatures with."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    info = {
        "type": "service_account",
        "client_email": "sender@project.iam.gserviceaccount.com",
        "private_key_id": "k1",
        "private_key": pem.decode(),
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return Key(info, public)
