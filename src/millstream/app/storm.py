"""The demo's bad day, replayable by its seed: faults, three ailing mailboxes, a worker that keeps dying."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from pathlib import Path

from millstream.app import demo_road
from millstream.app.demo import Cast, Process, Sandbox
from millstream.app.demo_road import Way
from millstream.delivery.options import Point, points_of
from millstream.intake.consignment import Door
from millstream.intake.options import Point as Taking

_HANG = 5.0
"""Longer than the demo's client waits, so that it never hears of an effect that happened."""
_TOKEN_DEAD_FOR = 12.0
_RESTART_AFTER = 0.5
_DELIVERY = "MILLSTREAM_DELIVERY__DRILL"
_INTAKE = "MILLSTREAM_INTAKE__DRILL"


def faults(seed: int) -> list[dict[str, object]]:
    """2 % 429 and 1 % 500 before the effect, 1 % reset and 1 % time-out after it, 2 % slow answers."""
    return [
        {"point": "before", "kind": "rate_limited_429", "probability": 0.02, "delay": 1.0, "seed": seed},
        {"point": "before", "kind": "500", "probability": 0.01, "seed": seed + 1},
        {"point": "after", "kind": "reset", "probability": 0.01, "seed": seed + 2},
        {"point": "after", "kind": "hang", "probability": 0.01, "delay": _HANG, "seed": seed + 3},
        {"point": "odd", "kind": "slow", "probability": 0.02, "delay": 0.7, "seed": seed + 4},
    ]


def _passed(door: Door) -> list[Taking]:
    """The points of intake that a worker passes: a door with a server of its own receives there."""
    if door is Door.DRIVER:
        return []
    return [point for point in Taking if door not in {Door.HTTP, Door.SMTP} or point is not Taking.AFTER_RECEIPT]


def _points(way: Way) -> list[Point]:
    """Those that a worker passes on the demo's roads, each once."""
    roads = sorted(way.road.roads)
    return list(dict.fromkeys(point for road in roads for point in points_of(road)))


class Storm:
    """Breaks things while a run leaves, and leaves the rest to Millstream."""

    def __init__(
        self, sandbox: Sandbox, cast: Cast, *, seed: int, door: Door = Door.DRIVER, way: Way | None = None
    ) -> None:
        self._sandbox = sandbox
        self._random = random.Random(seed)  # noqa: S311  a storm must be replayable, not unpredictable
        self._seed = seed
        self._way = way or Way()
        self._ailing: Sequence[str] = self._random.sample(cast.mailboxes, min(3, len(cast.mailboxes)))
        # Intake comes first: with a small run nothing is left to be taken in once lanes have begun to die.
        self._deaths = [{_INTAKE: f"{point}:{self._random.randint(1, 3)}"} for point in _passed(door)] + [
            {_DELIVERY: f"{point}:{self._random.randint(1, 3 if point is Point.IN_SETTLE else 12)}"}
            for point in _points(self._way)
        ]
        self.kills = 0

    async def begin(self) -> None:
        """Switch the faults on, and make three mailboxes ail; by the relay no mailbox is asked, and the relay ails."""
        if self._way.by_relay:
            await self._sandbox.post("faults", demo_road.faults(self._seed))
            return
        await self._sandbox.post("faults", faults(self._seed))
        dead, full, parked = (*self._ailing, *self._ailing, *self._ailing)[:3]
        await self._sandbox.post("mailbox", {"address": full, "daily_limit": 3})
        await self._sandbox.post("mailbox", {"address": parked, "mail_sending_for": 3600})
        await self._sandbox.post("mailbox", {"address": dead, "token_dead": True})

    async def mend_token(self) -> None:
        """After a while the administrator restores the delegation that was withdrawn."""
        if self._way.by_relay:
            return
        await asyncio.sleep(_TOKEN_DEAD_FOR)
        await self._sandbox.post("mailbox", {"address": self._ailing[0], "token_dead": False})

    async def keep_alive(self, arguments: Sequence[str], log_file: Path, workers: list[Process]) -> None:
        """Run the worker; it kills itself at every named point once, and is started again like by any supervisor."""
        for death in [*self._deaths, {}]:
            worker = Process(arguments, log_file, death)
            workers.append(worker)
            await worker.start()
            while worker.ended is None:
                worker.measure()
                await asyncio.sleep(0.2)
            self.kills += 1
            await asyncio.sleep(_RESTART_AFTER)
