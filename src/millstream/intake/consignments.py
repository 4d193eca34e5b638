"""What doors took in, in Postgres: each key once, and taken by one process at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiosql
import orjson

from millstream.communication.model import HOLD_REASONS, Mode, Policy
from millstream.intake.consignment import Accepted, Consignment, Door, Kind, Offer
from millstream.intake.errors import UnknownConsignment
from millstream.intake.tally import MOST_ASIDE, Kept, Standing
from millstream.storage.pool import Pool
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("consignments.sql"), "apsycopg", mandatory_parameters=False)


class ConsignmentStore(Statements):
    """The room's questions and verbs; waits out a database that is away for up to `patience` seconds.

    Every verb of a holder changes nothing where another process holds the consignment now.
    """

    def __init__(self, pool: Pool, *, patience: float = 120.0) -> None:
        super().__init__(pool, patience=patience)

    async def receive(self, offers: Sequence[Offer]) -> list[Accepted]:
        """Make offers durable, all or none; answers each in its order."""
        values = {"offers": _json([_row(at, each) for at, each in enumerate(offers)])}
        rows = await self._all(queries.receive.sql, values)
        if any(row["id"] is None for row in rows):
            # Another process wrote the same key while this statement ran: it waited, and cannot see what it waited for.
            rows = await self._all(queries.receive.sql, values)
        return [
            Accepted(
                id=row["id"],
                new=row["new"] and row["digest"] == row["offered_digest"],
                conflict=row["digest"] != row["offered_digest"],
                state=row["state"],
                receipt=row["receipt"],
                problem=row["problem"],
                run_key=row["run_key"],
            )
            for row in rows
        ]

    async def claim(
        self, holder: str, *, most: int, seconds: float, small: bool | None = None, bound: int = 0
    ) -> list[Consignment]:
        """Take what is due, for so many seconds.

        With `small` only what is taken together with others, a letter or a posted driver of less than `bound` bytes;
        or only what is not.
        """
        values = {"holder": holder, "most": most, "seconds": seconds, "small": small, "bound": bound}
        rows = await self._all(queries.claim.sql, values)
        return [_consignment(row) for row in sorted(rows, key=lambda row: row["id"])]

    async def keep(self, holder: str, ids: Sequence[int], *, seconds: float) -> None:
        """Say that the work on these goes on."""
        await self._do(queries.keep.sql, {"holder": holder, "ids": list(ids), "seconds": seconds})

    async def taken(
        self,
        holder: str,
        receipts: Mapping[int, Mapping[str, Any]],
        *,
        run_id: int,
        told: Sequence[tuple[int, str, Mapping[str, Any]]] = (),
    ) -> int:
        """They are in; answers how many were still this holder's.

        `told` are events about them that become true with it: consignment, kind and facts.
        """
        taken = [{"id": number, "receipt": dict(receipt)} for number, receipt in receipts.items()]
        events = [
            {"place": place, "id": number, "kind": kind, "facts": dict(facts)}
            for place, (number, kind, facts) in enumerate(told)
        ]
        values = {"holder": holder, "taken": _json(taken), "run_id": run_id, "events": _json(events)}
        return len(await self._all(queries.taken.sql, values))

    async def standings(self, ids: Sequence[int], *, run_id: int) -> dict[int, Standing]:
        """What the ledger has of consignments, whichever try at each brought it in."""
        if not ids:
            return {}
        values = {"ids": list(ids), "run_id": run_id, "unfit": list(HOLD_REASONS), "most": MOST_ASIDE}
        return {
            row.pop("consignment_id"): Standing(**{**row, "kept": tuple(Kept(**each) for each in row["kept"])})
            for row in await self._all(queries.standings.sql, values)
        }

    async def put_off(
        self, holder: str, ids: Sequence[int], problem: str, *, seconds: float, counted: bool = True
    ) -> None:
        """Try again in so many seconds; not `counted` where what is missing is only late."""
        values = {"holder": holder, "ids": list(ids), "problem": problem, "seconds": seconds, "counted": int(counted)}
        await self._do(queries.put_off.sql, values)

    async def fail(self, holder: str, number: int, problem: str, facts: Mapping[str, Any] | None = None) -> None:
        """Put one aside, and write the event that tells a person."""
        values = {"holder": holder, "id": number, "problem": problem, "facts": _json(dict(facts or {}))}
        await self._all(queries.fail.sql, values)

    async def again(self, number: int, place: str | None = None) -> None:
        """Have one that failed taken again, from another place where it was moved.

        Raises:
            UnknownConsignment: there is none, or it did not fail.
        """
        if not await self._one(queries.again.sql, {"id": number, "place": place}):
            raise UnknownConsignment(
                f"no consignment {number} has failed; `millstream intake list` shows those that did"
            )

    async def retaken(self, number: int, place: str) -> bool:
        """Have one that was taken, and whose files were moved, taken once more; whether there is such a one.

        What is in already stays as it is, so that only what differs is told.
        """
        return bool(await self._one(queries.retaken.sql, {"id": number, "place": place}))

    async def find(self, number: int) -> dict[str, Any]:
        """One, as the store has it.

        Raises:
            UnknownConsignment: there is none.
        """
        row = await self._one(queries.find_one.sql, {"id": number})
        if row is None:
            raise UnknownConsignment(f"there is no consignment {number}; `millstream intake list` shows what came in")
        return row

    async def standing(self, number: int) -> Accepted:
        """How one stands now.

        Raises:
            UnknownConsignment: there is none.
        """
        row = await self.find(number)
        return Accepted(
            row["id"],
            new=False,
            state=row["state"],
            receipt=row["receipt"],
            problem=row["problem"],
            run_key=row["run_key"],
        )

    async def newest(
        self, *, door: Door | None = None, state: str | None = None, most: int = 50
    ) -> list[dict[str, Any]]:
        """What came in, the newest first."""
        return await self._all(queries.list_newest.sql, {"door": door, "state": state, "most": most})

    async def untidy(
        self, *, door: Door | None = None, most: int = 100, older: float = 0.0
    ) -> list[tuple[Consignment, str, str | None]]:
        """Those that are taken or failed and whose files were not moved yet: each with its state and problem.

        With `older` only those that were taken so many seconds ago.
        """
        rows = await self._all(queries.untidy.sql, {"door": door, "most": most, "older": older})
        return [(_consignment(row), row["state"], row["problem"]) for row in rows]

    async def untidied(self, number: int, place: str) -> None:
        """What was taken or failed came once more, and lies there now."""
        await self._do(queries.untidied.sql, {"id": number, "place": place})

    async def tidied(self, ids: Sequence[int]) -> None:
        """Their files are where they shall stay."""
        await self._do(queries.tidied.sql, {"ids": list(ids)})

    async def begin(self, holder: str, offer: Offer) -> int | None:
        """Write down what a person hands in and takes in one go; None where that was done to its end before.

        Its end is `taken` or `fail`, as for what came by another door.
        """
        values = {**_row(0, offer), "policy": _json(offer.policy.to_json()), "holder": holder}
        row = await self._one(queries.begin.sql, values)
        return int(row["id"]) if row else None

    async def doors(self, run_key: str | None = None) -> dict[str, int]:
        """Door to communications that came in by it."""
        rows = await self._all(queries.doors.sql, {"run_key": run_key})
        return {row["door"]: row["communications"] for row in rows}

    async def waiting(self) -> int:
        """How many are not taken yet and will be."""
        row = await self._one(queries.waiting.sql, {})
        return int(row["consignments"]) if row else 0


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _row(place: int, offer: Offer) -> dict[str, Any]:
    return {
        "place_in_list": place,
        "door": offer.door,
        "key": offer.key,
        "digest": offer.digest,
        "kind": offer.kind,
        "place": offer.place,
        "size": offer.size,
        "run_key": offer.run_key,
        "pool": offer.pool,
        "mode": offer.mode,
        "policy": offer.policy.to_json(),
        "facts": dict(offer.facts),
        "source": offer.source,
    }


def _consignment(row: Mapping[str, Any]) -> Consignment:
    offer = Offer(
        door=Door(row["door"]),
        key=row["key"],
        digest=row["digest"],
        kind=Kind(row["kind"]),
        place=row["place"],
        size=row["size"],
        run_key=row["run_key"],
        pool=row["pool"],
        mode=Mode(row["mode"]),
        policy=Policy.from_json(row["policy"]),
        facts=row["facts"],
        source=row["source"],
    )
    return Consignment(row["id"], offer, row["tries"], row["received_at"])
