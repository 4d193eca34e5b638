"""What people decided about communications becomes true for their deliveries: they leave, or they never will.

A decision writes an order (`hold_order`) in its own transaction; orders are carried out here, in portions. A portion is
one transaction, so that a process that dies loses nothing, and one that carries a hundred thousand deliveries stands in
nobody's way. A communication leaves when every hold of it was released; one refusal ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import aiosql
import orjson

from millstream.log import get_logger
from millstream.storage.pool import Connection, Pool, transaction

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("holds.sql"), "apsycopg", mandatory_parameters=False)

Action = Literal["release", "cancel", "replace"]

_STATES: Final[Mapping[Action, str]] = {"release": "released", "cancel": "refused", "replace": "replaced"}
_REASONS: Final[Mapping[Action, str]] = {"cancel": "review_rejected", "replace": "replaced"}
_MOST_PORTIONS = 50


@dataclass(slots=True)
class Moved:
    """Deliveries that a transaction has moved, and what the audit chain is to be told of them."""

    actor: str
    tokens: list[str] = field(default_factory=list)
    _entries: list[dict[str, str]] = field(default_factory=list)

    def add(self, tokens: Sequence[str], kind: str, **facts: object) -> None:
        """Note deliveries that moved."""
        told = {"was": "held", "by": "review"} | {name: value for name, value in facts.items() if value}
        payload = orjson.dumps(told).decode()
        self.tokens += tokens
        self._entries += [
            {"actor": self.actor, "kind": kind, "subject": f"delivery:{token}", "payload": payload} for token in tokens
        ]

    async def write(self, conn: Connection) -> None:
        """Append it to the chain: the last thing that its transaction does."""
        if self._entries:
            await queries.audit(conn, entries=orjson.dumps(self._entries).decode())


class Holds:
    """Carries orders out, for as many worker processes as there are.

    Args:
        pool: where they lie.
        portion: holds settled in one transaction.
        in_order: called when a portion is done and not durable yet; for recovery drills.
    """

    def __init__(self, pool: Pool, *, portion: int = 2_000, in_order: Callable[[], None] = lambda: None) -> None:
        self._pool = pool
        self._portion = portion
        self._in_order = in_order

    async def carry_due(self, most: int = _MOST_PORTIONS) -> int:
        """Carry out what is due, up to `most` portions; answers how many deliveries moved.

        Raises:
            DatabaseError: the database is away; what was carried out stays so, and the rest follows.
        """
        moved = 0
        for _ in range(most):
            done = await self._carry_portion()
            if done is None:
                break
            moved += done
        return moved

    async def _carry_portion(self) -> int | None:
        async with transaction(self._pool) as conn:
            order = await queries.due_order(conn)
            if order is None:
                return None
            review_id = order["review_id"]
            held = [row async for row in queries.lock_holds(conn, review_id=review_id, most=self._portion)]
            about = {"review": review_id, "round": order["round"]}
            moved = await _settle(
                conn, order["action"], held, actor=order["actor"], detail=order["detail"], about=about
            )
            done = len(held) < self._portion
            here = {"review_id": review_id, "round": order["round"]}
            await queries.order_carried(conn, **here, moved=len(moved.tokens), settled=bool(held), done=done)
            if done:
                await queries.tell_carried(conn, **here)
            await moved.write(conn)
            self._in_order()
        if done:
            log.info("hold_order.carried", review=review_id, round=order["round"], action=order["action"])
        return len(moved.tokens)

    async def replace(self, conn: Connection, communications: Sequence[int], *, detail: str, actor: str) -> Moved:
        """Cancel what still waits of communications whose place others have taken, in the caller's transaction.

        The caller writes the answer to the audit chain (`Moved.write`) when nothing else is left to lock.
        """
        held = [row async for row in queries.lock_holds_of(conn, communications=list(communications))]
        return await _settle(conn, "replace", held, actor=actor, detail=detail, about={})

    async def spare(self, conn: Connection, communication: int, holds: Sequence[int], *, actor: str) -> Moved:
        """Take away holds that nobody has to be asked for; what nothing else holds leaves. Writing: as `replace`."""
        moved = Moved(actor)
        await queries.drop_holds(conn, holds=list(holds))
        rows = queries.release_deliveries(conn, communications=[communication])
        moved.add([row["token"] async for row in rows], "delivery.queued")
        return moved


async def _settle(
    conn: Connection,
    action: Action,
    held: Sequence[Mapping[str, Any]],
    *,
    actor: str,
    detail: str,
    about: Mapping[str, object],
) -> Moved:
    """Let holds be over, and move the deliveries that they held."""
    moved = Moved(actor)
    if not held:
        return moved
    communications = sorted({row["communication_id"] for row in held})
    await queries.settle_holds(conn, holds=[row["id"] for row in held], state=_STATES[action])
    if action == "release":
        rows = queries.release_deliveries(conn, communications=communications)
        moved.add([row["token"] async for row in rows], "delivery.queued", **about)
        return moved
    reason = _REASONS[action]
    rows = queries.cancel_deliveries(conn, communications=communications, reason=reason, detail=detail or None)
    moved.add([row["token"] async for row in rows], "delivery.cancelled", reason=reason, detail=detail, **about)
    return moved
