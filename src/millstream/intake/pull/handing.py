"""Hands a folder of the spool over: the manifest in it becomes a consignment of the door that fetches."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from millstream.communication.model import Mode
from millstream.intake.consignment import Accepted, Door, Kind, Offer, Receiving
from millstream.intake.pull.writing import MANIFEST


class Shelves(Protocol):
    """The spool, as far as this door needs it. All of it blocks."""

    def new(self) -> Path:
        """An empty folder that nobody else has. Raises SpoolFull."""

    def keep(self, folder: Path, name: str) -> Path:
        """Make it durable under a name; answers where it lies. The same name again is the same folder."""

    def drop(self, folder: Path) -> None:
        """Forget a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Handing:
    """What is handed over."""

    key: str
    digest: str
    size: int
    run_key: str
    source: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hands:
    """Takes folders to the door."""

    spool: Shelves
    receiving: Receiving
    pool: str = "default"
    mode: str = "draft"

    async def over(self, folder: Path, handing: Handing) -> Accepted:
        """Make a folder durable and its manifest a consignment. What was taken in before is not kept twice.

        Raises:
            IntakeError: SpoolFull, LedgerFailed; nothing is promised, and the folder is dropped.
        """
        kept = await asyncio.to_thread(self.spool.keep, folder, _name(handing))
        accepted = await self.receiving.receive(
            Offer(
                door=Door.PULL,
                key=handing.key,
                digest=handing.digest,
                kind=Kind.MANIFEST,
                place=f"file:{kept / MANIFEST}",
                size=handing.size,
                run_key=handing.run_key,
                pool=self.pool,
                mode=Mode(self.mode),
                facts=dict(handing.facts),
                source=handing.source,
            )
        )
        # The same key and digest is the same folder, and whoever was told of it first may not have read it yet.
        if accepted.conflict or (not accepted.new and accepted.state == "taken"):
            await asyncio.to_thread(self.spool.drop, kept)
        return accepted


def _name(handing: Handing) -> str:
    return hashlib.sha256(f"{handing.key}\x00{handing.digest}".encode("utf-8", "replace")).hexdigest()[:40]
