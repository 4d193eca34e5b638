"""From a fault rule to what happens on the wire."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from millstream.sandbox.gmail import errors
from millstream.sandbox.gmail.api import Call, Room
from millstream.sandbox.gmail.errors import Refusal
from millstream.sandbox.gmail.faults import FaultRule, Kind, Point

_LIST_KEYS: Final = {
    "messages.list": "messages",
    "drafts.list": "drafts",
    "threads.list": "threads",
    "history.list": "history",
}
_CONNECTION_KINDS: Final = frozenset({Kind.RESET, Kind.HANG, Kind.REFUSED})
_LINGER_NOTHING: Final = struct.pack("ii", 1, 0)


class Cut(Exception):
    """The connection ends without an answer: at once with a reset, or after `hold` seconds of silence."""

    def __init__(self, hold: float, *, shut_port: float = 0.0) -> None:
        super().__init__("the connection is cut")
        self.hold = hold
        self.shut_port = shut_port


def strike(room: Room, point: Point, method: str, mailbox: str) -> FaultRule | None:
    """The rule that strikes a call now that it has come to a point, written into the ledger."""
    rule = room.faults.strike(point, method, mailbox)
    if rule is not None:
        room.quota.faults[rule.label] += 1
    return rule


def spoil(room: Room, rule: FaultRule | None, method: str, address: str, *, in_batch: bool = False) -> None:
    """Raise what a rule says, `Refusal` or `Cut`; inside a batch a cut connection is a 503 of that part."""
    if rule is None:
        return
    if rule.kind in _CONNECTION_KINDS and not in_batch:
        raise Cut(
            rule.delay if rule.kind is Kind.HANG else 0.0,
            shut_port=rule.delay if rule.kind is Kind.REFUSED else 0.0,
        )
    raise _refusal(room, rule, method, address)


def _refusal(room: Room, rule: FaultRule, method: str, address: str) -> Refusal:
    """The refusal of a kind; what cannot strike inside a batch is a 503."""
    until = room.world.clock.seconds() + rule.delay
    match rule.kind:
        case Kind.SCOPE_INSUFFICIENT:
            return errors.ScopeInsufficient(method)
        case Kind.DELEGATION_DENIED:
            return errors.DelegationDenied(address)
        case Kind.HTML:
            return errors.FrontEnd(rule.status)
    if rule.kind in _TIMED:
        return _TIMED[rule.kind](until)
    return _PLAIN.get(rule.kind, errors.Unavailable)()


_TIMED: Final[dict[Kind, Callable[[float], Refusal]]] = {
    Kind.RATE_LIMITED: lambda until: errors.UserRateLimit(until, code=403),
    Kind.USER_RATE_LIMITED: lambda until: errors.UserRateLimit(until, code=403, reason="userRateLimitExceeded"),
    Kind.RATE_LIMITED_429: errors.UserRateLimit,
    Kind.MAIL_SENDING: errors.MailSending,
}
_PLAIN: Final[dict[Kind, Callable[[], Refusal]]] = {
    Kind.UNAUTHORIZED: errors.InvalidCredentials,
    Kind.INVALID_GRANT: errors.InvalidCredentials,
    Kind.CLOUD_QUOTA: errors.UserCloudQuota,
    Kind.PROJECT_EXHAUSTED: errors.ProjectExhausted,
    Kind.DOMAIN_POLICY: errors.DomainPolicy,
    Kind.CONCURRENCY: errors.TooManyConcurrent,
    Kind.EXHAUSTED: errors.Exhausted,
    Kind.MAIL_SERVICE_OFF: errors.MailServiceOff,
    Kind.INTERNAL_500: lambda: errors.Backend(500),
    Kind.BAD_GATEWAY_502: lambda: errors.FrontEnd(502),
    Kind.GATEWAY_TIMEOUT_504: lambda: errors.Backend(504),
}


def make_odd(room: Room, rule: FaultRule | None, call: Call) -> float:
    """What an odd rule does before the method runs; gives the lag of the index in seconds."""
    if rule is None:
        return 0.0
    if rule.kind is Kind.EXPIRED_HISTORY and call.method == "history.list":
        raise errors.NotFound
    if rule.kind is Kind.EXPIRED_PAGE and call.method in _LIST_KEYS and call.one("pageToken"):
        raise errors.InvalidPageToken
    if rule.kind is Kind.VANISHED and call.method == "messages.get":
        message = call.account.message(call.path.get("id", ""))
        if message is not None:
            call.account.remove(message, room.world.clock.seconds())
    return rule.delay if rule.kind is Kind.LAG else 0.0


def odd_page(rule: FaultRule | None, call: Call, result: dict[str, Any]) -> dict[str, Any]:
    """What an odd rule makes of a page: the same page twice, or a page with nothing but the way on."""
    key = _LIST_KEYS.get(call.method)
    if rule is None or key is None:
        return result
    own_token = call.one("pageToken") or (call.one("startHistoryId") if key == "history" else None) or "0"
    if rule.kind is Kind.EMPTY_PAGE:
        return {name: value for name, value in result.items() if name != key} | {"nextPageToken": own_token}
    if rule.kind is Kind.DUPLICATE_PAGE and key in result:
        return result | {"nextPageToken": own_token}
    return result


async def cut(request: web.Request, event: Cut, stopping: asyncio.Event) -> web.StreamResponse:
    """End a connection without an answer. The response it gives back goes nowhere."""
    if event.hold:
        await pause(event.hold, stopping)
    transport = request.transport
    if transport is not None:
        peer = transport.get_extra_info("socket")
        if peer is not None and not event.hold:
            # Without lingering the kernel sends a reset instead of a clean end.
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOTHING)
        transport.abort()
    return web.Response()


async def pause(seconds: float, stopping: asyncio.Event) -> None:
    """Wait real seconds, or until the sandbox shuts down."""
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
