"""The sandbox's clock: real, set, frozen, or running at another rate."""

import math
import time
from datetime import UTC, datetime
from email.utils import format_datetime


class Clock:
    """A clock that can be moved by hand.

    Virtual time is `base + rate * (real seconds since base was set)`. Rate 1 is real time, 0 is frozen, 60 makes an
    hour out of a minute. Every limit and every expiry of the sandbox is counted by this clock; pauses between two
    bytes on a socket are not, because a client measures those with its own.
    """

    __slots__ = ("_base", "_mark", "_rate", "_stamp")

    def __init__(self, *, start: datetime | None = None, rate: float = 1.0) -> None:
        self._mark = time.monotonic()
        self._base = time.time() if start is None else start.timestamp()
        self._rate = rate
        self._stamp = (-1, "")

    @property
    def rate(self) -> float:
        """Virtual seconds per real second."""
        return self._rate

    def seconds(self) -> float:
        """The present as seconds since 1970 (UTC)."""
        return self._base + self._rate * (time.monotonic() - self._mark)

    def now(self) -> datetime:
        """The present, aware, in UTC."""
        return datetime.fromtimestamp(self.seconds(), UTC)

    def stamp(self) -> str:
        """The present as a Date header has it; made once a second, for every message carries it several times."""
        second = int(self.seconds())
        if self._stamp[0] != second:
            self._stamp = (second, format_datetime(datetime.fromtimestamp(second, UTC)))
        return self._stamp[1]

    def milliseconds(self) -> int:
        """The present as Gmail's `internalDate` counts it."""
        return int(self.seconds() * 1000)

    def set(self, moment: datetime) -> None:
        """Jump to a moment and go on at the same rate."""
        self._mark = time.monotonic()
        self._base = moment.timestamp()

    def advance(self, seconds: float) -> None:
        """Jump forward (or back, if negative) and go on at the same rate."""
        self._base += seconds

    def run(self, rate: float) -> None:
        """Change the rate from now on; 0 freezes.

        Raises `ValueError` for a negative rate: a clock that runs backwards would make every window of the quota
        lie.
        """
        if rate < 0:
            raise ValueError(f"the clock's rate must be 0 or more, not {rate}; jump back with `advance` instead")
        self._base = self.seconds()
        self._mark = time.monotonic()
        self._rate = rate


def retry_text(moment: float) -> str:
    """Write a moment as Gmail does inside its refusals: `2026-09-11T20:00:00.000Z`.

    Rounded up: who comes back at the written time must not be early.
    """
    return (
        datetime.fromtimestamp(math.ceil(moment * 1000) / 1000, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
