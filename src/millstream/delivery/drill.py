"""Recovery drills: the process kills itself at a named point, so that recovery is practised and not believed."""

from __future__ import annotations

import os
import signal
from enum import StrEnum

from millstream.delivery.errors import DeliveryError


class Point(StrEnum):
    """The points of the pipeline at which a process can die."""

    BEFORE_DRAFT = "before_draft"
    AFTER_DRAFT_BEFORE_COMMIT = "after_draft_before_commit"
    AFTER_COMMIT_BEFORE_SEND = "after_commit_before_send"
    AFTER_SEND_BEFORE_COMMIT = "after_send_before_commit"
    IN_SETTLE = "in_settle"


class Drill:
    """Counts how often points are passed, and ends the process at the one that was asked for.

    Args:
        order: `point:n`, or None for no drill.
    """

    def __init__(self, order: str | None) -> None:
        self._left = 0
        self._point: Point | None = None
        if order is not None:
            name, _, number = order.partition(":")
            try:
                self._point, self._left = Point(name), int(number or "1")
            except ValueError as error:
                known = ", ".join(Point)
                raise DeliveryError(f"drill {order!r} is not `point:n`; points are {known}") from error

    def passes(self, point: Point) -> None:
        """Called at each point; returns, unless this is the time to die."""
        if point is not self._point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
