"""A driver file becomes a run's communications: intake with the house's composer, stores and limits."""

from __future__ import annotations

import hashlib
import uuid
from pathlib import Path

from millstream.app.gate import house_gate
from millstream.app.house import House
from millstream.app.memory import calm_collector
from millstream.app.options import composer
from millstream.communication.model import Run
from millstream.intake.consignment import Door, Kind, Offer
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.driver import Driver
from millstream.intake.errors import ComposerFailed
from millstream.intake.submit import IntakeOptions, Progress, Receipt, Services, submit
from millstream.intake.tally import Tallies
from millstream.intake.telling import FOR_GOOD, events, sentence


async def submit_driver(house: House, run: Run, file: Path, on_progress: Progress | None = None) -> Receipt:
    """Take a driver in; answers what became of its lines. What is wrong with it also becomes events, as at every door.

    Raises:
        IntakeError: the driver, the composer or a store failed; what was committed stays.
    """
    calm_collector()
    settings = house.settings
    services = Services(house.runs, house.documents, composer(settings), await house_gate(house))
    options = IntakeOptions(
        most_bytes=settings.limits.limits().max_message_bytes,
        parallel=settings.composer.threads,
        patience_seconds=settings.database.patience_seconds,
    )
    store = ConsignmentStore(house.pool, patience=settings.database.patience_seconds)
    holder = f"by-hand:{uuid.uuid4().hex}"
    offer = _offer(run, file)
    number = await store.begin(holder, offer) if offer is not None else None
    tallies = Tallies()
    source = Driver(file, consignment=number)
    try:
        receipt = await submit(source, run, services, on_progress, options=options, tallies=tallies)
    except (*FOR_GOOD, ComposerFailed) as error:
        if number is not None:
            await store.fail(holder, number, sentence(error), {"file": str(file)})
        raise
    if number is not None:
        for each, standing in (await store.standings(tallies.resumed(), run_id=run.id)).items():
            tallies.of(each).stands(standing)
        tally = tallies.of(number)
        await store.taken(holder, {number: tally.receipt()}, run_id=run.id, told=events(number, tally))
    return receipt


def _offer(run: Run, file: Path) -> Offer | None:
    """The driver as what came in by its door; the same file, changed, is another. None where there is no such file."""
    try:
        found = file.stat()
    except OSError:
        return None
    place = str(file.absolute()).encode("utf-8", "backslashreplace").decode()
    seen = f"{found.st_size}-{found.st_mtime_ns}"
    return Offer(
        door=Door.DRIVER,
        key=f"{run.key}@{place}@{seen}",
        digest=hashlib.sha256(f"{place}@{seen}".encode()).hexdigest(),
        kind=Kind.DRIVER,
        place=f"file:{place}",
        size=found.st_size,
        run_key=run.key,
        pool=run.pool,
        mode=run.mode,
        policy=run.policy,
        source=Path(place).name,
    )
