"""A relay of the test's own, which does what a script says; what it took is what arrived."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import Message

from millstream.gmail.errors import Call
from millstream.gmail.relay import Envelope, Facts, RelayError, Taken
from millstream.gmail.relay.errors import LostAfterDot, LostBeforeDot


@dataclass(frozen=True, slots=True)
class PostSlip:
    """A message whose end is not written yet."""

    envelope: Envelope
    raw: bytes
    connection: str

    @property
    def size(self) -> int:
        return len(self.raw)


@dataclass(frozen=True, slots=True)
class Trouble:
    """What one message meets: at `open`, at `finish` without the effect, or at `finish` with it."""

    error: type[RelayError]
    at: str = "open"
    taken: bool = False


@dataclass(slots=True)
class PostRelay:
    """Implements the protocol `Relay` in this process; troubles are met in the order they were scripted."""

    troubles: deque[Trouble] = field(default_factory=deque)
    taken: list[PostSlip] = field(default_factory=list)
    dropped: list[PostSlip] = field(default_factory=list)
    opened: list[PostSlip] = field(default_factory=list)
    size: int | None = None
    before_open: Callable[[Envelope], None] = lambda _: None
    between: asyncio.Event | None = None
    """Where it is set, messages wait in `open` with their body handed over, until it happens."""
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    on_taken: Callable[[PostSlip], None] = lambda _: None
    moments: list[float] = field(default_factory=list)

    def script(self, *troubles: Trouble) -> None:
        """What the next messages meet."""
        self.troubles.extend(troubles)

    async def open(self, envelope: Envelope, raw: bytes) -> PostSlip:
        self.before_open(envelope)
        await asyncio.sleep(0)
        if self.troubles and self.troubles[0].at == "open":
            raise self.troubles.popleft().error(Call("smtp.send", envelope.sender, write=True), text="as scripted")
        slip = PostSlip(envelope, raw, f"post-{len(self.opened)}")
        self.opened.append(slip)
        if self.between is not None:
            self.reached.set()
            await self.between.wait()
        return slip

    async def finish(self, slip: PostSlip, *, dotted: Callable[[], None] | None = None) -> Taken:
        if dotted is not None:
            dotted()
        trouble = self.troubles.popleft() if self.troubles and self.troubles[0].at == "finish" else None
        if trouble is None or trouble.taken:
            self.taken.append(slip)
            self.moments.append(asyncio.get_running_loop().time())
            self.on_taken(slip)
        await asyncio.sleep(0)
        if trouble is not None:
            raise trouble.error(Call("smtp.send", slip.envelope.sender, write=True), text="as scripted")
        return Taken(f"250 2.0.0 OK {len(self.taken)} - gsmtp", slip.connection, 0.01)

    def drop(self, slip: PostSlip) -> None:
        self.dropped.append(slip)

    def fits(self, size: int) -> bool:
        return self.size is None or size <= self.size

    async def probe(self) -> Facts:
        return Facts(frozenset({"PIPELINING"}), self.size, "TLSv1.3", datetime.now(UTC), "220 post")

    async def close(self) -> None:
        """Nothing is open."""

    @property
    def arrived(self) -> Counter[str]:
        """How often each address got something."""
        return Counter(slip.envelope.recipient for slip in self.taken)

    @property
    def letters(self) -> list[Message]:
        """What was taken, read."""
        return [message_from_bytes(slip.raw) for slip in self.taken]


LOST_AND_SENT = Trouble(LostAfterDot, "finish", taken=True)
LOST_AND_NOT_SENT = Trouble(LostAfterDot, "finish")
LOST_BEFORE = Trouble(LostBeforeDot, "finish")
