"""What happens later by the sandbox's clock, which may run at any rate, stand still, or be moved by hand."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final

from millstream.sandbox.gmail.clock import Clock

Act = Callable[[], object]

LONGEST_WAIT: Final = 3_600.0
"""Real seconds after which the clock is looked at again, whatever it said."""


class Agenda:
    """Acts by the moment they are due.

    They are done when somebody calls `catch_up` (whoever moves the clock does) or when the clock gets there while an
    event loop runs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[float, int, Act]] = []
        self._number = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._due)

    def after(self, seconds: float, act: Act) -> None:
        """Do something in so many seconds of the sandbox; at once for none."""
        if seconds <= 0:
            act()
            return
        heapq.heappush(self._due, (self._clock.seconds() + seconds, next(self._number), act))
        self._wind()

    def catch_up(self) -> None:
        """Do what is due, in order; what that puts on the agenda is looked at as well."""
        while self._due and self._due[0][0] <= self._clock.seconds():
            heapq.heappop(self._due)[2]()
        self._wind()

    def clear(self) -> None:
        """Forget it all."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wind(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._due or self._clock.rate <= 0:
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # without a loop only a moved clock brings things about
        wait = max(self._due[0][0] - self._clock.seconds(), 0.0) / self._clock.rate
        self._timer = loop.call_later(min(wait, LONGEST_WAIT), self.catch_up)
