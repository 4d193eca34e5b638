"""Reads what Exstream says when it says no: its words, its code, and in which shape they came.

Shapes: the error body of its services and the error data of the engine (OpenText's SDK sample for its Communications
cloud, ExstreamErrorResponse and OrchestrationErrorData, read 2026-11-24), pages of proxies and ingresses, plain text,
nothing at all. What comes in a success with ``status`` error is read here too.
"""

from __future__ import annotations

import codecs
import contextlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.message import Message
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Any

import orjson

from millstream import lazy

_READABLE = 65_536
_MOST_WAIT = 86_400
_CONTROLS = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
_FAILED = frozenset({"error", "failure", "failed"})
# Bearer tokens, JWTs, OTDS tickets, and fields of a form or of JSON whose name says that they are secret.
_SECRET = re.compile(
    r"(?:(?<=Bearer )\S+|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|\*OTDS\w*\*\S+"
    r"|(?<=client_secret[=:])[^&\s,}]+|(?<=password[=:])[^&\s,}]+"
    r"|(?<=client_secret\":\")[^\"]+|(?<=password\":\")[^\"]+|(?<=access_token\":\")[^\"]+)",
    re.IGNORECASE,
)


class Shape(StrEnum):
    """In what form an answer came."""

    JSON_ERROR = "json-error"
    DATA_ERROR = "data-error"
    JSON = "json"
    """JSON in which nothing says what is wrong."""
    HTML = "html"
    XML = "xml"
    TEXT = "text"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as far as it can be read."""

    status: int
    shape: Shape
    text: str = ""
    code: str = ""
    """``errorCode``, the engine's ``statusCode``, or OAuth's error word."""
    retry_at: datetime | None = None

    @property
    def exstreams(self) -> bool:
        """Whether it has a shape that Exstream itself gives; pages and plain text come from what stands before it."""
        return self.shape not in {Shape.HTML, Shape.TEXT}


def read_answer(status: int, headers: Mapping[str, str], body: bytes | bytearray, now: datetime) -> Answer:
    """Read a refusal; never raises. ``now`` is our clock (aware)."""
    shape, text, code = _read(headers.get("Content-Type", ""), body)
    return Answer(
        status=status,
        shape=shape,
        text=redact(_plain(text)),
        code=redact(_plain(code)),
        retry_at=_retry_at(headers.get("Retry-After", ""), now),
    )


def says_failure(document: Any) -> bool:
    """Whether a JSON answer says that it failed, whatever its HTTP status."""
    return isinstance(document, dict) and str(document.get("status") or "").lower() in _FAILED


def redact(text: str) -> str:
    """The text without anything that looks like a secret."""
    return _SECRET.sub("***", text)


def _read(content_type: str, body: bytes | bytearray) -> tuple[Shape, str, str]:
    head = bytes(body[:_READABLE])
    if not head.strip():
        return Shape.EMPTY, "", ""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _read_page(content_type, head)
    if isinstance(document, dict):
        return _read_document(document)
    return Shape.JSON, document if isinstance(document, str) else orjson.dumps(document).decode()[:500], ""


def _read_document(document: dict[str, Any]) -> tuple[Shape, str, str]:
    data = document.get("data")
    entries = data if isinstance(data, list) else [data]
    errors = [entry for entry in entries if isinstance(entry, dict) and "errorMessage" in entry]
    if errors:
        told = "; ".join(dict.fromkeys(str(entry["errorMessage"] or "") for entry in errors))
        return Shape.DATA_ERROR, told, str(errors[0].get("statusCode") or "")
    said = [_words(document.get(name)) for name in ("message", "error", "error_description", "details")]
    text = ": ".join(dict.fromkeys(part for part in said if part))
    if not text:
        return Shape.JSON, _words(data) if says_failure(document) else "", ""
    oauth = document.get("error") if "error_description" in document else ""
    return Shape.JSON_ERROR, text, str(document.get("errorCode") or oauth or "")


def _words(value: Any) -> str:
    if value is None or value in ("", [], {}):
        return ""
    return value if isinstance(value, str) else orjson.dumps(value).decode()[:500]


def _read_page(content_type: str, head: bytes) -> tuple[Shape, str, str]:
    page = _decoded(content_type, head)
    start = page[:1024].lstrip("\ufeff \t\r\n").lower()
    if start.startswith(("<!doctype html", "<html")) or "text/html" in content_type.lower():
        return Shape.HTML, _page_text(page), ""
    if start.startswith("<"):
        return Shape.XML, _page_text(page), ""
    return Shape.TEXT, page, ""


def _decoded(content_type: str, head: bytes) -> str:
    charset = "utf-8"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        charset = "utf-16"
    else:
        field = Message()
        field["Content-Type"] = content_type.replace("\r", " ").replace("\n", " ")
        with contextlib.suppress(LookupError, ValueError, TypeError, AttributeError):  # a header of no known form
            charset = field.get_content_charset("utf-8")
    try:
        return head.decode(charset, "replace")
    except (LookupError, ValueError):  # no charset, or one that is none of text
        return head.decode("utf-8", "replace")


def _page_text(page: str) -> str:
    """What a person would read of a page: its title, then the rest."""
    etree, html = lazy.load("lxml.etree"), lazy.load("lxml.html")
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True)
    try:
        tree = html.document_fromstring(page.replace("\0", "").encode(), parser=parser)
    except (etree.LxmlError, ValueError):  # nothing but comments or declarations
        return ""
    etree.strip_elements(tree, "script", "style", with_tail=False)
    return " ".join(str(piece) for piece in tree.itertext())


def _plain(text: str) -> str:
    """On one line, and with nothing in it that a database or a log cannot keep."""
    return " ".join(_CONTROLS.sub(" ", text).split())


def _retry_at(value: str, now: datetime) -> datetime | None:
    value = value.strip()
    if not value:
        return None
    if value.isascii() and value.isdecimal():
        return now + timedelta(seconds=min(int(value[:9]), _MOST_WAIT))
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
