"""Messages become records: HTML and text the mail's body, every other part an attachment."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pybase64

from millstream.communication.entries import Reject
from millstream.intake.consignment import Consignment
from millstream.intake.errors import RecordProblem, Unfit
from millstream.intake.keys import Facts
from millstream.intake.ports import Arrival, Source, put_aside
from millstream.intake.record import read_record
from millstream.intake.sources import Fetch, Opening
from millstream.mime import Headers, Part, read_headers
from millstream.mime.charset import clean, decode, is_base64, one_line
from millstream.mime.content import file_name
from millstream.mime.plain import decoded_html
from millstream.mime.reply import is_body
from millstream.mime.structure import leaves

MOST_ATTACHMENTS = 50
"""As many as a record may have."""

_LONGEST_KEY = 200
_LONGEST_SUBJECT = 900
_LONGEST_FILE_NAME = 200
_PDF = "application/pdf"
_ANYTHING = "application/octet-stream"
_SIGNATURES = ("application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature")
_MEDIA_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*")
_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})
_SLASHES = re.compile(r"[/\\]+")
_ENDINGS = {
    _PDF: ".pdf",
    "message/rfc822": ".eml",
    "text/html": ".html",
    "text/plain": ".txt",
    "text/csv": ".csv",
    "text/calendar": ".ics",
    "image/png": ".png",
    "image/jpeg": ".jpg",
    "image/gif": ".gif",
    "application/xml": ".xml",
    "text/xml": ".xml",
    "application/zip": ".zip",
    "application/ms-tnef": ".dat",
}


@dataclass(frozen=True, slots=True)
class MessagesSource:
    """Messages of one run. Each is read when its turn comes, so that one is in memory at a time."""

    consignments: Sequence[Consignment]
    fetch: Fetch
    subject: str = ""
    text: str = ""
    name: str = "messages"
    folder: Path | None = None
    """None: messages bring everything with them."""

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """A record for each message, in order.

        Raises:
            Unreadable: a message is gone from the document store.
            DocumentsFailed: the store is away.
        """
        for line, consignment in enumerate(self.consignments, 1):
            content = self.fetch(consignment.sha256 or "")
            yield arrival(consignment, content, line, subject=self.subject, text=self.text)


def open_messages(subject: str = "", text: str = "") -> Opening:
    """What makes the source of messages; `subject` and `text` stand in where a message has none."""

    def opened(consignments: Sequence[Consignment], fetch: Fetch, /, *, patient: bool) -> Source:  # noqa: ARG001  a message is whole or not there
        return MessagesSource(consignments, fetch, subject=subject, text=text)

    return opened


def arrival(
    consignment: Consignment, content: bytes, line: int = 1, *, subject: str = "", text: str = ""
) -> Arrival | Reject:
    """The record of one message for one recipient; `subject` and `text` stand in where it has none."""
    offer = consignment.offer
    key = offer.key if len(offer.key) <= _LONGEST_KEY else hashlib.sha256(offer.key.encode()).hexdigest()
    found = leaves(content).parts
    damaged = _damaged(found)
    record = _record(content, found, offer.facts, subject=subject, text=text)
    if damaged:
        # As documents that cannot be read: what was meant to be there is missing, so nothing of it leaves.
        record["documents"] = [{"path": name} for name in list(damaged)[:MOST_ATTACHMENTS]]
    try:
        read = read_record({"key": key, **record})
    except RecordProblem as problem:
        aside = put_aside(line, key, str(problem), offer.digest)
        customer, kind = offer.facts.get("customer"), offer.facts.get("type")
        return replace(aside, consignment=consignment.id, customer=customer, type=kind)
    return Arrival(
        line=line,
        record=read.record,
        digest=read.digest,
        size=len(content),
        consignment=consignment.id,
        files=damaged,
    )


def record_of(content: bytes, facts: Mapping[str, Any], *, subject: str = "", text: str = "") -> dict[str, Any]:
    """The fields of a driver's record, without its key, as a message gives them.

    The connector's own From is never our sender: it is kept in `source`.
    """
    return _record(content, leaves(content).parts, facts, subject=subject, text=text)


def _record(
    content: bytes, found: Sequence[Part], facts: Mapping[str, Any], *, subject: str, text: str
) -> dict[str, Any]:
    headers = read_headers(content)
    plain, html, files = _sorted(found)
    body = _joined(plain)
    page = _joined(html, between="\n")
    record: dict[str, Any] = {
        "type": facts["type"],
        "stream": facts["stream"],
        "locale": facts["locale"],
        "customer": {"id": facts["customer"]},
        "recipient": {"address": facts["recipient"], **({"name": facts["name"]} if facts.get("name") else {})},
        "subject": one_line(headers.text("Subject") or _filled(subject, facts), _LONGEST_SUBJECT) or facts["type"],
        "source": {
            "system": "smtp",
            **{name: str(facts[name])[:500] for name in ("from", "sender", "message_id", "client") if facts.get(name)},
        },
    }
    if page.strip():
        record["html"] = page
    if body.strip() or not page.strip():  # else it is made of the page
        record["text"] = body if body.strip() else _filled(text, facts)
    if documents := list(_documents(files)):
        record["documents"] = documents
    return record


def unreadable(content: bytes, headers: Headers) -> str | None:
    """Why no communication can be made of a message, or None. Costs a walk over its lines; nothing is decoded."""
    if not headers.fields:
        return "it has no header"
    found = leaves(content, headers)
    if found.problem:
        return found.problem
    if any(part.headers.content_type.startswith("multipart/") for part in found.parts):
        return "one of its multiparts cannot be taken apart"
    _, _, files = _sorted(found.parts)
    if len(files) > MOST_ATTACHMENTS:
        return f"it has {len(files)} attachments, and a communication may have {MOST_ATTACHMENTS}"
    return None


def _filled(text: str, facts: Mapping[str, Any]) -> str:
    """A text of the settings with what an envelope tells, under the names that Exstream's data usually have."""
    told = {
        "CustomerName": facts.get("name", ""),
        "CustomerId": facts["customer"],
        "CustomerEmail": facts["recipient"],
        "DocumentType": facts["type"],
    }
    return Facts(told).filled(text)


def _damaged(parts: Sequence[Part]) -> dict[str, Unfit]:
    """Of the parts that are used, those whose transfer encoding cannot be undone: what each is called, and why.

    What can be decoded of them is not what was sent: a page that lost a line, a picture that lost its end.
    """
    plain, html, files = _sorted(parts)
    used = {id(part) for part in (*plain, *html, *files)}
    found = {}
    for number, part in enumerate(parts, 1):
        why = _why_damaged(part) if id(part) in used else None
        if why is not None:
            told = file_name(part.headers.get("Content-Type"), part.headers.get("Content-Disposition"))
            kind = part.headers.content_type
            name = one_line(f"part {number}, {told or kind}".replace("\\", "/"), _LONGEST_FILE_NAME).strip(". ")
            found[name] = Unfit("unreadable_document", f"{name!r} of the message {why}; have it sent again")
    return found


def _why_damaged(part: Part) -> str | None:
    encoding = part.headers.transfer_encoding
    if encoding not in _ENCODINGS:
        return f"has the transfer encoding {encoding[:40]!r}, which is none of {', '.join(sorted(_ENCODINGS))}"
    if encoding == "base64" and not is_base64(part.body):
        return "is no whole base64"
    return None


def _sorted(parts: Sequence[Part]) -> tuple[list[Part], list[Part], list[Part]]:
    """Text parts, HTML parts, and what is attached.

    Of a mail that is one text or one page the name does not count: its program only named what it shows.
    """
    plain: list[Part] = []
    html: list[Part] = []
    files: list[Part] = []
    for part in parts:
        kind = part.headers.content_type
        if is_body(part) or (part.is_whole and kind in ("text/plain", "text/html")):
            (html if kind == "text/html" else plain).append(part)
        elif kind not in _SIGNATURES and part.size > 0:
            files.append(part)
    return plain, html, files


def _joined(parts: Sequence[Part], between: str = "") -> str:
    return between.join(_decoded(part) for part in parts)


def _decoded(part: Part) -> str:
    content, charset = part.content(), part.headers.parameter("charset") or ""
    page = part.headers.content_type == "text/html" and not charset
    text = decoded_html(content) if page else decode(content, charset)
    return clean(text.replace("\r\n", "\n").replace("\r", "\n"))


def _documents(files: Sequence[Part]) -> Iterator[dict[str, Any]]:
    taken: set[str] = set()
    for number, part in enumerate(files, 1):
        content = part.content()
        if not content:
            continue
        kind = _media_type(part, content)
        name = _named(part, kind, number)
        while name in taken:
            name = f"{number}-{name}"
        taken.add(name)
        yield {"name": name, "media_type": kind, "content": pybase64.b64encode(content).decode("ascii")}


def _media_type(part: Part, content: bytes) -> str:
    if content.startswith(b"%PDF-"):
        return _PDF
    kind = part.headers.content_type
    # What RFC 2046 §5 forbids to encode travels as a file; the same for a type that is none.
    if kind.startswith(("message/", "multipart/")) or not _MEDIA_TYPE.fullmatch(kind):
        return _ANYTHING
    return kind


def _named(part: Part, kind: str, number: int) -> str:
    told = file_name(part.headers.get("Content-Type"), part.headers.get("Content-Disposition"))
    name = one_line(_SLASHES.split(told)[-1], _LONGEST_FILE_NAME).strip(". ")
    if name:
        return name
    return f"attachment-{number}{_ENDINGS.get(kind) or _ENDINGS.get(part.headers.content_type, '')}"
