"""Batches: what is read ahead, checked against the ledger together, and committed together."""

from __future__ import annotations

from array import array
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from millstream.communication.entries import Known, Reject
from millstream.composer import TemplateError
from millstream.intake.errors import ComposerFailed, UnreadableDriver
from millstream.intake.files import HandedIn, gather
from millstream.intake.inside import Inside
from millstream.intake.path import slow
from millstream.intake.ports import Arrival, Head, Source, Terms, put_aside
from millstream.intake.tally import Seen

_FIRST_PLACES = 1024


@dataclass(frozen=True, slots=True)
class BatchSize:
    """When a batch is full."""

    records: int = 500
    composed: int = 40
    """Of records that are slow to make, fewer: so that lanes start while the rest is still being composed."""
    bytes: int = 16 * 1024 * 1024
    """Several batches are in memory at a time: one read ahead, one being made, one being committed."""


@dataclass(slots=True)
class Batch:
    """Records and rejects as they were handed in, in order."""

    handed: list[HandedIn] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    weight: int = 0
    work: int = 0

    def full(self, size: BatchSize) -> bool:
        """Whether it takes no more."""
        return (
            len(self.handed) + len(self.rejects) >= size.records
            or self.work >= size.composed
            or self.weight >= size.bytes
        )

    @property
    def lines(self) -> int:
        """How many were handed in."""
        return len(self.handed) + len(self.rejects)


def batches(source: Source, terms: Terms, size: BatchSize) -> Generator[Batch, None, None]:
    """Read a source batch by batch, with the files that its records name. It blocks: call it in a thread.

    Raises:
        IntakeError: the source cannot be read, or composition is asked for and there is no composer.
    """
    versions: dict[str, str | TemplateError] = {}
    batch = Batch()
    with ExitStack() as stack:
        inside = stack.enter_context(Inside(source.folder)) if source.folder is not None else None
        for arrival in source.arrivals():
            if isinstance(arrival, Reject):
                batch.rejects.append(arrival)
            else:
                _take(batch, arrival, inside, terms, versions)
            if batch.full(size):
                yield batch
                batch = Batch()
        if batch.lines:
            yield batch


def _take(
    batch: Batch, arrival: Arrival, inside: Inside | None, terms: Terms, versions: dict[str, str | TemplateError]
) -> None:
    record = arrival.record
    used: dict[str, str] = {}
    for template in record.templates():
        version = _version(template, terms, versions)
        if isinstance(version, TemplateError):
            digest = arrival.digest.hex()
            batch.rejects.append(put_aside(arrival.line, record.key, str(version), digest, head=arrival.head(digest)))
            return
        used[template] = version
    try:
        handed = gather(arrival, inside, used, most_bytes=terms.most_bytes)
    except OSError as error:
        where = inside.root if inside else "its folder"
        raise UnreadableDriver(f"cannot read the documents in {where}: {error}") from error
    batch.handed.append(handed)
    batch.weight += handed.weight
    batch.work += slow(record, terms)


def _version(template: str, terms: Terms, versions: dict[str, str | TemplateError]) -> str | TemplateError:
    """Asked once a template, also when there is none of this name."""
    if template not in versions:
        if terms.composer is None:
            raise ComposerFailed(f"the template {template!r} is asked for, and this submit was given no composer")
        try:
            versions[template] = terms.composer.version(template)
        except TemplateError as error:
            versions[template] = error
    return versions[template]


class Keys:
    """Which keys came in by this submit, at which line.

    Only for sentences and for keys on their way into the ledger: the ledger itself says what is in. A key costs
    24 to 48 bytes here, whatever its length, because its hash stands for it: a table of our own, where a dict of two
    numbers takes 120.
    """

    def __init__(self) -> None:
        self._count = 0
        self._hashes = array("q", bytes(8 * _FIRST_PLACES))
        self._lines = array("q", bytes(8 * _FIRST_PLACES))
        """One more than the line; 0 where the place is free."""

    def line(self, key: str) -> int | None:
        """Where the key came first, or None."""
        found = self._lines[self._place(hash(key))]
        return found - 1 if found else None

    def note(self, head: Head) -> None:
        """The key came here; the first place is kept."""
        mark = hash(head.key)
        place = self._place(mark)
        if self._lines[place]:
            return
        self._hashes[place], self._lines[place] = mark, head.line + 1
        self._count += 1
        if self._count * 3 > len(self._lines) * 2:
            self._grow()

    def _place(self, mark: int) -> int:
        """Where it stands, or the free place where it would."""
        last = len(self._lines) - 1
        place = mark & last
        while self._lines[place] and self._hashes[place] != mark:
            place = (place + 1) & last
        return place

    def _grow(self) -> None:
        marks, lines = self._hashes, self._lines
        self._hashes, self._lines = array("q", bytes(16 * len(marks))), array("q", bytes(16 * len(marks)))
        for mark, line in zip(marks, lines, strict=True):
            if line:
                place = self._place(mark)
                self._hashes[place], self._lines[place] = mark, line


@dataclass(slots=True)
class Sorted:
    """A batch after the look at the ledger."""

    fresh: list[int] = field(default_factory=list)
    """What is new, by its place in the batch."""
    seen: list[tuple[int | None, Seen]] = field(default_factory=list)
    """What is in already: by which consignment it came again, and how it is in."""
    conflicts: list[Reject] = field(default_factory=list)


def sort_out(heads: Sequence[Head], known: Mapping[str, Known], keys: Keys) -> Sorted:
    """Tell what of a batch is new from what is in and from what contradicts; `known` is what is in, by key."""
    result = Sorted()
    present = dict(known)
    for place, head in enumerate(heads):
        earlier = keys.line(head.key)
        there = present.get(head.key)
        if there is None:
            present[head.key] = Known(head.source_hash, head.consignment)
            result.fresh.append(place)
        elif there.source_hash == head.source_hash:
            result.seen.append((head.consignment, _how(there, head.consignment, earlier)))
        else:
            result.conflicts.append(_conflict(head, earlier))
        keys.note(head)
    return result


def _how(there: Known, number: int | None, earlier: int | None) -> Seen:
    if earlier is not None and there.consignment == number:
        return Seen.TWICE
    return Seen.EARLIER_TRY if number is not None and there.consignment == number else Seen.BEFORE


def _conflict(head: Head, earlier: int | None) -> Reject:
    line = head.line
    # Of several consignments that are taken together, lines would be taken for each other.
    alone = head.consignment is None or earlier != line
    where = f"line {earlier} has the same key" if earlier is not None and alone else "the run already has this key"
    problem = (
        f"{where} with other content than line {line}; what is in stays as it is. "
        "If both are meant, give this one another key"
    )
    return put_aside(line, head.key, problem, head.source_hash, head=head)
