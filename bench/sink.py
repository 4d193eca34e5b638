"""A Gmail-shaped sink: answers drafts and sends after a chosen latency, has no quotas, and counts what was sent.

It is as thin as a server can be, so that the figure measured against it is the sender's. Run as a process of its own;
it prints its port. `GET /counts` answers what arrived, `GET /tokens` how often by delivery token.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import time
from collections import Counter

import orjson
import uvloop

TOKEN = re.compile(rb"^X-Millstream-Delivery: *(\S+)\r$", re.MULTILINE)
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Ledger:
    """What was drafted and what was sent, by delivery token."""

    def __init__(self) -> None:
        self.drafts: dict[str, str] = {}
        self.sent: Counter[str] = Counter()
        self.number = time.time_ns()  # ids stay new when a sink is started again over the same ledger
        self.began_at: float | None = None

    def name(self, prefix: str) -> str:
        """A new id."""
        self.number += 1
        return f"{prefix}{self.number:x}"

    def answer(self, method: bytes, path: bytes, body: bytes) -> tuple[int, dict[str, object], bool]:
        """Status, answer, and whether it is one that waits."""
        if b"/drafts" in path or b"/messages/send" in path:
            return self._write(method, path, body)
        if path == b"/counts":
            duplicates = sum(count - 1 for count in self.sent.values())
            sums = {"sent": len(self.sent), "duplicates": duplicates, "left": len(self.drafts)}
            return 200, {**sums, "began_at": self.began_at}, False
        if path == b"/tokens":
            return 200, dict(self.sent), False
        return 200, {"emailAddress": "sink@bank.example", "historyId": "1"}, False  # profile and history in one

    def _write(self, method: bytes, path: bytes, body: bytes) -> tuple[int, dict[str, object], bool]:
        if b"/messages/send" in path:
            self.sent[self.token(body)] += 1
            name = self.name("m")
            return 200, {"id": name, "threadId": name, "labelIds": ["SENT"]}, True
        if path.endswith(b"/drafts/send"):
            draft = orjson.loads(body)["id"]
            token = self.drafts.pop(draft, None)
            if token is None:
                return 404, {"error": {"code": 404, "message": "Requested entity was not found."}}, True
            self.sent[token] += 1
            return 200, {"id": self.name("m"), "threadId": "t" + draft, "labelIds": ["SENT"]}, True
        if method == b"POST":
            draft = self.name("r")
            self.drafts[draft] = self.token(body)
            return 200, {"id": draft, "message": {"id": self.name("m"), "threadId": "t" + draft}}, True
        return 200, {"drafts": []}, False

    def token(self, body: bytes) -> str:
        """The delivery token in a message's headers, or a made-up one for programs that set none."""
        if self.began_at is None:
            self.began_at = time.time()
        found = TOKEN.search(body, 0, 4096)
        return found[1].decode() if found else self.name("x")


class Connection(asyncio.Protocol):
    """HTTP/1.1, just enough."""

    def __init__(self, ledger: Ledger, latency: float) -> None:
        self._ledger = ledger
        self._latency = latency
        self._got = bytearray()
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._got += data
        while (end := self._got.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._got[:end])
            length = LENGTH.search(head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._got) < whole:
                return
            body = bytes(self._got[end + 4 : whole])
            del self._got[:whole]
            method, path, _ = head.split(b" ", 2)
            self._reply(*self._ledger.answer(method, path.partition(b"?")[0], body))

    def _reply(self, status: int, answer: dict[str, object], waits: bool) -> None:  # noqa: FBT001  the ledger's word
        body = orjson.dumps(answer)
        head = f"HTTP/1.1 {status} OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        reply = head.encode() + body
        if waits and self._latency:
            self._loop.call_later(self._latency, self._write, reply)
        else:
            self._write(reply)

    def _write(self, reply: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(reply)


async def main(latency: float) -> None:
    """Serve until ended."""
    ledger = Ledger()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(ledger, latency), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    uvloop.run(main(parser.parse_args().latency_ms / 1000))
