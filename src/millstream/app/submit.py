"""A driver file becomes a run's communications: intake with the house's composer, stores and limits."""

from __future__ import annotations

from pathlib import Path

from millstream.app.house import House
from millstream.app.memory import calm_collector
from millstream.app.options import composer
from millstream.communication.model import Run
from millstream.intake.driver import Driver
from millstream.intake.submit import IntakeOptions, Progress, Receipt, Services, submit


async def submit_driver(house: House, run: Run, file: Path, on_progress: Progress | None = None) -> Receipt:
    """Take a driver in; answers what became of its lines.

    Raises:
        IntakeError: the driver, the composer or a store failed; what was committed stays.
    """
    calm_collector()
    settings = house.settings
    services = Services(house.runs, house.documents, composer(settings))
    options = IntakeOptions(
        most_bytes=settings.limits.limits().max_message_bytes,
        parallel=settings.composer.threads,
        patience_seconds=settings.database.patience_seconds,
    )
    return await submit(Driver(file), run, services, on_progress, options=options)
