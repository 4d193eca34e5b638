"""What the modules of this room need of each other, and of other rooms: `app` puts them together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from millstream.review.model import (
    Consequence,
    Content,
    Decision,
    Happening,
    How,
    Refusal,
    Review,
    Subject,
    Understood,
    Verdict,
)
from millstream.review.policy import Policy
from millstream.storage.pool import Connection


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a happening."""

    review: Review
    """As it stands now."""
    refusal: Refusal | None = None
    """Why it did not count; None: it did."""
    consequences: tuple[Consequence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncounted:
    """What somebody said that does not count, and why."""

    address: str
    why: str
    """A word: unclear, unproven, automatic, stranger, old_round, decided …"""
    words: str
    how: How
    verdict: Verdict | None = None
    """As it would have counted."""
    evidence: Mapping[str, str] = field(default_factory=dict)
    sighting: int | None = None


class Desk(Protocol):
    """The only writer of reviews."""

    async def open(
        self,
        conn: Connection,
        policy: str,
        subject: Subject,
        content: Content,
        *,
        author: Sequence[str] = (),
        origin: str = "",
    ) -> int | None:
        """Put a question to people; answers its number, or None where the same is open already.

        The same subject under other content is new content of the review that is open.
        """

    async def apply(self, conn: Connection, review_id: int, happening: Happening) -> Applied:
        """Let something happen to a review: state, seats, mails, steps and audit in the caller's transaction.

        Raises:
            UnknownReview: no review has the number.
        """

    async def note_uncounted(self, conn: Connection, review_id: int, said: Uncounted) -> bool:
        """Keep what somebody said that does not count; False where this very message was kept before."""

    async def tell(
        self, conn: Connection, review_id: int, *, address: str, kind: str, facts: Mapping[str, Any]
    ) -> None:
        """Put a mail to a seat's person into the outbox: `question`, or `tell` with a word in facts["what"]."""

    async def find(self, conn: Connection, review_id: int) -> Review:
        """A review as it stands.

        Raises:
            UnknownReview: no review has the number.
        """


class Finish(Protocol):
    """What follows from a decision; called in the transaction that makes it true."""

    async def __call__(self, conn: Connection, review: Review, decision: Decision, policy: Policy) -> None:
        """Write the wishes for Exstream and the orders for held deliveries."""


class StepBegun(Protocol):
    """Whether what a decision asked for has begun, or nothing is held any more, so that it can be overruled no more."""

    async def __call__(self, conn: Connection, review: Review) -> bool:
        """True once a step of the round is past `due`, or an order has moved something."""


class Understands(Protocol):
    """Reads what a person wrote."""

    def __call__(self, text: str, languages: Sequence[str]) -> Understood:
        """What it says; no verdict where it is not clear. Pure, and closed when in doubt."""


class Approvers(Protocol):
    """Exstream's approval roles of a domain."""

    def __call__(self, domain: str, kind: str, /) -> Sequence[Sequence[str]]:
        """Names and addresses, level by level, for resources of a type; empty where it is not known."""


class DocumentStore(Protocol):
    """The part of `storage.objects` that reviews need."""

    async def get(self, sha256: str, /) -> bytes:
        """The bytes under a hash."""

    async def put(self, content: bytes, /) -> Any:
        """Keep bytes; the answer's `sha256` is their hash."""


class Clock(Protocol):
    """What time it is."""

    def __call__(self) -> datetime:
        """Now, aware."""
