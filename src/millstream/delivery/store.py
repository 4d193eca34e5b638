"""Lanes and what they may take, in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from millstream.communication.model import Road, RunState
from millstream.delivery.errors import StaleEpoch, UnknownDelivery, UnknownMailbox
from millstream.delivery.ledger import Grip, queries
from millstream.delivery.model import Delivery, lane_address, lane_name, lane_road
from millstream.delivery.options import OF_THE_DAY, UNREACHABLE
from millstream.delivery.parcel import Parcel, delivery_of, parcel_of
from millstream.storage.pool import Connection, Pool, persist
from millstream.storage.statements import Statements


@dataclass(frozen=True, slots=True)
class LaneRow:
    """A lane as the store has it."""

    mailbox: str
    pool: str
    state: str
    reason: str | None
    until: datetime | None
    resume_at: datetime | None
    epoch: int
    history_id: int | None
    strays_at: datetime | None
    road: Road = Road.API
    address: str = ""
    """The mailbox; a relay's lane has another name."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a heartbeat tells a lane: its state now, how many lanes run anywhere, and what reading takes beside it."""

    state: str
    reason: str | None
    running: int
    spared: int = 0
    """Units of the mailbox's minute that are left to reading it; 0 where nobody reads it."""


class LaneStore(Statements):
    """The delivery room's questions and verbs; waits out a database that is away for up to `patience` seconds."""

    def __init__(self, pool: Pool, *, patience: float = 600.0) -> None:
        super().__init__(pool, patience=patience)

    async def register(
        self,
        pools: Mapping[str, Iterable[str]],
        *,
        relay: Mapping[str, Iterable[str]] | None = None,
        retire: bool = False,
    ) -> None:
        """Give every sender mailbox of every pool its lane; with `retire` lanes of others claim nothing any more.

        `relay` are the pools of the relay's users: each gets a lane of its own, also where it has one on the API.
        """
        lanes = [(lane_name(each, Road.API), pool) for pool, mailboxes in pools.items() for each in mailboxes]
        lanes += [(lane_name(each, Road.RELAY), pool) for pool, users in (relay or {}).items() for each in users]

        async def work(conn: Connection) -> None:
            for mailbox, pool in lanes:
                await queries.register_lane(conn, mailbox=mailbox, pool=pool)
            if retire:
                await queries.retire_lanes(conn, mailboxes=[mailbox for mailbox, _ in lanes])

        await persist(self._pool, work, give_up_after=self._patience)

    async def take(self, mailbox: str, *, holder: str) -> LaneRow:
        """Take a lane over; whoever held it writes nothing from now on.

        Where that was a dead process, its strays are due at once.

        Raises:
            UnknownMailbox: no lane has this address.
        """
        row = await self._one(queries.take_lane.sql, {"mailbox": mailbox, "holder": holder})
        if row is None:
            raise UnknownMailbox(f"no lane has the mailbox {mailbox!r}; `millstream mailbox list` shows them")
        return LaneRow(**{**row, "road": Road(row["road"])})

    async def leave(self, grip: Grip) -> None:
        """End in order."""
        await self._do(queries.leave_lane.sql, {"mailbox": grip.mailbox, "epoch": grip.epoch})

    async def free_queued(self, grip: Grip, *, in_hand: Sequence[int] = ()) -> int:
        """Give back to the pool what the lane holds without a draft; answers how many."""
        row = await self._one(
            queries.free_queued.sql, {"mailbox": grip.mailbox, "epoch": grip.epoch, "in_hand": list(in_hand)}
        )
        return int(row["freed"]) if row else 0

    async def current(self, delivery_id: int) -> Delivery:
        """A delivery as it stands."""
        row = await self._one(queries.current.sql, {"id": delivery_id})
        if row is None:
            raise UnknownDelivery(f"no delivery has the id {delivery_id}")
        return delivery_of(row)

    async def beat(self, grip: Grip, row: LaneRow, *, width: int, stalled_after: float, beside: int = 0) -> Pulse:
        """Say that the lane lives, and hear what is wanted of it; `beside` units a minute are always left to reading.

        Raises:
            StaleEpoch: another process has taken it.
        """
        answer = await self._one(
            queries.beat.sql,
            {
                "mailbox": grip.mailbox,
                "epoch": grip.epoch,
                "width": width,
                "strays_at": row.strays_at,
                "resume_at": row.resume_at,
                "stalled_after": stalled_after,
                "beside": beside,
            },
        )
        if answer is None:
            raise StaleEpoch(f"lane {grip.mailbox} was taken over after epoch {grip.epoch}")
        return Pulse(answer["state"], answer["reason"], answer["running"], answer["spared"])

    async def park(self, grip: Grip, *, reason: str, until: datetime | None) -> None:
        """No more sends from this mailbox until a time."""
        await self._one(
            queries.park_lane.sql,
            {"mailbox": grip.mailbox, "epoch": grip.epoch, "reason": reason, "until": until},
        )

    async def note_history(self, grip: Grip, history_id: int) -> None:
        """Where the mailbox's history stood before anything of this holding was sent."""
        await self._do(
            queries.note_history.sql, {"mailbox": grip.mailbox, "epoch": grip.epoch, "history_id": history_id}
        )

    async def bound(self, grip: Grip, *, in_hand: Sequence[int], most: int, resting: bool) -> list[Parcel]:
        """What the lane holds and is due, without what it has in hand; drafts wait while it is `resting`."""
        rows = await self._all(
            queries.gather_bound.sql,
            {"mailbox": grip.mailbox, "in_hand": list(in_hand), "most": most, "resting": resting},
        )
        return [parcel_of(row) for row in rows]

    async def claim(self, grip: Grip, *, pool: str, most: int) -> list[Parcel]:
        """Take what is next in the pool and may leave by the lane's road."""
        rows = await self._all(
            queries.claim.sql,
            {
                "mailbox": grip.mailbox,
                "address": lane_address(grip.mailbox),
                "road": lane_road(grip.mailbox),
                "epoch": grip.epoch,
                "pool": pool,
                "most": most,
            },
        )
        return [parcel_of(row) for row in rows]

    async def spent(self, mailbox: str, *, seconds: float) -> list[dict[str, Any]]:
        """What this mailbox spent in the last `seconds`, by the ledger of attempts."""
        return await self._all(queries.spent.sql, {"mailbox": mailbox, "seconds": seconds})

    async def first_sent(self, mailbox: str) -> datetime | None:
        """When this mailbox sent for the first time."""
        row = await self._one(queries.first_sent.sql, {"mailbox": mailbox})
        return row["at"] if row else None

    async def known_drafts(self, mailbox: str, drafts: Sequence[str]) -> set[str]:
        """Which of these drafts a delivery stands by."""
        rows = await self._all(queries.known_drafts.sql, {"mailbox": mailbox, "drafts": list(drafts)})
        return {row["draft_id"] for row in rows}

    async def due(self, *, stalled_after: float) -> list[str]:
        """Mailboxes whose lane has something to see to and no process that does."""
        rows = await self._all(
            queries.due_lanes.sql, {"stalled_after": stalled_after, "unreachable": list(UNREACHABLE)}
        )
        return [row["mailbox"] for row in rows]

    async def proven(self, token: str) -> bool:
        """Whether a mail about this delivery proves that it was sent: a bounce, a delay, an answer."""
        row = await self._one(queries.proven.sql, {"token": token})
        return bool(row and row["proven"])

    async def closed_runs(self) -> dict[int, RunState]:
        """Runs that are not open."""
        return {row["id"]: RunState(row["state"]) for row in await self._all(queries.closed_runs.sql, {})}

    async def project_spent(self) -> int:
        """Units that all mailboxes together spent in the last day."""
        row = await self._one(queries.project_spent.sql, {})
        return int(row["units"]) if row else 0

    async def cancel_queued(self, most: int = 2_000) -> int:
        """Cancel deliveries of cancelled runs that no lane holds; answers how many."""
        row = await self._one(queries.cancel_queued.sql, {"most": most})
        return int(row["cancelled"]) if row else 0

    async def spill(self) -> int:
        """Let runs whose relay has no room today finish by the API, where they may; answers how many began to."""
        row = await self._one(queries.spill_runs.sql, {"of_the_day": list(OF_THE_DAY)})
        return int(row["spilled"]) if row else 0

    async def lanes(self) -> list[dict[str, Any]]:
        """Every lane with what it holds."""
        return await self._all(queries.list_lanes.sql, {})

    async def set_state(self, mailbox: str, state: str, *, reason: str | None, actor: str) -> None:
        """A person pauses a mailbox or opens it again.

        Raises:
            UnknownMailbox: no lane has this address.
        """
        row = await self._one(
            queries.set_lane.sql, {"mailbox": mailbox, "state": state, "reason": reason, "actor": actor}
        )
        if not row or not row["changed"]:
            raise UnknownMailbox(f"no lane has the mailbox {mailbox!r}; `millstream mailbox list` shows them")

    async def settle_by_person(self, token: str, *, disposition: str, detail: str, actor: str) -> None:
        """A person's word on an uncertain delivery: `accepted`, or `queued` to send it again.

        Raises:
            UnknownDelivery: no uncertain delivery has this token.
        """
        row = await self._one(
            queries.settle_by_person.sql,
            {"token": token, "disposition": disposition, "detail": detail, "actor": actor},
        )
        if not row or not row["settled"]:
            raise UnknownDelivery(f"no uncertain delivery has the token {token!r}; see `millstream communication find`")

    async def requeue_failed(self, run: str, *, reason: str, actor: str) -> int:
        """Failed deliveries of a run with this reason may leave again; answers how many."""
        row = await self._one(queries.requeue_stopped.sql, {"run": run, "reason": reason, "actor": actor})
        return int(row["freed"]) if row else 0
