"""What the whole organisation may send by the relay, over all workers: permissions drawn ahead, a slice at a time.

A period has 400 slices. A worker draws what it will use of the slice that runs, and may use it until one slice later;
what it did not use goes back. A slice counts until two slices after the period, so that no window of the relay's ever
holds more than the limit. Why beside the ledger: docs/decisions/0031.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiosql

from millstream.delivery.errors import LaneResting, LaneStopped
from millstream.log import get_logger
from millstream.quota import Limits
from millstream.storage.pool import Pool
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("organisation.sql"), "apsycopg", mandatory_parameters=False)
log = get_logger(__name__)

_SLICES = 400
_EDGE = 0.5
"""The last part of a permission's time, in slices, is left unused."""
_ON_THE_WAY = 2.0
"""Seconds that a message may take from its permission until the relay counts it: body, commit, dot. Our period is so
much longer than the relay's; measured with a period of a minute and without it: 2 of 3,000 refused."""
_BOUNDLESS = 10**12
"""Stands for no limit; the draw is made all the same, because it tells of a rest."""
_USUAL_SECONDS = 600.0
_MOST_WANTED = 20_000
_COUNT_DAY_EVERY = 30.0
_DAY_REST = timedelta(minutes=15)
_LOOK_AROUND = 0.25
DAY = "relay_customer_day"


class Setbacks:
    """How often in a row a lane met trouble of the whole relay; several at once are one."""

    def __init__(self) -> None:
        self.in_a_row = 0
        self._over_at = float("-inf")

    def met(self, until: datetime | None) -> None:
        """Trouble again, until then."""
        now = time.time()
        if now >= self._over_at:
            self.in_a_row += 1
        self._over_at = max(self._over_at, until.timestamp() if until else now + 1.0)

    def over(self) -> None:
        """A message went through."""
        self.in_a_row = 0


@dataclass(slots=True)
class _Grant:
    slice: datetime
    left: int
    ends_at: float


class Organisation(Statements):
    """One worker's share of the organisation's limits.

    Args:
        pool: where the draws are written.
        limits: those whose names begin with `relay_recipients_per`.
        patience: seconds to wait for a database that is away.
        wait: seconds after which whoever waits for a permission is sent away, to say that it is alive.
        on_the_way: seconds that a message may take until the relay counts it.
    """

    def __init__(
        self,
        pool: Pool,
        limits: Limits,
        *,
        patience: float,
        wait: float = 4.0,
        on_the_way: float = _ON_THE_WAY,
    ) -> None:
        super().__init__(pool, patience=patience)
        period, day = limits.relay_recipients_per_period, limits.relay_recipients_per_day
        self._most = period.amount if period else _BOUNDLESS
        self._seconds = period.seconds + on_the_way if period else _USUAL_SECONDS
        self._day = int(day.per_day) if day else None
        self._wait = wait
        self._grant: _Grant | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._drawer: asyncio.Task[None] | None = None
        self._used = 0
        self._used_since = time.monotonic()
        self._rate = 0.0
        self._drawn_today = 0
        self._day_counted_at = float("-inf")
        self.setbacks: defaultdict[str, Setbacks] = defaultdict(Setbacks)
        """By lane; they outlive a holding, which ends while its lane rests."""

    async def acquire(self, *, stopped: Callable[[], bool]) -> None:
        """Permission for one recipient, to be used at once; in the order they came.

        Raises:
            LaneStopped: the lane stops.
            LaneResting: the organisation rests, or there is no room for now; with the time to come again.
        """
        if not self._waiting and self._take():
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        ends_at = time.monotonic() + self._wait
        try:
            while not turn.done():
                if stopped():
                    raise LaneStopped("the lane is asked to stop; nothing was handed over")
                if time.monotonic() > ends_at:
                    later = datetime.now(UTC) + timedelta(seconds=self._seconds / _SLICES)
                    raise LaneResting("the organisation's recipients of this period are spent", later)
                self._draw_soon()
                await asyncio.wait({turn}, timeout=_LOOK_AROUND)
            turn.result()
        finally:
            self._forsake(turn)

    async def rest(self, until: datetime, reason: str) -> None:
        """No worker sends by the relay until then: it said so to one of them."""
        log.warning("relay.rests", reason=reason, until=until.isoformat())
        self._grant, grant = None, self._grant
        await self._do(queries.rest.sql, {"until": until, "reason": reason})
        if grant is not None:
            await self._return(grant)

    async def give_back(self) -> None:
        """Return what is unused: at the end, and when its time is over."""
        if self._drawer is not None:
            self._drawer.cancel()
            with suppress(asyncio.CancelledError):
                await self._drawer
            self._drawer = None
        self._grant, grant = None, self._grant
        if grant is not None:
            await self._return(grant)

    async def forget(self) -> None:
        """Remove slices that count for nothing any more."""
        await self._do(queries.forget_grants.sql, {})

    def _take(self) -> bool:
        grant = self._grant
        if grant is None or grant.left < 1 or time.monotonic() >= grant.ends_at:
            return False
        grant.left -= 1
        self._used += 1
        return True

    def _forsake(self, turn: asyncio.Future[None]) -> None:
        """Whoever waited goes; a permission that it was given in the same instant is used by nobody."""
        with suppress(ValueError):
            self._waiting.remove(turn)
        turn.cancel()

    def _draw_soon(self) -> None:
        if self._drawer is None or self._drawer.done():
            self._drawer = asyncio.create_task(self._draw_while_wanted(), name="relay-draw")

    async def _draw_while_wanted(self) -> None:
        """Draw, hand out in order, wait for the next slice; until nobody waits."""
        try:
            while self._waiting:
                self._hand_out()
                if not self._waiting:
                    return
                again_in = await self._draw()
                self._hand_out()
                if self._waiting:
                    await asyncio.sleep(min(max(again_in, 0.01), 1.0))
        except LaneResting as rest:
            self._send_away(rest)
        except Exception as error:  # noqa: BLE001  it is raised where it is waited for
            self._send_away(error)

    def _hand_out(self) -> None:
        while self._waiting:
            if self._waiting[0].done():
                self._waiting.popleft()
            elif self._take():
                self._waiting.popleft().set_result(None)
            else:
                return

    def _send_away(self, error: Exception) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_exception(error)
                turn.exception()  # it is raised where it is waited for; one that nobody waits for is no error

    async def _draw(self) -> float:
        """Draw what will be used in a slice; answers in how many seconds there will be more."""
        self._grant, before = None, self._grant
        if before is not None and before.left:
            await self._return(before)
        asked_at = time.monotonic()
        a_day = await self._day_to_count(asked_at)
        row = await self._one(
            queries.draw.sql,
            {"wanted": self._wanted(asked_at), "most": self._most, "seconds": self._seconds, "a_day": a_day},
        )
        assert row is not None  # noqa: S101  the function answers one row, always
        if row["seconds_left"] <= 0:
            until = datetime.now(UTC) + timedelta(seconds=row["again_in"])
            raise LaneResting(f"the organisation rests ({row['reason']}); nothing was handed over", until)
        self._drawn_today += row["granted"]
        # From before the question: the answer's own way is time that has passed.
        ends_at = asked_at + row["seconds_left"] - _EDGE * self._seconds / _SLICES
        self._grant = _Grant(row["slice"], row["granted"], ends_at)
        return float(row["again_in"])

    def _wanted(self, now: float) -> int:
        """What waits now, and what came in as long a time before."""
        wide = self._seconds / _SLICES
        gone = now - self._used_since
        if gone >= wide / 2:
            self._rate = self._used / gone
            self._used, self._used_since = 0, now
        return min(_MOST_WANTED, len(self._waiting) + int(self._rate * wide))

    async def _day_to_count(self, now: float) -> int | None:
        """The day's limit, where this draw must be measured by it: it may be near, or was not looked at for a while."""
        if self._day is None:
            return None
        ahead = self._most * max(1.0, _COUNT_DAY_EVERY / self._seconds)
        if now - self._day_counted_at < _COUNT_DAY_EVERY and self._drawn_today + ahead < self._day:
            return None
        row = await self._one(queries.drawn_today.sql, {})
        self._drawn_today, self._day_counted_at = int(row["drawn"]) if row else 0, now
        if self._drawn_today >= self._day:
            until = datetime.now(UTC) + _DAY_REST
            await self.rest(until, DAY)
            raise LaneResting("the organisation's recipients of this day are spent", until)
        return self._day

    async def _return(self, grant: _Grant) -> None:
        unused, grant.left = grant.left, 0
        if unused:
            await self._do(queries.give_back.sql, {"unused": unused, "slice": grant.slice})
