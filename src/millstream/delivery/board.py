"""What every lane of a process must know beyond itself: closed runs, and whether the project's day is spent."""

from __future__ import annotations

from millstream.communication.model import RunState
from millstream.delivery.store import LaneStore
from millstream.log import get_logger
from millstream.quota import Limits

log = get_logger(__name__)


class RunBoard:
    """Paused and cancelled runs, asked for often enough that a pause acts within a second; and the project's day.

    Above its daily threshold Google means to charge (quota page, read 2026-09), so nothing more is sent then.
    The day is counted from the ledger of attempts.
    """

    def __init__(self, store: LaneStore, limits: Limits) -> None:
        self._store = store
        self._day = limits.units_per_day_project
        self._closed: dict[int, RunState] = {}
        self.project_open = True

    async def refresh(self) -> None:
        """Ask the store which runs are closed."""
        self._closed = await self._store.closed_runs()

    async def count_day(self) -> None:
        """Ask the store what the project spent in the last day."""
        if self._day is None:
            return
        spent = await self._store.project_spent()
        is_open = spent < self._day.amount
        if self.project_open and not is_open:
            log.warning("project.day_spent", units=spent, threshold=self._day.amount)
        self.project_open = is_open

    def state_of(self, run_id: int) -> RunState:
        """The run's state as of the last refresh."""
        return self._closed.get(run_id, RunState.OPEN)
