"""The door that fetches and the look for exceptions, put together."""

from __future__ import annotations

from collections.abc import Iterable
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
from millstream.work.engine import Sweep


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


def pulling(house: House, server: Exstream, hands_: Hands) -> tuple[Sweep, ...]:
    """The sweeps of the door that fetches: one process at a time finds, fetches, and looks for exceptions."""
    settings = house.settings
    if not settings.intake_pull.on:
        return ()
    runtime, jobs = server.runtime(), JobStore(house.pool, settings.exstream.domain)
    duty = Duty(house.pool, "pull")
    pull = Pull(runtime, jobs, hands_, read_manifest, duty.hold, pull_options(settings))
    looking = Duty(house.pool, "troubles")
    troubles = Troubles(runtime, jobs, _reports, looking.hold, trouble_options(settings))
    every = settings.intake_pull.poll_seconds
    return Sweep("pull", every, pull.round), Sweep("troubles", every, troubles.look)


def _reports(manifest: Path) -> Iterable[tuple[str, str]]:
    return [(report.name, report.path) for report in read_reports(manifest)]
