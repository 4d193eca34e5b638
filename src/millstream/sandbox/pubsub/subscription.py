"""One subscription: what waits, what is leased until when, and who waits for more.

Deadlines are real seconds, for the clients that keep to them measure with their own clock.
"""

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from millstream.sandbox.pubsub.settings import SubscriptionSettings

MOST_MESSAGES: Final = 1_000
"""Messages in one answer (Pub/Sub quotas page)."""


@dataclass(frozen=True, slots=True)
class Published:
    """A message of a topic; `published` is seconds since 1970."""

    id: str
    data: bytes
    published: float
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Lease:
    """A message given to somebody, until it is acknowledged or its time is up."""

    message: Published
    attempt: int
    deadline: float


@dataclass(frozen=True, slots=True)
class Given:
    """One message as an answer holds it."""

    ack_id: str
    message: Published
    attempt: int


class Subscription:
    """A subscription: at least once, in no promised order."""

    def __init__(self, settings: SubscriptionSettings) -> None:
        self.settings = settings
        self.acknowledged = 0
        self.redelivered = 0
        self._waiting: deque[tuple[Published, int]] = deque()
        self._leases: dict[str, Lease] = {}
        self._ends: list[tuple[float, str]] = []
        self._number = 0
        self._changed: set[asyncio.Future[None]] = set()
        self.is_closed = False

    @property
    def name(self) -> str:
        """Its full name: projects, project, subscriptions, its own."""
        return self.settings.name

    @property
    def backlog(self) -> int:
        """Messages that are not acknowledged."""
        return len(self._waiting) + len(self._leases)

    def reset(self, settings: SubscriptionSettings) -> None:
        """New settings for a subscription that goes on."""
        self.settings = settings
        self._wake()

    def close(self) -> None:
        """No more messages; who waits is told."""
        self.is_closed = True
        self._wake()

    def put(self, message: Published) -> None:
        """Take in a message of the topic."""
        self._waiting.append((message, 1))
        self._wake()

    async def pull(self, most: int, *, wait: float, deadline: float | None = None) -> list[Given]:
        """Up to `most` messages, leased for the ack deadline; waits real seconds for the first one."""
        until = time.monotonic() + wait
        while True:
            given = self._take(min(most, MOST_MESSAGES), self.settings.ack_deadline if deadline is None else deadline)
            left = until - time.monotonic()
            if given or left <= 0 or self.is_closed:
                return given
            await self._change(left)

    def acknowledge(self, ack_ids: Iterable[str]) -> None:
        """Messages are done; an id that is unknown or too late is passed over, as Pub/Sub does."""
        for ack_id in ack_ids:
            if self._leases.pop(ack_id, None) is not None:
                self.acknowledged += 1

    def still_held(self, ack_ids: set[str]) -> set[str]:
        """Those of some leases that have not ended, and `ack_ids` cut down to them."""
        ack_ids &= self._leases.keys()
        return ack_ids

    def extend(self, ack_ids: Iterable[str], seconds: float) -> None:
        """Move deadlines to `seconds` from now; 0 gives a message back at once."""
        end = time.monotonic() + seconds
        for ack_id in ack_ids:
            lease = self._leases.get(ack_id)
            if lease is not None:
                lease.deadline = end
                heapq.heappush(self._ends, (end, ack_id))
        self._wake()

    def _take(self, most: int, deadline: float) -> list[Given]:
        now = time.monotonic()
        self._expire(now)
        given: list[Given] = []
        while self._waiting and len(given) < most:
            message, attempt = self._waiting.popleft()
            self._number += 1
            ack_id = f"{self._number:x}-{message.id}"
            self._leases[ack_id] = Lease(message, attempt, now + deadline)
            heapq.heappush(self._ends, (now + deadline, ack_id))
            given.append(Given(ack_id, message, attempt))
        return given

    def _expire(self, now: float) -> None:
        while self._ends and self._ends[0][0] <= now:
            _, ack_id = heapq.heappop(self._ends)
            lease = self._leases.get(ack_id)
            if lease is not None and lease.deadline <= now:
                del self._leases[ack_id]
                self.redelivered += 1
                self._waiting.append((lease.message, lease.attempt + 1))

    async def _change(self, longest: float) -> None:
        """Wait until something changes, a lease ends, or the time is up."""
        changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._changed.add(changed)
        wait = longest
        if self._ends:
            wait = min(longest, max(self._ends[0][0] - time.monotonic(), 0.001))
        try:
            async with asyncio.timeout(wait):
                await changed
        except TimeoutError:
            return
        finally:
            self._changed.discard(changed)

    def _wake(self) -> None:
        for changed in self._changed:
            if not changed.done():
                changed.set_result(None)


def with_endpoint(settings: SubscriptionSettings, endpoint: str, account: str, audience: str) -> SubscriptionSettings:
    """The settings with another way of push; checked anew."""
    changed = settings.model_dump() | {
        "push_endpoint": endpoint,
        "push_account": account,
        "push_audience": audience,
    }
    return SubscriptionSettings.model_validate(changed)
