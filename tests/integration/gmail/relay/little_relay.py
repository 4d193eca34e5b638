"""A little relay of a test's own: real TLS on a real socket, a transcript, and whatever it is told to do wrong."""

from __future__ import annotations

import asyncio
import ssl
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from millstream.gmail.relay import RelayOptions
from tcp_server import serving
from tls import authority, server_context

OFFERS = ("PIPELINING", "8BITMIME", "SIZE 35651584", "SMTPUTF8", "ENHANCEDSTATUSCODES")
USUAL = {
    "greeting": b"220 relay.test at your service\r\n",
    "STARTTLS": b"220 2.0.0 go on\r\n",
    "AUTH": b"235 2.7.0 welcome\r\n",
    "MAIL": b"250 2.1.0 OK\r\n",
    "RCPT": b"250 2.1.5 OK\r\n",
    "DATA": b"354 go ahead\r\n",
    "DOT": b"250 2.0.0 OK  1764000000 little\r\n",
    "RSET": b"250 2.0.0 flushed\r\n",
    "QUIT": b"221 2.0.0 closing\r\n",
}


class HangUp(Exception):
    """This connection ends here."""


class Silence(Exception):
    """Nothing more is said on this connection, which stays."""


@dataclass
class Arrived:
    sender: str
    recipient: str
    body: bytes


@dataclass
class Conversation:
    """One connection as a step sees it."""

    relay: LittleRelay
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    said: bytes = b""
    """As the answer that is being given."""

    @property
    def waiting(self) -> bytes:
        """What has come and was not read yet."""
        return bytes(self.reader._buffer)

    async def say(self, words: bytes) -> None:
        self.said += words
        self.writer.write(words)
        await self.writer.drain()

    def reset(self) -> None:
        """End it as a machine does that dies."""
        self.writer.transport.abort()
        raise HangUp

    async def gone(self) -> None:
        """Wait until the client has ended it."""
        while await self.reader.read(65_536):
            pass


Step = bytes | Callable[[Conversation], Awaitable[bytes | None]]


@dataclass
class LittleRelay:
    """Answers each verb with what its script says next, otherwise as usual."""

    context: ssl.SSLContext
    implicit: bool = False
    offers: tuple[str, ...] = OFFERS
    clear_offers: tuple[str, ...] = ("STARTTLS", "PIPELINING")
    port: int = 0
    connections: int = 0
    script: dict[str, list[Step]] = field(default_factory=lambda: defaultdict(list))
    in_clear: list[str] = field(default_factory=list)
    in_tls: list[str] = field(default_factory=list)
    of_connection: dict[int, list[str]] = field(default_factory=lambda: defaultdict(list))
    messages: list[Arrived] = field(default_factory=list)
    unended: list[bytes] = field(default_factory=list)
    """Bodies that came without their end."""
    open_now: int = 0

    def options(self, **changes: Any) -> RelayOptions:
        usual: dict[str, Any] = {
            "host": "localhost",
            "port": self.port,
            "implicit_tls": self.implicit,
            "helo": "bank.example",
            "connect_seconds": 5.0,
            "command_seconds": 5.0,
            "reply_seconds": 5.0,
        }
        return RelayOptions(**(usual | changes))

    def verbs(self) -> list[str]:
        return [line.split(" ")[0].upper() for line in (*self.in_clear, *self.in_tls)]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        talk = Conversation(self, self.connections, reader, writer)
        try:
            await self._converse(talk)
        except (HangUp, OSError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        except Silence:
            await talk.gone()
        finally:
            self.open_now -= 1
            writer.close()

    async def _converse(self, talk: Conversation) -> None:
        await self._answer(talk, "greeting")
        safe = self.implicit
        sender = recipient = ""
        while line := (await talk.reader.readline()).decode().rstrip("\r\n"):
            (self.in_tls if safe else self.in_clear).append(line)
            self.of_connection[talk.number].append(line)
            verb = line.split(" ")[0].upper()
            if verb == "EHLO":
                offers = ("relay.test", *(self.offers if safe else self.clear_offers))
                usual = "".join(f"250{'-' if each != offers[-1] else ' '}{each}\r\n" for each in offers).encode()
                await self._answer(talk, verb, usual)
                continue
            said = await self._answer(talk, verb)
            if verb == "STARTTLS" and said.startswith(b"220"):
                await self._begin_tls(talk.writer)
                safe = True
            elif verb == "MAIL":
                sender = line
            elif verb == "RCPT":
                recipient = line
            elif verb == "DATA" and said.startswith(b"354"):
                await self._body(talk, sender, recipient)
            elif verb == "QUIT":
                return

    async def _begin_tls(self, writer: asyncio.StreamWriter) -> None:
        try:
            await writer.start_tls(self.context)
        except (OSError, asyncio.CancelledError) as error:
            # asyncio tells the stream of a failed handshake nothing, and whoever waits for its end waits for ever.
            writer._protocol.connection_lost(None)
            raise HangUp from error

    async def _body(self, talk: Conversation, sender: str, recipient: str) -> None:
        body = bytearray()
        try:
            while (line := await talk.reader.readuntil(b"\r\n")) != b".\r\n":
                body += line[1:] if line.startswith(b".") else line
                if self.script["BODY"] and len(body) > 100:
                    await self._answer(talk, "BODY", b"")
        except (asyncio.IncompleteReadError, HangUp, OSError):
            self.unended.append(bytes(body))
            raise
        effect = not self.script["NO_EFFECT"] or not self.script["NO_EFFECT"].pop(0)
        if effect:
            self.messages.append(Arrived(sender, recipient, bytes(body)))
        await self._answer(talk, "DOT")

    async def _answer(self, talk: Conversation, verb: str, usual: bytes | None = None) -> bytes:
        step = self.script[verb].pop(0) if self.script[verb] else (USUAL.get(verb, b"") if usual is None else usual)
        talk.said = b""
        words = step if isinstance(step, bytes) else await step(talk)
        if words:
            await talk.say(words)
        return talk.said


async def hang_up(talk: Conversation) -> None:
    """In order, without a word."""
    raise HangUp


async def reset(talk: Conversation) -> None:
    talk.reset()


async def say_nothing(talk: Conversation) -> None:
    raise Silence


def byte_by_byte(words: bytes) -> Step:
    async def step(talk: Conversation) -> None:
        for number in range(len(words)):
            await talk.say(words[number : number + 1])
            await asyncio.sleep(0)

    return step


@asynccontextmanager
async def little_relay(folder: Path, *, pem: bytes | None = None, **settings: Any) -> AsyncIterator[LittleRelay]:
    """One that listens for the time of a block, with a good certificate unless told."""
    context = server_context(folder, pem or authority().issue("localhost"))
    relay = LittleRelay(context, **settings)
    tls = {"ssl": context} if relay.implicit else {}
    async with serving(relay.serve, limit=2**20, **tls) as port:
        relay.port = port
        yield relay
