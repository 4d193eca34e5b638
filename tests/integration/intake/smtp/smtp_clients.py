"""Clients of the SMTP door, and the desk behind it."""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from email.message import EmailMessage
from ipaddress import ip_network
from typing import Any

from millstream.intake.consignment import Accepted, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.reception import Reception
from millstream.intake.smtp import SmtpDoor
from millstream.storage.objects import DocumentStore

HERE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SENDER = "exstream@bank.example"
GUEST = "customer@example.com"
_CLIENTS = ThreadPoolExecutor(32)
"""Of their own: the loop's threads are the door's, which waits for the disk in them."""


class Gated(Reception):
    """The desk behind the door, which can be told to fail or to wait."""

    def __init__(self, store: ConsignmentStore, documents: DocumentStore) -> None:
        super().__init__(store, documents)
        self.store = store
        self.documents = documents
        self.error: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def receive(self, offer: Offer, content: bytes | None = None) -> Accepted:
        self.reached.set()
        await self.gate.wait()
        if self.error:
            raise self.error
        return await super().receive(offer, content)


def message(number: int = 1, **headers: str) -> EmailMessage:
    letter = EmailMessage()
    letter["From"] = f"Exstream <{SENDER}>"
    letter["To"] = GUEST
    letter["Subject"] = f"Statement {number}"
    letter["Message-ID"] = f"<{number}@exstream.example>"
    for name, value in headers.items():
        letter[name.replace("_", "-")] = value
    letter.set_content("It is attached.\n")
    letter.add_attachment(b"%PDF-1.7 " + b"x" * 1000, maintype="application", subtype="pdf", filename="a.pdf")
    letter.set_boundary("edge")
    return letter


async def sent(door: SmtpDoor, *letters: EmailMessage, to: tuple[str, ...] = (GUEST,), sender: str = SENDER) -> Any:
    """Send by smtplib; answers what it answers."""

    def send() -> Any:
        with smtplib.SMTP("127.0.0.1", door.port, timeout=20) as client:
            return [client.send_message(letter, sender, list(to)) for letter in letters]

    return await asyncio.get_running_loop().run_in_executor(_CLIENTS, send)


class Raw:
    """A client that says what a test wants."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def reply(self) -> str:
        """One reply; of several lines the last."""
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 10)).decode()
            if line[3:4] != "-":
                return line.strip()

    async def say(self, line: str) -> str:
        self.writer.write(line.encode("utf-8", "surrogateescape") + b"\r\n")
        return await self.reply()

    async def begin(self, *recipients: str, mail: str = f"MAIL FROM:<{SENDER}>") -> str:
        """Up to DATA's answer."""
        await self.say("EHLO client.example")
        await self.say(mail)
        for each in recipients or (GUEST,):
            await self.say(f"RCPT TO:<{each}>")
        return await self.say("DATA")


Opened = Callable[..., Any]
Connect = Callable[[SmtpDoor], Awaitable[Raw]]


async def rows(reception: Gated) -> list[dict[str, Any]]:
    return [await reception.store.find(row["id"]) for row in reversed(await reception.store.newest(most=500))]


def trusting() -> ssl.SSLContext:
    """A client's context that takes our own certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
