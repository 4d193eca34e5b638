"""The last step: documents into the store, then communications into the ledger, patiently and all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from psycopg_pool import PoolClosed

from millstream.communication.model import Communication, Document, Run
from millstream.communication.store import Added, Reject
from millstream.intake.errors import DocumentsFailed, LedgerFailed
from millstream.intake.path import Made
from millstream.intake.ports import DocumentStore, Ledger, put_aside
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
    unchanged: int = 0
    repeated: int = 0

    @property
    def lines(self) -> int:
        """How many records and broken lines it stands for."""
        return len(self.made) + len(self.rejects) + len(self.conflicts) + self.unchanged


@dataclass(slots=True)
class Written:
    """What the ledger said to a parcel."""

    new: int = 0
    held: int = 0
    suppressed: int = 0
    unchanged: int = 0
    composed: int = 0
    conflicts: list[Reject] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


class Writer:
    """Writes parcels of one run."""

    def __init__(self, ledger: Ledger, documents: DocumentStore, run: Run, *, patience_seconds: float) -> None:
        self._ledger = ledger
        self._documents = documents
        self._run = run
        self._patience = patience_seconds
        self._puts = asyncio.Semaphore(_PUTS_AT_A_TIME)

    async def known(self, keys: Sequence[str]) -> dict[str, str]:
        """Key to source hash, for those that the run already has.

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
            await self._add(communications, {made.communication.key: made.line for made in parcel.made}, written)
        aside = [*parcel.rejects, *parcel.conflicts, *written.rejects, *written.conflicts]
        if aside:
            await self._asked(lambda: self._ledger.reject(self._run, aside))
        return written

    async def _stored(self, made: Sequence[Made]) -> list[Communication]:
        """The communications, with their documents at rest and safe against a power failure."""
        done = await asyncio.gather(*map(self._store, made), return_exceptions=True)
        for each in done:
            if isinstance(each, BaseException):
                raise each
        if any(each.attachments for each in made):
            await self._kept(self._documents.flush)
        return [each for each in done if isinstance(each, Communication)]

    async def _store(self, made: Made) -> Communication:
        if not made.attachments:
            return made.communication
        async with self._puts:
            documents = [await self._document(attachment) for attachment in made.attachments]
        return replace(made.communication, documents=tuple(documents))

    async def _document(self, attachment: Attachment) -> Document:
        content = bytes(attachment.content)
        stored = await self._kept(lambda: self._documents.put(content))
        return Document(attachment.name, attachment.media_type, len(content), stored.sha256)

    async def _add(self, communications: list[Communication], lines: dict[str, int], written: Written) -> None:
        try:
            added = await self._patiently(lambda: self._ledger.add(self._run, communications))
        except DatabaseError as error:
            if not _is_rows_fault(error):
                raise LedgerFailed(f"{error} {_AGAIN}") from error
            await self._find_poison(communications, lines, written, error)
        else:
            _count(added, communications, lines, written)

    async def _find_poison(
        self, communications: list[Communication], lines: dict[str, int], written: Written, error: DatabaseError
    ) -> None:
        """Put the one aside that the ledger cannot hold, and add the others: halves, and halves of halves."""
        if len(communications) > 1:
            half = len(communications) // 2
            await self._add(communications[:half], lines, written)
            await self._add(communications[half:], lines, written)
            return
        (poison,) = communications
        problem = f"the ledger cannot hold this communication: {error}"
        written.rejects.append(put_aside(lines[poison.key], poison.key, problem, poison.source_hash))

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


def _count(added: Added, communications: list[Communication], lines: dict[str, int], written: Written) -> None:
    written.new += added.new
    written.held += added.held
    written.suppressed += added.suppressed
    written.unchanged += added.unchanged
    # What was in the way came in by another submit of the same run at the same time, which is rare: so the
    # communications of a batch with a conflict are all looked at.
    refused = set(added.conflicts)
    for each in communications:
        if each.key in refused:
            problem = "the run has this key with other content, by another submit; what is in stays as it is"
            written.conflicts.append(put_aside(lines[each.key], each.key, problem, each.source_hash))
        elif each.template is not None and each.hold is None:
            written.composed += 1
