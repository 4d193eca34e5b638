"""Hands a folder of the spool over: the manifest in it becomes a consignment of the door that fetches."""

from __future__ import annotations

import asyncio
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
        """Make it durable under a name; answers where it lies. Raises SpoolFull."""

    def forget(self, folder: Path) -> None:
        """Drop a folder."""


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
        kept = None
        try:
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
        except BaseException:
            # A receipt that was written while its answer was lost names this folder, so it stays until it is swept:
            # only what was never made durable goes.
            if kept is None:
                await asyncio.to_thread(self.spool.forget, folder)
            raise
        if not accepted.new:
            await asyncio.to_thread(self.spool.forget, kept)
        return accepted


def _name(handing: Handing) -> str:
    return f"pull-{handing.digest[:32]}"
