"""Reads what Google says when it says no: the words, the reasons and the time hidden in them.

Shapes: guide "handle errors" (https://developers.google.com/workspace/gmail/api/guides/handle-errors,
read 2026-04-23); bodies in HTML come from the front end (google-api-dotnet-client issue 804).
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

# "User-rate limit exceeded.  Retry after 2026-09-11T20:00:00.000Z" (two spaces), and its RFC 3339 relatives.
_MOMENT = re.compile(
    r"retry\s+after:?\s+(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d+)?\s?(?:Z|[+-]\d\d:?\d\d)?)", re.IGNORECASE
)
_DURATION = re.compile(r"(\d+(?:\.\d+)?)s")
_HIDDEN = re.compile(r"<(script|style|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
# Access tokens, refresh tokens, JWTs and bearer headers that something on the way may have echoed.
_SECRET = re.compile(
    r"(ya29\.[\w.-]+|1//[\w-]+|eyJ[\w-]+\.[\w-]+(?:\.[\w-]*)?|GOCSPX-[\w-]+|(?<=Bearer )\S+)", re.IGNORECASE
)
_SKEW = timedelta(seconds=5)
_READABLE = 65_536


@dataclass(frozen=True, slots=True)
class Answer:
    """A refusal as far as it can be read; ``googles`` says that it has the shape of Google's."""

    status: int
    reasons: tuple[str, ...] = ()
    text: str = ""
    retry_at: datetime | None = None
    googles: bool = False

    @property
    def reason(self) -> str:
        """The first reason, which is the one Google's documents list."""
        return self.reasons[0] if self.reasons else ""


def read_answer(status: int, headers: Mapping[str, str], body: bytes | bytearray, now: datetime) -> Answer:
    """Read a refusal of the API or of the token endpoint; never raises.

    ``now`` is our clock (aware). Moments stated by Google are moved to it when the two clocks differ
    by more than five seconds, as a retry before the stated moment makes the wait longer.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    error = document.get("error") if isinstance(document, dict) else None
    details: list[Any] = []
    if isinstance(error, dict):
        reasons, text, details = _api_error(error)
    elif isinstance(error, str):
        reasons, text = (error,), str(document.get("error_description") or document.get("error_subtype") or "")
    else:
        reasons, text = (), plain_text(body)
    return Answer(
        status=status,
        reasons=reasons,
        text=redact(" ".join(text.split())),
        retry_at=_retry_at(text, headers, details, now),
        googles=isinstance(error, dict | str),
    )


def _api_error(error: Mapping[str, Any]) -> tuple[tuple[str, ...], str, list[Any]]:
    details = [entry for entry in error.get("details") or () if isinstance(entry, dict)]
    listed = [entry for entry in error.get("errors") or () if isinstance(entry, dict)]
    found = [entry.get("reason") for entry in (*listed, *details)]
    found.append(error.get("status"))
    reasons = tuple(dict.fromkeys(str(reason) for reason in found if reason))
    return reasons, str(error.get("message") or ""), details


def plain_text(body: bytes | bytearray) -> str:
    """What a person would read of an HTML (or any other) body, on one line."""
    page = body[:_READABLE].decode("utf-8", "replace")
    title = _TITLE.search(page)
    text = _TAG.sub(" ", _HIDDEN.sub(" ", page))
    if title:
        text = f"{title.group(1)}: {text}"
    return " ".join(html.unescape(text).split())


def redact(text: str) -> str:
    """The text without anything that looks like a token."""
    return _SECRET.sub("***", text)


def _retry_at(text: str, headers: Mapping[str, str], details: list[Any], now: datetime) -> datetime | None:
    """The latest of the moments stated in the words, the Retry-After header and the RetryInfo detail."""
    skew = _clock_skew(headers, now)
    moments = [_moment_in(text, skew), _moment_of_header(headers.get("Retry-After", ""), skew, now)]
    for entry in details:
        wait = _DURATION.fullmatch(str(entry.get("retryDelay", "")))
        if wait:
            moments.append(now + timedelta(seconds=float(wait.group(1))))
    return max((moment for moment in moments if moment), default=None)


def _moment_in(text: str, skew: timedelta) -> datetime | None:
    found = _MOMENT.search(text)
    if not found:
        return None
    try:
        moment = datetime.fromisoformat(found.group(1).upper().replace(" Z", "Z").replace(",", "."))
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) + skew


def _moment_of_header(value: str, skew: timedelta, now: datetime) -> datetime | None:
    if not value:
        return None
    if value.strip().isdecimal():
        return now + timedelta(seconds=min(int(value), 31_536_000))
    moment = _http_date(value)
    return moment + skew if moment else None


def _clock_skew(headers: Mapping[str, str], now: datetime) -> timedelta:
    """How far our clock is ahead of Google's, by the Date header; zero when they agree."""
    theirs = _http_date(headers.get("Date", ""))
    if theirs is None or abs(now - theirs) <= _SKEW:
        return timedelta()
    return now - theirs


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
