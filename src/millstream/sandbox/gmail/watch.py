"""users.watch and users.stop, and the notifications that follow from them (reference 3).

A notification is a hint: at most one a second per mailbox, what is more is dropped, and it names nothing but the
mailbox and its history id.
"""

import re
from typing import Any, Final

import orjson

from millstream.sandbox.gmail.account import Account, Watch
from millstream.sandbox.gmail.api import Call, Method, Room, scopes
from millstream.sandbox.gmail.errors import BadArgument, Forbidden, NotFound
from millstream.sandbox.gmail.faults import FaultRule, Faults, Kind, Point
from millstream.sandbox.gmail.history import Record
from millstream.sandbox.gmail.labels import checked_labels
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.world import World
from millstream.sandbox.pubsub.broker import Broker
from millstream.sandbox.pubsub.errors import NotAllowed, NotThere

PUSH_METHOD: Final = "push.notify"
"""What fault rules call a notification."""

_DAY: Final = 86_400.0
_BEHAVIOURS: Final = {"include": False, "exclude": True}
_TOPIC: Final = re.compile(r"projects/([^/\s]+)/topics/[^/\s]+")


class Notifier:
    """Tells topics of changes. It is the world's `on_change`."""

    def __init__(self, world: World, broker: Broker, faults: Faults[FaultRule], quota: Quota) -> None:
        self._world = world
        self._broker = broker
        self._faults = faults
        self._quota = quota
        self._last: dict[str, float] = {}
        self.sent = 0
        self.dropped = 0

    def changed(self, account: Account, record: Record) -> None:
        """A mailbox changed: notify if somebody watches that, and if the last notification is a second old."""
        watch = account.watch
        if watch is None:
            return
        now = self._world.clock.seconds()
        if watch.expires <= now:
            account.watch = None
            return
        if not watch.wants(record.labels | frozenset(record.changed)):
            return
        since = now - self._last.get(account.address, float("-inf"))
        if 0 <= since < self._world.config.notice_gap_seconds:
            self.dropped += 1
            return
        self._last[account.address] = now
        self._notify(account, watch)

    def clear(self) -> None:
        """Forget when the last notifications were, and the counts."""
        self._last.clear()
        self.sent = self.dropped = 0

    def _notify(self, account: Account, watch: Watch) -> None:
        rule = self._faults.strike(Point.ODD, PUSH_METHOD, account.address)
        if rule is not None:
            self._quota.faults[rule.label] += 1
        kind = None if rule is None else rule.kind
        if kind is Kind.LOST_PUSH:
            self.dropped += 1
            return
        data = notification(account)
        for _ in range(2 if kind is Kind.DUPLICATE_PUSH else 1):
            if rule is not None and kind is Kind.SLOW:
                self._world.later(rule.delay, lambda: self._publish(watch.topic, data))
            else:
                self._publish(watch.topic, data)

    def _publish(self, topic: str, data: bytes) -> None:
        try:
            self._broker.publish_as_gmail(topic, data)
        except (NotThere, NotAllowed):
            self.dropped += 1  # a topic that went away, or took the grant back: nobody is told
        else:
            self.sent += 1

    def first(self, account: Account, watch: Watch) -> None:
        """The message that a watch sends at once; raises Google's refusals for a topic it cannot reach."""
        try:
            self._broker.publish_as_gmail(watch.topic, notification(account))
        except NotThere as missing:
            raise NotFound(_test_message(watch.topic, missing.message)) from None
        except NotAllowed as refused:
            raise Forbidden(_test_message(watch.topic, refused.message)) from None
        self.sent += 1
        self._last[account.address] = self._world.clock.seconds()


def notification(account: Account) -> bytes:
    """What a notification holds: nothing else but these two."""
    return orjson.dumps({"emailAddress": account.address, "historyId": account.history.last})


def _test_message(topic: str, problem: str) -> str:
    # Wording from googleapis/google-api-nodejs-client #2843 and dacastro4/laravel-gmail #285, read 2026-11.
    return f"Error sending test message to Cloud PubSub {topic} : {problem}"


def watch(room: Room, call: Call) -> dict[str, Any]:
    """users.watch: seven days from now, in the place of an older one."""
    topic = str(call.document.get("topicName") or "")
    _check_topic(room.world.config.project, topic)
    now = room.world.clock.seconds()
    account = call.account
    labels = checked_labels(account, call.document.get("labelIds") or ())
    current = account.watch
    if current is not None and current.expires > now and current.topic != topic:
        raise BadArgument("Only one user push notification client allowed per developer (call /stop then try again)")
    expires = now + room.world.config.watch_days * _DAY
    wanted = Watch(topic, expires, labels, excludes=_excludes(call.document))
    room.notifier.first(account, wanted)
    account.watch = wanted
    return {"historyId": str(account.history.last), "expiration": str(int(expires * 1000))}


def stop(_room: Room, call: Call) -> None:
    """users.stop: no more notifications; not to watch at all is no error."""
    call.account.watch = None


def _check_topic(project: str | None, topic: str) -> None:
    match = _TOPIC.fullmatch(topic)
    if match is None or (project is not None and match[1] != project):
        raise BadArgument(f"Invalid topicName does not match projects/{project or 'project'}/topics/*")


def _excludes(document: dict[str, Any]) -> bool:
    """The newer field wins over the deprecated one (discovery document)."""
    word = document.get("labelFilterBehavior") or document.get("labelFilterAction") or "include"
    if str(word).lower() not in _BEHAVIOURS:
        raise BadArgument(f"Invalid value at 'label_filter_behavior', \"{word}\"")
    return _BEHAVIOURS[str(word).lower()]


_WATCH = scopes("gmail.metadata", "gmail.modify", "gmail.readonly")

METHODS = (
    Method("watch", "POST", "watch", watch, _WATCH),
    Method("stop", "POST", "stop", stop, _WATCH),
)
