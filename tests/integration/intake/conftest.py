"""A run to submit into, on a database and a folder of the test's own."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pikepdf
import pytest

from millstream.communication.model import Mode, Policy, Run
from millstream.communication.store import RunStore
from millstream.intake.batch import BatchSize
from millstream.intake.driver import Driver
from millstream.intake.submit import IntakeOptions, Receipt, Services, submit
from millstream.storage.objects import DocumentStore, open_store
from millstream.storage.pool import Pool

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from folder_stage import Stage


@dataclass
class Desk:
    """Where a test hands drivers in and looks at what became of them."""

    pool: Pool
    folder: Path
    run: Run
    services: Services
    options: IntakeOptions

    @property
    def ledger(self) -> RunStore:
        """The real ledger."""
        return RunStore(self.pool)

    @property
    def documents(self) -> DocumentStore:
        """The real document store."""
        return open_store(str(self.folder / "documents"))

    def driver(self, *lines: bytes | dict[str, Any]) -> Driver:
        """A driver of these lines: bytes as they are, objects as JSON."""
        path = self.folder / "in" / "driver.jsonl"
        path.write_bytes(b"".join(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n" for line in lines))
        return Driver(path)

    async def submit(self, *lines: bytes | dict[str, Any], **services: Any) -> Receipt:
        """Submit a driver of these lines; other services may be named."""
        return await self.hand_in(self.driver(*lines), **services)

    async def hand_in(self, driver: Driver, **services: Any) -> Receipt:
        """Submit this driver."""
        return await submit(driver, self.run, replace(self.services, **services), options=self.options)

    async def open_run(self, key: str, **policy: str) -> None:
        """Go on with another run."""
        self.run = await self.ledger.open_run(key, pool="p", mode=Mode.DRAFT, policy=Policy(**policy), source="")

    async def rows(self) -> list[dict[str, Any]]:
        """Every communication with its delivery, in order."""
        async with self.pool.connection() as connection:
            found = await connection.execute(
                "SELECT c.*, d.disposition, d.reason, d.detail, d.version AS moves FROM communication c "
                "JOIN delivery d ON d.communication_id = c.id ORDER BY c.id"
            )
            return await found.fetchall()

    async def customers(self) -> list[str]:
        """Of the communications that are in, in order."""
        return [row["customer"] for row in await self.rows()]


@pytest.fixture
async def desk(pool: Pool, tmp_path: Path) -> Desk:
    """An open run and small batches, so that a few lines make several."""
    (tmp_path / "in").mkdir()
    run = await RunStore(pool).open_run("october", pool="p", mode=Mode.DRAFT, policy=Policy(), source="")
    services = Services(RunStore(pool), open_store(str(tmp_path / "documents")))
    options = IntakeOptions(most_bytes=1_000_000, batch=BatchSize(records=4, composed=2), patience_seconds=5)
    return Desk(pool, tmp_path, run, services, options)


@pytest.fixture
def record() -> Callable[..., dict[str, Any]]:
    """A good record of this number; keyword arguments replace its fields, None takes a field away."""

    def build(number: int = 1, **changes: Any) -> dict[str, Any]:
        whole = {
            "key": f"2025-10/{number:04}",
            "type": "statement",
            "customer": {"id": f"C-{number}"},
            "recipient": {"address": f"c{number}@example.com"},
            "subject": f"Your statement {number}",
            "text": "Dear customer,\n",
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not None}

    return build


@pytest.fixture
def pdf() -> bytes:
    """A PDF of one empty page."""
    with pikepdf.new() as document, BytesIO() as file:
        document.add_blank_page()
        document.save(file)
        return file.getvalue()


@pytest.fixture
def stage(pool: Pool, tmp_path: Path, pdf: bytes) -> Stage:
    """A watched folder of the test's own."""
    services = Services(RunStore(pool), open_store(str(tmp_path / "documents")))
    return Stage(pool, tmp_path / "in", services, pdf)
