"""Next steps in Postgres: asked once, taken by one process at a time, each try with its evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiosql
import orjson

from millstream.nextstep.errors import NotPossible, UnknownStep
from millstream.nextstep.model import Move, NextStep, StepState, Verb, Wish
from millstream.storage.pool import Connection, Pool, transaction
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("queries.sql"), "apsycopg", mandatory_parameters=False)


class StepStore(Statements):
    """The room's questions and verbs; waits out a database that is away for up to `patience` seconds.

    Every verb of a holder changes no state where another process holds the step now.
    """

    def __init__(self, pool: Pool, *, patience: float = 120.0) -> None:
        super().__init__(pool, patience=patience)

    @staticmethod
    async def ask(conn: Connection, wish: Wish) -> int | None:
        """Write a wish down in its asker's transaction; the step's number, or None where it was asked before."""
        row = await queries.ask(conn, **_asked(wish))
        return None if row is None else int(row["id"])

    async def ask_now(self, wish: Wish) -> tuple[int, bool]:
        """Write a wish down by itself; answers the step's number, and whether it is a new one."""
        async with transaction(self._pool) as conn:
            number = await self.ask(conn, wish)
            if number is not None:
                return number, True
            found = await (await conn.execute("SELECT id FROM next_step WHERE key = %s", (wish.key,))).fetchone()
        if found is None:
            raise UnknownStep(f"step {wish.key!r} was neither written nor found")
        return int(found["id"]), False

    async def claim(self, holder: str, *, most: int, seconds: float) -> list[NextStep]:
        """Take what is due, for so many seconds."""
        rows = await self._all(queries.claim.sql, {"holder": holder, "most": most, "seconds": seconds})
        return [_step(row) for row in rows]

    async def keep(self, holder: str, *, seconds: float) -> None:
        """Say that the work on everything in hand goes on."""
        await self._do(queries.keep.sql, {"holder": holder, "seconds": seconds})

    async def leave(self, holder: str) -> None:
        """Give everything in hand back."""
        await self._do(queries.leave.sql, {"holder": holder})

    async def begin(self, holder: str, step: NextStep, before: Mapping[str, Any]) -> NextStep | None:
        """Make durable that a call is made now; None where it must not be made: cancelled, or another's."""
        row = await self._one(queries.begin.sql, {"id": step.id, "holder": holder, "before": _json(before)})
        if row is None:
            return None
        return replace(
            step, state=StepState.DOING, tries=row["tries"], begun_at=row["begun_at"], looks=0, before=before
        )

    async def settle(self, holder: str, step: NextStep, move: Move) -> bool:
        """Note an attempt and where it led; False where another process holds the step: only the attempt counts."""
        attempt = move.attempt
        values = {
            "id": step.id,
            "holder": holder,
            "kind": attempt.kind,
            "outcome": _legible(attempt.outcome),
            "effect": attempt.effect,
            "status": attempt.status,
            "evidence": _legible(attempt.evidence),
            "state": move.state,
            "reason": _legible(move.reason),
            "result": None if move.result is None else _json(move.result),
            "due_in": move.due_in,
        }
        return await self._one(queries.settle.sql, values) is not None

    # For people

    async def retry(self, number: int, *, why: str, actor: str) -> StepState:
        """Try a failed step again, and look again for what became of an uncertain one; answers where it stands now.

        Raises:
            UnknownStep, NotPossible: there is none, or it stands elsewhere.
        """
        state = StepState((await self.find(number))["state"])
        to = StepState.DOING if state is StepState.UNCERTAIN else StepState.DUE
        await self._by_person(
            number, (StepState.FAILED, StepState.UNCERTAIN), to, outcome="retry", why=why, actor=actor
        )
        return to

    async def settle_by_person(self, number: int, *, happened: bool, why: str, actor: str) -> StepState:
        """Decide on an uncertain step: it happened, or it is to be called again; answers where it stands now.

        Raises:
            UnknownStep, NotPossible: there is none, or it is not uncertain.
        """
        to = StepState.DONE if happened else StepState.DUE
        outcome = "happened" if happened else "not_happened"
        await self._by_person(number, (StepState.UNCERTAIN,), to, outcome=outcome, why=why, actor=actor)
        return to

    async def cancel(self, number: int, *, why: str, actor: str) -> None:
        """Let a step not be called any more.

        Raises:
            UnknownStep, NotPossible: there is none, or it has been called.
        """
        states = (StepState.DUE, StepState.FAILED)
        await self._by_person(number, states, StepState.CANCELLED, outcome="cancelled", why=why, actor=actor)

    async def _by_person(
        self, number: int, states: Sequence[StepState], to: StepState, *, outcome: str, why: str, actor: str
    ) -> None:
        values = {
            "id": number,
            "from_states": [str(each) for each in states],
            "state": to,
            "due": to in {StepState.DUE, StepState.DOING},
            "outcome": outcome,
            "effect": {"happened": "yes", "not_happened": "no", "cancelled": "no"}.get(outcome, "unknown"),
            "why": _legible(why),
            "actor": actor,
        }
        if await self._one(queries.by_person.sql, values) is None:
            state = (await self.find(number))["state"]
            raise NotPossible(
                f"step {number} is {state}{', or a worker has it in hand right now' if state in states else ''}; "
                f"this is for steps that are {' or '.join(states)}"
            )

    async def find(self, number: int) -> dict[str, Any]:
        """One step, as the store has it.

        Raises:
            UnknownStep: there is none.
        """
        row = await self._one(queries.find_one.sql, {"id": number})
        if row is None:
            raise UnknownStep(f"there is no step {number}; `millstream step list` shows those there are")
        return row

    async def attempts(self, number: int) -> list[dict[str, Any]]:
        """Every try at a step, in order."""
        return await self._all(queries.attempts.sql, {"id": number})

    async def newest(
        self, *, state: StepState | None = None, verb: Verb | None = None, subject: str | None = None, most: int = 50
    ) -> list[dict[str, Any]]:
        """Steps, the newest first."""
        return await self._all(
            queries.list_newest.sql, {"state": state, "verb": verb, "subject": subject, "most": most}
        )

    async def waiting(self) -> int:
        """How many are not at their end and go on by themselves."""
        row = await self._one(queries.waiting.sql, {})
        return int(row["steps"]) if row else 0


def _asked(wish: Wish) -> dict[str, Any]:
    return {
        "key": wish.key,
        "verb": wish.verb,
        "domain": wish.domain,
        "target": wish.target,
        "arguments": _json(wish.arguments),
        "content": wish.content,
        "subject": wish.subject,
        "actor": wish.actor,
    }


def _json(value: Mapping[str, Any]) -> str:
    return orjson.dumps(dict(value), default=str).decode().replace("\\u0000", "\\ufffd")


def _legible(text: str | None) -> str | None:
    """Words of others, without what a text column cannot hold."""
    return text and text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


def _step(row: Mapping[str, Any]) -> NextStep:
    wish = Wish(
        key=row["key"],
        verb=Verb(row["verb"]),
        target=row["target"],
        subject=row["subject"],
        actor=row["actor"],
        domain=row["domain"],
        arguments=row["arguments"],
        content=row["content"],
    )
    return NextStep(
        row["id"], wish, StepState(row["state"]), row["tries"], row["begun_at"], row["looks"], row["before"] or {}
    )
