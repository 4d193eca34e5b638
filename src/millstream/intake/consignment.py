"""What a door takes in: offered, made durable, and only then promised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from millstream.communication.model import Mode, Policy


class Door(StrEnum):
    """The ways in."""

    DRIVER = "driver"
    FOLDER = "folder"
    HTTP = "http"
    SMTP = "smtp"
    PULL = "pull"


class Kind(StrEnum):
    """What lies at a consignment's place, and so how it is read."""

    DRIVER = "driver"
    MANIFEST = "manifest"
    INDEX = "index"
    MESSAGE = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What was handed over, before it is promised.

    `key` makes a second handing-over the same one; `digest` (SHA-256 hex) tells whether it really is. `place` is
    `sha256:<hex>` for a document in the store or `file:<absolute path>`.
    """

    door: Door
    key: str
    digest: str
    kind: Kind
    place: str
    size: int
    run_key: str
    pool: str = "default"
    mode: Mode = Mode.DRAFT
    policy: Policy = field(default_factory=Policy)
    facts: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""
    """For people: a file, a caller, a client."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of an offer: it is durable now, or was already."""

    id: int
    new: bool
    """False: the same was there before."""
    conflict: bool = False
    """The key is there with other content; nothing was written."""
    state: str = "received"
    """received, taken or failed."""
    receipt: Mapping[str, Any] | None = None
    """What became of its lines, once it is taken."""
    problem: str | None = None
    run_key: str = ""


@dataclass(frozen=True, slots=True)
class Consignment:
    """What was taken in, in this process's hands."""

    id: int
    offer: Offer
    tries: int
    received_at: Any = None

    @property
    def path(self) -> str | None:
        """The file at its place; None where it lies in the document store."""
        return self.offer.place.removeprefix("file:") if self.offer.place.startswith("file:") else None

    @property
    def sha256(self) -> str | None:
        """Its document's hash; None where it lies in a file."""
        place = self.offer.place
        return place.removeprefix("sha256:") if place.startswith("sha256:") else None


class Receiving(Protocol):
    """What a door calls before it says yes."""

    async def receive(self, offer: Offer, content: bytes | None = None) -> Accepted:
        """Return when the offer, and its content where it is given, survive a power failure.

        With `content` the offer's place is where the document store keeps it.

        Raises:
            IntakeError: DocumentsFailed or LedgerFailed; nothing is promised.
        """

    async def settled(self, number: int, *, within: float) -> Accepted:
        """Wait until a consignment is taken or failed, for so many seconds at most; answers how it stands then."""
