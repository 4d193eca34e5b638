"""The same run by the API, by the relay, and by both at once: when each would be done, and which limit decides.

In a mix both roads begin at the same time and each carries as many as lets them end together. All by one road is one
of the mixes that are looked at, so the mix is never later than the better road.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from millstream.quota.errors import NeverDone
from millstream.quota.fleet import Fleet
from millstream.quota.forecast import Forecast, forecast
from millstream.quota.plan import DAY, Senders, days
from millstream.quota.relay_fleet import RelayFleet

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Mix:
    """Both roads at once. ``deciding`` and ``sentence`` are of the road that ends last."""

    finish: datetime
    duration: timedelta
    api: int
    """Messages by the API."""
    relay: int
    deciding: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """A run by each road; None where there is none, or it would not be done in ten years: ``never`` says why."""

    count: int
    start: datetime
    api: Forecast | None
    relay: Forecast | None
    mix: Mix | None
    never: Mapping[str, str] = field(default_factory=dict)


def compare(api: Fleet | None, relay: RelayFleet | None, count: int, start: datetime) -> Comparison:
    """Forecast ``count`` messages by every road that there is.

    Raises:
        NeverDone: no road would have them done in ten years.
        ValueError: a start without a time zone.
    """
    never: dict[str, str] = {}
    by_api = _road("api", api, count, start, never)
    by_relay = _road("relay", relay, count, start, never)
    mix = _mix(api, relay, count, start) if api is not None and relay is not None else None
    if by_api is None and by_relay is None and mix is None:
        raise NeverDone(count, "; ".join(never.values()) or "there is no road to send by")
    return Comparison(count, start, by_api, by_relay, mix, never)


def _road(name: str, fleet: Senders | None, count: int, start: datetime, never: dict[str, str]) -> Forecast | None:
    if fleet is None:
        return None
    try:
        return forecast(fleet, count, start)
    except NeverDone as problem:
        never[name] = problem.why
        return None


def _mix(api: Fleet, relay: RelayFleet, count: int, start: datetime) -> Mix | None:
    """The split that is done first; None where no split would be done."""

    def ends(split: int) -> tuple[float, float]:
        return _seconds(api, split), _seconds(relay, count - split)

    low, high = 0, count
    while low < high:  # the least split with which the API ends no earlier than the relay
        middle = (low + high) // 2
        by_api, by_relay = ends(middle)
        low, high = (low, middle) if by_api >= by_relay else (middle + 1, high)
    candidates = {max(0, low - 1), low, 0, count}
    split = min(candidates, key=lambda each: (max(ends(each)), each))
    by_api, by_relay = ends(split)
    if max(by_api, by_relay) == _NEVER:
        return None
    last: tuple[Senders, int] = (api, split) if by_api >= by_relay and split else (relay, count - split)
    told = forecast(last[0], last[1], start)
    duration = timedelta(seconds=max(by_api, by_relay))
    return Mix(start + duration, duration, split, count - split, told.deciding, told.sentence)


def _seconds(fleet: Senders, count: int) -> float:
    """How long so many take; never counts as infinity."""
    if count == 0:
        return 0.0
    done, seconds = 0, 0.0
    for day in days(fleet, count):
        done += day.messages
        seconds = day.number * DAY + day.seconds
    return seconds if done >= count else _NEVER
