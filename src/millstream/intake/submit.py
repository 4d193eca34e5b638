"""Submit: everything a source hands in goes into a run, batch by batch.

Three things go on at once: the next batch is read in a thread, this one is made (composed in a few threads, in
order), and the last one is committed. A batch is committed whole or not at all, and what is in stays as it is, so
a submit may end anywhere (an error, Ctrl-C, kill -9) and the same submit again brings the rest.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby, islice

from millstream.communication.model import Run, RunState
from millstream.communication.store import Known
from millstream.intake.batch import Batch, BatchSize, Keys, batches, sort_out
from millstream.intake.errors import RunClosed
from millstream.intake.files import HandedIn
from millstream.intake.password import PasswordRule
from millstream.intake.path import Made, make, slow
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

_TOGETHER = 50
"""Records that a thread makes in one go, where none is slow."""


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
    submission = _Submission(batches(source, terms, options.batch), terms, writer, options, tallies or Tallies())
    return await submission.carry_out(on_progress)


class _Submission:
    """One submit on its way."""

    def __init__(
        self,
        coming: Generator[Batch, None, None],
        terms: Terms,
        writer: Writer,
        options: IntakeOptions,
        tallies: Tallies,
    ) -> None:
        self._batches = coming
        self._terms = terms
        self._writer = writer
        self._options = options
        self._tallies = tallies
        self._receipt = Receipt()
        self._on_progress: Progress | None = None
        self._keys = Keys()
        self._underway: dict[str, Known] = {}
        self._writing: asyncio.Task[None] | None = None
        self._began = asyncio.get_running_loop().time()

    async def carry_out(self, on_progress: Progress | None) -> Receipt:
        """Read, make and commit until the source has no more."""
        self._on_progress = on_progress
        reader = ThreadPoolExecutor(1, "millstream-intake-read")
        makers = ThreadPoolExecutor(self._options.parallel, "millstream-intake-make")
        loop = asyncio.get_running_loop()
        ahead = loop.run_in_executor(reader, next, self._batches, None)
        try:
            while (batch := await ahead) is not None:
                ahead = loop.run_in_executor(reader, next, self._batches, None)
                await self._take_in(batch, makers)
            if self._writing is not None:
                await self._writing
        finally:
            await self._stop(ahead, reader, makers)
        return self._receipt

    async def _stop(
        self, ahead: asyncio.Future[Batch | None], reader: ThreadPoolExecutor, makers: ThreadPoolExecutor
    ) -> None:
        if self._writing is not None:
            self._writing.cancel()  # the transaction rolls back: whole batches only
            await asyncio.gather(self._writing, return_exceptions=True)
        ahead.cancel()
        await asyncio.gather(ahead, return_exceptions=True)
        makers.shutdown(wait=False, cancel_futures=True)
        # The batch being read comes to its end first: a file must not close under its reader.
        await asyncio.to_thread(reader.shutdown)
        self._batches.close()

    async def _take_in(self, batch: Batch, makers: ThreadPoolExecutor) -> None:
        """Make what is new of a batch, in order, and pass it on to be committed."""
        known = await self._writer.known([handed.key for handed in batch.handed])
        found = sort_out(batch, {**known, **self._underway}, self._keys)
        self._underway = {handed.key: Known(handed.source_hash, handed.arrival.consignment) for handed in found.fresh}
        parcel = Parcel(rejects=batch.rejects, conflicts=found.conflicts, seen=found.seen)
        loop = asyncio.get_running_loop()
        groups = _groups(found.fresh, self._terms)
        coming = [loop.run_in_executor(makers, _make_all, group, self._terms) for group in groups]
        try:
            since = loop.time()
            for future in coming:
                parcel.made += await future
                if loop.time() - since >= _LONGEST_WAIT_SECONDS:
                    await self._commit(parcel)
                    parcel, since = Parcel(), loop.time()
            if parcel.lines:
                await self._commit(parcel)
        finally:
            for future in coming:
                future.cancel()
            await asyncio.gather(*coming, return_exceptions=True)

    async def _commit(self, parcel: Parcel) -> None:
        """Start to commit a parcel as soon as the one before is in."""
        if self._writing is not None:
            await self._writing
        self._writing = asyncio.create_task(self._write(parcel))

    async def _write(self, parcel: Parcel) -> None:
        written = await self._writer.write(parcel)
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


def _make_all(handed: list[HandedIn], terms: Terms) -> list[Made]:
    return [make(each, terms) for each in handed]


def _groups(handed: list[HandedIn], terms: Terms) -> Iterator[list[HandedIn]]:
    """In order: what is slow by itself, so that threads share it; of the rest so many together."""
    for alone, group in groupby(handed, key=lambda each: slow(each.arrival.record, terms)):
        together = 1 if alone else _TOGETHER
        while some := list(islice(group, together)):
            yield some
