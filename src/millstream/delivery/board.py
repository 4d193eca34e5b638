"""What every lane of a process must know of the runs: which of them let nothing leave now."""

from __future__ import annotations

from millstream.communication.model import RunState
from millstream.delivery.store import LaneStore


class RunBoard:
    """Paused and cancelled runs, asked for often enough that a pause acts within a second."""

    def __init__(self, store: LaneStore) -> None:
        self._store = store
        self._closed: dict[int, RunState] = {}

    async def refresh(self) -> None:
        """Ask the store."""
        self._closed = await self._store.closed_runs()

    def state_of(self, run_id: int) -> RunState:
        """The run's state as of the last refresh."""
        return self._closed.get(run_id, RunState.OPEN)
