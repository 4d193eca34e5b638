"""The doors and what lies behind them, with the house's settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from millstream.app.house import House
from millstream.app.options import composer
from millstream.config import Settings
from millstream.drill import Drill
from millstream.intake.consignment import Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.options import Point, TakingOptions
from millstream.intake.reception import Reception
from millstream.intake.sources import Opening, Sources
from millstream.intake.spool import Spool
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools

TAKE_EVERY = 0.25
"""Seconds between two looks at what came in."""
_RECEPTION_PATIENCE = 10.0
"""Whoever hands something over waits: a database that stays away longer is told to them, and they come again."""


def consignments(house: House) -> ConsignmentStore:
    """What came in."""
    return ConsignmentStore(house.pool, patience=house.settings.database.patience_seconds)


def spool(settings: Settings) -> Spool:
    """Where what is too large for memory lies until it is a run."""
    return Spool(settings.spool_folder)


def reception(house: House) -> Reception:
    """The desk behind the doors of this process."""
    store = ConsignmentStore(house.pool, patience=_RECEPTION_PATIENCE)
    return Reception(store, house.documents, drill=drill(house.settings))


def drill(settings: Settings) -> Drill:
    """The recovery drill of this process's intake.

    Raises:
        UnknownDrill: `intake.drill` names no point of intake.
    """
    return Drill(settings.intake.drill, Point)


def intake_options(settings: Settings) -> IntakeOptions:
    """How a submit works."""
    return IntakeOptions(
        most_bytes=settings.limits.limits().max_message_bytes,
        parallel=settings.composer.threads,
        patience_seconds=settings.database.patience_seconds,
    )


def taking_options(settings: Settings) -> TakingOptions:
    """How what came in is taken."""
    return TakingOptions(
        lease=settings.intake.lease_seconds,
        most_tries=settings.intake.most_tries,
        missing=settings.intake_folder.missing_seconds,
    )


@asynccontextmanager
async def taker(house: House, openings: Mapping[Kind, Opening] | None = None) -> AsyncIterator[Taker]:
    """Takes what is due; its sweep is `take_due` every `TAKE_EVERY` seconds.

    What it has in hand is given back at the end.

    `openings` are further kinds than those of the folder: `{Kind.MESSAGE: …}`.
    """
    settings = house.settings
    services = Services(house.runs, house.documents, composer(settings))
    made = Taker(
        consignments(house),
        Tools(
            runs=house.runs,
            services=services,
            contents=house.documents,
            sources=Sources({**(openings or {})}),
            intake=intake_options(settings),
            options=taking_options(settings),
            drill=drill(settings),
        ),
    )
    try:
        yield made
    finally:
        await made.close()
