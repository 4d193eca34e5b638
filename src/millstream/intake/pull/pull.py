"""The door that fetches: finds jobs that Exstream has finished, and makes what they made a run, once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from millstream.exstream.errors import ExstreamError, NotFound, TokenAway, Unclear
from millstream.exstream.model import FlowInstance, Job
from millstream.intake.errors import IntakeError, Unreadable
from millstream.intake.pull.fetching import Made, OutputsGone, ReadManifest, fetch, kinds
from millstream.intake.pull.handing import Handing, Hands
from millstream.intake.pull.jobs import RUNNING, JobStore, Unit, models
from millstream.intake.pull.options import Per, PullOptions
from millstream.log import get_logger

if TYPE_CHECKING:
    from millstream.exstream.runtime import Runtime

log = get_logger(__name__)

_HOLD_EVERY: Final = 4.0
_FIRST_GAP: Final = 2.0
_LONGEST_GAP: Final = 600.0
_PATIENCE: Final = 6
_ADVICE: Final = "regenerate: reprocess the job, or generate its communications again"


class LostDuty(Exception):
    """Another process fetches now."""


@dataclass(slots=True)
class Pull:
    """Looks for jobs, and fetches what is due.

    Args:
        runtime: Exstream's running jobs, of one domain.
        jobs: what we know of them.
        hands: where a fetched folder goes.
        read: reads an engine's manifest.
        hold: keeps the duty; False where another process has it.
    """

    runtime: Runtime
    jobs: JobStore
    hands: Hands
    read: ReadManifest
    hold: Callable[[], Awaitable[bool]]
    options: PullOptions = field(default_factory=PullOptions)
    _away: bool = False

    async def round(self) -> int:
        """Look for finished jobs and fetch them, where this is this process's duty; answers how many became a run.

        Raises:
            DatabaseError: the database is away.
        """
        if not await self.hold():
            return 0
        try:
            await self.look()
            fetched = await self.fetch_due()
        except ExstreamError as error:
            if not self._away:
                log.warning("pull.exstream_away", domain=self.jobs.domain, error=str(error))
            self._away = True
            return 0
        self._away = False
        return fetched

    async def look(self) -> None:
        """Note every job that began within the lookback, and what became of those that began before and run still.

        Raises:
            ExstreamError: Exstream cannot be asked.
        """
        began = datetime.now(UTC)
        # Filters know whole days, in a zone that is the server's: a day more, and the instants are ours to compare.
        since = began - timedelta(days=self.options.lookback_days)
        day = (since - timedelta(days=1)).date()
        await self._note([job async for job in self.runtime.jobs(start_date_start=day) if self._ours(job, since)])
        for number in await self.jobs.unended(before=began):
            try:
                await self._note([await self.runtime.job(number)])
            except NotFound:
                await self.jobs.failed(number, "the job is gone", gone=True, advice=_ADVICE)
            except Unclear as error:  # this job's fault, as far as anybody knows: the others are noted
                log.warning("pull.job_unclear", job=number, error=str(error))

    async def fetch_due(self) -> int:
        """Fetch what is due, one after the other; answers how many units became consignments.

        Raises:
            DatabaseError: the database is away.
        """
        fetched = 0
        while units := await self.jobs.due():
            for unit in units:
                if not await self.hold():
                    return fetched
                fetched += await self._fetch(unit)
        return fetched

    def _ours(self, job: Job, since: datetime) -> bool:
        if job.started_at is not None and job.started_at < since and str(job.status) not in RUNNING:
            return False
        return not self.options.channels or any(
            fnmatchcase(job.channel or "", pattern) for pattern in self.options.channels
        )

    async def _note(self, jobs: Sequence[Job]) -> None:
        if self.options.per is Per.JOB:
            await self.jobs.see(jobs, wanted=self.options.statuses)
            return
        known = {unit["id"]: unit for unit in await self.jobs.settled_among([job.id for job in jobs])}
        noted = []
        for job in jobs:
            if job.id in known and str(job.status) == known[job.id]["status"] and _same(job, known[job.id]):
                continue
            try:
                flows = [flow async for flow in self.runtime.flow_instances(job_id=job.id)]
            except (NotFound, Unclear) as error:
                log.warning("pull.job_unclear", job=job.id, error=str(error))
                continue
            await self.jobs.see_flows(job.id, job.channel, flows, wanted=self.options.statuses)
            if any(str(flow.status) in RUNNING for flow in flows) and str(job.status) not in RUNNING:
                continue  # the job says that it is over before its flows do: it is noted when they are
            noted.append(job)
        await self.jobs.see(noted, wanted=())

    async def _fetch(self, unit: Unit) -> int:
        try:
            async with _kept(self.hold) as alive:
                return await self._bring(unit, alive)
        except LostDuty:
            log.warning("pull.duty_lost", unit=unit.id)
        except OutputsGone as error:
            log.warning("pull.outputs_gone", unit=unit.id, error=str(error))
            await self._given_up(unit, str(error), gone=True)
        except (ExstreamError, IntakeError, OSError) as error:
            await self._not_now(unit, error)
        return 0

    async def _bring(self, unit: Unit, alive: Callable[[], None]) -> int:
        flows = await self._flows(unit)
        all_made = await kinds(self.runtime, flows)
        if not all_made:
            await self.jobs.fetched(unit.id, None, note="no step of it has outputs that can be fetched")
            return 0
        numbers = []
        for made in all_made:
            number = await self._one_kind(unit, made, alive)
            if number is not None:
                numbers.append(number)
        await self.jobs.fetched(unit.id, max(numbers, default=None), note=None if numbers else "it has no customer")
        return int(bool(numbers))

    async def _one_kind(self, unit: Unit, made: Made, alive: Callable[[], None]) -> int | None:
        folder = await asyncio.to_thread(self.hands.spool.new)
        try:
            haul = await fetch(self.runtime, made, folder, read=self.read, options=self.options, alive=alive)
        except BaseException:
            await asyncio.to_thread(self.hands.spool.drop, folder)
            raise
        if not haul.customers:
            await asyncio.to_thread(self.hands.spool.drop, folder)
            return None
        accepted = await self.hands.over(folder, self._handing(unit, made, digest=haul.digest, size=haul.size))
        log.info(
            "pull.fetched",
            unit=unit.id,
            kind=made.label,
            customers=haul.customers,
            consignment=accepted.id,
            new=accepted.new,
            conflict=accepted.conflict,
        )
        return accepted.id

    def _handing(self, unit: Unit, made: Made, *, digest: str, size: int) -> Handing:
        domain, label = self.jobs.domain, f"/{made.label}" if made.label else ""
        again = f"#{unit.started_at:%Y-%m-%dT%H:%M:%S}" if unit.fetched_before and unit.started_at else ""
        facts: dict[str, Any] = {"system": "exstream", "domain": domain, "job": unit.job, "channel": unit.channel or ""}
        if unit.flow:
            facts["flow"] = unit.flow
        return Handing(
            key=f"{domain}/{unit.id}{label}{again}",
            digest=digest,
            size=size,
            run_key=f"exstream/{domain}/{unit.job}{label}",
            source=f"job {unit.job}" + (f", flow {unit.flow}" if unit.flow else ""),
            facts=facts,
        )

    async def _flows(self, unit: Unit) -> list[FlowInstance]:
        if unit.flow is not None:
            return [await self.runtime.flow_instance(unit.flow)]
        flows = [flow async for flow in self.runtime.flow_instances(job_id=unit.job)]
        return sorted(flows, key=lambda flow: flow.id)

    async def _not_now(self, unit: Unit, error: Exception) -> None:
        temporary = error.temporary if isinstance(error, ExstreamError) else not isinstance(error, Unreadable)
        # An Exstream that is away is waited for: its outputs do not spoil.
        most = self.options.most_tries * (_PATIENCE if isinstance(error, TokenAway | Unclear) else 1)
        log.warning("pull.not_fetched", unit=unit.id, temporary=temporary, error=str(error))
        if temporary and unit.tries + 1 < most:
            gap = min(_LONGEST_GAP, _FIRST_GAP * 4 ** min(unit.tries, 6))
            await self.jobs.put_off(unit.id, str(error), seconds=gap)
        else:
            await self._given_up(unit, f"its outputs cannot be fetched: {error}", gone=isinstance(error, NotFound))

    async def _given_up(self, unit: Unit, why: str, *, gone: bool) -> None:
        kind = None
        with suppress(ExstreamError):  # that it is not told keeps nobody from learning of the rest
            kind = models(await self._flows(unit))
        await self.jobs.failed(unit.id, why, gone=gone, advice=_ADVICE, document_type=kind)


class _kept:  # noqa: N801  it is used like a function
    """Keeps the duty while a fetch runs; what it gives raises LostDuty once another process has it."""

    def __init__(self, hold: Callable[[], Awaitable[bool]]) -> None:
        self._hold = hold
        self._lost = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Callable[[], None]:
        self._task = asyncio.create_task(self._keep(), name="pull.duty")
        return self._alive

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _alive(self) -> None:
        if self._lost:
            raise LostDuty

    async def _keep(self) -> None:
        while not self._lost:
            await asyncio.sleep(_HOLD_EVERY)
            try:
                self._lost = not await self._hold()
            except Exception:  # noqa: BLE001  the database is away: what we write later says so
                self._lost = True


def _same(job: Job, row: Any) -> bool:
    one, other = job.ended_at, row["ended_at"]
    return one is None or other is None or abs((one - other).total_seconds()) < 1.0
