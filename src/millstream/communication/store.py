"""The ledger of what came in. Every change is one statement, so it is all there or not at all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import aiosql
import orjson
from psycopg import AsyncConnection
from psycopg.rows import DictRow
from psycopg_pool import AsyncConnectionPool

from millstream.communication.entries import Added, Known, Reject
from millstream.communication.errors import IllegalRunChange, RunMismatch, UnknownRun
from millstream.communication.model import (
    Communication,
    Hold,
    Mode,
    Policy,
    Recipient,
    Road,
    Run,
    RunState,
    new_token,
)

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)


REVIEW_RUNS: Final = "reviews/"
"""How the keys of runs begin that mails of reviews leave in."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run's deliveries stand."""

    counts: dict[str, int]
    """Disposition to number of deliveries; only those that occur."""
    moving: int
    """Deliveries that will still change without a person."""

    @property
    def total(self) -> int:
        """All deliveries of the run."""
        return sum(self.counts.values())

    def of(self, disposition: str) -> int:
        """Deliveries in one disposition."""
        return self.counts.get(disposition, 0)


class RunStore:
    """Runs and their communications in Postgres.

    Args:
        pool: the database.
        reviews: for the review room alone. Nobody else opens a run whose key begins like one of its own: a letter in
            the place of a question would be given that question's link, and its reader could answer.
        settle: fills in the road of a run that asks for none, and what follows a lost reply of the relay.
        route: the one road of a communication, where the run has several and does not say it itself.
    """

    def __init__(
        self,
        pool: AsyncConnectionPool[AsyncConnection[DictRow]],
        *,
        reviews: bool = False,
        settle: Callable[[Policy], Policy] | None = None,
        route: Callable[[Communication, Run], Road | None] | None = None,
    ) -> None:
        self._pool = pool
        self._reviews = reviews
        self._settle = settle
        self._route = route

    async def open_run(
        self, key: str, *, pool: str, mode: Mode, policy: Policy, source: str, expected: int | None = None
    ) -> Run:
        """Create the run of this key, or return it where it exists: as settled then, where now nothing else is asked.

        Raises:
            RunMismatch: it exists with another pool, mode or policy, or the key is kept for reviews.
        """
        if key.startswith(REVIEW_RUNS) and not self._reviews:
            raise RunMismatch(f"run keys that begin with {REVIEW_RUNS!r} are kept for mails of reviews; take another")
        settled = self._settle(policy) if self._settle is not None else policy
        async with self._pool.connection() as conn:
            await queries.open_run(
                conn,
                key=key,
                pool=pool,
                mode=mode.value,
                policy=orjson.dumps(settled.to_json()).decode(),
                source=source,
                roads=sorted(settled.roads),
                expected=expected,
            )
        run = await self.find(key)
        asked = replace(policy, road=policy.road or run.policy.road, unclear=policy.unclear or run.policy.unclear)
        if (run.pool, run.mode, run.policy) != (pool, mode, asked):
            raise RunMismatch(
                f"run {key!r} exists with pool {run.pool!r}, mode {run.mode} and policy {run.policy.to_json()}; "
                "submit with the same, or under another run key"
            )
        return run

    async def find(self, key: str) -> Run:
        """The run of this key.

        Raises:
            UnknownRun: there is none.
        """
        async with self._pool.connection() as conn:
            row = await queries.find_run(conn, key=key)
        if row is None:
            raise UnknownRun(f"no run has the key {key!r}; `millstream run list` shows those that are there")
        return Run(
            id=row["id"],
            key=row["key"],
            state=RunState(row["state"]),
            pool=row["pool"],
            mode=Mode(row["mode"]),
            policy=Policy.from_json(row["policy"]),
            source=row["source"],
            reason=row["reason"],
            roads=frozenset(Road(road) for road in row["roads"]),
            expected=row["expected"],
        )

    async def known(self, run: Run, keys: Sequence[str]) -> dict[str, Known]:
        """Which of these keys the run already has, and what it is."""
        async with self._pool.connection() as conn:
            rows = queries.known_keys(conn, run_id=run.id, keys=list(keys))
            return {row["key"]: Known(row["source_hash"], row["consignment_id"]) async for row in rows}

    async def add(self, run: Run, communications: Sequence[Communication]) -> Added:
        """Add a batch; keys that the run already has stay as they are."""
        rows = orjson.dumps([_row(each, self._road(each, run)) for each in communications]).decode()
        async with self._pool.connection() as conn:
            done = await queries.add_communications(conn, rows=rows, run_id=run.id, run_key=run.key)
            fresh = frozenset(done["keys"])
            rest = {each.key: each.source_hash for each in communications if each.key not in fresh}
            known = {
                row["key"]: row["source_hash"] async for row in queries.known_keys(conn, run_id=run.id, keys=list(rest))
            }
        conflicts = tuple(key for key, source_hash in rest.items() if known.get(key) != source_hash)
        kept, barred = frozenset(done["kept"]), frozenset(done["barred"])
        return Added(
            new=len(fresh),
            held=len(kept),
            unchanged=len(rest) - len(conflicts),
            conflicts=conflicts,
            suppressed=len(barred),
            fresh=fresh,
            kept=kept,
            barred=barred,
        )

    def _road(self, communication: Communication, run: Run) -> Road | None:
        if communication.only_road is not None or self._route is None or len(run.roads) == 1:
            return communication.only_road
        return self._route(communication, run)

    async def reject(self, run: Run, rejects: Sequence[Reject]) -> int:
        """Put lines aside; answers how many were not put aside before."""
        rows = orjson.dumps(
            [{"line": r.line, "key": r.key, "problem": r.problem, "digest": r.digest} for r in rejects]
        ).decode()
        async with self._pool.connection() as conn:
            row = await queries.add_rejects(conn, rows=rows, run_id=run.id)
        return int(row["count"])

    async def change_state(self, key: str, state: RunState, *, actor: str) -> Run:
        """Pause, resume or cancel a run; asking for the state it has changes nothing.

        Raises:
            UnknownRun: there is none.
            IllegalRunChange: it was cancelled before.
        """
        before = await self.find(key)
        if before.state is RunState.CANCELLED and state is not RunState.CANCELLED:
            raise IllegalRunChange(f"run {key!r} was cancelled and does not come back; submit it under a new key")
        async with self._pool.connection() as conn:
            await queries.change_run(conn, key=key, state=state.value, actor=actor)
        return await self.find(key)

    async def recent(self, most: int = 50) -> list[dict[str, Any]]:
        """The newest runs with what has become of their deliveries."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.list_runs(conn, most=most)]

    async def progress(self, run: Run) -> Progress:
        """Where the run's deliveries stand now."""
        async with self._pool.connection() as conn:
            rows = [row async for row in queries.progress(conn, run_id=run.id)]
        return Progress({row["disposition"]: row["deliveries"] for row in rows}, sum(row["moving"] for row in rows))

    async def by_road(self, run: Run) -> dict[str, dict[str, int]]:
        """The run's deliveries by road (`-`: none yet) and disposition; only those that occur."""
        async with self._pool.connection() as conn:
            rows = [row async for row in queries.progress_by_road(conn, run_id=run.id)]
        roads: dict[str, dict[str, int]] = {}
        for row in rows:
            roads.setdefault(row["road"], {})[row["disposition"]] = row["deliveries"]
        return roads

    async def sent_again(self, run: Run, most: int = 100) -> list[dict[str, Any]]:
        """What of a run was sent again after a lost reply of the relay, with its Message-ID and when."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.sent_again(conn, run_id=run.id, most=most)]

    async def progress_of_all(self, *, but: str = "") -> Progress:
        """Where the deliveries of all runs stand now, but for runs whose key begins with `but`."""
        async with self._pool.connection() as conn:
            rows = [row async for row in queries.progress_of_all(conn, but=but)]
        return Progress({row["disposition"]: row["deliveries"] for row in rows}, sum(row["moving"] for row in rows))

    async def sighted(self, run: Run) -> dict[str, int]:
        """What was sighted about the run's deliveries: kind to number of deliveries; only those that occur."""
        async with self._pool.connection() as conn:
            return {row["kind"]: row["deliveries"] async for row in queries.sighted(conn, run_id=run.id)}

    async def rejects(self, run: Run, most: int = 100) -> list[dict[str, Any]]:
        """The lines of a run that were put aside."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.list_rejects(conn, run_id=run.id, most=most)]

    async def waiting(self, run: Run, most: int = 100) -> list[dict[str, Any]]:
        """What of a run waits for a person, and why."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.held_deliveries(conn, run_id=run.id, most=most)]

    async def search(self, text: str, *, run: str | None = None, most: int = 20) -> list[dict[str, Any]]:
        """Communications by key, customer, address or delivery token, the newest first."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.find_communications(conn, text=text, run=run, most=most)]

    async def attempts(self, delivery_id: int) -> list[dict[str, Any]]:
        """What was tried for one delivery, in order."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.list_attempts(conn, delivery_id=delivery_id)]

    async def sightings(self, token: str) -> list[dict[str, Any]]:
        """What mailboxes told us about one delivery, in order."""
        async with self._pool.connection() as conn:
            return [row async for row in queries.list_sightings(conn, token=token)]


def _row(communication: Communication, road: Road | None) -> dict[str, Any]:
    hold = communication.hold or _for_review(communication)
    return {
        "key": communication.key,
        "type": communication.type,
        "customer": communication.customer,
        "template": communication.template,
        "version": communication.version,
        "locale": communication.locale,
        "stream": communication.stream,
        "recipient": _recipient(communication.recipient),
        "copies": [_recipient(copy) for copy in communication.copies],
        "consignment_id": communication.consignment,
        "subject": communication.subject,
        "body_text": communication.text,
        "body_html": communication.html,
        "documents": [document.to_json() for document in communication.documents],
        "source": dict(communication.source),
        "source_hash": communication.source_hash,
        "content_hash": communication.content_hash,
        "letter": communication.letter.to_json() if communication.letter else None,
        "only_from": communication.letter.only_from if communication.letter else None,
        "only_road": road,
        "replaces": communication.replaces,
        "sensitivity": communication.sensitivity,
        "needs": [need.to_json() for need in communication.needs],
        "deliveries": [
            {"token": new_token(), "address": each.address} for each in (communication.recipient, *communication.copies)
        ],
        "disposition": "held" if hold else "queued",
        "reason": hold.reason if hold else None,
        "detail": hold.detail if hold else None,
    }


def _for_review(communication: Communication) -> Hold | None:
    if not communication.needs:
        return None
    asked = ", ".join(need.policy for need in communication.needs)
    return Hold("review", f"people are asked first, by {asked}; `millstream review list` shows how far they are")


def _recipient(recipient: Recipient) -> dict[str, str]:
    return {"address": recipient.address, "name": recipient.name}
