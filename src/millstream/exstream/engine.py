"""An engine that is reached by files alone: its control file, and how its switches spell things.

Switches: OpenText's switch reference for Exstream (read 2026-11-24): one on a line, ``-NAME=value`` or ``-NAME``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path

from millstream.exstream.errors import BadRequest, Call
from millstream.exstream.placing import place

_CALL = Call("control-file")
_SWITCH = re.compile(r"[A-Z][A-Z0-9_]*", re.IGNORECASE)
_BROKEN = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")
_RANGE = 3
"""Numbers in a row from which a range is shorter to read."""


@dataclass(frozen=True, slots=True)
class ControlFile:
    """What an engine is told: the package, what its symbolic names stand for, and further switches in their order.

    A switch with the value None has none. Checked when it is made.

    Raises:
        BadRequest: a name is no switch, or a value holds a line end, NUL or another control character.
    """

    package: str
    filemap: tuple[tuple[str, str], ...] = ()
    switches: tuple[tuple[str, str | None], ...] = ()

    def __post_init__(self) -> None:
        if not self.package:
            raise BadRequest(_CALL, text="a control file needs a package")
        for symbol, file in self.filemap:
            if not symbol or "," in symbol or not file:
                raise BadRequest(_CALL, text=f"{symbol!r} cannot stand for a file in FILEMAP")
        for name, value in self._all():
            if not _SWITCH.fullmatch(name):
                raise BadRequest(_CALL, text=f"{name!r} is no switch")
            if value is not None and _BROKEN.search(value):
                raise BadRequest(_CALL, text=f"the value of {name} holds a line end or another control character")

    def content(self) -> bytes:
        """The file: UTF-8, one switch on a line."""
        return "".join(f"-{name}\n" if value is None else f"-{name}={value}\n" for name, value in self._all()).encode()

    def write(self, folder: Path, name: str) -> Path:
        """Put it into a folder, under its name at once. Blocks on the disk.

        Raises:
            NameTaken, NoSpace, NotWritable, BadRequest: as :func:`millstream.exstream.placing.place`.
        """
        return place(folder, name, self.content(), call=_CALL)

    def _all(self) -> list[tuple[str, str | None]]:
        maps: list[tuple[str, str | None]] = [("FILEMAP", f"{symbol},{file}") for symbol, file in self.filemap]
        return [("PACKAGEFILE", self.package), *maps, *self.switches]


def customer_list(numbers: Iterable[int]) -> str:
    """Numbers of customers in a run as the switch CUSTOMERLIST wants them: ``2,7,14-50``.

    Raises:
        BadRequest: there are none, or one is below 1.
    """
    ordered = sorted(set(numbers))
    if not ordered or ordered[0] < 1:
        raise BadRequest(_CALL, text="customers are counted from 1, and at least one is needed")
    ranges = [[ordered[0]]]
    for before, number in pairwise(ordered):
        if number == before + 1:
            ranges[-1].append(number)
        else:
            ranges.append([number])
    return ",".join(
        f"{row[0]}-{row[-1]}" if len(row) >= _RANGE else ",".join(str(number) for number in row) for row in ranges
    )


def run_date(day: date) -> str:
    """A day as the switch RUNDATE wants it: ``mm/dd/yyyy``."""
    return f"{day.month:02}/{day.day:02}/{day.year:04}"
