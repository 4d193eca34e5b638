"""users.getProfile, users.history and users.settings.sendAs."""

from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any, Final

from millstream.sandbox.gmail.account import Account
from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.errors import AlreadyThere, BadArgument, InvalidPageToken, NotFound
from millstream.sandbox.gmail.history import Change, Record
from millstream.sandbox.gmail.paging import lag_of
from millstream.sandbox.gmail.wire import label_list, profile

_KEYS: Final = {
    Change.MESSAGE_ADDED: "messagesAdded",
    Change.MESSAGE_DELETED: "messagesDeleted",
    Change.LABEL_ADDED: "labelsAdded",
    Change.LABEL_REMOVED: "labelsRemoved",
}


def get_profile(room: Room, call: Call) -> dict[str, Any]:
    """users.getProfile; its history id never runs ahead of what lists and history show."""
    return profile(call.account) | {"historyId": str(_present(room, call))}


def history(room: Room, call: Call) -> dict[str, Any]:
    """history.list: what happened after `startHistoryId`; 404 where that id is too old or was never given.

    A page token is the id behind which the page begins. Where the index lags, the answer's own history id lags with
    it: a client that goes on from there misses nothing.
    """
    room.world.forget_old_history(call.account)
    start = _start(call)
    token = call.one("pageToken")
    if token and not token.isdecimal():
        raise InvalidPageToken
    present = _present(room, call)
    try:
        records = call.account.history.after(max(start, int(token or 0)))
    except LookupError:
        raise NotFound from None
    size = call.page_size()
    shown = filter(_asked_for(call), takewhile(lambda record: record.id <= present, records))
    found = list(islice(shown, size + 1))
    result: dict[str, Any] = {"historyId": str(max(present, start))}
    if found:
        result["history"] = [_resource(record) for record in found[:size]]
    if len(found) > size:
        result["nextPageToken"] = str(found[size - 1].id)
    return result


def _present(room: Room, call: Call) -> int:
    """The last history id that the index knows."""
    lag = lag_of(room, call)
    known = call.account.history
    return known.last if lag <= 0 else known.last_before(room.world.clock.seconds() - lag)


def _start(call: Call) -> int:
    text = call.one("startHistoryId")
    if text is None:
        raise BadArgument("Missing required parameter: startHistoryId")
    if not text.isdecimal():
        raise BadArgument(f"Invalid value at 'start_history_id' (TYPE_UINT64), \"{text}\"")
    return int(text)


def _asked_for(call: Call) -> Callable[[Record], bool]:
    kinds = set(call.many("historyTypes"))
    label = call.one("labelId")
    return lambda record: (
        (not kinds or record.change in kinds) and (label is None or label in record.labels or label in record.changed)
    )


def _resource(record: Record) -> dict[str, Any]:
    message: dict[str, Any] = {"id": record.message_id, "threadId": record.thread_id}
    entry: dict[str, Any] = {"message": message | {"labelIds": label_list(record.labels)}}
    if record.changed:
        entry["labelIds"] = list(record.changed)
    return {"id": str(record.id), "messages": [message], _KEYS[record.change]: [entry]}


def list_send_as(_room: Room, call: Call) -> dict[str, Any]:
    """settings.sendAs.list: the primary address first."""
    return {"sendAs": [_primary(call.account), *call.account.send_as.values()]}


def get_send_as(_room: Room, call: Call) -> dict[str, Any]:
    """settings.sendAs.get."""
    return _wanted(call)


def create_send_as(room: Room, call: Call) -> dict[str, Any]:
    """settings.sendAs.create: an address of the own domains needs no verification, any other waits for it."""
    address = str(call.document.get("sendAsEmail") or "").lower()
    if "@" not in address:
        raise BadArgument("Invalid sendAsEmail")
    if address == call.account.address or address in call.account.send_as:
        raise AlreadyThere("Send-as address already exists")
    entry = {
        "sendAsEmail": address,
        "displayName": "",
        "replyToAddress": "",
        "signature": "",
        "isPrimary": False,
        "isDefault": False,
        "treatAsAlias": True,
        **_settable(call),
        "verificationStatus": "accepted" if room.world.is_local(address) else "pending",
    }
    call.account.send_as[address] = entry
    return entry


def update_send_as(_room: Room, call: Call) -> dict[str, Any]:
    """settings.sendAs.update and settings.sendAs.patch."""
    entry = _wanted(call)
    if entry["isPrimary"]:
        call.account.name = str(call.document.get("displayName", call.account.name))
        return _primary(call.account)
    entry.update(_settable(call))
    return entry


def delete_send_as(_room: Room, call: Call) -> None:
    """settings.sendAs.delete: the primary address stays."""
    if _wanted(call)["isPrimary"]:
        raise BadArgument("Cannot delete the primary send-as address")
    del call.account.send_as[call.path["sendAsEmail"].lower()]


def verify_send_as(_room: Room, call: Call) -> None:
    """settings.sendAs.verify: Gmail writes to the address; the control API says whether somebody clicked."""
    if _wanted(call)["isPrimary"]:
        raise BadArgument("The primary send-as address needs no verification")


def _settable(call: Call) -> dict[str, Any]:
    names = ("displayName", "replyToAddress", "signature", "isDefault", "treatAsAlias", "smtpMsa")
    return {name: call.document[name] for name in names if name in call.document}


def _primary(account: Account) -> dict[str, Any]:
    return {
        "sendAsEmail": account.address,
        "displayName": account.name,
        "replyToAddress": "",
        "signature": "",
        "isPrimary": True,
        "isDefault": not any(entry["isDefault"] for entry in account.send_as.values()),
    }


def _wanted(call: Call) -> dict[str, Any]:
    address = call.path["sendAsEmail"].lower()
    if address == call.account.address:
        return _primary(call.account)
    if address not in call.account.send_as:
        raise NotFound
    return call.account.send_as[address]


_PROFILE = scopes("gmail.compose", "gmail.metadata", "gmail.modify", "gmail.readonly")
_HISTORY = scopes("gmail.metadata", "gmail.modify", "gmail.readonly")
_READ = scopes("gmail.modify", "gmail.readonly", "gmail.settings.basic")
_SHARE = frozenset({"gmail.settings.sharing"})
_CHANGE = frozenset({"gmail.settings.basic", "gmail.settings.sharing"})
_ONE = "settings/sendAs/{sendAsEmail}"

METHODS = (
    Method("getProfile", "GET", "profile", get_profile, _PROFILE),
    Method("history.list", "GET", "history", history, _HISTORY),
    Method("settings.sendAs.list", "GET", "settings/sendAs", list_send_as, _READ),
    Method("settings.sendAs.get", "GET", _ONE, get_send_as, _READ),
    Method("settings.sendAs.create", "POST", "settings/sendAs", create_send_as, _SHARE),
    Method("settings.sendAs.update", "PUT", _ONE, update_send_as, _CHANGE),
    Method("settings.sendAs.patch", "PATCH", _ONE, update_send_as, _CHANGE),
    Method("settings.sendAs.delete", "DELETE", _ONE, delete_send_as, _SHARE),
    Method("settings.sendAs.verify", "POST", f"{_ONE}/verify", verify_send_as, _SHARE),
)
