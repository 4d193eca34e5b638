"""Messages of 70 KB to a relay by a program with no ledger: by our transport, or by aiosmtplib as its manual shows it.

Prints one JSON object: seconds, processor seconds of this process, messages.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import ssl
import time
from pathlib import Path

import aiosmtplib
import orjson
import uvloop

from millstream.gmail.relay import Envelope, RelayOptions, SmtpRelay

SENDER = "statements-01@bank.example"
PDF_BYTES = 50_000
_HEAD = (
    "From: Example Bank <{sender}>\r\nTo: customer{number}@example.net\r\nSubject: Your statement {number}\r\n"
    "Message-ID: <bench.{number}@bank.example>\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf\r\n"
    "Content-Transfer-Encoding: base64\r\n\r\n"
)


def message(number: int, body: bytes) -> bytes:
    """One, 70 KB on the wire."""
    return _HEAD.format(sender=SENDER, number=number).encode() + body


def noise() -> bytes:
    """A PDF's worth of bytes in base64, with CRLF."""
    return base64.encodebytes(os.urandom(PDF_BYTES)).replace(b"\n", b"\r\n")


async def by_us(wish: argparse.Namespace, body: bytes) -> None:
    """Open and finish."""
    options = RelayOptions(
        host="localhost",
        port=wish.port,
        helo="bank.example",
        certificates=wish.certificates,
        connections=wish.connections,
        messages_per_connection=wish.per_connection,
    )
    numbers = iter(range(wish.messages))

    async with SmtpRelay(options) as relay:

        async def lane() -> None:
            for number in numbers:
                slip = await relay.open(Envelope(SENDER, f"customer{number}@example.net"), message(number, body))
                await relay.finish(slip)

        await asyncio.gather(*(lane() for _ in range(wish.connections)))


async def by_aiosmtplib(wish: argparse.Namespace, body: bytes) -> None:
    """Its `sendmail`, over as many kept connections."""
    context = ssl.create_default_context(cafile=wish.certificates)
    numbers = iter(range(wish.messages))

    async def lane() -> None:
        smtp = aiosmtplib.SMTP(
            hostname="localhost",
            port=wish.port,
            local_hostname="bank.example",
            start_tls=True,
            tls_context=context,
            timeout=60,
        )
        async with smtp:
            for number in numbers:
                await smtp.sendmail(SENDER, [f"customer{number}@example.net"], message(number, body))

    await asyncio.gather(*(lane() for _ in range(wish.connections)))


def main() -> None:
    """Send them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("certificates", type=Path)
    parser.add_argument("--library", choices=("ours", "aiosmtplib"), default="ours")
    parser.add_argument("--messages", type=int, default=4_000)
    parser.add_argument("--connections", type=int, default=160)
    parser.add_argument("--per-connection", type=int, default=100)
    wish = parser.parse_args()
    body = noise()
    began, used = time.perf_counter(), time.process_time()
    uvloop.run((by_us if wish.library == "ours" else by_aiosmtplib)(wish, body))
    told = {
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - used,
        "messages": wish.messages,
    }
    print(orjson.dumps(told).decode())


if __name__ == "__main__":
    main()
