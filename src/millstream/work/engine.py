"""Durable jobs: deferred once, run by one process at a time, rescued from a process that died.

Waiting is never a sleeping job: a due date in the store is found by a sweep, which defers the job.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import procrastinate
from procrastinate import exceptions
from procrastinate.jobs import Job, Status
from procrastinate.worker import Worker
from psycopg import Error as DriverError

from millstream.log import get_logger
from millstream.storage.errors import DatabaseError

log = get_logger(__name__)

Handler = Callable[..., Awaitable[None]]
AWAY = (DatabaseError, DriverError, exceptions.ConnectorException)
"""What a database that is away raises here, whoever asks it."""

_FIRST_GAP = 0.5
_LONGEST_GAP = 5.0


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a worker process runs jobs. Times are in seconds."""

    concurrency: int = 200
    """Jobs at once in one process; each lane is one."""
    heartbeat: float = 2.0
    stalled_after: float = 8.0
    """Without a heartbeat for so long, a worker's jobs are taken from it."""
    shutdown: float = 90.0
    """How long running jobs may take to end; longer than a Gmail call may."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """Something that looks for what is due, every so many seconds."""

    name: str
    every: float
    run: Callable[[], Awaitable[object]]


class Engine:
    """One process's share in the job engine."""

    def __init__(self, url: str, options: EngineOptions) -> None:
        self._options = options
        connector = procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=6, timeout=5.0)
        self._app = procrastinate.App(connector=connector)

    def job(self, name: str, handler: Handler) -> None:
        """Register what runs under a name."""
        self._app.task(name=name, queue="millstream")(handler)

    async def __aenter__(self) -> Self:
        await self._app.open_async()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._app.close_async()

    async def defer(self, name: str, *, lock: str, **arguments: Any) -> bool:
        """Defer a job; at most one waits, and at most one runs, per lock. Answers whether this call deferred it."""
        try:
            await self._app.configure_task(name, queue="millstream", lock=lock, queueing_lock=lock).defer_async(
                **arguments
            )
        except exceptions.AlreadyEnqueued:
            return False
        return True

    async def run(self, stopping: asyncio.Event, sweeps: Sequence[Sweep]) -> None:
        """Work until asked to stop; a database that goes away and comes back is waited for."""
        rescue = Sweep("rescue", self._options.stalled_after / 2, self._rescue)
        tasks = [asyncio.create_task(_sweep(each, stopping), name=each.name) for each in (*sweeps, rescue)]
        try:
            await self._work(stopping)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, stopping: asyncio.Event) -> None:
        gap = _FIRST_GAP
        while not stopping.is_set():
            worker = self._worker()
            running = asyncio.create_task(worker.run())  # type: ignore[no-untyped-call]  # procrastinate types it by half
            stop = asyncio.create_task(stopping.wait())
            await asyncio.wait({running, stop}, return_when=asyncio.FIRST_COMPLETED)
            stop.cancel()
            if stopping.is_set():
                # Running jobs are waited for. Cancelling the task asks for the same, but is lost where the worker is
                # registering itself at that moment (seen with procrastinate 3.10 on psycopg 3.3, 2026-11-25).
                worker.stop()  # type: ignore[no-untyped-call]  # the same
            try:
                await running
            except AWAY as error:
                log.warning("worker.database_away", error=str(error), again_in=gap)
                await asyncio.sleep(gap)
                gap = min(gap * 2, _LONGEST_GAP)
            else:
                gap = _FIRST_GAP

    def _worker(self) -> Worker:
        return Worker(
            self._app,
            queues=["millstream"],
            concurrency=self._options.concurrency,
            install_signal_handlers=False,
            fetch_job_polling_interval=2.0,
            update_heartbeat_interval=self._options.heartbeat,
            stalled_worker_timeout=self._options.stalled_after,
            shutdown_graceful_timeout=self._options.shutdown,
            delete_jobs="always",
        )

    async def _rescue(self) -> None:
        """Give jobs of dead workers to the living (procrastinate leaves them `doing` until somebody does)."""
        manager = self._app.job_manager
        for job in await manager.get_stalled_jobs(seconds_since_heartbeat=self._options.stalled_after):
            log.warning("job.rescued", job=job.task_name, lock=job.lock)
            await self._retry(job)

    async def _retry(self, job: Job) -> None:
        manager = self._app.job_manager
        try:
            await manager.retry_job(job)
        except (exceptions.AlreadyEnqueued, exceptions.ConnectorException):
            # The same job waits already behind this one's lock: let it through.
            await manager.finish_job(job, status=Status.FAILED, delete_job=True)


async def _sweep(sweep: Sweep, stopping: asyncio.Event) -> None:
    away = False
    while not stopping.is_set():
        try:
            await sweep.run()
        except AWAY as error:
            if not away:
                log.warning("sweep.database_away", sweep=sweep.name, error=str(error))
            away = True
        except Exception:
            log.exception("sweep.failed", sweep=sweep.name)
        else:
            away = False
        await asyncio.sleep(sweep.every)
