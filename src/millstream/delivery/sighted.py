"""One sighting in hand: what was told, the delivery it is about, and what goes into the audit chain for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosql
import orjson

from millstream.storage.pool import Connection

queries = aiosql.from_path(Path(__file__).with_name("sightings.sql"), "apsycopg", mandatory_parameters=False)

ACTOR = "sightings"


@dataclass(frozen=True, slots=True)
class Told:
    """What the mailbox room said of one message, by the names of its payload."""

    kind: str
    token: str
    """Of the delivery; empty where it is about none."""
    sighting: int | None
    mailbox: str
    """Where the message lies."""
    message_id: str
    """Gmail's id of the message."""
    thread_id: str
    mapped_by: str
    """The clue that named the delivery."""
    proven: bool
    """Whether it comes from whom it says."""
    recipient: str
    """The address that failed, where a mail server named one."""
    status: str
    """RFC 3463, for example 5.1.1."""
    address_is_bad: bool
    """The address itself is dead; not only this message was refused."""
    diagnostic: str
    remote_mta: str
    received_at: datetime
    """By Gmail's clock."""

    @classmethod
    def of(cls, kind: str, subject: str, payload: Mapping[str, Any], at: datetime) -> Told:
        """Read an event; what its payload leaves out is empty, and `received_at` is then when it was written."""

        def text(name: str) -> str:
            return str(payload.get(name) or "")

        noun, _, token = subject.partition(":")
        received = payload.get("received_at")
        return cls(
            kind=kind.removeprefix("sighting."),
            token=token if noun == "delivery" else "",
            sighting=payload.get("sighting"),
            mailbox=text("mailbox"),
            message_id=text("message_id"),
            thread_id=text("thread_id"),
            mapped_by=text("mapped_by"),
            proven=payload.get("proven") is True,
            recipient=text("recipient"),
            status=text("status"),
            address_is_bad=payload.get("address_is_bad") is True,
            diagnostic=text("diagnostic"),
            remote_mta=text("remote_mta"),
            received_at=_aware(datetime.fromisoformat(received)) if received else at,
        )

    @property
    def words(self) -> str:
        """What the mail server said, for people."""
        return " ".join(f"{self.status} {self.diagnostic}".split()) or "no reason was given"


@dataclass(frozen=True, slots=True)
class Sighted:
    """The delivery that a sighting is about."""

    token: str
    address: str
    run_id: int
    fresh: bool
    """Whether it is the first sighting of this kind about it."""
    key: str
    customer: str
    type: str
    stream: str
    run: str
    """Its run's key."""


class Trail:
    """Audit entries of one answer. They are written last: from there on the chain is locked for everybody else."""

    def __init__(self) -> None:
        self._entries: list[dict[str, str]] = []

    def add(self, kind: str, subject: str, **facts: object) -> None:
        """Note what was done."""
        payload = orjson.dumps({name: value for name, value in facts.items() if value not in (None, "")}).decode()
        self._entries.append({"actor": ACTOR, "kind": kind, "subject": subject, "payload": payload})

    def sighted(self, told: Told) -> None:
        """Note that a delivery has a new mark."""
        self.add(
            f"delivery.{told.kind}",
            f"delivery:{told.token}",
            sighting=told.sighting,
            mailbox=told.mailbox,
            message=told.message_id,
            recipient=told.recipient,
            status=told.status,
        )

    async def write(self, conn: Connection) -> None:
        """Append what was noted to the chain."""
        if self._entries:
            await queries.audit(conn, entries=orjson.dumps(self._entries).decode())


async def raise_event(conn: Connection, kind: str, subject: str, facts: Mapping[str, Any]) -> None:
    """Tell other rooms, in the transaction that made it true."""
    await queries.raise_event(conn, kind=kind, subject=subject, payload=orjson.dumps(facts).decode())


def _aware(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
