"""An SMTP sink with TLS: takes messages, answers each group of commands after a chosen latency, and counts what came.

As thin as a server can be, so that the figure measured against it is the sender's. Run as a process of its own; it
prints the port for SMTP, and the one of its own for `GET /counts` and `GET /tokens` (how often by delivery token).
A message without a token is counted by its Message-ID.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import orjson
import uvloop

TOKEN = re.compile(rb"^X-Millstream-Delivery: *(\S+)\r$", re.MULTILINE)
MESSAGE_ID = re.compile(rb"^Message-ID: *<([^>\s]+)>\r$", re.MULTILINE | re.IGNORECASE)
OFFERS = b"250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-SIZE 35651584\r\n"
HEAD_BYTES = 4096
END = b"\r\n.\r\n"


class Ledger:
    """What came, by delivery token."""

    def __init__(self) -> None:
        self.sent: Counter[str] = Counter()
        self.began_at: float | None = None
        self.connections = 0

    def take(self, head: bytes) -> None:
        """A message whose end has come."""
        found = TOKEN.search(head) or MESSAGE_ID.search(head)
        self.sent[found[1].decode() if found else "none"] += 1

    def answer(self, path: bytes) -> object:
        """What is asked by HTTP."""
        if path == b"/tokens":
            return dict(self.sent)
        duplicates = sum(count - 1 for count in self.sent.values())
        sums = {"sent": len(self.sent), "duplicates": duplicates, "connections": self.connections}
        return {**sums, "began_at": self.began_at}


class Door(asyncio.Protocol):
    """SMTP, just enough, after TLS; STARTTLS itself is answered by `Hall`."""

    def __init__(self, ledger: Ledger, latency: float) -> None:
        self._ledger = ledger
        self._latency = latency
        self._loop = asyncio.get_running_loop()
        self._got = bytearray()
        self._head: bytes | None = None
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """TLS stands; what came together with the last of its handshake is answered now."""
        self._transport = transport
        self._ledger.connections += 1
        self.data_received(b"")

    def data_received(self, data: bytes) -> None:
        """Answer all commands that came together by one write, or look for a message's end."""
        self._got += data
        if self._transport is None:
            return
        replies = []
        while self._head is None and (end := self._got.find(b"\r\n")) >= 0:
            line = bytes(self._got[:end])
            del self._got[: end + 2]
            replies.append(self._reply(line[:4].upper()))
        if self._head is not None:
            self._body()
        if replies:
            self._say(b"".join(replies))

    def _reply(self, verb: bytes) -> bytes:
        if verb == b"DATA":
            self._head = b""
            self._ledger.began_at = self._ledger.began_at or time.time()
            return b"354 go ahead\r\n"
        if verb == b"EHLO":
            return OFFERS + b"250 AUTH PLAIN\r\n"
        return b"221 2.0.0 bye\r\n" if verb == b"QUIT" else b"250 2.0.0 OK\r\n"

    def _body(self) -> None:
        """Of a body the head is kept and the last five bytes; a message of no bytes has no line end before its dot."""
        if not self._head and len(self._got) >= HEAD_BYTES:
            self._head = bytes(self._got[:HEAD_BYTES])
        if self._got[-5:] != END and self._got != END[2:]:
            return
        self._ledger.take(self._head or bytes(self._got))
        self._head = None
        self._got.clear()
        self._say(b"250 2.0.0 OK sink\r\n")

    def _say(self, words: bytes) -> None:
        if self._latency:
            self._loop.call_later(self._latency, self._write, words)
        else:
            self._write(words)

    def _write(self, words: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(words)
            if words.startswith(b"221"):
                self._transport.close()


class Hall(asyncio.Protocol):
    """Before TLS: a greeting, EHLO, STARTTLS."""

    def __init__(self, context: ssl.SSLContext, inside: Callable[[], Door]) -> None:
        self._context = context
        self._inside = inside
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Greet."""
        self._transport = transport
        transport.write(b"220 sink.example\r\n")

    def data_received(self, data: bytes) -> None:
        """One command at a time, as nobody pipelines here."""
        if data.upper().startswith(b"STARTTLS"):
            self._transport.write(b"220 2.0.0 go on\r\n")
            task = asyncio.get_running_loop().create_task(self._begin())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._transport.write(b"250-sink.example\r\n250 STARTTLS\r\n")

    async def _begin(self) -> None:
        door = self._inside()
        loop = asyncio.get_running_loop()
        transport = await loop.start_tls(self._transport, door, self._context, server_side=True)
        if transport is not None:
            door.connection_made(transport)


class Window(asyncio.Protocol):
    """HTTP for whoever measures."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer and end."""
        body = orjson.dumps(self._ledger.answer(data.split(b" ", 2)[1]))
        head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % len(body) + body)
        self._transport.close()


async def main(latency: float, certificate: str) -> None:
    """Serve until ended."""
    ledger = Ledger()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    smtp = await loop.create_server(lambda: Hall(context, lambda: Door(ledger, latency)), "127.0.0.1", 0)
    http = await loop.create_server(lambda: Window(ledger), "127.0.0.1", 0)
    print(smtp.sockets[0].getsockname()[1], http.sockets[0].getsockname()[1], flush=True)
    await asyncio.gather(smtp.serve_forever(), http.serve_forever())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate", help="key and certificate of localhost, as one PEM")
    parser.add_argument("--latency-ms", type=float, default=0.0)
    wish = parser.parse_args()
    uvloop.run(main(wish.latency_ms / 1000, wish.certificate))
