"""Recovery drills: the process kills itself at a named point, so that recovery is practised and not believed."""

from __future__ import annotations

import os
import signal
from enum import StrEnum


class UnknownDrill(ValueError):
    """The order names no point that this room has."""


class Drill:
    """Counts how often points are passed, and ends the process at the one that was asked for.

    Args:
        order: `point:n` for the n-th time (from 1), or None for no drill.
        points: the points a room has.

    Raises:
        UnknownDrill: with the points there are.
    """

    def __init__(self, order: str | None, points: type[StrEnum]) -> None:
        self._left = 0
        self._point: StrEnum | None = None
        if order is not None:
            name, _, number = order.partition(":")
            try:
                self._point, self._left = points(name), int(number or "1")
            except ValueError:
                self._left = 0
            if self._left < 1:
                raise UnknownDrill(f"drill {order!r} is not `point:n`; points are {', '.join(points)}")

    def passes(self, point: StrEnum) -> None:
        """Called at each point; returns, unless this is the time to die."""
        if point is not self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
