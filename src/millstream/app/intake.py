"""The doors and what lies behind them, with the house's settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from millstream.app.gate import house_gate
from millstream.app.house import House
from millstream.app.options import composer
from millstream.communication.model import Mode
from millstream.config import Settings
from millstream.drill import Drill
from millstream.intake.batch import BatchSize
from millstream.intake.consignment import Consignment, Door, Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.folder.door import FolderDoor
from millstream.intake.folder.index import IndexSource
from millstream.intake.folder.manifest import ManifestSource
from millstream.intake.folder.options import FolderOptions
from millstream.intake.folder.placing import Placing
from millstream.intake.handed import HandingOptions
from millstream.intake.keys import KeyNames
from millstream.intake.options import Point, TakingOptions
from millstream.intake.outputs import OutputRules, Rule
from millstream.intake.ports import Source
from millstream.intake.reception import Reception
from millstream.intake.sources import Fetch, Opening, Sources
from millstream.intake.spool import Spool
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.storage.duty import Duty
from millstream.work.engine import Sweep

TAKE_EVERY = 0.25
"""Seconds between two looks at what came in."""
TIDY_EVERY = 60.0
"""Seconds between two looks at what lies in the spool and was taken long ago."""
_DAY = 86_400.0
_BATCH_BYTES = 2 * 1024 * 1024
"""Less than a submit by hand: a worker has lanes to run beside it, and 200 MB for all of it."""
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
        batch=BatchSize(bytes=_BATCH_BYTES),
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
    services = Services(house.runs, house.documents, composer(settings), await house_gate(house))
    made = Taker(
        consignments(house),
        Tools(
            runs=house.runs,
            services=services,
            contents=house.documents,
            sources=Sources({**folder_kinds(settings), **(openings or {})}),
            intake=intake_options(settings),
            options=taking_options(settings),
            drill=drill(settings),
            apart=None if settings.documents_url.startswith("memory:") else settings.documents_url,
        ),
    )
    try:
        yield made
    finally:
        await made.close()


def handing_options(settings: Settings) -> HandingOptions:
    """How a customer of Exstream becomes a record."""
    intake, keys, outputs = settings.intake, settings.intake_keys, settings.outputs
    return HandingOptions(
        keys=KeyNames(**{name: getattr(keys, name) for name in type(keys).model_fields}),
        rules=OutputRules(
            tuple(Rule(each.use, each.queue, each.media, each.name) for each in outputs.rules), outputs.others
        ),
        subject=intake.subject,
        text=intake.text,
        type=intake.type,
        locale=intake.locale,
        stream=intake.stream,
        most_bytes=settings.limits.limits().max_message_bytes,
        settle=settings.intake_folder.settle_seconds,
    )


def folder_kinds(settings: Settings) -> dict[Kind, Opening]:
    """How manifests and indexes are read, be they in the watched folder or in the spool."""
    options, folder = handing_options(settings), settings.intake_folder

    def placing(path: Path, door: Door) -> Placing:
        root = folder.path.absolute() if folder.path else None
        if door is Door.FOLDER and root is not None and path.is_relative_to(root):
            base = path.parent.relative_to(root)
            return Placing.of(root, "" if base == Path() else str(base), folder.strip)
        return Placing.of(path.parent)

    def manifest(consignments: Sequence[Consignment], _fetch: Fetch, /, *, patient: bool) -> Source:
        (only,) = consignments
        path = Path(only.path or "")
        # What was fetched or composed is whole when it is offered: nothing of it comes later.
        waits = patient and only.offer.door is Door.FOLDER
        return ManifestSource(path, options, waits, placing(path, only.offer.door), only.id)

    def index(consignments: Sequence[Consignment], _fetch: Fetch, /, *, patient: bool) -> Source:
        (only,) = consignments
        path = Path(only.path or "")
        return IndexSource(path, options, patient, placing(path, only.offer.door), folder.encoding, only.id)

    return {Kind.MANIFEST: manifest, Kind.INDEX: index}


def folder_options(settings: Settings) -> FolderOptions | None:
    """How the folder is watched; None where that door is closed."""
    folder = settings.intake_folder
    if folder.path is None:
        return None
    return FolderOptions(
        path=folder.path,
        manifest=folder.manifest,
        index=folder.index,
        drivers=folder.drivers,
        depth=folder.depth,
        settle=folder.settle_seconds,
        missing=folder.missing_seconds,
        done=folder.done,
        error=folder.error,
        retry=folder.retry,
        leave=folder.leave,
        run=folder.run,
        pool=settings.intake.pool,
        mode=Mode(settings.delivery.mode),
    )


@asynccontextmanager
async def folder_door(house: House) -> AsyncIterator[FolderDoor | None]:
    """The door for files, or None where it is closed; its sweep is `look` every `intake_folder.poll_seconds`."""
    options = folder_options(house.settings)
    if options is None:
        yield None
        return
    door = FolderDoor(options, consignments(house), Duty(house.pool, "folder"), drill=drill(house.settings))
    try:
        yield door
    finally:
        await door.leave()


async def tidy_spool(house: House) -> int:
    """Drop what the spool holds of consignments taken `intake.keep_days` ago; a sweep for any worker."""
    store, shelf = consignments(house), spool(house.settings)
    keep = house.settings.intake.keep_days * _DAY
    tidied = 0
    for door in (Door.HTTP, Door.SMTP, Door.PULL):
        done = []
        for each, _, _ in await store.untidy(door=door, most=1_000, older=keep):
            if each.path is not None:
                await asyncio.to_thread(shelf.drop, Path(each.path).parent)
            done.append(each.id)
        await store.tidied(done)
        tidied += len(done)
    await asyncio.to_thread(shelf.sweep)
    return tidied


@asynccontextmanager
async def coming_in(house: House, openings: Mapping[Kind, Opening] | None = None) -> AsyncIterator[Sequence[Sweep]]:
    """What a worker does about intake, as sweeps: take what is due, watch the folder, tidy the spool."""

    async def tidy() -> int:
        return await tidy_spool(house)

    async with taker(house, openings) as takes, folder_door(house) as door:
        sweeps = [Sweep("intake", TAKE_EVERY, takes.take_due), Sweep("spool", TIDY_EVERY, tidy)]
        if door is not None:
            sweeps.append(Sweep("folder", house.settings.intake_folder.poll_seconds, door.look))
        yield sweeps
