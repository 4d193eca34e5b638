"""A server that keeps an exact rolling window, and workers that call it: simulated, so a minute takes milliseconds."""

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from random import Random

import pytest

from millstream.quota import Rate, Window


class RollingServer:
    """Counts a call at the instant it likes, and refuses what would make any rolling period exceed the rate."""

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self.refused = 0
        self.charges: list[tuple[float, int]] = []
        self._recent: deque[tuple[float, int]] = deque()
        self._used = 0

    def charge(self, now: float, cost: int) -> None:
        while self._recent and self._recent[0][0] <= now - self.rate.seconds:
            self._used -= self._recent.popleft()[1]
        if self._used + cost > self.rate.amount:
            self.refused += 1
            return
        self._used += cost
        self._recent.append((now, cost))
        self.charges.append((now, cost))

    def charged_between(self, start: float, end: float) -> int:
        return sum(cost for now, cost in self.charges if start <= now < end)


class Simulation:
    """Workers that share one window; every wait, charge and reply is an event on one virtual clock."""

    def __init__(
        self, window: Window, server: RollingServer, *, seed: int = 0, **ways: Callable[[Random], float]
    ) -> None:
        self.window = window
        self.server = server
        self.random = Random(seed)  # noqa: S311  chance with a seed, not a secret
        self.latency = ways.get("latency", lambda random: random.uniform(0.0, 0.3))
        self.oversleep = ways.get("oversleep", lambda _: 0.0)
        self.pause = ways.get("pause", lambda _: 0.0)
        self._events: list = []
        self._order = itertools.count()

    def run(self, *, workers: int, until: float, costs: tuple[int, ...], start: float = 0.0) -> RollingServer:
        for _ in range(workers):
            self.at(start, self._ask, itertools.cycle(costs), None)
        while self._events and self._events[0][0] < until:
            now, _, action, *details = heapq.heappop(self._events)
            action(now, *details)
        return self.server

    def at(self, time: float, action: Callable, *details: object) -> None:
        heapq.heappush(self._events, (time, next(self._order), action, *details))

    def _ask(self, now: float, costs: itertools.cycle, cost: int | None) -> None:
        cost = next(costs) if cost is None else cost
        wait = self.window.wait(now, cost)
        if wait > 0.0:
            self.at(now + wait + self.oversleep(self.random), self._ask, costs, cost)
            return
        ticket = self.window.spend(now, cost)
        latency = self.latency(self.random)
        self.at(now + latency * self.random.random(), self.server.charge, cost)
        self.at(now + latency, self._settle, costs, ticket)

    def _settle(self, now: float, costs: itertools.cycle, ticket: object) -> None:
        self.window.settle(ticket, now)
        self.at(now + self.pause(self.random), self._ask, costs, None)


@pytest.fixture(scope="session")
def simulate() -> Callable[..., RollingServer]:
    """Run workers against a server that keeps the same rate, and give the server back."""

    def run(rate: str, *, smooth: bool = True, seed: int = 0, workers: int = 4, **ways) -> RollingServer:
        parsed = Rate.parse(rate)
        costs, until = ways.pop("costs", (10, 100)), ways.pop("until", 300.0)
        simulation = Simulation(Window(parsed, smooth=smooth), RollingServer(parsed), seed=seed, **ways)
        return simulation.run(workers=workers, until=until, costs=costs)

    return run
