"""A communication in parts: a record or form fields, and the files that belong to it."""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from typing import Any

from millstream.intake.consignment import Kind
from millstream.intake.http.errors import Refused, TooLarge
from millstream.intake.http.laying import Laid, Laying, Sink, relative
from millstream.intake.http.options import HttpOptions
from millstream.intake.http.parameters import Head, facts_of
from millstream.intake.http.parts import PartHead, PartReader
from millstream.intake.http.reading import DRIVER, Brought, Held, Stream, checked, parsed, record_of, with_text
from millstream.mime.charset import decode, one_line

_JSON = frozenset({"application/json", "text/json"})
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_BODY = ("subject", "text", "html", "html_path", "template")
_LONGEST_NAME = 200
_ANYTHING = "application/octet-stream"


async def read_enclosed(stream: Stream, head: Head, options: HttpOptions, held: Held, laying: Laying) -> Brought:
    """Read the parts of one communication: its files into the spool, beside a driver of one line.

    Raises:
        Refused: what came cannot be taken.
        Away: the disk does not take it, or too much is coming in.
    """
    enclosed = _Enclosed(laying, held, options)
    reader = PartReader(head.content_type)
    try:
        async for piece in stream:
            for event in reader.feed(piece):
                if isinstance(event, PartHead):
                    await enclosed.begin(event)
                elif event is None:
                    await enclosed.end()
                else:
                    await enclosed.take(event)
        reader.end()
        return await enclosed.brought(head)
    finally:
        held.release(enclosed.held)


class _Enclosed:
    """The parts on their way in."""

    def __init__(self, laying: Laying, held: Held, options: HttpOptions) -> None:
        self.held = 0
        """Bytes of it that are in memory."""
        self._laying = laying
        self._budget = held
        self._options = options
        self._digest = hashlib.sha256()
        self._part: PartHead | None = None
        self._sink: Sink | None = None
        self._text = bytearray()
        self._record: dict[str, Any] | None = None
        self._facts: list[tuple[str, str]] = []
        self._files: list[tuple[PartHead, Laid]] = []

    async def begin(self, part: PartHead) -> None:
        """A part begins: a file where it is one, else something short."""
        self._part = part
        self._text.clear()
        self._sink = None
        if not _is_record(part) and (part.file or part.media_type not in (None, "text/plain")):
            self._sink = await self._laying.begin(part.file or part.name)

    async def take(self, piece: bytes) -> None:
        """Some of its bytes."""
        if self._sink is not None:
            await self._sink.write(piece)
            return
        self.held += len(piece)
        self._budget.count(len(piece))
        self._text += piece
        if self.held > self._options.most_record_bytes:
            raise TooLarge(f"a record may have {self._options.most_record_bytes:,} bytes")

    async def end(self) -> None:
        """It is whole."""
        part = self._part
        if part is None:
            return
        if self._sink is not None:
            laid = await self._sink.close()
            self._files.append((part, laid))
            self._sink = None
            counted = laid.sha256
        else:
            content = bytes(self._text)
            counted = hashlib.sha256(content).hexdigest()
            if _is_record(part):
                if self._record is not None:
                    raise Refused("more than one part is a record; send each with a request of its own")
                self._record = parsed(content)
            else:
                self._facts.append((part.name, decode(content, part.charset)))
        self._digest.update(f"{part.name}\n{part.file}\n{counted}\n".encode("utf-8", "replace"))
        self._part = None

    async def brought(self, head: Head) -> Brought:
        """All of it, with a driver that tells what the files are."""
        facts = facts_of(head).also(self._facts)
        digest = self._digest.hexdigest()
        record = self._record
        if record is None:
            record = record_of(facts, self._options, key=head.idempotency_key or "", digest=digest)
            self._enclose(record)
            with_text(record, facts, self._options)
        else:
            self._enclose(record)
        sink = await self._laying.begin(DRIVER)
        await sink.write(checked(record))
        laid = await sink.close()
        told = sorted({**dict(head.ours()), **dict(head.pairs())}.items())
        whole = hashlib.sha256(f"{digest}\n{told}".encode("utf-8", "replace")).hexdigest()
        return Brought(Kind.DRIVER, whole, sum(file.size for _, file in self._files) + laid.size, path=DRIVER)

    def _enclose(self, record: dict[str, Any]) -> None:
        """Make every file a part of the record: the first page its body, what it does not name an attachment."""
        named = _named(record)
        documents = []
        for part, laid in self._files:
            if laid.path in named or laid.size == 0:
                continue
            if part.media_type in _HTML and not _has_body(record):
                record["html_path"] = laid.path
                continue
            kind = part.media_type or mimetypes.guess_type(laid.path)[0] or _ANYTHING
            name = one_line(laid.path.rpartition("/")[2], _LONGEST_NAME)
            documents.append({"path": laid.path, "name": name, "media_type": kind})
        if documents:
            given = record.get("documents")
            record["documents"] = [*(given if isinstance(given, list) else []), *documents]


def _is_record(part: PartHead) -> bool:
    return part.name == "record" or (not part.file and part.media_type in _JSON)


def _has_body(record: Mapping[str, Any]) -> bool:
    return any(record.get(name) for name in _BODY if name != "subject")


def _named(record: Mapping[str, Any]) -> set[str]:
    """The paths that a record names."""
    given = record.get("documents")
    entries = given if isinstance(given, list) else []
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict)] + [record.get("html_path")]
    return {relative(path) for path in paths if isinstance(path, str)}
