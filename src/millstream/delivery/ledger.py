"""The group-commit writer: moves of many deliveries become durable together, and nobody goes on before they are.

A change carries the epoch of its lane. A stale epoch writes nothing, and its lane learns so by `StaleEpoch`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import aiosql
import orjson

from millstream.delivery.errors import StaleEpoch
from millstream.delivery.model import Attempt, Delivery
from millstream.log import get_logger
from millstream.storage.errors import DatabaseAway, DatabaseBusy, DatabaseFull
from millstream.storage.pool import Connection, Pool, persist

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Grip:
    """A lane as one process holds it: its mailbox and the epoch of this holding."""

    mailbox: str
    epoch: int


@dataclass(slots=True)
class _Pending:
    change: dict[str, Any]
    after: Delivery
    done: asyncio.Future[Delivery]


class Ledger:
    """One writer for all lanes of a process.

    Args:
        pool: where the ledger lies.
        gap: seconds to gather changes before a flush; 0.004 doubles throughput against none.
        give_up_after: seconds a flush goes on trying while the database is away.
    """

    def __init__(self, pool: Pool, *, gap: float = 0.004, give_up_after: float = 600.0) -> None:
        self._pool = pool
        self._gap = gap
        self._give_up_after = give_up_after
        self._pending: list[_Pending] = []
        self._wake = asyncio.Event()
        self._closing = False
        self._writer: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._writer = asyncio.create_task(self._write(), name="ledger")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._wake.set()
        if self._writer is not None:
            await self._writer

    async def record(self, grip: Grip, before: Delivery, after: Delivery, attempt: Attempt) -> Delivery:
        """Make a move durable; answers the delivery as it then stands.

        Raises:
            StaleEpoch: another process holds the lane now, or moved the delivery.
            DatabaseAway, DatabaseBusy, DatabaseFull: it did not take the move in time; nothing is known to be written.
        """
        done: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        done.add_done_callback(_heard)
        self._pending.append(_Pending(_change(grip, before, after, attempt), after, done))
        self._wake.set()
        return await asyncio.shield(done)

    async def _write(self) -> None:
        while not (self._closing and not self._pending):
            await self._wake.wait()
            await asyncio.sleep(self._gap)
            self._wake.clear()
            batch, self._pending = self._pending, []
            if batch:
                await self._flush(batch)

    async def _flush(self, batch: Sequence[_Pending]) -> None:
        tries = 0

        async def work(conn: Connection) -> set[int]:
            nonlocal tries
            tries += 1
            written = {row["id"] async for row in queries.commit_changes(conn, changes=changes)}
            if tries > 1:
                # The reply to the last try was lost, and the server may have been committing it until a moment ago: the
                # statement above waited for its rows, so only now can be seen what it left.
                written |= {row["id"] async for row in queries.already_committed(conn, changes=changes)}
            return written

        try:
            changes = orjson.dumps([each.change for each in batch]).decode()
            written = await persist(self._pool, work, give_up_after=self._give_up_after, one_statement=True)
        except (DatabaseAway, DatabaseBusy, DatabaseFull) as away:
            for each in batch:
                _fail(each.done, away)
            return
        except Exception as error:  # noqa: BLE001  one bad change must not silence the writer for all lanes
            await self._flush_apart(batch, error)
            return
        for each in batch:
            _settle(each, each.after.id in written)

    async def _flush_apart(self, batch: Sequence[_Pending], error: Exception) -> None:
        """The statement was refused: find the change it was refused for, and let the others through."""
        if len(batch) == 1:
            log.error("ledger.refused", token=batch[0].after.token, error=str(error))
            _fail(batch[0].done, error)
            return
        for each in batch:
            await self._flush([each])


def _settle(pending: _Pending, written: bool) -> None:  # noqa: FBT001  private, and the word says it
    if pending.done.done():
        return
    if written:
        pending.done.set_result(pending.after)
        return
    lane, epoch = pending.change["lane"], pending.change["lane_epoch"]
    message = f"lane {lane} was taken over after epoch {epoch}; delivery {pending.after.token} was not written"
    pending.done.set_exception(StaleEpoch(message))


def _fail(done: asyncio.Future[Delivery], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)


def _heard(done: asyncio.Future[Delivery]) -> None:
    """Whoever waited may be gone by the time the answer comes; that is no error of the writer's."""
    if not done.cancelled():
        done.exception()


def _legible(text: str | None) -> str | None:
    """Words of others, without what a text column cannot hold."""
    return text and text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _change(grip: Grip, before: Delivery, after: Delivery, attempt: Attempt) -> dict[str, Any]:
    return {
        "id": after.id,
        "version": after.version,
        "lane": grip.mailbox,
        "lane_epoch": grip.epoch,
        "was": before.disposition,
        "token": after.token,
        "disposition": after.disposition,
        "reason": after.reason,
        "detail": _legible(after.detail),
        "due_at": after.due_at,
        "mailbox": after.mailbox,
        "epoch": grip.epoch if after.mailbox else None,
        "draft_id": after.draft_id,
        "thread_id": after.thread_id,
        "message_id": after.message_id,
        "rfc822_id": _legible(after.rfc822_id),
        "history_id": after.history_id,
        "tries": after.tries,
        "uncertain_since": after.uncertain_since,
        "only_road": after.only_road,
        "repeats": after.repeats,
        "accepted_at": after.accepted_at,
        "kind": attempt.kind,
        "outcome": attempt.outcome,
        "effect": attempt.effect,
        "units": attempt.units,
        "bytes": attempt.bytes,
        "evidence": _legible(attempt.evidence),
    }
