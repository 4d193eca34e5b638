"""A watched folder with Exstream's output tree in it, and the processes' parts that take it in."""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from millstream.communication.store import RunStore
from millstream.intake.consignment import Kind
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.folder.door import FolderDoor
from millstream.intake.folder.index import IndexSource
from millstream.intake.folder.manifest import ManifestSource
from millstream.intake.folder.options import FolderOptions
from millstream.intake.folder.placing import Placing
from millstream.intake.handed import HandingOptions
from millstream.intake.options import TakingOptions
from millstream.intake.sources import Sources
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.storage.duty import Duty
from millstream.storage.pool import Pool

MANIFEST = "_STDDELIVERYFILE.xml"


@dataclass
class Stage:
    """The folder, the door and a taker; time at the door is what the test says."""

    pool: Pool
    root: Path
    services: Services
    pdf: bytes
    handing: HandingOptions = field(default_factory=lambda: HandingOptions(settle=0.0))
    missing: float = 0.0
    now: float = 0.0
    choices: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.store = ConsignmentStore(self.pool, patience=10.0)
        self.root.mkdir(parents=True, exist_ok=True)
        self.reopen()

    def reopen(self, **choices: Any) -> None:
        """A door and a taker that know nothing yet, as after a restart."""
        self.choices |= choices
        options = FolderOptions(path=self.root, pool="p", **self.choices)
        duty = Duty(self.pool, "folder", lease=0.0)
        self.door = FolderDoor(options, self.store, duty, clock=lambda: self.now)
        tools = Tools(
            RunStore(self.pool),
            self.services,
            self.services.documents,
            Sources({Kind.MANIFEST: self._manifest, Kind.INDEX: self._index}),
            IntakeOptions(most_bytes=1_000_000, patience_seconds=5),
            TakingOptions(missing=self.missing, first_gap=0.02),
        )
        self.taker = Taker(self.store, tools)

    def _placing(self, path: Path) -> Placing:
        base = path.parent.relative_to(self.root)
        return Placing.of(self.root, "" if base == Path() else str(base), ("/mnt/engine",))

    def _manifest(self, consignments, _fetch, /, *, patient):
        path = Path(consignments[0].path)
        return ManifestSource(path, self.handing, patient, self._placing(path), consignments[0].id)

    def _index(self, consignments, _fetch, /, *, patient):
        path = Path(consignments[0].path)
        return IndexSource(path, self.handing, patient, self._placing(path), consignment=consignments[0].id)

    def take_apart(self) -> None:
        """A taker that makes what it takes in a process of its own."""
        tools, options = self.taker._tools, replace(self.taker._tools.options, alone_from=1)
        store = str(self.root.parent / "documents")
        self.taker = Taker(self.store, replace(tools, options=options, apart=store))

    async def look(self) -> int:
        """Two looks with enough time between them for what is there to be whole."""
        first = await self.door.look()
        self.now += 2.5
        return first + await self.door.look()

    async def take_in(self) -> None:
        """Everything that is there, until nothing is due."""
        await self.look()
        await self.taker.drain()
        await self.door.look()

    def customer(self, number: int, **changes: Any) -> str:
        """A customer of a manifest with an HTML and a PDF, whose files are written too."""
        folder = self.root / changes.pop("job", "job-1")
        given = {
            "CustomerId": f"C-{number}",
            "CustomerName": f"Customer {number}",
            "CustomerEmail": f"c{number}@example.com",
            "EmailSubject": f"Statement {number}",
            "DocumentType": "statement",
            "attachments": "${#/queues/Print}=statement.pdf",
            **changes.pop("keys", {}),
        }
        files = changes.pop("files", {"HTML email Q": f"html/{number}", "Print": f"print/{number}"})
        if changes.pop("write", True):
            write(folder / f"html/{number}", f"<html><body><p>Dear customer {number},</p></body></html>".encode())
            write(folder / f"print/{number}", self.pdf)
        return customer(number, given, files)

    def manifest(self, customers: Iterable[str], job: str = "job-1", name: str = MANIFEST) -> Path:
        """A whole manifest of these customers."""
        text = f'<?xml version="1.0" encoding="UTF-8"?>\n<outputList>\n{"".join(customers)}</outputList>\n'
        return write(self.root / job / name, text.encode())

    async def rows(self) -> list[dict[str, Any]]:
        """Every communication with its deliveries, in order."""
        async with self.pool.connection() as connection:
            found = await connection.execute(
                "SELECT c.*, d.disposition, d.reason, d.detail, d.address FROM communication c "
                "JOIN delivery d ON d.communication_id = c.id ORDER BY c.id, d.id"
            )
            return await found.fetchall()

    async def consignments(self) -> list[dict[str, Any]]:
        """What came in, in order."""
        return sorted(await self.store.newest(most=1000), key=lambda row: row["id"])

    async def events(self) -> list[dict[str, Any]]:
        """What people were told."""
        async with self.pool.connection() as connection:
            return await (await connection.execute("SELECT kind, payload FROM event ORDER BY id")).fetchall()

    def tree(self) -> list[str]:
        """Every file below the watched folder; a process may tidy folders away meanwhile, which `os.walk` overlooks."""
        return sorted(
            os.path.relpath(Path(at, name), self.root) for at, _, names in os.walk(self.root) for name in names
        )


def customer(number: int, keys: dict[str, str], files: dict[str, str]) -> str:
    """One customer as the engine would write it."""
    lines = [f'<customer number="{number}">\n']
    lines += [f"  <key name={quoteattr(name)}>{escape(value)}</key>\n" for name, value in keys.items() if value]
    lines += [
        f"  <queue name={quoteattr(queue)}><file name={quoteattr(path)}/></queue>\n" for queue, path in files.items()
    ]
    return "".join([*lines, "</customer>\n"])


def write(path: Path, content: bytes) -> Path:
    """A file with its folders; long ago, so that nobody thinks it is being written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    return path


Build = Callable[..., Stage]
