"""Exstream's jobs as we have seen them, in Postgres: each fetched once, each exception told once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import aiosql
import orjson

from millstream.exstream.model import FlowInstance, Job
from millstream.intake.errors import UnknownJob
from millstream.storage.pool import Pool
from millstream.storage.statements import Statements

queries = aiosql.from_path(Path(__file__).with_name("jobs.sql"), "apsycopg", mandatory_parameters=False)

RUNNING: Final = ("uninitialized", "waiting", "started", "holding", "finishing", "unknown")
"""Statuses that are not the last word about a job or a flow."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is fetched as one: a job, or one flow of it (`<job>/<flow>`)."""

    id: str
    channel: str | None
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None
    external_id: str | None
    tries: int
    fetched_before: bool
    """It was fetched, and has run again since."""

    @property
    def job(self) -> str:
        """The job's id."""
        return self.id.partition("/")[0]

    @property
    def flow(self) -> str | None:
        """The flow's id, where one flow is meant."""
        return self.id.partition("/")[2] or None


@dataclass(frozen=True, slots=True)
class Trouble:
    """One exception: what it is about, what makes it this one, and the event that tells of it."""

    what: str
    """job, step, message or report."""
    id: str
    digest: str
    kind: str
    subject: str
    facts: Mapping[str, Any]


def models(flows: Iterable[FlowInstance]) -> str | None:
    """By which flow models these ran, as Exstream calls them: what it tells of the document type. None: it does not."""
    names = dict.fromkeys(flow.flow_model_name for flow in flows if flow.flow_model_name)
    return ", ".join(names) or None


class JobStore(Statements):
    """The jobs of one domain."""

    def __init__(self, pool: Pool, domain: str, *, patience: float = 60.0) -> None:
        super().__init__(pool, patience=patience)
        self.domain = domain

    async def see(self, jobs: Iterable[Job], *, wanted: Sequence[str]) -> None:
        """Note what Exstream shows of jobs; those whose status is wanted become due, each once."""
        rows = [
            {
                "id": job.id,
                "channel": job.channel,
                "mode": job.mode,
                "external_id": job.external_id,
                "wanted": str(job.status) in wanted,
                **_shown(job),
            }
            for job in jobs
        ]
        await self._see(rows)

    async def see_flows(
        self, job: str, channel: str | None, flows: Iterable[FlowInstance], *, wanted: Sequence[str]
    ) -> None:
        """The same for the flows of a job, each as a unit of its own."""
        rows = [
            {
                "id": f"{job}/{flow.id}",
                "channel": channel,
                "mode": "FLOW",
                "external_id": flow.external_id,
                "wanted": str(flow.status) in wanted,
                **_shown(flow),
            }
            for flow in flows
        ]
        await self._see(rows)

    async def _see(self, rows: Sequence[Mapping[str, Any]]) -> None:
        distinct = list({row["id"]: row for row in rows}.values())
        for start in range(0, len(distinct), 1_000):
            await self._all(queries.see.sql, {"domain": self.domain, "jobs": _json(distinct[start : start + 1_000])})

    async def unended(self, *, before: datetime, most: int = 50) -> list[str]:
        """Jobs that were running when they were last seen, which was before a time."""
        values = {"domain": self.domain, "running": list(RUNNING), "before": before, "most": most}
        return [row["id"] for row in await self._all(queries.unended.sql, values)]

    async def settled_among(self, jobs: Sequence[str]) -> list[dict[str, Any]]:
        """Those of these jobs that were seen at their end."""
        values = {"domain": self.domain, "ids": list(jobs), "running": list(RUNNING)}
        return await self._all(queries.settled_among.sql, values)

    async def due(self, most: int = 10) -> list[Unit]:
        """What is to be fetched."""
        rows = await self._all(queries.due.sql, {"domain": self.domain, "most": most})
        return [
            Unit(
                row["id"],
                row["channel"],
                row["status"],
                row["started_at"],
                row["ended_at"],
                row["expires_at"],
                row["external_id"],
                row["tries"],
                row["consignment_id"] is not None,
            )
            for row in rows
        ]

    async def fetched(self, unit: str, consignment: int | None, *, note: str | None = None) -> None:
        """It was handed in; without a consignment there was nothing to hand in, and `note` says why."""
        outcome = "ignored" if consignment is None else "fetched"
        values = {"domain": self.domain, "id": unit, "outcome": outcome, "failure": note, "consignment_id": consignment}
        await self._do(queries.fetched.sql, values)

    async def put_off(self, unit: str, failure: str, *, seconds: float) -> None:
        """Try again in so many seconds."""
        await self._do(
            queries.put_off.sql, {"domain": self.domain, "id": unit, "failure": _legible(failure), "seconds": seconds}
        )

    async def failed(
        self, unit: str, failure: str, *, gone: bool, advice: str, document_type: str | None = None
    ) -> None:
        """It cannot be fetched, now or ever; a person learns of it."""
        values = {
            "outcome": "gone" if gone else "reported",
            "failure": _legible(failure),
            "next": advice,
            "type": document_type and _legible(document_type),
        }
        await self._all(queries.failed.sql, {"domain": self.domain, "id": unit, **values})

    async def again(self, job: str) -> list[str]:
        """Have a job, or one flow of it (`<job>/<flow>`), fetched again that was given up; answers which units are due.

        Raises:
            UnknownJob: nothing of it was given up.
        """
        rows = await self._all(queries.again.sql, {"domain": self.domain, "id": job})
        if not rows:
            raise UnknownJob(
                f"nothing of job {job} in domain {self.domain} was given up; `millstream intake jobs` shows what was"
            )
        return sorted(row["id"] for row in rows)

    async def unexamined(self, most: int = 20) -> list[dict[str, Any]]:
        """Jobs at their end that were not read for exceptions yet."""
        return await self._all(queries.unexamined.sql, {"domain": self.domain, "running": list(RUNNING), "most": most})

    async def examined(self, job: str, *, failed: bool) -> None:
        """Its steps and messages were read."""
        await self._do(queries.examined.sql, {"domain": self.domain, "id": job, "failed": failed})

    async def known(self, what: str, ids: Sequence[str]) -> set[tuple[str, str]]:
        """Which exceptions were told of these things: id and digest."""
        if not ids:
            return set()
        rows = await self._all(queries.known.sql, {"domain": self.domain, "what": what, "ids": list(ids)})
        return {(row["id"], row["digest"]) for row in rows}

    async def tell(self, troubles: Sequence[Trouble]) -> int:
        """Write an event for each exception that was not told before; answers how many were new."""
        rows = [
            {
                "what": each.what,
                "id": each.id,
                "digest": each.digest,
                "kind": each.kind,
                "subject": each.subject,
                "facts": dict(each.facts),
            }
            for each in troubles
        ]
        if not rows:
            return 0
        return len(await self._all(queries.trouble.sql, {"domain": self.domain, "troubles": _json(rows)}))

    async def newest(self, *, outcome: str | None = None, most: int = 50) -> list[dict[str, Any]]:
        """Units, the last that changed first."""
        return await self._all(queries.list_newest.sql, {"domain": self.domain, "outcome": outcome, "most": most})


def _shown(thing: Job | FlowInstance) -> dict[str, Any]:
    return {
        "status": str(thing.status),
        "started_at": thing.started_at,
        "ended_at": thing.ended_at,
        "expires_at": thing.expires_at,
        "msg": thing.msg,
    }


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode().replace("\\u0000", "\\ufffd")


def _legible(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")[:2_000]
