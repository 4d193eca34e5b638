"""Pages of messages, drafts and threads: newest first, cut at a position that does not move when mail arrives."""

from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, Final, TypeVar

from millstream.sandbox.gmail.api import Call, Room
from millstream.sandbox.gmail.errors import InvalidPageToken
from millstream.sandbox.gmail.message import Message

Item = TypeVar("Item")


MANY: Final = 201
"""What Gmail estimates where it has not counted: seen in many reports, whatever the mailbox holds."""


def page_of(
    call: Call, key: str, items: Iterable[Item], *, position: Callable[[Item], int], show: Callable[[Item], Any]
) -> dict[str, Any]:
    """One page of `items` under `key`; the key is missing where there is nothing.

    Items come newest first and begin below the page token (`page_start`): no more of them are looked at than the page
    needs. A page token is the position below which the page begins. `resultSizeEstimate` is right where the first
    page holds everything, and a guess otherwise, as Gmail's is.
    """
    size = call.page_size()
    found = list(islice(items, size + 1))
    result: dict[str, Any] = {}
    if found:
        result[key] = [show(item) for item in found[:size]]
    estimate = len(found)
    if len(found) > size:
        result["nextPageToken"] = str(position(found[size - 1]))
        estimate = max(MANY, len(found))
    result["resultSizeEstimate"] = max(estimate, MANY) if call.one("pageToken") else estimate
    return result


def page_start(call: Call) -> int:
    """The position below which the page begins; 0 is the beginning. Raises `InvalidPageToken`."""
    token = call.one("pageToken")
    if not token:
        return 0
    if not token.isdecimal():
        raise InvalidPageToken
    return int(token)


def lag_of(room: Room, call: Call) -> float:
    """How many seconds behind the index of labels and history is for this call."""
    return max(call.lag, room.world.config.label_lag_seconds)


def visible(room: Room, call: Call) -> Callable[[Message], bool]:
    """A test for messages that the index knows already; a search with `q` may lag further behind (reference 2.1)."""
    lag = lag_of(room, call)
    if call.one("q"):
        lag = max(lag, room.world.config.search_lag_seconds)
    if lag <= 0:
        return lambda _message: True
    edge = room.world.clock.seconds() - lag
    return lambda message: message.stored_at <= edge
