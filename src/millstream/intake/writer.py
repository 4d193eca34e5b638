"""The last step: documents into the store, then communications into the ledger, patiently and all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar

from psycopg_pool import PoolClosed

from millstream.communication.model import Communication, Document, Run
from millstream.communication.store import Added, Known, Reject
from millstream.intake.errors import DocumentsFailed, LedgerFailed
from millstream.intake.path import Made
from millstream.intake.ports import Arrival, DocumentStore, Ledger, put_aside
from millstream.intake.tally import Seen, Tallies
from millstream.mime import Attachment
from millstream.storage.border import translated
from millstream.storage.errors import (
    ConstraintBroken,
    DatabaseAway,
    DatabaseBusy,
    DatabaseError,
    DatabaseFull,
    DocumentStoreError,
    QueryFailed,
    StorageError,
    StoreAway,
)

Result = TypeVar("Result")

_PUTS_AT_A_TIME = 8
_FIRST_GAP_SECONDS = 0.05
_LONGEST_GAP_SECONDS = 2.0
_TEMPORARY = (DatabaseAway, DatabaseBusy, DatabaseFull, StoreAway)
# PostgreSQL's classes of errors that a row's own content makes: data exception, program limit exceeded.
_ROWS_FAULT = ("22", "54")
_AGAIN = "What was committed is in; submit the same again when that is mended, and the rest follows."


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
            key, tally = made.communication.key, tallies.of(made.arrival.consignment)
            if key in fresh:
                tally.new += 1
                tally.held += key in kept
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
        self._documents = documents
        self._run = run
        self._patience = patience_seconds

    async def known(self, keys: Sequence[str]) -> dict[str, Known]:
        """What the run already has of these keys.

        Raises:
            LedgerFailed: the database is away for longer than we wait, or refuses us.
        """
        if not keys:
            return {}
        return await self._asked(lambda: self._ledger.known(self._run, keys))

    async def write(self, parcel: Parcel) -> Written:
        """Store the documents, then add the communications in one transaction, then put the rejects aside.

        Raises:
            DocumentsFailed: the store is full, away or refuses us; none of these communications is in.
            LedgerFailed: as `known`.
        """
        communications = await self._stored(parcel.made)
        written = Written()
        if communications:
            await self._add(communications, {made.communication.key: made.arrival for made in parcel.made}, written)
        aside = [*parcel.rejects, *parcel.conflicts, *written.rejects, *written.conflicts]
        if aside:
            await self._asked(lambda: self._ledger.reject(self._run, aside))
        return written

    async def _stored(self, made: Sequence[Made]) -> list[Communication]:
        """The communications, with their documents at rest and safe against a power failure."""
        done = [each.communication for each in made]
        left = iter([place for place, each in enumerate(made) if each.attachments or each.papers])

        async def store_some() -> None:
            for place in left:
                documents = [await self._document(attachment) for attachment in made[place].attachments]
                done[place] = replace(done[place], documents=tuple(documents))
                for paper in made[place].papers:
                    await self._kept(partial(self._documents.put, paper))

        # A few at a time, each taking what is next: a task for every one would cost as much as the writing.
        ended = await asyncio.gather(*(store_some() for _ in range(_PUTS_AT_A_TIME)), return_exceptions=True)
        for each in ended:
            if each is not None:
                raise each
        if any(each.attachments for each in made):
            await self._kept(self._documents.flush)
        return done

    async def _document(self, attachment: Attachment) -> Document:
        content = bytes(attachment.content)
        stored = await self._kept(lambda: self._documents.put(content))
        return Document(attachment.name, attachment.media_type, len(content), stored.sha256)

    async def _add(self, communications: list[Communication], arrivals: dict[str, Arrival], written: Written) -> None:
        try:
            added = await self._patiently(lambda: self._ledger.add(self._run, communications))
        except DatabaseError as error:
            if not _is_rows_fault(error):
                raise LedgerFailed(f"{error} {_AGAIN}") from error
            await self._find_poison(communications, arrivals, written, error)
        else:
            written.added.append(added)
            written.conflicts += _conflicts(added, communications, arrivals)

    async def _find_poison(
        self, communications: list[Communication], arrivals: dict[str, Arrival], written: Written, error: DatabaseError
    ) -> None:
        """Put the one aside that the ledger cannot hold, and add the others: halves, and halves of halves."""
        if len(communications) > 1:
            half = len(communications) // 2
            await self._add(communications[:half], arrivals, written)
            await self._add(communications[half:], arrivals, written)
            return
        (poison,) = communications
        problem = f"the ledger cannot hold this communication: {error}"
        arrival = arrivals[poison.key]
        written.rejects.append(put_aside(arrival.line, poison.key, problem, poison.source_hash, arrival=arrival))

    async def _asked(self, call: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await self._patiently(call)
        except DatabaseError as error:
            raise LedgerFailed(f"{error} {_AGAIN}") from error

    async def _kept(self, call: Callable[[], Awaitable[Result]]) -> Result:
        try:
            return await self._patiently(call)
        except DocumentStoreError as error:
            raise DocumentsFailed(f"{error} {_AGAIN}") from error

    async def _patiently(self, call: Callable[[], Awaitable[Result]]) -> Result:
        """Call again with growing gaps while waiting may help: every call here bears being made twice."""
        loop = asyncio.get_running_loop()
        began, gap = loop.time(), _FIRST_GAP_SECONDS
        while True:
            try:
                with translated("taking communications in"):
                    return await call()
            except _TEMPORARY as error:
                waited = loop.time() - began
                if waited + gap > self._patience or isinstance(error.__cause__, PoolClosed):
                    raise _given_up(error, waited) from error
            await asyncio.sleep(gap)
            gap = min(gap * 2, _LONGEST_GAP_SECONDS)


def _is_rows_fault(error: DatabaseError) -> bool:
    if isinstance(error, QueryFailed):
        return error.sqlstate.startswith(_ROWS_FAULT)
    return isinstance(error, ConstraintBroken)


def _given_up(error: StorageError, waited: float) -> Exception:
    kind = DocumentsFailed if isinstance(error, DocumentStoreError) else LedgerFailed
    return kind(f"{error} Given up after {waited:.0f} s. {_AGAIN}")


def _conflicts(added: Added, communications: list[Communication], arrivals: dict[str, Arrival]) -> list[Reject]:
    """What came in by another submit of the same run at the same time, with other content."""
    refused = set(added.conflicts)
    problem = "the run has this key with other content, by another submit; what is in stays as it is"
    return [
        put_aside(arrivals[each.key].line, each.key, problem, each.source_hash, arrival=arrivals[each.key])
        for each in communications
        if each.key in refused
    ]
