"""What the operators of Gmail's search mean, as its help page "Refine searches in Gmail" lists them.

Words match whole words, without regard to case; several words of one value must stand side by side.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.headers import find
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.parts import Part, read_parts

Matcher = Callable[[Message], bool]

PST: Final = timezone(timedelta(hours=-8))
"""Dates of a query begin at midnight in this zone (Gmail API guide "filtering"); seconds since 1970 say it exactly."""

_WORDS: Final = re.compile(r"\w+")
_AGE: Final = re.compile(r"(\d+)([hdmy])", re.IGNORECASE)
_SIZE: Final = re.compile(r"(\d+)\s*([km])?b?", re.IGNORECASE)
_AGES: Final = {"h": 3_600, "d": 86_400, "m": 30 * 86_400, "y": 365 * 86_400}
_UNITS: Final = {"": 1, "k": 1_024, "m": 1_048_576}
_FOLDERS: Final = {"chats": "CHAT", "chat": "CHAT", "drafts": "DRAFT", "draft": "DRAFT", "bin": "TRASH"}
_STARS: Final = re.compile(r"[a-z]+-(?:star|bang|guillemet|question|check|info)")
_CATEGORIES: Final = {
    "primary": "CATEGORY_PERSONAL",
    "reservations": "CATEGORY_UPDATES",
    "purchases": "CATEGORY_UPDATES",
}
_KINDS: Final = {
    "document": ("docs.google.com/document",),
    "spreadsheet": ("docs.google.com/spreadsheets",),
    "presentation": ("docs.google.com/presentation",),
    "drive": ("drive.google.com", "docs.google.com"),
    "youtube": ("youtube.com/watch", "youtu.be/"),
}
_BODY_BYTES: Final = 262_144
"""So much of a message is searched for words: the text stands first. Gmail's index has an end too."""

_SIZED: Final = {"larger": True, "size": True, "smaller": False}
_DATED: Final = {"after": True, "newer": True, "before": False, "older": False}
_AGED: Final = {"newer_than": True, "older_than": False}
_HEADERS: Final = {
    "from": ("From",),
    "to": ("To", "Cc", "Bcc"),
    "cc": ("Cc",),
    "bcc": ("Bcc",),
    "subject": ("Subject",),
    "deliveredto": ("Delivered-To",),
    "list": ("List-ID",),
}
_OTHERS: Final = ("label", "in", "is", "has", "filename", "rfc822msgid", "category")
OPERATORS: Final = frozenset((*_HEADERS, *_SIZED, *_DATED, *_AGED, *_OTHERS))


@dataclass(frozen=True, slots=True)
class Place:
    """Whose mailbox is searched, and when (seconds since 1970)."""

    account: Account
    now: float


def words(text: str) -> list[str]:
    """A text as its words are compared."""
    return _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())


def _stand_together(wanted: list[str], text: list[str]) -> bool:
    if len(wanted) == 1:
        return wanted[0] in text
    size = len(wanted)
    return any(text[start : start + size] == wanted for start in range(len(text) - size + 1))


def term(key: str, value: str, place: Place) -> Matcher:
    """One operator with its value; no operator is a word anywhere. What makes no sense matches nothing."""
    if key in _HEADERS:
        return _header(key, value, place.account)
    if key in (_SIZED | _DATED | _AGED):
        return _measured(key, value, place.now)
    if key in ("label", "in", "is"):
        return _labelled(value, place.account)
    reads = {"rfc822msgid": _by_id, "category": _in_category, "filename": _filename}.get(key, _anywhere)
    return _having(value.lower(), place.account) if key == "has" else reads(value)


def _by_id(value: str) -> Matcher:
    wanted = value.strip().strip("<>")
    return lambda message: (message.header("Message-ID") or "").strip().strip("<>") == wanted


def _in_category(value: str) -> Matcher:
    name = value.lower()
    label = _CATEGORIES.get(name, f"CATEGORY_{name.upper()}")
    return lambda message: label in message.labels


def _nothing(_message: Message) -> bool:
    return False


def _header(key: str, value: str, account: Account) -> Matcher:
    wanted = words(account.address if value.lower() == "me" else value)
    if not wanted:
        return _nothing
    if key == "deliveredto":  # forwarded mail has several
        return lambda message: any(_stand_together(wanted, words(one)) for one in message.header_values("Delivered-To"))
    names = _HEADERS[key]
    return lambda message: any(_stand_together(wanted, words(message.header(name) or "")) for name in names)


def _anywhere(value: str) -> Matcher:
    wanted = words(value)
    if not wanted:
        return lambda _message: True

    def test(message: Message) -> bool:
        if any(_stand_together(wanted, words(message.header(name) or "")) for name in ("Subject", "From", "To", "Cc")):
            return True
        text = _text(message)
        if all(word in text for word in wanted) and _stand_together(wanted, _WORDS.findall(text)):
            return True
        return any(_stand_together(wanted, words(name)) for name in message.filenames)

    return test


def _text(message: Message) -> str:
    """A message's text as its words are compared."""
    mime = tuple(find(message.head, name) or "" for name in ("Content-Type", "Content-Transfer-Encoding"))
    return _comparable(mime, message.body[:_BODY_BYTES])


@lru_cache(maxsize=64)
def _comparable(mime: tuple[str, ...], body: bytes) -> str:
    """Kept for a while, for generated messages and copies share their bodies."""
    kind, encoding = mime
    head = f"Content-Type: {kind or 'text/plain'}\r\nContent-Transfer-Encoding: {encoding or '7bit'}"
    tree = read_parts(head.encode() + b"\r\n\r\n" + body)
    return unicodedata.normalize("NFKC", tree.text("text/plain") or tree.text("text/html") or "").casefold()


def _labelled(value: str, account: Account) -> Matcher:
    name = value.lower()
    if name == "anywhere":
        return lambda _message: True
    if name == "read":
        return lambda message: "UNREAD" not in message.labels
    if name in ("archive", "archived"):
        gone = frozenset({"INBOX", "SENT", "DRAFT", "TRASH", "SPAM"})
        return lambda message: gone.isdisjoint(message.labels)
    label = _FOLDERS.get(name, name.upper())
    for user_label in account.user_labels.values():
        if _as_searched(user_label["name"]) == _as_searched(name):
            label = user_label["id"]
    return lambda message: label in message.labels


def _as_searched(name: str) -> str:
    """A label's name as a query may spell it: blanks and slashes are minus signs."""
    return re.sub(r"[\s/]", "-", name.lower())


def _having(value: str, account: Account) -> Matcher:
    if value == "attachment":
        return lambda message: bool(message.filenames)
    if value in ("userlabels", "nouserlabels"):
        labelled = value == "userlabels"
        return lambda message: any(label in account.user_labels for label in message.labels) is labelled
    if _STARS.fullmatch(value):
        return lambda message: "STARRED" in message.labels
    if value in _KINDS:
        hosts = _KINDS[value]
        return lambda message: any(host in text for text in _texts(message.parts()) for host in hosts)
    return _nothing


def _texts(tree: Part) -> list[str]:
    return [tree.text(kind) or "" for kind in ("text/plain", "text/html")]


def _filename(value: str) -> Matcher:
    """A whole name, a word of it, or its ending (filename:pdf)."""
    wanted, whole = words(value), value.lower()

    def test(message: Message) -> bool:
        return any(whole == name.lower() or _stand_together(wanted, words(name)) for name in message.filenames)

    return test if wanted else _nothing


def _measured(key: str, value: str, now: float) -> Matcher:
    if key in _SIZED:
        return _sized(value, larger=_SIZED[key])
    return _dated(value, after=_DATED[key]) if key in _DATED else _aged(value, now, newer=_AGED[key])


def _sized(value: str, *, larger: bool) -> Matcher:
    match = _SIZE.fullmatch(value)
    if match is None:
        return _nothing
    edge = int(match[1]) * _UNITS[(match[2] or "").lower()]
    return lambda message: message.size > edge if larger else message.size < edge


def _dated(value: str, *, after: bool) -> Matcher:
    edge = _moment(value)
    if edge is None:
        return _nothing
    return lambda message: (message.internal_date >= edge) is after


def _moment(value: str) -> int | None:
    """Milliseconds since 1970 of a date (2026/11/23, 2026-11-23, 11/23/2026) or of seconds since 1970."""
    if value.isdecimal():
        return int(value) * 1000
    for form in ("%Y/%m/%d", "%m/%d/%Y"):
        try:
            day = datetime.strptime(value.replace("-", "/").replace(".", "/"), form).replace(tzinfo=PST)
        except ValueError:
            continue
        return int(day.astimezone(UTC).timestamp() * 1000)
    return None


def _aged(value: str, now: float, *, newer: bool) -> Matcher:
    match = _AGE.fullmatch(value)
    if match is None:
        return _nothing
    edge = (now - int(match[1]) * _AGES[match[2].lower()]) * 1000
    return lambda message: (message.internal_date >= edge) is newer
