"""Gmail's JSON as values. Shapes: discovery document of Gmail v1, schemas of the same names.

A function here raises KeyError, TypeError or ValueError when the document is not what Gmail documents;
the client turns that into ``Unreadable``.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import pybase64

from millstream.gmail.model import (
    Draft,
    Headers,
    HistoryPage,
    Label,
    Message,
    MessageRef,
    Page,
    Profile,
    SendAs,
    Watch,
)

Json = dict[str, Any]
_Item = TypeVar("_Item")


def draft(document: Json) -> Draft:
    """A Draft resource."""
    message = document.get("message") or {}
    return Draft(_id(document), message.get("id", ""), message.get("threadId", ""))


def message_ref(document: Json) -> MessageRef:
    """A Message resource of which only the place is told."""
    return MessageRef(_id(document), document.get("threadId", ""), tuple(document.get("labelIds") or ()))


def message(document: Json) -> Message:
    """A Message resource; what the format leaves out stays empty. Takes ``raw`` out of the document."""
    history_id = document.get("historyId")
    internal_date = document.get("internalDate")
    payload = document.get("payload") or {}
    return Message(
        id=_id(document),
        thread_id=document.get("threadId", ""),
        label_ids=tuple(document.get("labelIds") or ()),
        history_id=int(history_id) if history_id is not None else None,
        headers=Headers((entry["name"], entry["value"]) for entry in payload.get("headers") or ()),
        internal_date=_moment(internal_date) if internal_date is not None else None,
        size=document.get("sizeEstimate"),
        raw=_unpacked(document) if document.get("raw") is not None else None,
    )


def page(document: Json, name: str, item: Callable[[Json], _Item]) -> Page[_Item]:
    """A page of a list; the list is missing when it is empty."""
    return Page(tuple(item(entry) for entry in document.get(name) or ()), document.get("nextPageToken") or None)


def history(document: Json) -> HistoryPage:
    """A page of history: what was added, once each. A page with a next one may lack the list (lieer issue 120)."""
    added: dict[str, MessageRef] = {}
    for record in document.get("history") or ():
        for entry in record.get("messagesAdded") or ():
            found = message_ref(entry["message"])
            added.setdefault(found.id, found)
    return HistoryPage(
        history_id=int(document["historyId"]),
        added=tuple(added.values()),
        next_page=document.get("nextPageToken") or None,
    )


def watch(document: Json) -> Watch:
    """A WatchResponse; both of its numbers are strings, the expiry in milliseconds."""
    return Watch(int(document["historyId"]), _moment(document["expiration"]))


def profile(document: Json) -> Profile:
    """A Profile resource."""
    return Profile(
        address=_text(document["emailAddress"]),
        history_id=int(document["historyId"]),
        messages_total=int(document.get("messagesTotal", 0)),
        threads_total=int(document.get("threadsTotal", 0)),
    )


def labels(document: Json) -> tuple[Label, ...]:
    """A ListLabelsResponse; labels come on one page."""
    return tuple(
        Label(_id(entry), entry.get("name", ""), entry.get("type", "user")) for entry in document.get("labels") or ()
    )


def send_as(document: Json) -> tuple[SendAs, ...]:
    """A ListSendAsResponse; the primary address has no verification status and needs none."""
    return tuple(
        SendAs(
            address=_text(entry["sendAsEmail"]),
            name=entry.get("displayName", ""),
            is_primary=bool(entry.get("isPrimary")),
            is_default=bool(entry.get("isDefault")),
            verified=bool(entry.get("isPrimary")) or entry.get("verificationStatus") == "accepted",
        )
        for entry in document.get("sendAs") or ()
    )


def _id(document: Json) -> str:
    return _text(document["id"])


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError(f"a non-empty string was expected, not {value!r}")
    return value


def _moment(milliseconds: str) -> datetime:
    return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)


def _unpacked(document: Json) -> bytes:
    """The message in ``raw``: base64url, whether padded or not.

    A message of 30 MB is a string of 40 MB. Nobody else holds it here, so that it grows in place where padding
    is missing and is gone as soon as it is decoded.
    """
    raw: str = document.pop("raw")
    raw += "=" * (-len(raw) % 4)
    try:
        # Strict is five times faster and makes no copies (pybase64 1.5: 14 ms against 76 ms for 41 MB).
        return pybase64.b64decode(raw, altchars=b"-_", validate=True)
    except ValueError:  # line breaks, as other servers than Google's send them
        return pybase64.b64decode(raw, altchars=b"-_")
