"""users.threads."""

from typing import Any

from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.errors import NotFound
from millstream.sandbox.gmail.labels import checked_changes
from millstream.sandbox.gmail.message import Message
from millstream.sandbox.gmail.messages import erase, selection
from millstream.sandbox.gmail.paging import page_of, page_start
from millstream.sandbox.gmail.wire import chosen_format, label_list, reference, thread_resource, thread_summary


def get(_room: Room, call: Call) -> dict[str, Any]:
    """threads.get."""
    return thread_resource(_wanted(call), chosen_format(call), call.many("metadataHeaders"))


def list_(room: Room, call: Call) -> dict[str, Any]:
    """threads.list: a thread is listed where any of its messages matches."""
    wanted = selection(room, call)
    threads = (thread for thread in call.account.threads(below=page_start(call)) if any(map(wanted, thread)))
    return page_of(call, "threads", threads, position=lambda thread: thread[-1].position, show=thread_summary)


def modify(room: Room, call: Call) -> dict[str, Any]:
    """threads.modify."""
    messages = _wanted(call)
    add, remove = checked_changes(call.account, call.document)
    return _relabel(room, call, messages, add, remove)


def trash(room: Room, call: Call) -> dict[str, Any]:
    """threads.trash."""
    return _relabel(room, call, _wanted(call), ("TRASH",), ("INBOX",))


def untrash(room: Room, call: Call) -> dict[str, Any]:
    """threads.untrash."""
    return _relabel(room, call, _wanted(call), (), ("TRASH",))


def delete(room: Room, call: Call) -> None:
    """threads.delete: for good."""
    for message in _wanted(call):
        erase(room, call, message)


def _wanted(call: Call) -> list[Message]:
    messages = call.account.thread(call.path["id"].lower())
    if not messages:
        raise NotFound
    return messages


def _relabel(
    room: Room, call: Call, messages: list[Message], add: tuple[str, ...], remove: tuple[str, ...]
) -> dict[str, Any]:
    for message in messages:
        call.account.relabel(message, add=add, remove=remove, moment=room.world.clock.seconds())
    return {
        "id": messages[0].thread_id,
        "messages": [reference(message) | {"labelIds": label_list(message.labels)} for message in messages],
    }


_MODIFY = scopes("gmail.modify")
_LIST = scopes("gmail.modify", "gmail.readonly", "gmail.metadata")

METHODS = (
    Method("threads.get", "GET", "threads/{id}", get, _LIST),
    Method("threads.list", "GET", "threads", list_, _LIST),
    Method("threads.modify", "POST", "threads/{id}/modify", modify, _MODIFY),
    Method("threads.trash", "POST", "threads/{id}/trash", trash, _MODIFY),
    Method("threads.untrash", "POST", "threads/{id}/untrash", untrash, _MODIFY),
    Method("threads.delete", "DELETE", "threads/{id}", delete, scopes()),
)
