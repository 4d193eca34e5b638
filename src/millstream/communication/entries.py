"""What the ledger is told of a batch that comes in, and what it answers.

Apart from the ledger: a process that only makes needs no database.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Added:
    """What became of a batch of communications."""

    new: int
    held: int
    unchanged: int
    conflicts: tuple[str, ...]
    """Keys that the run already has with other content; nothing of theirs changed."""
    suppressed: int = 0
    """Of those held, the ones whose address nothing of their stream is sent to."""
    fresh: frozenset[str] = frozenset()
    """The keys of the new ones."""
    kept: frozenset[str] = frozenset()
    """The keys of those held."""
    barred: frozenset[str] = frozenset()
    """The keys of those suppressed."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a run already has under a key."""

    source_hash: str
    consignment: int | None = None
    """What brought it in."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A line that could not become a communication."""

    line: int
    key: str | None
    problem: str
    digest: str
    """SHA-256 hex of the line, so that a second submit puts it aside only once."""
    consignment: int | None = None
    """What it came in with. This and the rest is for whoever is told of it, and not kept with the run."""
    customer: str | None = None
    type: str | None = None
