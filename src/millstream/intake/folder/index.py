"""A sidecar index instead of a manifest: CSV with a header, or JSON, with the same keys and a field `files`.

For installations whose outputs come by other ways than the engine's own, from a script or an archive.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from millstream.communication.entries import Reject
from millstream.intake.customer import CustomerOutputs, OutputFile
from millstream.intake.errors import Unreadable
from millstream.intake.folder.placing import Placing
from millstream.intake.handed import HandingOptions, Reader, handed
from millstream.intake.inside import Inside
from millstream.intake.ports import Arrival

_FILES: Final = "files"
_CHUNK: Final = 64 * 1024
_MOST_BYTES: Final = 4 * 1024 * 1024
"""Of one entry."""
_LONGEST_FIELD: Final = 1024 * 1024
_MARKS: Final = re.compile(rb"[\"\\{}]")
_SEPARATORS: Final = (";", ",", "\t", "|")


@dataclass(frozen=True, slots=True)
class IndexSource:
    """An index with its folder."""

    path: Path
    options: HandingOptions
    patient: bool = False
    placing: Placing | None = None
    encoding: str = "utf-8"
    consignment: int | None = None

    @property
    def name(self) -> str:
        """The index, for people."""
        return str(self.path)

    @property
    def folder(self) -> Path:
        """Where the paths of its files start."""
        return self.placing.root if self.placing else self.path.parent

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Its customers in order, each with its files; those of one are in memory at a time.

        Raises:
            Unreadable: it is neither CSV nor JSON.
            NotYet: a file is missing or half written and may still come.
        """
        placing = self.placing or Placing.of(self.path.parent)
        with Inside(placing.root) as inside:
            reader = Reader(inside, self.options, self.patient, placing.place)
            for customer in read_index(self.path, encoding=self.encoding):
                yield handed(customer, reader, consignment=self.consignment)


def read_index(path: Path, *, encoding: str = "utf-8") -> Iterator[CustomerOutputs]:
    """The customers of an index, in order. It blocks.

    Raises:
        Unreadable: it is neither CSV with a header nor JSON, with the line where that shows.
    """
    try:
        with path.open("rb") as file:
            start = file.peek(_CHUNK).removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
            if start in (b"[", b"{"):
                yield from _json(file, path)
            else:
                yield from _csv(file, path, encoding)
    except OSError as error:
        why = error.strerror or error
        raise Unreadable(f"cannot read {path}: {why}; check the path and its permissions") from error


def _csv(file: BinaryIO, path: Path, encoding: str) -> Iterator[CustomerOutputs]:
    csv.field_size_limit(_LONGEST_FIELD)
    name = "utf-8-sig" if encoding.lower().replace("-", "") == "utf8" else encoding
    number = 0
    reader: Any = None
    try:
        with TextIOWrapper(file, encoding=name, newline="") as text:
            header = text.readline(_CHUNK)
            separator = max(_SEPARATORS, key=header.count)
            names = next(csv.reader([header], delimiter=separator), [])
            if _FILES not in [each.strip().lower() for each in names]:
                raise Unreadable(f"{path.name}, line 1: the header names no column {_FILES!r}; add it", line=1)
            reader = csv.reader(text, delimiter=separator, strict=True)
            for row in reader:
                if not any(row):
                    continue
                number += 1
                if len(row) > len(names):
                    what = f"{len(row)} fields for {len(names)} columns; quote the field that holds the separator"
                    raise Unreadable(f"{path.name}, line {reader.line_num + 1}: {what}", line=reader.line_num + 1)
                values = dict(zip((each.strip() for each in names), row, strict=False))
                yield _customer(values, number, reader.line_num + 1)
    except UnicodeDecodeError as error:
        line = _undecodable(path, encoding)
        what = f"byte 0x{error.object[error.start]:02X} is no {encoding}; write it so, or set intake_folder.encoding"
        raise Unreadable(f"{path.name}, line {line}: {what}", line=line) from error
    except (csv.Error, LookupError) as error:
        line = (reader.line_num if reader else 0) + 1
        raise Unreadable(f"{path.name}, line {line}: {error}; mend it there", line=line) from error


def _undecodable(path: Path, encoding: str) -> int:
    """The first line that is not in the character set; text is decoded in pieces, so that a reader does not know."""
    line = 0
    with path.open("rb") as file:
        while raw := file.readline(_LONGEST_FIELD):
            line += 1
            try:
                raw.decode(encoding)
            except UnicodeDecodeError:
                break
    return line


def _json(file: BinaryIO, path: Path) -> Iterator[CustomerOutputs]:
    for number, (line, raw) in enumerate(_objects(file, path), 1):
        try:
            values = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            at = line + error.lineno - 1
            raise Unreadable(
                f"{path.name}, line {at}: {error.msg} at column {error.colno}; mend it there", line=at
            ) from None
        yield _customer(values, number, line)


def _objects(file: BinaryIO, path: Path) -> Iterator[tuple[int, bytes]]:
    """Each outermost object with the line where it begins, in a list or one a line; one at a time is in memory."""
    scanner = _Scanner()
    first = last = b""
    while piece := file.read(_CHUNK):
        first = first or piece.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        last = piece.rstrip()[-1:] or last
        yield from scanner.feed(piece)
        if scanner.waiting > _MOST_BYTES:
            what = f"an entry of more than {_MOST_BYTES:,} bytes begins here"
            raise Unreadable(f"{path.name}, line {scanner.began}: {what}", line=scanner.began)
    if scanner.depth or (first == b"[" and last != b"]"):
        what = f"it ends in the middle; its last entry begins in line {scanner.began}"
        raise Unreadable(f"{path.name}: {what}", line=scanner.began)


class _Scanner:
    """Finds where outermost objects begin and end, by braces outside of texts."""

    def __init__(self) -> None:
        self.began = 1
        """The line of the entry that was begun last."""
        self.depth = 0
        self._line = 1
        self._buffer = b""
        self._at = 0
        self._start = 0
        self._in_text = False

    @property
    def waiting(self) -> int:
        """Bytes of an entry that has not ended."""
        return len(self._buffer)

    def feed(self, piece: bytes) -> Iterator[tuple[int, bytes]]:
        """The entries that end in this piece."""
        buffer = self._buffer = self._buffer + piece
        while (mark := _MARKS.search(buffer, self._at)) is not None:
            self._line += buffer.count(b"\n", self._at, mark.start())
            self._at = mark.end()
            if self._in_text and mark[0] == b"\\":
                if self._at == len(buffer):  # what it protects comes with the next piece
                    self._at -= 1
                    break
                self._at += 1
            elif mark[0] == b'"':
                self._in_text = not self._in_text
            elif not self._in_text and self._brace(mark[0], mark.start()):
                yield self.began, buffer[self._start : self._at]
        else:
            self._line += buffer.count(b"\n", self._at)
            self._at = len(buffer)
        keep = self._start if self.depth else self._at
        self._buffer, self._at, self._start = buffer[keep:], self._at - keep, 0

    def _brace(self, mark: bytes, at: int) -> bool:
        """Whether an outermost object ends with it."""
        if mark == b"{":
            if self.depth == 0:
                self._start, self.began = at, self._line
            self.depth += 1
            return False
        if mark == b"}" and self.depth:
            self.depth -= 1
            return self.depth == 0
        return False


def _customer(values: Mapping[str, Any], number: int, line: int) -> CustomerOutputs:
    facts: dict[str, str] = {}
    files: tuple[OutputFile, ...] = ()
    for name, value in values.items():
        if name.lower() == _FILES:
            files = tuple(_files(value))
        elif isinstance(value, str | int | float):
            facts[name] = str(value)
    return CustomerOutputs(number, line, facts, files)


def _files(value: Any) -> Iterator[OutputFile]:
    """`a.html;b.pdf=Letter.pdf`, or a list of such, or of objects with path, queue, name and media_type."""
    for each in value.split(";") if isinstance(value, str) else value if isinstance(value, list) else []:
        if isinstance(each, Mapping):
            given = {name: str(each[name]) for name in ("path", "queue", "name") if each.get(name)}
            if "path" in given:
                yield OutputFile(**given, media_type=str(each["media_type"]) if each.get("media_type") else None)
        elif isinstance(each, str) and each.strip():
            path, _, name = each.strip().partition("=")
            yield OutputFile(path.strip(), name=name.strip())
