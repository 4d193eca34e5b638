"""Mailboxes that are read, and what they told us, in Postgres."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import aiosql
import orjson

from millstream.mailbox.errors import LeaseLost, NothingSetAside, UnknownMailbox
from millstream.mailbox.model import TOLD, Cursor, Lease, Outcome, Phase, Role, SetAside, Sighting
from millstream.storage.pool import Connection, Pool, persist
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)

UNREACHABLE = ("token_dead", "scope_missing", "mail_service_off", "forbidden")
"""Troubles that only a person mends; other mailboxes are not touched by them."""


class Recorded(NamedTuple):
    """What became durable: sightings and messages put aside that were not there before."""

    sightings: int
    aside: int


class MailboxStore(Statements):
    """The room's questions and verbs; waits out a database that is away for up to `patience` seconds."""

    def __init__(self, pool: Pool, *, patience: float = 600.0) -> None:
        super().__init__(pool, patience=patience)

    async def register(self, mailboxes: Mapping[str, Iterable[Role]]) -> None:
        """Have exactly these mailboxes read, each in its roles."""
        rows = [{"address": address.lower(), "roles": sorted(roles)} for address, roles in sorted(mailboxes.items())]

        async def work(conn: Connection) -> None:
            await queries.register(conn, mailboxes=_json(rows))
            await queries.retire(conn, addresses=[row["address"] for row in rows])

        await persist(self._pool, work, give_up_after=self._patience)

    async def lease(self, holder: str, *, most: int, seconds: float, sent_within: float = 300.0) -> list[Lease]:
        """Take mailboxes that are due; each tells whether it has sent within so many seconds."""
        values = {"holder": holder, "most": most, "seconds": seconds, "sent_within": sent_within}
        rows = await self._all(queries.lease.sql, values)
        return [_lease(row) for row in rows]

    async def hasten(self, *, within: float) -> None:
        """Mailboxes that have begun to send are due within so many seconds."""
        await self._do(queries.hasten.sql, {"seconds": within})

    async def keep(self, holder: str, addresses: Sequence[str], *, seconds: float) -> dict[str, bool]:
        """Say that the looks into these mailboxes go on; answers of each whether a lane sends from it now."""
        values = {"holder": holder, "addresses": list(addresses), "seconds": seconds}
        return {row["address"]: row["lane_runs"] for row in await self._all(queries.keep.sql, values)}

    async def unknown(self, mailbox: str, ids: Sequence[str]) -> list[str]:
        """Which of these messages were not seen to yet, in their order."""
        rows = await self._all(queries.known.sql, {"mailbox": mailbox, "ids": list(ids)})
        known = {row["message_id"] for row in rows}
        return [each for each in ids if each not in known]

    async def record(
        self,
        lease: Lease,
        sightings: Sequence[Sighting],
        aside: Sequence[SetAside],
        *,
        cursor: Cursor | None = None,
        units: int = 0,
    ) -> Recorded:
        """Make what messages told durable, each once, together with the events, the cost and the cursor behind it.

        Raises:
            LeaseLost: another process reads the mailbox; nothing was written.
        """
        values = {
            "mailbox": lease.address,
            "epoch": lease.epoch,
            "sightings": _json([_row(each) for each in sightings]),
            "aside": _json([asdict(each) for each in aside]),
            "cursor": _json([asdict(cursor)] if cursor else []),
            "units": units,
        }
        row = await self._one(queries.record.sql, values)
        if not row or not row["held"]:
            raise LeaseLost(f"mailbox {lease.address} was taken over after epoch {lease.epoch}")
        return Recorded(row["recorded"], row["aside"])

    async def finish(self, outcomes: Sequence[Outcome]) -> None:
        """Looks are over; those of mailboxes that were taken over in between change nothing."""
        await self._all(queries.finish.sql, {"outcomes": _json([_finished(each) for each in outcomes])})

    async def spend(self, units: int) -> None:
        """Count what idle looks cost."""
        await self._do(queries.spend.sql, {"units": units})

    async def announce(self, mailbox: str, units: int) -> None:
        """Have the mailbox's lane leave room for so many units, from its next heartbeat on for a minute and a half."""
        await self._do(queries.announce.sql, {"mailbox": mailbox, "units": units})

    async def spent(self, mailbox: str) -> int:
        """Units that reading of a mailbox took in the last minute, wherever it was read."""
        row = await self._one(queries.spent.sql, {"mailbox": mailbox})
        return int(row["units"]) if row else 0

    async def forget_reading(self) -> None:
        """Drop what no window counts any more."""
        await self._do(queries.forget_reading.sql, {})

    async def hint(self, hints: Iterable[tuple[str, int]]) -> int:
        """Push named mailboxes with history ids: they are due now. Answers how many of them are read and behind."""
        rows = [{"mailbox": mailbox, "history_id": history_id} for mailbox, history_id in hints]
        row = await self._one(queries.hint.sql, {"hints": _json(rows)})
        return int(row["named"]) if row else 0

    async def not_confirmed(self, *, more: float) -> int:
        """Sender mailboxes that were not read to their end `more` seconds after their last send or later."""
        row = await self._one(queries.not_confirmed.sql, {"more": more, "unreachable": list(UNREACHABLE)})
        return int(row["mailboxes"]) if row else 0

    async def count_read(self) -> int:
        """How many mailboxes are read."""
        row = await self._one(queries.count_read.sql, {})
        return int(row["mailboxes"]) if row else 0

    async def watches_due(self, most: int = 20) -> list[str]:
        """Mailboxes whose watch is to be made or renewed; they are this caller's for five minutes."""
        rows = await self._all(queries.watches_due.sql, {"most": most, "unreachable": list(UNREACHABLE)})
        return [row["address"] for row in rows]

    async def watched(self, mailbox: str, *, until: datetime, renew: float) -> None:
        """A watch stands until a time, to be renewed in `renew` seconds."""
        await self._do(queries.watched.sql, {"address": mailbox, "until": until, "renew": renew})

    async def watch_failed(self, mailbox: str, failure: str, *, retry: float) -> None:
        """A watch could not be made; again in `retry` seconds."""
        await self._do(queries.watch_failed.sql, {"address": mailbox, "failure": failure, "retry": retry})

    async def warn(self, *, stalled_after: float, push: bool) -> list[dict[str, Any]]:
        """Write an event for what is newly wrong with a mailbox, and for what is well again; answers those events."""
        values = {"stalled_after": stalled_after, "push": push, "unreachable": list(UNREACHABLE)}
        return await self._all(queries.warn.sql, values)

    # For people

    async def read(self) -> list[dict[str, Any]]:
        """Every mailbox that is read, with how that goes."""
        return await self._all(queries.list_read.sql, {})

    async def find(self, mailbox: str) -> dict[str, Any]:
        """One mailbox that is read, with how many messages of each kind it has told.

        Raises:
            UnknownMailbox: it is not read.
        """
        row = await self._one(queries.one_read.sql, {"mailbox": mailbox.lower()})
        if row is None:
            raise UnknownMailbox(f"no mailbox {mailbox!r} is read; `millstream mailbox list` shows those that are")
        counts = await self._all(queries.sighting_counts.sql, {"mailbox": row["address"]})
        return {**row, "told": {each["kind"]: each["messages"] for each in counts}}

    async def sightings(self, mailbox: str, *, kind: str | None = None, most: int = 20) -> list[dict[str, Any]]:
        """What a mailbox told, the newest first."""
        return await self._all(queries.sightings.sql, {"mailbox": mailbox.lower(), "kind": kind, "most": most})

    async def set_aside(self, mailbox: str | None = None, *, most: int = 100) -> list[dict[str, Any]]:
        """What could not be read and no person has cleared."""
        return await self._all(queries.set_aside.sql, {"mailbox": mailbox and mailbox.lower(), "most": most})

    async def clear(self, mailbox: str, message_id: str, *, why: str, actor: str) -> None:
        """A person has seen to a message that could not be read.

        Raises:
            NothingSetAside: it is not in quarantine.
        """
        row = await self._one(
            queries.clear.sql, {"mailbox": mailbox.lower(), "message_id": message_id, "why": why, "actor": actor}
        )
        if not row or not row["cleared"]:
            raise NothingSetAside(f"message {message_id!r} of {mailbox} is not in quarantine")

    async def start_over(self, mailbox: str, *, since: datetime, actor: str) -> None:
        """List a mailbox anew from a time on.

        Raises:
            UnknownMailbox: it is not read.
        """
        row = await self._one(queries.start_over.sql, {"mailbox": mailbox.lower(), "since": since, "actor": actor})
        if not row or not row["started"]:
            raise UnknownMailbox(f"no mailbox {mailbox!r} is read; `millstream mailbox list` shows those that are")


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    # A history id is an unsigned 64-bit number on Gmail's side and has stayed far below 2^63; JSON carries it whole.
    text = orjson.dumps(rows)
    return (orjson.dumps(_without_nul(rows)) if b"\\u0000" in text else text).decode()


def _without_nul(value: Any) -> Any:
    """Words of others without what a text column cannot hold."""
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, Mapping):
        return {name: _without_nul(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nul(each) for each in value]
    return value


def _row(sighting: Sighting) -> dict[str, Any]:
    return {**asdict(sighting), "told": sighting.kind in TOLD}


def _finished(outcome: Outcome) -> dict[str, Any]:
    return {
        "address": outcome.lease.address,
        "epoch": outcome.lease.epoch,
        **asdict(outcome.cursor),
        "complete": outcome.complete and outcome.trouble is None,
        "found": outcome.found,
        "reached": outcome.reached,
        "due_in": outcome.due_in,
        "units": outcome.units,
        "trouble": outcome.trouble,
        "failure": outcome.failure,
    }


def _lease(row: Mapping[str, Any]) -> Lease:
    cursor = Cursor(
        Phase(row["phase"]), row["history_id"], row["seen_id"], row["seen_at"], row["page_token"], row["since"]
    )
    return Lease(
        address=row["address"],
        roles=tuple(Role(role) for role in row["roles"]),
        epoch=row["epoch"],
        cursor=cursor,
        moved_at=row["moved_at"],
        busy_at=row["busy_at"],
        failures=row["failures"],
        lane_runs=row["lane_runs"],
        has_sent=row["has_sent"],
    )
