"""users.messages: sent, read, listed, labelled, thrown away."""

from collections.abc import Callable
from email.utils import mktime_tz, parsedate_tz
from typing import Any

from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.drafts import RAW_REQUIRED
from millstream.sandbox.gmail.errors import BadArgument, MetadataScope, NotFound
from millstream.sandbox.gmail.headers import Headers, find, split
from millstream.sandbox.gmail.labels import checked_changes, checked_labels
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.paging import page_of, page_start, visible
from millstream.sandbox.gmail.search import read_query
from millstream.sandbox.gmail.transit import Letter
from millstream.sandbox.gmail.wire import (
    attachment_resource,
    chosen_format,
    label_list,
    labelled,
    message_resource,
    reference,
)

_MOST_IDS = 1000
_HEX_ID = 16
_LATEST_DATE = 32_503_680_000_000  # the year 3000, in milliseconds


def send(room: Room, call: Call) -> dict[str, Any]:
    """messages.send."""
    raw = call.raw(call.document)
    if raw is None:
        raise BadArgument(RAW_REQUIRED)
    sent = room.transit.submit(call.account, Letter.read(raw), thread_id=_thread_id(call))
    return {"id": sent.id, "threadId": sent.thread_id, "labelIds": label_list(sent.labels)}


def insert(room: Room, call: Call) -> dict[str, Any]:
    """messages.insert and messages.import: as it is, Message-ID included, into this mailbox only."""
    raw = call.raw(call.document)
    if raw is None:
        raise BadArgument(RAW_REQUIRED)
    head, body = split(raw)
    labels = checked_labels(call.account, call.document.get("labelIds") or ())
    thread_id = _thread_id(call) or room.transit.thread_for(call.account, Headers.parse(head))
    message = room.world.store(
        call.account, head, body, labels=labels, thread_id=thread_id, internal_date=_internal_date(call, head)
    )
    answer = labelled(message)
    if call.flag("deleted"):
        # "Mark the email as permanently deleted (not TRASH) and only visible in Google Vault" (discovery document).
        erase(room, call, message)
    return answer


def _internal_date(call: Call, head: bytes) -> int | None:
    by_default = "dateHeader" if call.method == "messages.import" else "receivedTime"
    source = call.one("internalDateSource") or by_default
    if source not in ("dateHeader", "receivedTime"):
        raise BadArgument(f"Invalid value at 'internal_date_source', \"{source}\"")
    if source != "dateHeader":
        return None
    try:
        parsed = parsedate_tz(find(head, "date") or "")
        moment = mktime_tz(parsed) * 1000 if parsed else None
    except (OverflowError, ValueError):
        return None  # a Date header of nonsense counts as none
    return moment if moment is not None and 0 <= moment < _LATEST_DATE else None


def _thread_id(call: Call) -> str | None:
    thread_id = call.document.get("threadId")
    if thread_id and not call.account.thread(str(thread_id)):
        raise NotFound
    return thread_id


def get(_room: Room, call: Call) -> dict[str, Any]:
    """messages.get."""
    message = wanted(call)
    return message_resource(message, chosen_format(call), call.many("metadataHeaders"))


def wanted(call: Call, name: str = "id") -> Message:
    """The message a path names; raises `BadArgument` for an id that cannot be one and `NotFound`."""
    message_id = call.path[name]
    try:
        known = len(message_id) <= _HEX_ID and int(message_id, 16) >= 0
    except ValueError:
        known = False
    if not known:
        raise BadArgument("Invalid id value")
    message = call.account.message(message_id.lower())
    if message is None:
        raise NotFound
    return message


def list_(room: Room, call: Call) -> dict[str, Any]:
    """messages.list: newest first; TRASH and SPAM only if asked for."""
    wanted_ones = selection(room, call)
    shelf = call.account.shelf(call.many("labelIds"))
    messages = filter(wanted_ones, shelf.newest_first(below=page_start(call)))
    return page_of(call, "messages", messages, position=lambda message: message.position, show=reference)


def selection(room: Room, call: Call) -> Callable[[Message], bool]:
    """A test for the messages a list call asks for by labels and search."""
    query = call.one("q")
    if query and call.access.is_metadata_only:
        raise MetadataScope("does not support 'q' parameter")
    wanted_labels = frozenset(call.many("labelIds"))
    search = read_query(query, call.account, room.world.clock.seconds())
    hidden = frozenset() if call.flag("includeSpamTrash") else frozenset({"TRASH", "SPAM"}) - wanted_labels
    hidden -= search.opened
    known = visible(room, call)
    return lambda message: (
        wanted_labels <= message.labels and not hidden & message.labels and known(message) and search.matches(message)
    )


def modify(room: Room, call: Call) -> dict[str, Any]:
    """messages.modify."""
    message = wanted(call)
    add, remove = checked_changes(call.account, call.document)
    call.account.relabel(message, add=add, remove=remove, moment=room.world.clock.seconds())
    return labelled(message)


def trash(room: Room, call: Call) -> dict[str, Any]:
    """messages.trash."""
    message = wanted(call)
    call.account.relabel(message, add=("TRASH",), remove=("INBOX",), moment=room.world.clock.seconds())
    return labelled(message)


def untrash(room: Room, call: Call) -> dict[str, Any]:
    """messages.untrash."""
    message = wanted(call)
    call.account.relabel(message, remove=("TRASH",), moment=room.world.clock.seconds())
    return labelled(message)


def delete(room: Room, call: Call) -> None:
    """messages.delete: for good."""
    erase(room, call, wanted(call))


def erase(room: Room, call: Call, message: Message) -> None:
    """Delete a message for good, and the draft that held it."""
    if "DRAFT" in message.labels:
        draft = call.account.draft_of(message.id)
        if draft is not None:
            del call.account.drafts[draft.id]
    call.account.remove(message, room.world.clock.seconds())


def _named(call: Call) -> list[Message]:
    ids = call.document.get("ids") or []
    if len(ids) > _MOST_IDS:
        raise BadArgument("Too many ids")
    return [message for message in map(call.account.message, ids) if message is not None]


def batch_modify(room: Room, call: Call) -> None:
    """messages.batchModify: ids that are not there are passed over."""
    add, remove = checked_changes(call.account, call.document)
    for message in _named(call):
        call.account.relabel(message, add=add, remove=remove, moment=room.world.clock.seconds())


def batch_delete(room: Room, call: Call) -> None:
    """messages.batchDelete."""
    for message in _named(call):
        erase(room, call, message)


def attachment(_room: Room, call: Call) -> dict[str, Any]:
    """messages.attachments.get."""
    return attachment_resource(wanted(call, "messageId"), call.path["id"])


_MODIFY = scopes("gmail.modify")
_LIST = scopes("gmail.modify", "gmail.readonly", "gmail.metadata")
_INSERT = scopes("gmail.modify", "gmail.insert")
_SEND = scopes("gmail.send", "gmail.compose", "gmail.modify")

METHODS = (
    Method("messages.send", "POST", "messages/send", send, _SEND, uploads=True),
    Method("messages.insert", "POST", "messages", insert, _INSERT, uploads=True),
    Method("messages.import", "POST", "messages/import", insert, _INSERT, uploads=True),
    Method("messages.get", "GET", "messages/{id}", get, _LIST),
    Method("messages.list", "GET", "messages", list_, _LIST),
    Method("messages.modify", "POST", "messages/{id}/modify", modify, _MODIFY),
    Method("messages.trash", "POST", "messages/{id}/trash", trash, _MODIFY),
    Method("messages.untrash", "POST", "messages/{id}/untrash", untrash, _MODIFY),
    Method("messages.delete", "DELETE", "messages/{id}", delete, scopes()),
    Method("messages.batchModify", "POST", "messages/batchModify", batch_modify, _MODIFY),
    Method("messages.batchDelete", "POST", "messages/batchDelete", batch_delete, scopes()),
    Method(
        "messages.attachments.get",
        "GET",
        "messages/{messageId}/attachments/{id}",
        attachment,
        scopes("gmail.modify", "gmail.readonly"),
    ),
)
