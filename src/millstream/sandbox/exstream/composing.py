"""From a customer's record to files: the embedded composer behind Exstream's output drivers."""

import asyncio
import io
import os
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
import pikepdf

from millstream.composer import Composer, ComposerError, ComposerOptions
from millstream.sandbox.exstream.flows import Output
from millstream.sandbox.exstream.jobs import Customer

MEDIA_TYPES: Final = {"PDF": "application/pdf", "HTML": "text/html", "Empower": "application/vnd.exstream-empower"}
EXTENSIONS: Final = {"PDF": ".pdf", "HTML": ".html", "Empower": ".mpw"}


class NotComposed(Exception):
    """The composer refuses a customer's data; the sentence is its own."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One output of one customer."""

    queue: str
    driver: str
    name: str
    content: bytes
    pages: int = 0

    @property
    def media_type(self) -> str:
        """What it is."""
        return MEDIA_TYPES[self.driver]


@dataclass(frozen=True, slots=True)
class Composed:
    """All outputs of one customer, and the mail's subject and text that go with them."""

    subject: str
    text: str
    pieces: tuple[Piece, ...]


class Composing:
    """The composer and its threads."""

    def __init__(self, threads: int | None, templates: Sequence[str] = ()) -> None:
        self.composer = Composer(ComposerOptions(templates=tuple(Path(folder) for folder in templates)))
        self.pool = ThreadPoolExecutor(threads or os.cpu_count() or 1, thread_name_prefix="compose")
        self.count = 0

    def compose(self, customer: Customer, template: str, outputs: Sequence[Output]) -> Composed:
        """Compose one customer; called in the pool's threads. Raises `NotComposed`."""
        template = str(customer.record.get("template") or template)
        data: dict[str, Any] = customer.record.get("data", {})
        try:
            mail = self.composer.render_mail(template, data, customer.locale, customer=customer.id)
            name = self.composer.document_name(template, data, customer.locale, customer=customer.id)
            pieces = []
            for output in outputs:
                if output.driver == "PDF":
                    content = self.composer.compose_document(template, data, customer.locale, customer=customer.id)
                elif output.driver == "HTML":
                    content = mail.html.encode()
                else:
                    content = _empower(customer.record, mail.html)
                pages = _pages(content) if output.driver == "PDF" else 0
                pieces.append(Piece(output.queue, output.driver, _named(name, output.driver), content, pages))
        except ComposerError as error:
            raise NotComposed(str(error)) from None
        return Composed(mail.subject, mail.text, tuple(pieces))

    async def submit(self, customer: Customer, template: str, outputs: Sequence[Output]) -> Composed:
        """Compose one customer in a thread; raises `NotComposed`."""
        loop = asyncio.get_running_loop()
        made = await loop.run_in_executor(self.pool, self.compose, customer, template, outputs)
        self.count += 1
        return made

    def close(self) -> None:
        """End the threads; what has begun is waited for, what has not is not done."""
        self.pool.shutdown(cancel_futures=True)


def _named(name: str, driver: str) -> str:
    return f"{name.removesuffix('.pdf')}{EXTENSIONS[driver]}"


def _pages(content: bytes) -> int:
    with pikepdf.open(io.BytesIO(content)) as document:
        return len(document.pages)


def _empower(record: dict[str, Any], html: str) -> bytes:
    """A document for Empower: an archive, as .mpw files are; what lies in it is ours."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in (("driver.json", orjson.dumps(record)), ("document.html", html.encode())):
            archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def record_of_empower(content: bytes) -> dict[str, Any]:
    """The record inside such an archive."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        record: dict[str, Any] = orjson.loads(archive.read("driver.json"))
        return record
