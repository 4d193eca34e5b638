"""The reading of all mailboxes in one process: takes what is due, looks into many at once, and keeps the books.

A mailbox is leased, not a job: a thousand idle mailboxes are a thousand rows that one statement finds and one statement
puts back (docs/decisions/0013).
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

from millstream.gmail.client import Gmail
from millstream.gmail.errors import (
    BadCredentials,
    Forbidden,
    GmailError,
    LimitReached,
    MailServiceOff,
    ScopeMissing,
    TokenDead,
)
from millstream.log import get_logger
from millstream.mailbox.errors import LeaseLost
from millstream.mailbox.look import Look, Tools
from millstream.mailbox.meter import ReadingMeter, project_window
from millstream.mailbox.model import Lease, Outcome
from millstream.mailbox.store import UNREACHABLE
from millstream.storage.errors import DatabaseError, StorageError

log = get_logger(__name__)

TICK = 0.25
"""Seconds between two searches for what is due; a hint of this process's own comes at once."""
_COUNT_EVERY = 60.0
_HASTEN_EVERY = 2.0
_FIRST_GAP = 1.0
_LONGEST_GAP = 64.0
_QUIET_AFTER = timedelta(minutes=30)
_CLOSING = 10.0
_SECONDS_PER_DAY = 86_400.0
_TROUBLES: dict[type[GmailError], str] = {
    TokenDead: "token_dead",
    BadCredentials: "token_dead",
    ScopeMissing: "scope_missing",
    MailServiceOff: "mail_service_off",
    Forbidden: "forbidden",
    LimitReached: "limited",
}
"""From the narrow to the wide: the first that fits names it."""


class Desk:
    """Runs looks. `tend` is the sweep; `wake` makes it come at once.

    Args:
        gmail: the door to Google.
        tools: what looks work with.
    """

    def __init__(self, gmail: Gmail, tools: Tools) -> None:
        self._gmail = gmail
        self._tools = tools
        self._options = tools.options
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._project = project_window(self._options.limits, self._options.project_share)
        self._meters: dict[str, ReadingMeter] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._over: list[Outcome] = []
        self._woken = asyncio.Event()
        self._poll = self._options.poll
        self._kept_at = 0.0
        self._counted_at = self._hastened_at = float("-inf")
        self._idle_units = 0
        self._billed_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Looks in flight are broken off, and their mailboxes given back; nothing of them is lost."""
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        with suppress(DatabaseError, TimeoutError):
            async with asyncio.timeout(_CLOSING):
                await self.settle()

    @property
    def running(self) -> int:
        """Looks in flight."""
        return len(self._running)

    async def drain(self) -> None:
        """Wait until every look in flight is over and its mailbox put back."""
        while self._running:
            await asyncio.gather(*self._running.values())
            await self.settle()

    def wake(self) -> None:
        """Something is due now."""
        self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Tend until asked to stop; a database that is away is waited for."""
        away = False
        while not stopping.is_set():
            try:
                await self.tend()
            except DatabaseError as error:
                if not away:
                    log.warning("mailbox.database_away", error=str(error))
                away = True
                await asyncio.sleep(_FIRST_GAP)
            else:
                away = False
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._woken.wait()

    async def tend(self) -> None:
        """Put back what is over, and take what is due."""
        self._woken.clear()
        now = asyncio.get_running_loop().time()
        await self.settle()
        if self._running and now >= self._kept_at:
            self._kept_at = now + self._options.lease / 4
            kept = await self._tools.store.keep(self._holder, list(self._running), seconds=self._options.lease)
            for address, lane_runs in kept.items():
                if address in self._meters:
                    self._meters[address].share_with(lane=lane_runs)
        if now >= self._hastened_at + _HASTEN_EVERY:
            self._hastened_at = now
            await self._tools.store.hasten(within=self._options.poll_sending)
        if now >= self._counted_at + _COUNT_EVERY:
            self._counted_at = now
            await self._pace()
        free = self._options.mailboxes - len(self._running)
        if free > 0:
            leases = await self._tools.store.lease(
                self._holder, most=free, seconds=self._options.lease, sent_within=self._options.sent_within
            )
            for lease in leases:
                self._running[lease.address] = asyncio.create_task(self._look(lease), name=f"look:{lease.address}")

    async def _pace(self) -> None:
        """Looks without a result cost all mailboxes together no more than they may in a day."""
        mailboxes = await self._tools.store.count_read()
        daily = mailboxes * self._options.limits.cost("history.list") * _SECONDS_PER_DAY
        self._poll = max(self._options.poll, daily / self._options.poll_units_per_day)
        if self._idle_units:
            units, self._idle_units = self._idle_units, 0
            await self._tools.store.spend(units)
            await self._tools.store.forget_reading()

    async def settle(self) -> None:
        """Put back the mailboxes whose looks are over."""
        if not self._over:
            return
        outcomes, self._over = self._over, []
        try:
            await self._tools.store.finish(outcomes)
        except DatabaseError:
            self._over = outcomes + self._over
            raise
        for outcome in outcomes:
            self._running.pop(outcome.lease.address, None)

    async def _look(self, lease: Lease) -> None:
        meter = self._meters.get(lease.address) or ReadingMeter(
            self._options, self._project, announce=partial(self._tools.store.announce, lease.address)
        )
        look = Look(lease, self._gmail.mailbox(lease.address, meter), meter, self._tools)
        try:
            await self._prepare(lease, meter)
            outcome = self._next(await look.run())
        except LeaseLost as error:
            log.warning("mailbox.lease_lost", mailbox=lease.address, error=str(error))
            self._running.pop(lease.address, None)
            return
        except GmailError as error:
            outcome = self._failed(lease, look, error)
        except asyncio.CancelledError:
            self._end(Outcome(lease, look.cursor, 0.0, units=look.bill(), complete=False, found=look.found))
            raise
        except StorageError as error:
            outcome = _unfinished(look, lease, _backoff(lease), trouble="storage", failure=str(error))
        except Exception as error:
            log.exception("mailbox.look_broken", mailbox=lease.address)
            failure = f"{type(error).__name__}: {error}; please report it with the log"
            outcome = _unfinished(look, lease, _backoff(lease), trouble="internal_error", failure=failure)
        self._end(outcome)

    def _end(self, outcome: Outcome) -> None:
        if not outcome.lease.lane_runs:  # nobody shares these units: all such looks are counted together
            self._idle_units += outcome.units
            outcome = replace(outcome, units=0)
        self._over.append(outcome)
        if outcome.found or outcome.due_in < TICK * 8:
            self.wake()

    async def _prepare(self, lease: Lease, meter: ReadingMeter) -> None:
        """What another process spent on this mailbox a moment ago counts here too."""
        if lease.address not in self._meters:
            if lease.epoch > 1 and (units := await self._tools.store.spent(lease.address)):
                meter.restore(units)
            self._meters[lease.address] = meter
        meter.share_with(lane=lease.lane_runs)

    def _next(self, outcome: Outcome) -> Outcome:
        """When to look again: soon after something came, later the longer it has been quiet."""
        if outcome.due_in:
            return outcome
        lease, due_in = outcome.lease, self._poll
        quiet_since = lease.busy_at or lease.moved_at
        if lease.lane_runs or lease.has_sent:
            due_in = min(self._poll, self._options.poll_sending)
        elif not outcome.found and quiet_since and datetime.now(UTC) - quiet_since > _QUIET_AFTER:
            due_in = max(self._poll, self._options.poll_slowest)
        return replace(outcome, due_in=due_in)

    def _failed(self, lease: Lease, look: Look, error: GmailError) -> Outcome:
        trouble, due_in = _trouble(error), _backoff(lease)
        if isinstance(error, LimitReached) and error.retry_at is not None:
            due_in = max(due_in, (error.retry_at - datetime.now(UTC)).total_seconds())
        elif trouble in UNREACHABLE:
            due_in = max(due_in, self._options.recheck)
        level = log.info if error.temporary else log.warning
        level("mailbox.look_failed", mailbox=lease.address, trouble=trouble, error=str(error), again_in=due_in)
        return _unfinished(look, lease, due_in, trouble=trouble, failure=str(error))


def _backoff(lease: Lease) -> float:
    return float(min(_LONGEST_GAP, _FIRST_GAP * 2 ** min(lease.failures, 10)))


def _unfinished(look: Look, lease: Lease, due_in: float, *, trouble: str, failure: str) -> Outcome:
    return Outcome(
        lease,
        look.cursor,
        due_in,
        units=look.bill(),
        complete=False,
        found=look.found,
        trouble=trouble,
        failure=failure,
    )


def _trouble(error: GmailError) -> str:
    for kind, word in _TROUBLES.items():
        if isinstance(error, kind):
            return word
    return "temporary" if error.temporary else "refused"
