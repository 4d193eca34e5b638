"""What became of what was handed in, counted by the consignment that brought it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from millstream.communication.entries import Reject
from millstream.communication.model import Communication, Hold

_MOST_PROBLEMS = 20
MOST_ASIDE = 100
"""Lines put aside, and communications held for what is wrong in them, that are told one by one."""


class Seen(Enum):
    """How a record is in already."""

    BEFORE = 1
    TWICE = 2
    """This source handed it in twice itself."""
    EARLIER_TRY = 3
    """An earlier try at the same consignment, which did not come to its end, brought it in."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A communication that waits for a person because of what is wrong with it."""

    key: str
    customer: str
    type: str
    reason: str
    """One of `communication.model.HOLD_REASONS`."""
    detail: str


@dataclass(frozen=True, slots=True)
class Standing:
    """What the ledger has of one consignment, whichever try at it brought it in."""

    held: int
    suppressed: int
    composed: int
    unfit: int
    """Of those held, the ones with something wrong in them."""
    kept: tuple[Kept, ...]
    """The first of the unfit."""


@dataclass(slots=True)
class Tally:
    """One consignment's lines: `lines = new + unchanged + rejected + conflicts`."""

    new: int = 0
    held: int = 0
    suppressed: int = 0
    composed: int = 0
    unchanged: int = 0
    repeated: int = 0
    earlier: int = 0
    """Of the unchanged ones, those that an earlier try at this consignment brought in."""
    rejected: int = 0
    conflicts: int = 0
    aside: list[Reject] = field(default_factory=list)
    """The first of those that were rejected or in conflict."""
    unfit: int = 0
    """Of those held, the ones with something wrong in them."""
    kept: list[Kept] = field(default_factory=list)
    """The first of the unfit."""

    @property
    def lines(self) -> int:
        """How many were handed in."""
        return self.new + self.unchanged + self.rejected + self.conflicts

    def saw(self, how: Seen) -> None:
        """One more that is in already."""
        self.unchanged += 1
        self.repeated += how is Seen.TWICE
        self.earlier += how is Seen.EARLIER_TRY

    def keep(self, made: Communication, hold: Hold) -> None:
        """One more that is in, and has something wrong in it."""
        self.unfit += 1
        if len(self.kept) < MOST_ASIDE:
            self.kept.append(Kept(made.key, made.customer, made.type, hold.reason, hold.detail))

    def stands(self, found: Standing) -> None:
        """Take the ledger's word where an earlier try brought some in: its own count ended with it."""
        self.held, self.suppressed, self.composed = found.held, found.suppressed, found.composed
        self.unfit, self.kept = found.unfit, list(found.kept)

    def put_aside(self, reject: Reject, *, conflict: bool) -> None:
        """One more that is not in."""
        if conflict:
            self.conflicts += 1
        else:
            self.rejected += 1
        if len(self.aside) < MOST_ASIDE:
            self.aside.append(reject)

    @property
    def problems(self) -> tuple[str, ...]:
        """A sentence each on the first that were put aside."""
        return tuple(f"line {each.line}: {each.problem}" for each in self.aside[:_MOST_PROBLEMS])

    def receipt(self) -> dict[str, object]:
        """What is kept with the consignment; what an earlier try brought in, this consignment brought in."""
        return {
            "lines": self.lines,
            "new": self.new + self.earlier,
            "unchanged": self.unchanged - self.earlier,
            "held": self.held,
            "suppressed": self.suppressed,
            "rejected": self.rejected,
            "conflicts": self.conflicts,
            "repeated": self.repeated,
            "composed": self.composed,
            "problems": list(self.problems),
        }


class Tallies:
    """A tally for each consignment; None is whatever came without one."""

    def __init__(self) -> None:
        self._by_number: dict[int | None, Tally] = {}

    def of(self, consignment: int | None) -> Tally:
        """Of this consignment."""
        found = self._by_number.get(consignment)
        if found is None:
            found = self._by_number[consignment] = Tally()
        return found

    def put_aside(self, rejects: Iterable[Reject], *, conflict: bool) -> None:
        """Count lines that are not in."""
        for each in rejects:
            self.of(each.consignment).put_aside(each, conflict=conflict)

    def resumed(self) -> list[int]:
        """The consignments of which an earlier try had brought some in."""
        return [number for number, each in self._by_number.items() if number is not None and each.earlier]

    def all(self) -> list[Tally]:
        """In the order of their first line."""
        return list(self._by_number.values())
