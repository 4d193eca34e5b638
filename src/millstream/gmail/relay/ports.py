"""The relay as the delivery room sees it: a message is handed over up to its end, and then ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who sends to whom: addresses without names. The sender is where bounces go."""

    sender: str
    recipient: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a relay says of itself."""

    extensions: frozenset[str]
    """Keywords of EHLO, in capitals."""
    size: int | None
    """Bytes a message may have, where it says so."""
    tls: str
    """The protocol's version: `TLSv1.3`."""
    certificate_until: datetime
    banner: str


@dataclass(frozen=True, slots=True)
class Taken:
    """The relay's 250 to the message's end."""

    words: str
    connection: str
    """Ours and the relay's end, for the record."""
    seconds: float
    """From the dot to the reply."""


class Slip(Protocol):
    """A transaction whose message is handed over but for its end: until `finish` nothing was sent."""

    @property
    def size(self) -> int:
        """The message's bytes."""

    @property
    def connection(self) -> str:
        """Over which connection."""


class Relay(Protocol):
    """A relay of SMTP. Every method but `drop` and `fits` raises :class:`~millstream.gmail.relay.errors.RelayError`."""

    async def open(self, envelope: Envelope, raw: bytes) -> Slip:
        """Hand a message over, but for its end; `raw` has CRLF line ends and is complete.

        It raises with effect no, always. A kept connection that turns out to be dead is replaced by a new one once.
        """

    async def finish(self, slip: Slip, *, dotted: Callable[[], None] | None = None) -> Taken:
        """Send the end and wait for the reply; `dotted` is called when the end is on its way. Once for each slip.

        A refusal has effect no; whatever else is not a 250 has effect unknown.
        """

    def drop(self, slip: Slip) -> None:
        """Abort the connection before the message's end: nothing was sent."""

    def fits(self, size: int) -> bool:
        """Whether the relay takes a message of so many bytes, by what it said last."""

    async def probe(self) -> Facts:
        """Connect, say EHLO, log in, and leave."""

    async def close(self) -> None:
        """End all connections in order."""
