"""Pages of messages, drafts and threads: newest first, cut at a position that does not move when mail arrives."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from millstream.sandbox.gmail.api import Call, Room
from millstream.sandbox.gmail.errors import InvalidPageToken
from millstream.sandbox.gmail.message import Message

Item = TypeVar("Item")


def page_of(
    call: Call, key: str, items: Sequence[Item], *, position: Callable[[Item], int], show: Callable[[Item], Any]
) -> dict[str, Any]:
    """One page of `items` (already newest first) under `key`; the key is missing where there is nothing.

    A page token is the position below which the page begins; "0" is the first page's own.
    """
    start = _start(call)
    rest = [item for item in items if position(item) < start] if start else items
    size = call.page_size()
    result: dict[str, Any] = {}
    if rest:
        result[key] = [show(item) for item in rest[:size]]
    if len(rest) > size:
        result["nextPageToken"] = str(position(rest[size - 1]))
    result["resultSizeEstimate"] = len(items)
    return result


def _start(call: Call) -> int:
    token = call.one("pageToken")
    if not token:
        return 0
    if not token.isdigit():
        raise InvalidPageToken
    return int(token)


def visible(room: Room, call: Call, messages: Iterable[Message]) -> list[Message]:
    """Messages that the index knows already: none younger than the lag in force."""
    lag = max(call.lag, room.world.config.label_lag_seconds)
    if lag <= 0:
        return list(messages)
    edge = (room.world.clock.seconds() - lag) * 1000
    return [message for message in messages if message.internal_date <= edge]
