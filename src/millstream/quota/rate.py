"""A rate as a value: so much in a period, written the way people say it."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from millstream.quota.errors import BadRate

# From the longest: a rate prints with the longest unit that divides its period.
_UNITS: Final = {
    "day": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_RATE = re.compile(r"\s*([0-9]+(?:_[0-9]+)*)\s*/\s*([0-9]{0,6})\s*(day|h|min|s)\s*")


@dataclass(frozen=True, slots=True)
class Rate:
    """``amount`` in every rolling ``period``; the period is a whole number of seconds.

    The same throughput over different periods is a different rate: 200/s allows no burst that 12_000/min allows.

    Raises:
        BadRate: an amount below one, or a period that is not a whole, positive number of seconds.
    """

    amount: int
    period: timedelta

    def __post_init__(self) -> None:
        if self.amount < 1 or self.period <= timedelta(0) or self.period % timedelta(seconds=1):
            raise BadRate(f"{self.amount}/{self.period}")

    @classmethod
    def parse(cls, text: str) -> "Rate":
        """Read ``2_000/day``, ``6_000/min``, ``200/s`` or ``319_444/10min``.

        Raises:
            BadRate: any other text.
        """
        match = _RATE.fullmatch(text)
        if match is None:
            raise BadRate(text)
        amount, times, unit = match.groups()
        try:
            return cls(int(amount), int(times or 1) * _UNITS[unit])
        except (BadRate, OverflowError) as problem:
            raise BadRate(text) from problem

    def __str__(self) -> str:
        for name, unit in _UNITS.items():
            if self.period % unit == timedelta(0):
                times = self.period // unit
                return f"{self.amount:_}/{'' if times == 1 else times}{name}"
        raise BadRate(f"{self.amount}/{self.period}")

    @property
    def seconds(self) -> float:
        """The period in seconds."""
        return self.period.total_seconds()

    @property
    def per_second(self) -> float:
        """The average that the rate sustains."""
        return self.amount / self.seconds

    @property
    def per_day(self) -> float:
        """The average that the rate sustains, over 24 hours."""
        return self.amount * (timedelta(days=1) / self.period)

    def __mul__(self, span: timedelta) -> float:
        """How much the rate sustains over a span: ``Rate.parse("60/min") * timedelta(hours=1) == 3600``."""
        return self.amount * (span / self.period)

    def time_for(self, amount: float) -> timedelta:
        """How long so much takes at the sustained average."""
        return self.period * (amount / self.amount)


def share(ceiling: Rate, running: int, *, least: int = 1) -> Rate:
    """The part of a common ceiling that each of ``running`` lanes may use.

    A part smaller than ``least`` (the dearest single call) becomes ``least`` over a longer period, so that it
    always fits and the parts together never exceed the ceiling.
    """
    part = ceiling.amount // max(running, 1)
    if part >= least:
        return Rate(part, ceiling.period)
    periods = -(-least * running // ceiling.amount)
    return Rate(least, ceiling.period * periods)
