"""Writes a manifest of our own for what was fetched or composed: the file that an engine writes, in one plain form.

`outputList/customer[@number]/key[@name]` with the facts, and `customer/queue[@name]/file[@name]` with a path beside the
manifest. Whatever reads an engine's manifests reads this one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, Final, Self
from xml.sax.saxutils import escape, quoteattr

from millstream.intake.customer import OutputFile

MANIFEST: Final = "_STDDELIVERYFILE.xml"
# What XML 1.0 has no way to write (section 2.2).
_UNWRITABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


class ManifestWriter:
    """Writes customers one by one. Blocking; use it as a context manager, so that the list is closed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._out: BinaryIO | None = None
        self.customers = 0

    def __enter__(self) -> Self:
        self._out = self._path.open("wb")
        self._out.write(b'<?xml version="1.0" encoding="UTF-8"?>\n<outputList>\n')
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._out is not None:
            if kind is None:
                self._out.write(b"</outputList>\n")
            self._out.close()

    def write(self, number: int, facts: Mapping[str, str], files: Iterable[OutputFile]) -> None:
        """One customer: its facts and its files."""
        assert self._out is not None  # noqa: S101  it is open inside the block
        lines = [f"<customer number={_quoted(str(number))}>"]
        lines += [f"<key name={_quoted(name)}>{_text(value)}</key>" for name, value in facts.items()]
        by_queue: dict[str, list[OutputFile]] = {}
        for file in files:
            by_queue.setdefault(file.queue, []).append(file)
        for queue, its in by_queue.items():
            inner = "".join(f"<file name={_quoted(file.path)}/>" for file in its)
            lines.append(f"<queue name={_quoted(queue)}>{inner}</queue>")
        self._out.write(("\n".join(lines) + "\n</customer>\n").encode())
        self.customers += 1


def _text(value: str) -> str:
    return escape(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value))


def _quoted(value: str) -> str:
    return quoteattr(_UNWRITABLE.sub("\N{REPLACEMENT CHARACTER}", value), {"\n": "&#10;", "\t": "&#9;", "\r": "&#13;"})
