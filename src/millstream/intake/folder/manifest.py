"""The engine's manifest, `_STDDELIVERYFILE.xml`: which customer has which files, and what else is said of each.

Of its shape `outputList`, `customer`, `key[@name]` and `reportFile` are on record; how queues and files nest is not
(reference, 2.3). So names are read without their namespace, in any case and nesting: inside a customer, whatever names
a file is a file, and whatever else has a value is a fact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from millstream.communication.entries import Reject
from millstream.intake.customer import CustomerOutputs, OutputFile
from millstream.intake.errors import Unreadable
from millstream.intake.folder.placing import Placing
from millstream.intake.handed import HandingOptions, Reader, handed
from millstream.intake.inside import Inside
from millstream.intake.ports import Arrival
from millstream.intake.xml_stream import BadXml, XmlStream

_CUSTOMER: Final = "customer"
_REPORT: Final = "reportfile"
_PATHS: Final = ("datafile", "path", "file", "filename", "href", "src", "location")
_QUEUES: Final = ("queue", "queuename", "outputqueue")
_MEDIA: Final = ("mimetype", "mediatype", "contenttype")
_NAMES: Final = ("displayname", "attachmentname")
_FILE_ELEMENTS: Final = frozenset({"file", "outputfile", "document", "attachment"})
_NUMBERS: Final = ("number", "customernumber", "sequence")
_MOST_FACTS: Final = 1_000
_MOST_FILES: Final = 1_000
_MOST_CHARACTERS: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """A report that the engine wrote beside its outputs."""

    name: str
    """As the design names it, for example Error_Report."""
    path: str
    line: int


@dataclass(frozen=True, slots=True)
class ManifestSource:
    """A manifest with its folder. Files may lie there alone, or where `placing` finds them below the watched folder."""

    path: Path
    options: HandingOptions
    patient: bool = False
    placing: Placing | None = None
    consignment: int | None = None

    @property
    def name(self) -> str:
        """The manifest, for people."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """Where the paths of its files start."""
        return self._placing.root

    @property
    def _placing(self) -> Placing:
        return self.placing or Placing.of(self.path.parent)

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Its customers in order, each with its files; those of one are in memory at a time.

        Raises:
            Unreadable: it is no XML, or is larger in its parts than anything we read.
            NotYet: a file is missing or half written and may still come.
        """
        placing = self._placing
        with Inside(placing.root) as inside:
            reader = Reader(inside, self.options, self.patient, placing.place)
            for customer in read_manifest(self.path):
                yield handed(customer, reader, consignment=self.consignment)


def read_manifest(path: Path) -> Iterator[CustomerOutputs]:
    """The customers of a manifest, in order, with their files as it names them. It blocks.

    Raises:
        Unreadable: as `ManifestSource.arrivals`.
    """
    for found in _read(path):
        if isinstance(found, CustomerOutputs):
            yield found


def read_reports(path: Path) -> list[Report]:
    """The reports that a manifest names. It blocks.

    Raises:
        Unreadable: as `ManifestSource.arrivals`.
    """
    return [found for found in _read(path) if isinstance(found, Report)]


def _read(path: Path) -> Iterator[CustomerOutputs | Report]:
    handler = _Handler()
    try:
        with path.open("rb", buffering=0) as file:
            stream = XmlStream(file, handler)
            while stream.step():
                while handler.found:
                    yield handler.found.popleft()
    except BadXml as error:
        raise Unreadable(f"{path.name}, line {error.line}: {error}; make it again", line=error.line) from error
    except OSError as error:
        raise Unreadable(
            f"cannot read {path}: {error.strerror or error}; check the path and its permissions"
        ) from error
    yield from handler.found


class _Handler:
    """What the parser calls; gathers one customer at a time."""

    def __init__(self) -> None:
        self.found: deque[CustomerOutputs | Report] = deque()
        self._number = 0
        self._customer: _Customer | None = None
        self._depth = 0

    def start(self, name: str, attributes: dict[str, str], line: int) -> None:
        """An element begins."""
        spelled, name = name, name.lower()
        if self._customer is not None:
            self._depth += 1
            self._customer.start(name, spelled, attributes, line)
        elif name == _CUSTOMER:
            self._number += 1
            self._depth = 0
            self._customer = _Customer(self._number, attributes, line)
        elif name == _REPORT:
            given = _lowered(attributes)
            self.found.append(Report(given.get("datafile", ""), given.get("name", ""), line))

    def end(self, name: str, text: str, line: int) -> None:  # noqa: ARG002  the handler's shape
        """An element ends."""
        if self._customer is None:
            return
        if self._depth == 0:
            self.found.append(self._customer.outputs())
            self._customer = None
            return
        self._depth -= 1
        self._customer.end(text)


@dataclass(slots=True)
class _Open:
    """An element inside a customer."""

    name: str
    spelled: str
    given: dict[str, str]
    queue: str
    is_file: bool
    inner: bool = False


class _Customer:
    """One customer while it is read."""

    def __init__(self, number: int, attributes: dict[str, str], line: int) -> None:
        given = _lowered(attributes)
        told = next((given[name] for name in _NUMBERS if given.get(name, "").isdigit()), "")
        self._number = int(told[:9]) if told else number
        self._line = line
        self._facts: dict[str, str] = {
            name: value for name, value in attributes.items() if name.lower() not in _NUMBERS
        }
        self._files: list[OutputFile] = []
        self._open: list[_Open] = []
        self._characters = 0

    def start(self, name: str, spelled: str, attributes: dict[str, str], line: int) -> None:
        if name == "key" and len(attributes) == 1 and "name" in attributes:  # nearly all there is
            if self._open:
                self._open[-1].inner = True
            self._open.append(_Open(name, spelled, attributes, "", is_file=False))
            return
        given = _lowered(attributes)
        above = self._open[-1] if self._open else None
        if above is not None:
            above.inner = True
        queue = _first(given, _QUEUES) or (given.get("name", "") if "queue" in name else "")
        queue = queue or (above.queue if above else "")
        path = _first(given, _PATHS)
        in_queue = any("queue" in each.name for each in self._open)
        names_one = name in _FILE_ELEMENTS or (in_queue and name != "key" and "queue" not in name)
        if not path and names_one and "value" not in given:
            path = given.get("name", "")
        self._open.append(_Open(name, spelled, given, queue, is_file=bool(path)))
        if path:
            name_of_it = _first(given, _NAMES)
            self._add_file(OutputFile(path, queue, name_of_it, _first(given, _MEDIA) or None), line)
        elif name not in _FILE_ELEMENTS and "queue" not in name:
            self._note_attributes(spelled, attributes, line)

    def end(self, text: str) -> None:
        element = self._open.pop()
        if element.is_file or element.inner:
            return
        if element.name in _FILE_ELEMENTS and text and "name" not in element.given:
            self._files.append(OutputFile(text, element.queue))
            return
        named = element.given.get("name", "")
        value = text or element.given.get("value", "")
        if "queue" in element.name:
            return
        if value or element.name == "key":
            self._note(named or element.spelled, value)
        elif named:
            self._note(f"{element.spelled}.name", named)

    def outputs(self) -> CustomerOutputs:
        return CustomerOutputs(self._number, self._line, self._facts, tuple(self._files))

    def _note_attributes(self, element: str, attributes: dict[str, str], line: int) -> None:
        """`recipient address="…"` is the fact `recipient.address`; a key's name and value are told at its end."""
        for name, value in attributes.items():
            if name.lower() not in ("name", "value"):
                self._note(f"{element}.{name}", value)
        if len(self._facts) > _MOST_FACTS or self._characters > _MOST_CHARACTERS:
            raise BadXml("a customer has more facts than anything we read; is an element not closed?", line)

    def _add_file(self, file: OutputFile, line: int) -> None:
        self._files.append(file)
        self._characters += len(file.path)
        if len(self._files) > _MOST_FILES or self._characters > _MOST_CHARACTERS:
            raise BadXml(f"a customer has more than {_MOST_FILES:,} files; is an element not closed?", line)

    def _note(self, name: str, value: str) -> None:
        self._characters += len(name) + len(value)
        self._facts.setdefault(name, value)


def _lowered(attributes: dict[str, str]) -> dict[str, str]:
    return {name.rpartition(":")[2].lower(): value for name, value in attributes.items()} if attributes else {}


def _first(given: dict[str, str], names: tuple[str, ...]) -> str:
    if len(given) < len(names):  # seldom has an element more than two attributes
        best = min((names.index(name) for name, value in given.items() if value and name in names), default=None)
        return "" if best is None else given[names[best]]
    return next((given[name] for name in names if given.get(name)), "")
