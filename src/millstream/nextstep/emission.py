"""Tells Exstream's own reporting what became of its mail: Exstream-Email-Submit, -POST and -NDLV, to a URL or a file.

The outbox `email_event` is filled from the audit chain (accepted) and from the event `delivery.bounced`, and emptied by
a sweep, at least once: a receiver knows an event it has seen by its `eventId`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Protocol

import aiosql
import orjson

from millstream.exstream.email_events import EventKind, EventSchema, SentFacts, email_event, event_id
from millstream.exstream.errors import ExstreamError
from millstream.log import get_logger
from millstream.nextstep.listening import AskingEvent
from millstream.storage.pool import Connection, Pool, transaction
from millstream.storage.statements import Statements

log = get_logger(__name__)
queries = aiosql.from_path(Path(__file__).with_name("emission.sql"), "apsycopg", mandatory_parameters=False)

BOUNCED: Final = "delivery.bounced"
_STRETCH: Final = 10_000
"""Entries of the chain that are read in one transaction."""
_BATCH: Final = 1_000
_MOST_TRIES: Final = 20
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionOptions:
    """Where events go, and what stands in them."""

    url: str | None = None
    file: Path | None = None
    schema: EventSchema = field(default_factory=EventSchema)
    post_after: float = 900.0
    """Seconds without a bounce after which a message counts as posted."""

    @property
    def on(self) -> bool:
        """Whether anybody listens."""
        return self.url is not None or self.file is not None


class Poster(Protocol):
    """Posts one JSON document; raises ExstreamError where it was not taken."""

    async def __call__(self, url: str, document: bytes) -> None:
        """Post it."""


class Outbox:
    """Writes events down, in whatever transaction they belong to."""

    def __init__(self, options: EmissionOptions) -> None:
        self._options = options

    def listeners(self) -> dict[str, Callable[[Connection, AskingEvent], Awaitable[None]]]:
        """Kind of event to who answers it; none while nobody listens to what we would tell."""
        return {BOUNCED: self.bounced} if self._options.on else {}

    async def bounced(self, conn: Connection, event: AskingEvent) -> None:
        """A delivery came back for good: it was not delivered, and not posted. A soft bounce is not told."""
        if event.payload.get("bounce") != "hard":
            return
        row = await queries.bounced(conn, token=event.subject.removeprefix("delivery:"))
        if row is None:
            return
        detail = " ".join(str(event.payload.get(name) or "") for name in ("status", "diagnostic")).strip()
        await self.write(conn, [self.row(EventKind.NDLV, row, at=event.at, detail=detail)])

    async def accepted(self, conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Deliveries that Gmail took: told now, and as posted when nothing came back for a while."""
        later = timedelta(seconds=self._options.post_after)
        events = []
        for row in rows:
            at = row["accepted_at"]
            events.append(self.row(EventKind.SUBMIT, row, at=at))
            events.append(self.row(EventKind.POST, row, at=at + later, due_in=later.total_seconds()))
        await self.write(conn, events)

    async def write(self, conn: Connection, events: Sequence[Mapping[str, Any]]) -> None:
        """Each event once."""
        if events:
            await queries.write(conn, events=orjson.dumps(events).decode())

    def row(
        self, kind: EventKind, row: Mapping[str, Any], *, at: datetime, due_in: float = 0.0, detail: str = ""
    ) -> dict[str, Any]:
        """One event as a row of the outbox."""
        facts = SentFacts(
            token=row["token"],
            address=row["address"],
            customer=row["customer"],
            stream=row["stream"],
            at=at,
            source=row["source"] or {},
            detail=detail,
        )
        return {
            "delivery_id": row["id"],
            "kind": kind,
            "event_id": event_id(row["token"], kind),
            "document": email_event(kind, facts, self._options.schema),
            "due_in": due_in,
        }


class EmailEvents(Statements):
    """The outbox as one process at a time fills it from the chain, and empties it.

    Args:
        pool: where it lies.
        options: where events go.
        post: how they are posted; needed with a URL.
    """

    def __init__(self, pool: Pool, options: EmissionOptions, post: Poster | None = None) -> None:
        super().__init__(pool, patience=60.0)
        self._options = options
        self._outbox = Outbox(options)
        self._post = post

    async def tell(self) -> int:
        """Fill the outbox and empty it, as far as is due; answers how many events were told.

        Raises:
            DatabaseError: the database is away.
        """
        while await self._gather():
            pass
        told = 0
        while batch := await self._all(queries.due.sql, {"most": _BATCH}):
            done, failures = await self._emit(batch)
            told += done
            if failures:
                break  # whoever listens is away: the rest would only fail too
        return told

    async def standing(self) -> dict[str, int]:
        """How many wait, were told, and will not be told."""
        return dict(await self._one(queries.waiting.sql, {}) or {})

    async def _gather(self) -> bool:
        """Read a stretch of the chain; answers whether there may be more."""
        async with transaction(self._pool) as conn:
            place = await queries.place(conn)
            if place is None:
                await queries.begin_here(conn)
                return False
            rows = [row async for row in queries.accepted(conn, after=place["seq"], most=_STRETCH)]
            reached = rows[0]["reached"]
            if reached is None:
                return False
            await self._outbox.accepted(conn, [row for row in rows if row["id"] is not None])
            await queries.moved_on(conn, seq=reached)
        return bool(reached - place["seq"] >= _STRETCH)

    async def _emit(self, batch: Sequence[Mapping[str, Any]]) -> tuple[int, int]:
        """Tell a batch; answers how many were told, and how many failed."""
        false = [_key(each) for each in batch if not each["holds"]]
        true = [each for each in batch if each["holds"]]
        if false:
            await self._do(queries.dropped.sql, {"events": _json(false)})
        failures = await self._send([orjson.dumps(each["document"]) for each in true])
        told = [_key(each) for each, failure in zip(true, failures, strict=True) if failure is None]
        if told:
            await self._do(queries.told.sql, {"events": _json(told)})
        failed = [
            {**_key(each), "failure": failure}
            for each, failure in zip(true, failures, strict=True)
            if failure is not None
        ]
        if failed:
            log.warning("email_events.not_told", events=len(failed), problem=failed[0]["failure"])
            await self._do(queries.not_told.sql, {"events": _json(failed), "most_tries": _MOST_TRIES})
        return len(told), len(failed)

    async def _send(self, documents: Sequence[bytes]) -> list[str | None]:
        """For each document why it was not taken, or None. With a file and a URL it must be taken by both."""
        problems: list[str | None] = [None] * len(documents)
        if self._options.file is not None and documents:
            try:
                await asyncio.to_thread(append, self._options.file, documents)
            except OSError as error:
                return [f"{self._options.file} cannot be written: {error.strerror or error}"] * len(documents)
        if self._options.url is not None:
            room = asyncio.Semaphore(_AT_ONCE)
            problems = list(await asyncio.gather(*(self._one_post(document, room) for document in documents)))
        return problems

    async def _one_post(self, document: bytes, room: asyncio.Semaphore) -> str | None:
        if self._post is None or self._options.url is None:
            return "nothing is set up to post events with"
        async with room:
            try:
                await self._post(self._options.url, document)
            except ExstreamError as error:
                return str(error)[:1_000]
        return None


def append(file: Path, documents: Sequence[bytes]) -> None:
    """Append one line for each document, durably; after a torn line a new one is begun. Blocking.

    Raises:
        OSError: it could not be written; some of the lines may be there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+b") as out:
        if out.seek(0, os.SEEK_END) > 0:
            out.seek(-1, os.SEEK_END)
            if out.read(1) != b"\n":
                out.write(b"\n")
        out.write(b"".join(document + b"\n" for document in documents))
        out.flush()
        os.fsync(out.fileno())


def _key(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"delivery_id": row["delivery_id"], "kind": row["kind"]}


def _json(rows: Sequence[Mapping[str, Any]]) -> str:
    return orjson.dumps(rows).decode()
