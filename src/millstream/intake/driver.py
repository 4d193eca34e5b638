"""The first door: a driver, a file with one JSON record on each line, read as a stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import Any

import orjson

from millstream.communication.entries import Reject
from millstream.intake.errors import RecordProblem, UnreadableDriver
from millstream.intake.ports import Arrival, put_aside
from millstream.intake.record import read_record

MOST_BYTES_A_LINE = 64 * 1024 * 1024
"""A message of 35 MiB, Gmail's largest upload, is 48 MiB in base64; nothing longer can be sent."""

_BOM = b"\xef\xbb\xbf"
_CHUNK = 1024 * 1024
_LOOK = 4096
# A key in a line that is no JSON, so that the operator can find it.
_KEY = re.compile(rb'"key"\s*:\s*"((?:[^"\\\x00-\x1f]|\\.){1,200})"')

# What people hand in instead of lines of JSON, by its first bytes.
_OTHERS = {
    b"\x1f\x8b": "it is packed with gzip; unpack it first",
    b"PK\x03\x04": "it is a ZIP archive; unpack it first",
    b"%PDF-": "it is a PDF; a driver is a text file with one JSON object on each line",
    b"\xff\xfe": "it is UTF-16; save it as UTF-8",
    b"\xfe\xff": "it is UTF-16; save it as UTF-8",
}


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver file. Its folder is the one place where its documents' paths may lead."""

    path: Path
    most_bytes_a_line: int = MOST_BYTES_A_LINE
    consignment: int | None = None

    @property
    def name(self) -> str:
        """The file, for people."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """Where the paths of its documents start."""
        return self.path.resolve().parent

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Its records and broken lines in order; one line at a time is in memory.

        Raises:
            UnreadableDriver: the file cannot be opened or read, or is no text.
        """
        try:
            with _open(self.path) as file:
                _look(file, self.name)
                yield from _arrivals(file, self.most_bytes_a_line, self.consignment)
        except OSError as error:
            raise UnreadableDriver(
                f"cannot read the driver {self.path}: {error.strerror or error}. Check the path and its permissions."
            ) from error


@dataclass(frozen=True, slots=True)
class Posted:
    """Drivers that came as they are, each with its consignment's number; none has a folder, so nor have their paths.

    Args:
        drivers: number and what fetches the content, in order; one at a time is in memory.
    """

    drivers: Sequence[tuple[int, Callable[[], bytes]]]
    name: str = "what was handed in"
    folder: None = None
    most_bytes_a_line: int = MOST_BYTES_A_LINE

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Their records and broken lines in order.

        Raises:
            UnreadableDriver: one is no text.
        """
        for number, fetch in self.drivers:
            file = BufferedReader(BytesIO(fetch()), _CHUNK)
            _look(file, f"of consignment {number}")
            yield from _arrivals(file, self.most_bytes_a_line, number)


def _open(path: Path) -> BufferedReader:
    return BufferedReader(FileIO(path), _CHUNK)


def _look(file: BufferedReader[Any], name: str) -> None:
    start = file.peek(_LOOK)[:_LOOK]
    for magic, why in _OTHERS.items():
        if start.startswith(magic):
            raise UnreadableDriver(f"cannot read the driver {name}: {why}.")
    if start.startswith(_BOM):
        file.read(len(_BOM))
    first = start[: start.find(b"\n") + 1] or start
    if b"\x00" in first:
        raise UnreadableDriver(
            f"cannot read the driver {name}: it holds binary data. "
            "A driver is a text file in UTF-8 with one JSON object on each line."
        )


def _arrivals(file: BufferedReader[Any], most_bytes: int, consignment: int | None) -> Iterator[Arrival | Reject]:
    number = 0
    while raw := file.readline(most_bytes + 1):
        number += 1
        if len(raw) > most_bytes:
            yield replace(_skip(file, raw, number, most_bytes), consignment=consignment)
        elif not raw.isspace():
            yield _arrival(raw, number, consignment)


def _arrival(raw: bytes, number: int, consignment: int | None) -> Arrival | Reject:
    try:
        read = read_record(_parse(raw))
    except RecordProblem as problem:
        digest = hashlib.sha256(raw.strip()).hexdigest()
        return replace(put_aside(number, problem.key, str(problem), digest), consignment=consignment)
    return Arrival(number, read.record, read.digest, len(raw), consignment)


def _parse(raw: bytes) -> object:
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise RecordProblem(_why(raw, error), _guess_key(raw)) from None


def _why(raw: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        raw.decode()
    except UnicodeDecodeError as broken:
        byte = f"byte {broken.start + 1} is 0x{raw[broken.start]:02X}"
        return f"the line is not valid UTF-8: {byte}; write the driver in UTF-8"
    return f"the line is not valid JSON: {error.msg} at column {error.colno}; mend the line there"


def _guess_key(raw: bytes) -> str | None:
    found = _KEY.search(raw, 0, _LOOK)
    return found[1].decode(errors="replace") if found else None


def _skip(file: BufferedReader[Any], start: bytes, number: int, most_bytes: int) -> Reject:
    """Pass over a line that is too long without holding it in memory."""
    digest, size, piece = hashlib.sha256(start), len(start), start
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(_CHUNK)
        digest.update(piece)
        size += len(piece)
    problem = (
        f"the line has {size:,} bytes, and no message can carry what is in more than {most_bytes:,}; "
        "make its documents smaller"
    )
    return put_aside(number, _guess_key(start), problem, digest.hexdigest())


def lines_of(file: Path) -> int | None:
    """About how many communications a driver holds: its line ends; None where it cannot be read."""
    try:
        with file.open("rb") as driver:
            return sum(piece.count(b"\n") for piece in iter(lambda: driver.read(1 << 20), b""))
    except OSError:
        return None
