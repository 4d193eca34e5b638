"""Submit: everything a source hands in goes into a run, batch by batch.

Three things go on at once: the next batch is read, this one is made, in order, and the last one is committed. Reading
and making go on in a workshop: threads of this process, or a process of its own (docs/decisions/0020). A batch is
committed whole or not at all, and what is in stays as it is, so a submit may end anywhere (an error, Ctrl-C, kill -9)
and the same submit again brings the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from millstream.communication.entries import Known
from millstream.communication.model import Run, RunState
from millstream.intake.apart.wire import Order
from millstream.intake.apart.workshop import Apart
from millstream.intake.batch import BatchSize, Keys, batches, sort_out
from millstream.intake.errors import RunClosed
from millstream.intake.making import Here, Workshop
from millstream.intake.password import PasswordRule
from millstream.intake.ports import Composing, DocumentStore, Gate, Ledger, Source, Terms
from millstream.intake.tally import Tallies, Tally
from millstream.intake.writer import Parcel, Writer

_MOST_PROBLEMS = 20
_LONGEST_WAIT_SECONDS = 0.5
"""What is composed goes in at least so often, so that lanes have something to do."""


@dataclass(frozen=True, slots=True)
class Services:
    """The rooms that a submit works with."""

    ledger: Ledger
    documents: DocumentStore
    composer: Composing | None = None
    gate: Gate | None = None


@dataclass(frozen=True, slots=True)
class IntakeOptions:
    """How a submit works."""

    most_bytes: int
    """Of an encoded message: `Limits.max_message_bytes`."""
    parallel: int = 2
    """Compositions at a time."""
    patience_seconds: float = 60.0
    """How long a database that is away is waited for."""
    batch: BatchSize = field(default_factory=BatchSize)
    apart: str | None = None
    """The document store's URL, where the source is read and its records are made in a process of its own. The source
    must be one that reads a file, and the store one that another process can open."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of what was handed in: `lines = new + unchanged + rejected + conflicts`."""

    lines: int = 0
    """Records and broken lines; blank lines do not count."""
    new: int = 0
    unchanged: int = 0
    """In already, with the same content."""
    held: int = 0
    """Of the new ones, those that wait for a person."""
    suppressed: int = 0
    """Of those held, the ones whose address nothing of their stream is sent to."""
    rejected: int = 0
    conflicts: int = 0
    """In already, or earlier in the same file, with other content; nothing changed."""
    seconds: float = 0.0
    repeated: int = 0
    """Of the unchanged ones, those that this source handed in twice itself."""
    composed: int = 0
    """Of the new ones, those made by the composer."""
    problems: tuple[str, ...] = ()
    """A sentence each on the first rejects and conflicts; the ledger has all of them."""


Progress = Callable[[Receipt], None]

_AHEAD = 2
"""Batches that were begun and are not made, the one that is being read among them."""


async def submit(
    source: Source,
    run: Run,
    services: Services,
    on_progress: Progress | None = None,
    *,
    options: IntakeOptions,
    tallies: Tallies | None = None,
) -> Receipt:
    """Take in what a source hands in; what is in already stays as it is.

    `on_progress` hears after each commit; `tallies` count by the consignment that brought each record.

    Raises:
        IntakeError: UnreadableDriver, BadPasswordRule, RunClosed, ComposerFailed, DocumentsFailed or LedgerFailed. What
            was committed before stays, and the same submit again brings the rest.
    """
    if run.state is RunState.CANCELLED:
        raise RunClosed(f"run {run.key!r} was cancelled and takes nothing in; submit under another run key")
    rule = run.policy.password
    terms = Terms(
        most_bytes=options.most_bytes,
        password=PasswordRule.parse(rule) if rule else None,
        composer=services.composer,
        unsubscribe=run.policy.unsubscribe,
        run=run.key,
        gate=services.gate,
    )
    writer = Writer(services.ledger, services.documents, run, patience_seconds=options.patience_seconds)
    return await _Submission(_workshop(source, terms, options), writer, tallies or Tallies()).carry_out(on_progress)


def _workshop(source: Source, terms: Terms, options: IntakeOptions) -> Workshop:
    if options.apart is None:
        return Here(batches(source, terms, options.batch), terms, options.parallel)
    return Apart(
        Order(source, terms, options.batch, options.parallel, options.apart, patience_seconds=options.patience_seconds)
    )


class _Submission:
    """One submit on its way: one task asks the ledger what is new of each batch, another commits what was made."""

    def __init__(self, workshop: Workshop, writer: Writer, tallies: Tallies) -> None:
        self._workshop = workshop
        self._writer = writer
        self._tallies = tallies
        self._receipt = Receipt()
        self._on_progress: Progress | None = None
        self._keys = Keys()
        self._underway: dict[str, Known] = {}
        self._sorted: asyncio.Queue[Parcel | None] = asyncio.Queue()
        self._room = asyncio.Semaphore(_AHEAD)
        self._writing: asyncio.Task[None] | None = None
        self._began = asyncio.get_running_loop().time()

    async def carry_out(self, on_progress: Progress | None) -> Receipt:
        """Read, make and commit until the source has no more."""
        self._on_progress = on_progress
        asking = asyncio.create_task(self._ask())
        try:
            while (parcel := await self._sorted.get()) is not None:
                await self._take_in(parcel)
                self._room.release()
            if self._writing is not None:
                await self._writing
            await asking
        finally:
            await self._stop(asking)
        return self._receipt

    async def _stop(self, asking: asyncio.Task[None]) -> None:
        asking.cancel()
        tasks = [asking]
        if self._writing is not None:
            self._writing.cancel()  # the transaction rolls back: whole batches only
            tasks.append(self._writing)
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._workshop.close()

    async def _ask(self) -> None:
        """Sort each batch out as it is read, and have what is new of it made."""
        try:
            while True:
                await self._room.acquire()
                batch = await self._workshop.batch()
                if batch is None:
                    return
                # Looked at first: what is committed while the ledger is asked would else be in neither answer.
                underway = dict(self._underway)
                known = await self._writer.known([head.key for head in batch.heads])
                found = sort_out(batch.heads, {**known, **underway}, self._keys)
                for head in (batch.heads[place] for place in found.fresh):
                    self._underway[head.key] = Known(head.source_hash, head.consignment)
                await self._workshop.begin(found.fresh)
                self._sorted.put_nowait(Parcel(rejects=batch.rejects, conflicts=found.conflicts, seen=found.seen))
        finally:
            self._sorted.put_nowait(None)

    async def _take_in(self, parcel: Parcel) -> None:
        """Pass a batch on to be committed, as it is made."""
        loop = asyncio.get_running_loop()
        since = loop.time()
        async for made in self._workshop.made():
            parcel.made += made
            if loop.time() - since >= _LONGEST_WAIT_SECONDS:
                await self._commit(parcel)
                parcel, since = Parcel(), loop.time()
        if parcel.lines:
            await self._commit(parcel)

    async def _commit(self, parcel: Parcel) -> None:
        """Start to commit a parcel as soon as the one before is in."""
        if self._writing is not None:
            await self._writing
        self._writing = asyncio.create_task(self._write(parcel))

    async def _write(self, parcel: Parcel) -> None:
        written = await self._writer.write(parcel)
        for made in parcel.made:
            self._underway.pop(made.head.key, None)
        written.count(parcel, self._tallies)
        self._receipt = _added_up(self._tallies.all(), asyncio.get_running_loop().time() - self._began)
        if self._on_progress is not None:
            self._on_progress(self._receipt)


def _added_up(tallies: Sequence[Tally], seconds: float) -> Receipt:
    return Receipt(
        lines=sum(each.lines for each in tallies),
        new=sum(each.new for each in tallies),
        unchanged=sum(each.unchanged for each in tallies),
        held=sum(each.held for each in tallies),
        suppressed=sum(each.suppressed for each in tallies),
        rejected=sum(each.rejected for each in tallies),
        conflicts=sum(each.conflicts for each in tallies),
        seconds=seconds,
        repeated=sum(each.repeated for each in tallies),
        composed=sum(each.composed for each in tallies),
        problems=tuple(problem for each in tallies for problem in each.problems)[:_MOST_PROBLEMS],
    )
