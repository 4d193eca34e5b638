"""The last step: documents into the store, then communications into the ledger, patiently and all or nothing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from psycopg_pool import PoolClosed

from millstream.communication.entries import Added, Known, Reject
from millstream.communication.model import Communication, Run
from millstream.intake.errors import LedgerFailed
from millstream.intake.path import Made
from millstream.intake.patience import AGAIN, Patience
from millstream.intake.ports import DocumentStore, Head, Ledger, put_aside
from millstream.intake.shelving import Shelving
from millstream.intake.tally import Seen, Tallies
from millstream.storage.border import translated
from millstream.storage.errors import ConstraintBroken, DatabaseError, QueryFailed, StorageError

Result = TypeVar("Result")

# PostgreSQL's classes of errors that a row's own content makes: data exception, program limit exceeded.
_ROWS_FAULT = ("22", "54")


@dataclass(slots=True)
class Parcel:
    """What is committed together, and what was found out on the way."""

    made: list[Made] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    conflicts: list[Reject] = field(default_factory=list)
    seen: list[tuple[int | None, Seen]] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """How many records and broken lines it stands for."""
        return len(self.made) + len(self.rejects) + len(self.conflicts) + len(self.seen)


@dataclass(slots=True)
class Written:
    """What the ledger said to a parcel."""

    added: list[Added] = field(default_factory=list)
    conflicts: list[Reject] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)

    def count(self, parcel: Parcel, tallies: Tallies) -> None:
        """Add what became of the parcel to the tallies."""
        fresh = frozenset().union(*(each.fresh for each in self.added))
        kept = frozenset().union(*(each.kept for each in self.added))
        barred = frozenset().union(*(each.barred for each in self.added))
        aside = {each.key for each in (*self.conflicts, *self.rejects)}
        for made in parcel.made:
            key, tally = made.communication.key, tallies.of(made.head.consignment)
            if key in fresh:
                tally.new += 1
                tally.held += key in kept
                if made.communication.hold is not None:
                    tally.keep(made.communication, made.communication.hold)
                tally.suppressed += key in barred
                tally.composed += made.communication.template is not None and made.communication.hold is None
            elif key not in aside:
                tally.saw(Seen.BEFORE)
        for number, how in parcel.seen:
            tallies.of(number).saw(how)
        tallies.put_aside((*parcel.rejects, *self.rejects), conflict=False)
        tallies.put_aside((*parcel.conflicts, *self.conflicts), conflict=True)


class Writer:
    """Writes parcels of one run."""

    def __init__(self, ledger: Ledger, documents: DocumentStore, run: Run, *, patience_seconds: float) -> None:
        self._ledger = ledger
        self._run = run
        self._patience = Patience(patience_seconds, _closed)
        self._shelving = Shelving(documents, self._patience)

    async def known(self, keys: Sequence[str]) -> dict[str, Known]:
        """What the run already has of these keys.

        Raises:
            LedgerFailed: the database is away for longer than we wait, or refuses us.
        """
        if not keys:
            return {}
        return await self._patience.asked(_in_words(lambda: self._ledger.known(self._run, keys)))

    async def write(self, parcel: Parcel) -> Written:
        """Store the documents, then add the communications in one transaction, then put the rejects aside.

        Raises:
            DocumentsFailed: the store is full, away or refuses us; none of these communications is in.
            LedgerFailed: as `known`.
        """
        stored = await self._shelving.stored(parcel.made)
        communications = [made.communication for made in stored]
        if any(each.documents for each in communications):
            await self._shelving.flush()
        written = Written()
        if communications:
            await self._add(communications, {made.communication.key: made.head for made in stored}, written)
        aside = [*parcel.rejects, *parcel.conflicts, *written.rejects, *written.conflicts]
        if aside:
            await self._patience.asked(_in_words(lambda: self._ledger.reject(self._run, aside)))
        return written

    async def _add(self, communications: list[Communication], heads: dict[str, Head], written: Written) -> None:
        try:
            added = await self._patience.patiently(_in_words(lambda: self._ledger.add(self._run, communications)))
        except DatabaseError as error:
            if not _is_rows_fault(error):
                raise LedgerFailed(f"{error} {AGAIN}") from error
            await self._find_poison(communications, heads, written, error)
        else:
            written.added.append(added)
            written.conflicts += _conflicts(added, communications, heads)

    async def _find_poison(
        self, communications: list[Communication], heads: dict[str, Head], written: Written, error: DatabaseError
    ) -> None:
        """Put the one aside that the ledger cannot hold, and add the others: halves, and halves of halves."""
        if len(communications) > 1:
            half = len(communications) // 2
            await self._add(communications[:half], heads, written)
            await self._add(communications[half:], heads, written)
            return
        (poison,) = communications
        problem = f"the ledger cannot hold this communication: {error}"
        head = heads[poison.key]
        written.rejects.append(put_aside(head.line, poison.key, problem, poison.source_hash, head=head))


def _in_words(call: Callable[[], Awaitable[Result]]) -> Callable[[], Awaitable[Result]]:
    """The same call, whose errors of the database's driver are ours."""

    async def said() -> Result:
        with translated("taking communications in"):
            return await call()

    return said


def _closed(error: StorageError) -> bool:
    """The pool itself was closed, because this process stops: no waiting helps."""
    return isinstance(error.__cause__, PoolClosed)


def _is_rows_fault(error: DatabaseError) -> bool:
    if isinstance(error, QueryFailed):
        return error.sqlstate.startswith(_ROWS_FAULT)
    return isinstance(error, ConstraintBroken)


def _conflicts(added: Added, communications: list[Communication], heads: dict[str, Head]) -> list[Reject]:
    """What came in by another submit of the same run at the same time, with other content."""
    refused = set(added.conflicts)
    problem = "the run has this key with other content, by another submit; what is in stays as it is"
    return [
        put_aside(heads[each.key].line, each.key, problem, each.source_hash, head=heads[each.key])
        for each in communications
        if each.key in refused
    ]
