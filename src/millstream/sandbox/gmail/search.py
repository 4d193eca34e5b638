"""A subset of Gmail's search: from, to, cc, bcc, subject, rfc822msgid, in, label, is, has, after, before, words.

Terms are joined by "and"; a leading minus excludes; values may stand in quotes or, for `or`, in braces.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.message import Message

Matcher = Callable[[Message], bool]

_TERM = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]*)"|\(([^)]*)\)|(\S+))')
_FOLDERS = {"chats": "CHAT", "draft": "DRAFT", "drafts": "DRAFT", "sent": "SENT", "inbox": "INBOX", "trash": "TRASH"}
_FIELDS = frozenset({"from", "to", "cc", "bcc", "subject"})


def matcher(query: str | None, account: Account) -> Matcher:
    """A test for a `q` parameter; no query matches everything."""
    tests = []
    for minus, key, *values in _TERM.findall(query or ""):
        value = next((text for text in values if text), "")
        test = _test(key.lower(), value, account)
        tests.append(_without(test) if minus else test)
    return lambda message: all(test(message) for test in tests)


def _without(test: Matcher) -> Matcher:
    return lambda message: not test(message)


def _test(key: str, value: str, account: Account) -> Matcher:
    if key in _FIELDS:
        wanted = account.address if value.lower() == "me" else value.lower()
        return lambda message: wanted in (message.header(key) or "").lower()
    if key == "rfc822msgid":
        return lambda message: (message.header("message-id") or "").strip().strip("<>") == value.strip("<>")
    if key in ("in", "label", "is"):
        return _label_test(value, account)
    if key == "has":
        return lambda message: bool(message.parts().attachments())
    if key in ("after", "before"):
        return _date_test(key, value)
    return lambda message: _word(message, value.lower())


def _label_test(value: str, account: Account) -> Matcher:
    name = value.lower()
    if name == "anywhere":
        return lambda _message: True
    if name == "read":
        return lambda message: "UNREAD" not in message.labels
    label = _FOLDERS.get(name, name.upper())
    for user_label in account.user_labels.values():
        if user_label["name"].lower().replace(" ", "-") == name.replace(" ", "-"):
            label = user_label["id"]
    return lambda message: label in message.labels


def _date_test(key: str, value: str) -> Matcher:
    if value.isdigit():
        edge = int(value) * 1000
    else:
        try:
            day = datetime.strptime(value.replace("-", "/"), "%Y/%m/%d").replace(tzinfo=UTC)
        except ValueError:
            return lambda _message: False
        edge = int(day.timestamp() * 1000)
    if key == "after":
        return lambda message: message.internal_date >= edge
    return lambda message: message.internal_date < edge


def _word(message: Message, word: str) -> bool:
    headers = " ".join(filter(None, map(message.header, ("subject", "from", "to")))).lower()
    if word in headers:
        return True
    parts = message.parts()
    return word in (parts.text("text/plain") or parts.text("text/html") or "").lower()
