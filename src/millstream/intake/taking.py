"""Taking: what doors made durable becomes communications of a run, and says what became of it."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from millstream.communication.model import Mode, Policy, Run
from millstream.drill import Drill
from millstream.intake.consignment import Consignment, Door, Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.driver import lines_of
from millstream.intake.errors import (
    DocumentsFailed,
    IntakeError,
    LedgerFailed,
    NotYet,
    SpoolFull,
    Unreadable,
)
from millstream.intake.fingerprint import fingerprint, sight
from millstream.intake.options import Point, TakingOptions
from millstream.intake.sources import Sources
from millstream.intake.submit import IntakeOptions, Services, submit
from millstream.intake.tally import Tallies
from millstream.intake.telling import FOR_GOOD, events, sentence
from millstream.log import get_logger
from millstream.storage.errors import DatabaseError, DocumentMissing, DocumentStoreError

log = get_logger(__name__)

_OURS = (DocumentsFailed, LedgerFailed, SpoolFull)
"""Our want, not its fault: it stays due however long that lasts."""

Groups = Sequence[Sequence[Consignment]]
"""What one hand takes, submit after submit."""


class Runs(Protocol):
    """The part of `communication.store.RunStore` that opens a consignment's run."""

    async def open_run(
        self, key: str, *, pool: str, mode: Mode, policy: Policy, source: str, expected: int | None = None
    ) -> Run:
        """Create the run of this key, or return it where it exists."""


class Contents(Protocol):
    """The part of `storage.objects` that gives back what a door put there."""

    async def get(self, sha256: str) -> bytes:
        """A document's bytes."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What taking works with."""

    runs: Runs
    services: Services
    contents: Contents
    sources: Sources
    intake: IntakeOptions
    options: TakingOptions = field(default_factory=TakingOptions)
    drill: Drill | None = None
    apart: str | None = None
    """The document store's URL, where what is large and lies in a file is read and made in a process of its own."""


class Taker:
    """One process's share in taking. Any number may run; each consignment is in one process's hands by its lease.

    Whatever dies when: what was committed is in the run under its keys, and whoever takes the same consignment next
    finds it there and brings the rest.
    """

    def __init__(self, store: ConsignmentStore, tools: Tools) -> None:
        self._store = store
        self._tools = tools
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._held: set[int] = set()
        self._under_way: set[asyncio.Task[None]] = set()
        self._large = 0
        self._keeping: asyncio.Task[None] | None = None

    async def take_due(self) -> int:
        """Begin with what is due, as far as there are hands; answers how many consignments. Does not wait for them.

        One hand is for what is small, group after group; the others take one large consignment each, so that a job that
        takes minutes keeps no single letter waiting. A hand that is done takes the next by itself.

        Raises:
            DatabaseError: the database is away.
        """
        options = self._tools.options
        begun = 0
        hands = max(1, options.parallel - 1) - self._large
        if hands > 0:
            for each in await self._claim(most=hands, small=False):
                self._begin([[each]], small=False)
                begun += 1
        if len(self._under_way) == self._large:
            found = await self._claim(most=options.together, small=True)
            if found:
                self._begin(list(_groups(found, options)), small=True)
                begun += len(found)
        return begun

    async def _claim(self, *, most: int, small: bool) -> list[Consignment]:
        options = self._tools.options
        bound = options.alone_from
        return await self._store.claim(self._holder, most=most, seconds=options.lease, small=small, bound=bound)

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            await asyncio.wait(set(self._under_way))

    async def drain(self) -> None:
        """Take until nothing is due any more."""
        while True:
            idle = not self._under_way
            if not await self.take_due() and idle:
                return
            await self.rest()

    async def close(self) -> None:
        """Stop in the middle: what was committed stays, and what is in hand is given back at once."""
        in_hand = sorted(self._held)
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        if in_hand:
            with suppress(DatabaseError):  # their lease ends by itself
                stopped = "the worker was asked to stop"
                await self._store.put_off(self._holder, in_hand, stopped, seconds=0.0, counted=False)
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    def _begin(self, groups: Groups, *, small: bool) -> None:
        self._large += not small
        self._hold(groups)
        task = asyncio.create_task(self._work(groups, small=small))
        self._under_way.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            self._large -= not small
            if not task.cancelled() and (error := task.exception()) is not None:
                log.error("intake.stopped", exc_info=error)

        task.add_done_callback(ended)

    def _hold(self, groups: Groups) -> None:
        self._held.update(each.id for group in groups for each in group)
        if self._held and (self._keeping is None or self._keeping.done()):
            self._keeping = asyncio.create_task(self._keep())

    async def _work(self, groups: Groups, *, small: bool) -> None:
        """One hand's work until nothing more is due, or something must wait: the next look begins again."""
        well = True
        while groups and well:
            try:
                for group in groups:
                    well &= await self._take(group)
            finally:
                self._held.difference_update(each.id for group in groups for each in group)
            groups = await self._next(small=small) if well else []
            self._hold(groups)

    async def _next(self, *, small: bool) -> Groups:
        options = self._tools.options
        try:
            found = await self._claim(most=options.together if small else 1, small=small)
        except DatabaseError:
            return []  # the next look says so
        return list(_groups(found, options))

    async def _keep(self) -> None:
        """Say that the work goes on while there is any."""
        lease = self._tools.options.lease
        while self._held:
            await asyncio.sleep(lease / 3)
            if self._held:
                with suppress(DatabaseError):  # it may be away for a while; without a lease others may join in
                    await self._store.keep(self._holder, sorted(self._held), seconds=lease)

    async def _take(self, group: Sequence[Consignment]) -> bool:
        """One submit; whether all of it has come to its end and nothing was put off."""
        began = asyncio.get_running_loop().time()
        try:
            await self._bring(group)
        except NotYet as error:
            took = asyncio.get_running_loop().time() - began
            await self._put_off(group, str(error), seconds=max(self._tools.options.first_gap, took))
            return False
        except (*FOR_GOOD, Exception) as error:  # noqa: BLE001  whatever it is, the consignment is not lost
            if len(group) > 1 and not isinstance(error, (*_OURS, DatabaseError)):
                # One of them is at fault and shall harm no other.
                return all([await self._take([each]) for each in group])
            return await self._refused(group, error)
        return True

    async def _bring(self, group: Sequence[Consignment]) -> None:
        tools, offer = self._tools, group[0].offer
        run = await tools.runs.open_run(
            offer.run_key,
            pool=offer.pool,
            mode=offer.mode,
            policy=offer.policy,
            source=offer.source,
            expected=await asyncio.to_thread(_expected, group),
        )
        seen = await asyncio.to_thread(_as_received, group[0])
        source = tools.sources.opened(group, self._fetch(), patient=self._patient(group[0]))
        tallies = Tallies()
        # A message's source fetches from our store, by our loop; what lies in a file can be read anywhere.
        elsewhere = group[0].path is not None and offer.kind is not Kind.MESSAGE
        bound = tools.options.driver_apart_from if offer.kind is Kind.DRIVER else tools.options.alone_from
        intake = replace(tools.intake, apart=tools.apart) if elsewhere and offer.size >= bound else tools.intake
        receipt = await submit(source, run, tools.services, options=intake, tallies=tallies)
        await asyncio.to_thread(_unchanged, group[0], seen)
        self._passes(Point.AFTER_SUBMIT_BEFORE_TAKEN)
        for number, standing in (await self._store.standings(tallies.resumed(), run_id=run.id)).items():
            tallies.of(number).stands(standing)
        receipts = {}
        told: list[tuple[int, str, dict[str, Any]]] = []
        for each in group:
            tally = tallies.of(each.id)
            receipts[each.id] = tally.receipt() | {"seconds": round(receipt.seconds, 3)}
            told += events(each.id, tally)
        taken = await self._store.taken(self._holder, receipts, run_id=run.id, told=told)
        log.info("intake.taken", run=offer.run_key, door=offer.door, consignments=taken, new=receipt.new)
        self._passes(Point.AFTER_TAKEN_BEFORE_TIDY)

    async def _refused(self, group: Sequence[Consignment], error: BaseException) -> bool:
        """Put a group off, or aside for good; answers whether for good."""
        tries = group[0].tries
        if isinstance(error, FOR_GOOD):
            final = True
        elif isinstance(error, (*_OURS, DatabaseError)):
            final = False
        else:
            final = tries + 1 >= self._tools.options.most_tries
            if not isinstance(error, IntakeError):
                log.error("intake.broken", consignment=group[0].id, exc_info=error)
        if not final:
            options = self._tools.options
            gap = min(options.longest_gap, options.first_gap * 4.0 ** min(tries, 10))
            log.warning("intake.put_off", consignments=len(group), run=group[0].offer.run_key, error=str(error))
            await self._put_off(group, sentence(error), seconds=gap, counted=True)
            return False
        for each in group:
            facts = {"file": each.path or "", "line": getattr(error, "line", 0)}
            log.error("intake.failed", consignment=each.id, source=each.offer.source, error=str(error))
            await self._store.fail(self._holder, each.id, sentence(error), facts)
        return True

    async def _put_off(
        self, group: Sequence[Consignment], problem: str, *, seconds: float, counted: bool = False
    ) -> None:
        ids = [each.id for each in group]
        await self._store.put_off(self._holder, ids, problem, seconds=seconds, counted=counted)

    def _patient(self, consignment: Consignment) -> bool:
        """Whether what it names may still come."""
        age = (datetime.now(UTC) - consignment.received_at).total_seconds()
        return bool(age < self._tools.options.missing)

    def _fetch(self) -> Any:
        loop, contents = asyncio.get_running_loop(), self._tools.contents

        def fetch(sha256: str) -> bytes:
            try:
                return asyncio.run_coroutine_threadsafe(contents.get(sha256), loop).result()
            except DocumentMissing as error:
                raise Unreadable(f"what was handed in is gone: {error}") from error
            except DocumentStoreError as error:
                raise DocumentsFailed(str(error)) from error

        return fetch

    def _passes(self, point: Point) -> None:
        if self._tools.drill is not None:
            self._tools.drill.passes(point)


def _expected(group: Sequence[Consignment]) -> int | None:
    """About how many communications a driver alone brings; of what comes in pieces nobody knows."""
    [first, *others] = group
    if others or first.path is None or first.offer.kind is not Kind.DRIVER:
        return None
    return lines_of(Path(first.path))


def _as_received(consignment: Consignment) -> tuple[int, int, int] | None:
    """How the file of a watched folder looks that is still the one that was received; None of other doors.

    Raises:
        Unreadable: another one lies there now, or none.
    """
    if consignment.offer.door is not Door.FOLDER or consignment.path is None:
        return None
    path = Path(consignment.path)
    try:
        found = fingerprint(path)
    except OSError as error:
        raise Unreadable(f"cannot read {path}: {error.strerror or error}; put it there again") from error
    if found.sha256 != consignment.offer.digest:
        raise _replaced(path)
    return found.sight


def _unchanged(consignment: Consignment, seen: tuple[int, int, int] | None) -> None:
    """Raises Unreadable where somebody wrote to the file, or replaced it, while it was read."""
    if seen is None:
        return
    path = Path(consignment.path or "")
    try:
        now = sight(path.lstat())
    except OSError:
        return  # moved away: what was read was the same to its end
    if now != seen:
        raise _replaced(path)


def _replaced(path: Path) -> Unreadable:
    return Unreadable(
        f"{path} was replaced after it was received; what lies there now comes in by itself, and what was received "
        "and not read is gone: have it made again"
    )


def _groups(found: Sequence[Consignment], options: TakingOptions) -> Iterator[list[Consignment]]:
    """What is worth one submit: of one run and kind so many together."""

    def same(each: Consignment) -> tuple[Any, ...]:
        offer = each.offer
        return (offer.run_key, offer.kind, offer.pool, offer.mode, str(offer.policy))

    for _, members in groupby(sorted(found, key=same), key=same):
        group: list[Consignment] = []
        weight = 0
        for each in members:
            if group and weight + each.offer.size > options.together_bytes:
                yield group
                group, weight = [], 0
            group.append(each)
            weight += each.offer.size
        yield group
