"""users.labels, and the checks on labels that other methods need."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from millstream.sandbox.gmail.account import SYSTEM_LABELS, Account
from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.errors import AlreadyThere, BadArgument, NotFound
from millstream.sandbox.gmail.message import Message

MOST_LABELS: Final = 10_000
"""Labels a mailbox may have (discovery document)."""

_UNCHANGEABLE: Final = frozenset({"SENT", "DRAFT", "CHAT"})
_FIELDS: Final = ("name", "messageListVisibility", "labelListVisibility", "color")
_HIDDEN_SYSTEM: Final = frozenset({"CHAT", "TRASH", "SPAM", "DRAFT"})


def checked_labels(account: Account, given: Any) -> frozenset[str]:
    """Label ids that exist; raises `BadArgument` for one that does not, and for what is no list of ids."""
    label_ids = _ids(given)
    for label_id in label_ids:
        if not account.knows_label(label_id):
            raise BadArgument(f"Invalid label: {label_id}")
    return frozenset(label_ids)


def _ids(given: Any) -> tuple[str, ...]:
    """A list of ids in a document; none is empty."""
    if given is None:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise BadArgument("Invalid value (TYPE_STRING), a list of label ids is wanted")
    return tuple(given)


def checked_changes(account: Account, document: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels to add and to remove; SENT and DRAFT are Gmail's own to set."""
    add = _ids(document.get("addLabelIds"))
    remove = _ids(document.get("removeLabelIds"))
    if not add and not remove:
        raise BadArgument("No label add or removes specified")
    for label_id in (*add, *remove):
        if label_id in _UNCHANGEABLE:
            raise BadArgument(f"Invalid label: {label_id}")
    checked_labels(account, (*add, *remove))
    return add, remove


def list_(_room: Room, call: Call) -> dict[str, Any]:
    """labels.list: system labels first."""
    return {"labels": [_system(label_id) for label_id in SYSTEM_LABELS] + list(call.account.user_labels.values())}


def get(_room: Room, call: Call) -> dict[str, Any]:
    """labels.get: with its counts."""
    label = _wanted(call)
    inside = call.account.shelf((label["id"],))
    unread = [message for message in inside.newest_first() if "UNREAD" in message.labels] if inside.unread else []
    return label | {
        "messagesTotal": len(inside),
        "messagesUnread": inside.unread,
        "threadsTotal": _threads(inside.newest_first()),
        "threadsUnread": _threads(unread),
    }


def create(_room: Room, call: Call) -> dict[str, Any]:
    """labels.create."""
    name = _checked_name(call, call.document.get("name"))
    if len(call.account.user_labels) >= MOST_LABELS:
        raise BadArgument("Label limit exceeded")
    number = 1 + max((int(label_id[6:]) for label_id in call.account.user_labels), default=0)
    label = {
        "messageListVisibility": "show",
        "labelListVisibility": "labelShow",
        **_given(call),
        "id": f"Label_{number}",
        "name": name,
        "type": "user",
    }
    call.account.user_labels[label["id"]] = label
    return label


def update(_room: Room, call: Call) -> dict[str, Any]:
    """labels.update and labels.patch."""
    label = _wanted(call)
    if label["type"] == "system":
        raise BadArgument("Invalid update request")
    if call.method == "labels.update" or "name" in call.document:
        label["name"] = _checked_name(call, call.document.get("name"), label["id"])
    label.update({name: value for name, value in _given(call).items() if name != "name"})
    return label


def delete(room: Room, call: Call) -> None:
    """labels.delete: takes the label off every message."""
    label = _wanted(call)
    if label["type"] == "system":
        raise BadArgument("Invalid delete request")
    for message in call.account.shelf((label["id"],)).oldest_first():
        call.account.relabel(message, remove=(label["id"],), moment=room.world.clock.seconds())
    del call.account.user_labels[label["id"]]


def _given(call: Call) -> dict[str, Any]:
    return {name: call.document[name] for name in _FIELDS if name in call.document}


def _checked_name(call: Call, name: Any, own_id: str | None = None) -> str:
    if not name or not isinstance(name, str):
        raise BadArgument("Invalid label name")
    taken = {label["name"].lower() for label in call.account.user_labels.values() if label["id"] != own_id}
    if name.upper() in SYSTEM_LABELS:
        raise BadArgument("Invalid label name")
    if name.lower() in taken:
        raise AlreadyThere("Label name exists or conflicts")
    return name


def _wanted(call: Call) -> dict[str, Any]:
    label_id = call.path["id"]
    if label_id in SYSTEM_LABELS:
        return _system(label_id)
    if label_id not in call.account.user_labels:
        raise NotFound
    return call.account.user_labels[label_id]


def _system(label_id: str) -> dict[str, Any]:
    label = {"id": label_id, "name": label_id, "type": "system"}
    if label_id in _HIDDEN_SYSTEM or label_id.startswith("CATEGORY_"):
        label |= {"messageListVisibility": "hide", "labelListVisibility": "labelHide"}
    return label


def _threads(messages: Iterable[Message]) -> int:
    return len({message.thread_id for message in messages})


_READ = scopes("gmail.labels", "gmail.metadata", "gmail.modify", "gmail.readonly")
_WRITE = scopes("gmail.labels", "gmail.modify")

METHODS = (
    Method("labels.list", "GET", "labels", list_, _READ),
    Method("labels.get", "GET", "labels/{id}", get, _READ),
    Method("labels.create", "POST", "labels", create, _WRITE),
    Method("labels.update", "PUT", "labels/{id}", update, _WRITE),
    Method("labels.patch", "PATCH", "labels/{id}", update, _WRITE),
    Method("labels.delete", "DELETE", "labels/{id}", delete, _WRITE),
)
