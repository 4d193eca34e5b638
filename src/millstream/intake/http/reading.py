"""Bodies become what the rest of the house takes: a driver or a manifest in the spool, or a driver of one line.

A body of any size goes to the spool as it comes. In memory is one piece of it, or one record, and of single records
only so many bytes at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pybase64

from millstream.intake.consignment import Kind
from millstream.intake.driver import MOST_BYTES_A_LINE
from millstream.intake.errors import RecordProblem
from millstream.intake.http.errors import Away, Refused, TooLarge, WrongKind
from millstream.intake.http.laying import Laid, Laying, Sink, relative
from millstream.intake.http.options import HttpOptions
from millstream.intake.http.parameters import Facts, Head, facts_of
from millstream.intake.http.parts import PartHead, PartReader
from millstream.intake.http.split import Splitter
from millstream.intake.record import read_record
from millstream.mime.charset import clean, decode, one_line
from millstream.mime.content import media_type, parameters
from millstream.mime.plain import decoded_html

Stream = AsyncIterator[bytes]

DRIVER = "driver.jsonl"
MANIFEST = "_STDDELIVERYFILE.xml"
_LOOK = 512
_LINES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"})
_LINES_TOO = frozenset({"application/x-jsonlines", "application/jsonlines", "text/plain", "application/octet-stream"})
_JSON = frozenset({"application/json", "text/json"})
_XML = frozenset({"application/xml", "text/xml"})
_FORM = "application/x-www-form-urlencoded"
"""What `curl -d` and many a connector send whatever it is: the body itself is looked at."""
_HTML = "text/html"
_PDF = "application/pdf"
_LONGEST_SUBJECT = 900
_LONGEST_NAME = 200
_DIGEST_IN_KEY = 16


@dataclass(frozen=True, slots=True)
class Brought:
    """A body that was read: a file that was laid, or the content itself."""

    kind: Kind
    digest: str
    """SHA-256 over what was brought; boundaries and the like do not count."""
    size: int
    path: str = ""
    content: bytes | None = None


async def read_run(stream: Stream, head: Head, laying: Laying) -> Brought:
    """Read a driver, an array of records, or parts with a driver or a manifest.

    Raises:
        Refused: what came cannot be taken.
        Away: the disk does not take it.
    """
    kind = media_type(head.content_type) if head.content_type else ""
    if kind.startswith("multipart/"):
        return await _parts_of_run(stream, head, laying)
    if kind and kind not in _LINES | _LINES_TOO | _JSON | {_FORM}:
        raise WrongKind(f"a run comes as JSON lines, as a JSON array or in parts, not as {kind}")
    sink = await laying.begin(DRIVER)
    feed = _Records(sink, split=kind in _JSON)
    async for piece in stream:
        await feed.take(piece)
    await feed.end()
    laid = await sink.close()
    return Brought(Kind.DRIVER, laid.sha256, laid.size, path=DRIVER)


class _Records:
    """A body of records on its way into a driver."""

    def __init__(self, sink: Sink, *, split: bool) -> None:
        self._sink = sink
        self._split = split
        self._start = b""
        self._line = 1
        self._splitter: Splitter | None = None
        self._begun = False

    async def take(self, piece: bytes) -> None:
        """A piece more."""
        if not self._begun:
            self._start += piece
            rest = self._start.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")
            if not rest:
                if len(self._start) > _LOOK:  # blanks alone: of no use but for their lines
                    self._line += self._start.count(b"\n")
                    self._start = b""
                return
            self._begin(rest)
            self._begun, piece, self._start = True, self._start, b""
        if self._splitter is None:
            await self._sink.write(piece)
        else:
            for line in self._splitter.feed(piece):
                await self._sink.write(line)

    async def end(self) -> None:
        """Nothing more comes. Raises Refused where that is too early."""
        if not self._begun:
            raise Refused("the body is empty; send one JSON object on each line, or an array of them")
        if self._splitter is not None:
            self._splitter.end()
            if self._splitter.count == 0:
                raise Refused("the array is empty; a run has at least one record")

    def _begin(self, rest: bytes) -> None:
        line = self._line + self._start[: len(self._start) - len(rest)].count(b"\n")
        first = rest[:1]
        if first not in (b"{", b"["):
            raise Refused("a driver holds one JSON object on each line, and this begins otherwise", line=line)
        if self._split or first == b"[":
            self._splitter = Splitter(MOST_BYTES_A_LINE)


async def _parts_of_run(stream: Stream, head: Head, laying: Laying) -> Brought:
    """Parts: the driver or the manifest, and the files that it names."""
    run = _RunParts(laying)
    reader = PartReader(head.content_type)
    async for piece in stream:
        for event in reader.feed(piece):
            if isinstance(event, PartHead):
                await run.begin(event)
            elif event is None:
                await run.end()
            else:
                await run.take(event)
    reader.end()
    return run.brought()


class _RunParts:
    """The parts of a run on their way into the spool."""

    def __init__(self, laying: Laying) -> None:
        self._laying = laying
        self._digest = hashlib.sha256()
        self._found: dict[Kind, str] = {}
        self._size = 0
        self._part: PartHead | None = None
        self._sink: Sink | None = None
        self._records: _Records | None = None

    async def begin(self, part: PartHead) -> None:
        """A part begins."""
        kind, path = _place(part, self._found)
        self._part = part
        self._sink = await self._laying.begin(path)
        self._records = _Records(self._sink, split=part.media_type in _JSON) if kind is Kind.DRIVER else None

    async def take(self, piece: bytes) -> None:
        """Some of its bytes."""
        if self._records is not None:
            await self._records.take(piece)
        elif self._sink is not None:
            await self._sink.write(piece)

    async def end(self) -> None:
        """It is whole."""
        if self._part is None or self._sink is None:
            return
        if self._records is not None:
            await self._records.end()
        laid = await self._sink.close()
        self._size += laid.size
        self._digest.update(_counted(self._part, laid))
        self._part = self._sink = self._records = None

    def brought(self) -> Brought:
        """All of them. Raises Refused where none tells what the others are."""
        for kind, path in self._found.items():
            return Brought(kind, self._digest.hexdigest(), self._size, path=path)
        raise Refused("no part is called `driver` or `manifest`; one of them tells what the files are")


def _place(part: PartHead, found: dict[Kind, str]) -> tuple[Kind | None, str]:
    """What a part is, and where its file goes."""
    told = part.file or part.name
    plain = told.rpartition("/")[2]
    if part.name == "driver" or (not part.file and part.media_type in _LINES | _JSON):
        kind, path = Kind.DRIVER, DRIVER
    elif part.name == "manifest" or plain == MANIFEST:
        # At the top, whatever its name says: it is one request's folder, and the other names start there.
        kind, path = Kind.MANIFEST, plain if part.file else MANIFEST
    else:
        return None, told
    if found:
        raise Refused("more than one part is a driver or a manifest; send each with a request of its own")
    found[kind] = relative(path)
    return kind, path


def _counted(part: PartHead, laid: Laid) -> bytes:
    """What of a part makes a request the one that it is."""
    return f"{part.name}\n{part.file}\n{laid.sha256}\n{laid.size}\n".encode()


class Held:
    """How many bytes of single records are in memory, in all requests."""

    def __init__(self, most: int) -> None:
        self._most = most
        self.size = 0

    def count(self, size: int) -> None:
        """So many more. Raises Away where that is too many."""
        self.size += size
        if self.size > self._most:
            raise Away("too much is coming in at this moment; try again soon")

    def release(self, size: int) -> None:
        """So many less."""
        self.size -= size


async def read_communication(stream: Stream, head: Head, options: HttpOptions, held: Held) -> Brought:
    """Read one record as JSON, or one document with its facts beside it: a driver of one line.

    Raises:
        Refused: what came cannot be taken.
        Away: too much is coming in.
    """
    body = bytearray()
    try:
        async for piece in stream:
            held.count(len(piece))
            body += piece
            if len(body) > options.most_record_bytes:
                raise TooLarge(f"one communication may have {options.most_record_bytes:,} bytes")
        content = bytes(body)
        digest = hashlib.sha256(content).hexdigest()
        kind = _kind_of(head.content_type, content)
        record = parsed(content) if kind in _JSON else _of_document(content, kind, head, options, digest)
        _check_alone(record)
        line = checked(record)
        return Brought(Kind.DRIVER, _digest_with_facts(digest, kind, head), len(line), content=line)
    finally:
        held.release(len(body))


def _check_alone(record: Mapping[str, Any]) -> None:
    """See that a record that comes without files names none."""
    documents = record.get("documents")
    entries = documents if isinstance(documents, list) else []
    if "html_path" in record or any(isinstance(entry, dict) and "path" in entry for entry in entries):
        raise Refused("the record names a file by path; send it as a further part of the same request", status=422)


def _digest_with_facts(digest: str, kind: str, head: Head) -> str:
    """A record says everything itself; of a bare document its facts make it the one it is."""
    if kind in _JSON:
        return digest
    told = sorted({**dict(head.ours()), **dict(head.pairs())}.items())
    return hashlib.sha256(f"{digest}\n{told}".encode("utf-8", "replace")).hexdigest()


def _kind_of(content_type: str, content: bytes) -> str:
    """What a body is: as it says, unless it says nothing that helps."""
    kind = media_type(content_type) if content_type else ""
    start = content[:_LOOK].removeprefix(b"\xef\xbb\xbf").lstrip()
    if kind in ("", "application/octet-stream", "text/plain", _FORM):
        if start.startswith(b"{"):
            return "application/json"
        if start.startswith(b"%PDF-"):
            return _PDF
        if start[:15].lower().startswith((b"<!doctype html", b"<html")):
            return _HTML
        return kind or "application/octet-stream"
    return kind


def parsed(content: bytes) -> dict[str, Any]:
    """A record as JSON gives it. Raises Refused, with the line."""
    try:
        record = orjson.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except orjson.JSONDecodeError as error:
        raise Refused(f"the record is no JSON: {error.msg} at column {error.colno}", line=error.lineno) from None
    if isinstance(record, list):
        raise Refused("this takes one record; an array of them goes to /api/v1/runs")
    if not isinstance(record, dict):
        raise Refused("the record is no JSON object")
    return record


def checked(record: Mapping[str, Any]) -> bytes:
    """A record as a driver's line.

    Raises:
        Refused: no communication can be made of it.
    """
    try:
        read_record(dict(record))
        return orjson.dumps(record) + b"\n"
    except RecordProblem as problem:
        raise Refused(str(problem), status=422) from None
    except (orjson.JSONEncodeError, UnicodeEncodeError) as error:
        raise Refused(f"the record cannot be kept: {error}", status=422) from None


def _of_document(content: bytes, kind: str, head: Head, options: HttpOptions, digest: str) -> dict[str, Any]:
    """The record of a document that came as the body."""
    facts = facts_of(head)
    record = record_of(facts, options, key=head.idempotency_key or "", digest=digest)
    if not content:
        raise Refused("the body is empty; send a record, a page or a document")
    if kind == _HTML:
        record["html"] = page_of(content, head.content_type)
    elif kind == _PDF or content.startswith(b"%PDF-"):
        name = facts.first(options.names.file) or parameters(head.headers.get("content-disposition")).get(
            "filename", ""
        )
        name = one_line(name.replace("\\", "/").rpartition("/")[2], _LONGEST_NAME) or f"{record['type']}.pdf"
        record["documents"] = [{"name": name, "media_type": _PDF, "content": pybase64.b64encode(content).decode()}]
    else:
        raise WrongKind(f"a communication comes as a JSON record, in parts, as HTML or as a PDF, not as {kind}")
    return with_text(record, facts, options)


def record_of(facts: Facts, options: HttpOptions, *, key: str, digest: str) -> dict[str, Any]:
    """The fields that facts tell; what the mail says is still missing.

    Raises:
        Refused: they name no recipient.
    """
    names = options.names
    address = facts.first(names.recipient)
    if not address:
        raise Refused(f"nobody is named as recipient; say it in the query or a header: {', '.join(names.recipient)}")
    customer = one_line(facts.first(names.customer) or address, _LONGEST_NAME)
    kind = facts.first(names.type) or options.type
    record: dict[str, Any] = {
        "key": one_line(facts.first(names.key) or key or f"{customer[:150]}/{digest[:_DIGEST_IN_KEY]}", _LONGEST_NAME),
        "type": kind,
        "customer": {"id": customer},
        "recipient": {"address": address},
        "locale": facts.first(names.locale) or options.locale,
        "subject": one_line(facts.first(names.subject) or facts.filled(options.subject), _LONGEST_SUBJECT) or kind,
        "source": {"system": "http"},
    }
    if name := one_line(facts.first(names.name), _LONGEST_NAME):
        record["recipient"]["name"] = name
    if stream := facts.first(names.stream) or options.stream:
        record["stream"] = stream
    return record


def with_text(record: dict[str, Any], facts: Facts, options: HttpOptions) -> dict[str, Any]:
    """With the text that facts or settings give; a page alone needs none."""
    text = facts.first(options.names.text) or facts.filled(options.text)
    if text or "html" not in record:
        record["text"] = text
    return record


def page_of(content: bytes, content_type: str) -> str:
    """HTML as text, by the character set that the header names, else as it says itself."""
    charset = parameters(content_type).get("charset", "")
    return clean(decode(content.removeprefix(b"\xef\xbb\xbf"), charset) if charset else decoded_html(content))
