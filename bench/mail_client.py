"""A client of the SMTP door: several connections, one message after the other on each, no pipelining.

Its answer is a JSON object: the consignments that 250 named, and how long each message waited for its 250.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

import orjson

_LINE = 57
_LIMIT = 1 << 20


@dataclass(slots=True)
class Sent:
    """What was answered with 250."""

    ids: list[int] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)


def _attachment(size: int) -> bytes:
    """Base64 of noise, so many bytes of it with its line ends."""
    raw = b"%PDF-1.7\n" + os.urandom(size * _LINE // (4 * (_LINE // 3) + 2))
    return b"".join(base64.b64encode(raw[at : at + _LINE]) + b"\r\n" for at in range(0, len(raw), _LINE))


def _message(number: int, attachment: bytes) -> bytes:
    head = (
        f"From: Exstream <exstream@bank.example>\r\nTo: customer{number}@example.net\r\n"
        f"Subject: Your statement {number}\r\nMessage-ID: <{number}.{os.getpid()}@exstream.example>\r\n"
        f"X-Exstream-Customer: C{number}\r\nMIME-Version: 1.0\r\n"
        'Content-Type: multipart/mixed; boundary="edge"\r\n\r\n'
        f"--edge\r\nContent-Type: text/plain\r\n\r\nDear customer {number}, it is attached.\r\n"
        '--edge\r\nContent-Type: text/csv; name="a.csv"\r\nContent-Transfer-Encoding: base64\r\n'
        f"Content-Description: {number}\r\n\r\n"
    )
    return head.encode() + attachment + b"--edge--\r\n.\r\n"


async def _talk(port: int, numbers: list[int], attachment: bytes, sent: Sent) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=_LIMIT)

    async def reply() -> bytes:
        while True:
            line = await reader.readline()
            if not line:
                raise ConnectionError
            if line[3:4] != b"-":
                return line

    async def say(line: str) -> bytes:
        writer.write(f"{line}\r\n".encode())
        return await reply()

    await reply()
    await say("EHLO bench")
    for number in numbers:
        await say("MAIL FROM:<exstream@bank.example>")
        await say(f"RCPT TO:<customer{number}@example.net>")
        began = time.perf_counter()
        await say("DATA")
        writer.write(_message(number, attachment))
        answer = await reply()
        if not answer.startswith(b"250"):
            sys.exit(f"refused: {answer.decode()}")
        sent.waited.append(time.perf_counter() - began)
        sent.ids.append(int(answer.split(b"consignment ")[1].split(b",")[0]))
    writer.close()


async def _send(wish: argparse.Namespace) -> None:
    attachment = _attachment(wish.bytes - 600)
    sent = Sent()
    numbers = [
        list(range(wish.first + at, wish.first + wish.messages, wish.connections)) for at in range(wish.connections)
    ]
    began = time.time()

    async def talked(mine: list[int]) -> None:
        with suppress(ConnectionError):
            await _talk(wish.port, mine, attachment, sent)

    await asyncio.gather(*map(talked, numbers))
    told = {"ids": sent.ids, "waited": sent.waited, "began": began, "ended": time.time()}
    print(orjson.dumps(told).decode(), flush=True)


def main() -> None:
    """Send."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--messages", type=int, required=True)
    parser.add_argument("--bytes", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--first", type=int, default=0)
    asyncio.run(_send(parser.parse_args()))


if __name__ == "__main__":
    main()
