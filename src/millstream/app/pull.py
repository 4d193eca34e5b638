"""The door that fetches and the look for exceptions, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from millstream.app.house import House
from millstream.config import Settings
from millstream.exstream.client import Exstream
from millstream.intake.consignment import Receiving
from millstream.intake.folder.manifest import read_manifest, read_reports
from millstream.intake.pull.handing import Hands
from millstream.intake.pull.jobs import JobStore
from millstream.intake.pull.options import Per, PullOptions
from millstream.intake.pull.pull import Pull
from millstream.intake.spool import Spool
from millstream.intake.trouble import TroubleOptions, Troubles
from millstream.storage.duty import Duty
from millstream.storage.errors import DatabaseError
from millstream.work.engine import Sweep

_LEAVING = 5.0


def pull_options(settings: Settings) -> PullOptions:
    """How finished jobs are found and fetched."""
    pull = settings.intake_pull
    return PullOptions(
        channels=pull.channels,
        statuses=pull.statuses,
        lookback_days=pull.lookback_days,
        per=Per(pull.per),
        concurrency=pull.concurrency,
    )


def trouble_options(settings: Settings) -> TroubleOptions:
    """What counts as an exception."""
    pull = settings.intake_pull
    return TroubleOptions(
        channels=pull.channels,
        failure_statuses=pull.failure_statuses,
        step_failures=pull.step_failures,
        lookback_days=pull.lookback_days,
        message_threshold=pull.message_threshold,
        message_pattern=pull.message_pattern,
        report=pull.report,
        report_separator=pull.report_separator,
        report_customer=pull.report_customer,
        report_error=pull.report_error,
    )


def hands(settings: Settings, receiving: Receiving) -> Hands:
    """What takes folders of the spool to the door."""
    return Hands(
        spool=Spool(settings.spool_folder),
        receiving=receiving,
        pool=settings.intake.pool,
        mode=settings.delivery.mode,
    )


@asynccontextmanager
async def pulling(house: House, server: Exstream, taking: Hands) -> AsyncIterator[tuple[Sweep, ...]]:
    """The sweeps of the door that fetches: one process at a time finds, fetches, and looks for exceptions.

    At the end both duties are given back, so that another process need not wait.
    """
    settings = house.settings
    if not settings.intake_pull.on:
        yield ()
        return
    runtime, jobs = server.runtime(), JobStore(house.pool, settings.exstream.domain)
    fetching, looking = Duty(house.pool, "pull"), Duty(house.pool, "troubles")
    pull = Pull(runtime, jobs, taking, read_manifest, fetching.hold, pull_options(settings))
    troubles = Troubles(runtime, jobs, _reports, looking.hold, trouble_options(settings))
    every = settings.intake_pull.poll_seconds
    try:
        yield Sweep("pull", every, pull.round), Sweep("troubles", every, troubles.look)
    finally:
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(_LEAVING):
                await fetching.leave()
                await looking.leave()


def _reports(manifest: Path) -> Iterable[tuple[str, str]]:
    return [(report.name, report.path) for report in read_reports(manifest)]
