"""The one place that calls Typst.

Typst releases the GIL while it works, so callers compose in as many threads as there are cores. A Typst
compiler serves one thread at a time, so every thread keeps its own for every template; it holds the parsed
template, the fonts are shared.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import typst

from millstream.composer.errors import ComposeError, DataError
from millstream.composer.template import Template

PACKAGES = Path(__file__).parent / "packages"
_REJECTED = "panicked with: rejected, "  # what `reject` in @local/millstream says
_PLACE = re.compile(r"┌─ (?:.*/)?([^/\n]+\.typ:\d+):\d+")


class Typesetter:
    """Turns a template and checked data into PDF bytes; safe to call from several threads."""

    def __init__(self) -> None:
        self._mine = threading.local()

    def document(self, template: Template, inputs: Mapping[str, str], customer: str, on: date) -> bytes:
        """The PDF; the same template, inputs and date give the same bytes.

        Raises DataError when the template rejects a field, ComposeError for everything else Typst says.
        """
        try:
            pdf = self._compiler(template).compile(
                format="pdf",
                sys_inputs=dict(inputs),
                pdf_standards=cast("Any", list(template.settings["standards"])),
                timestamp=datetime(on.year, on.month, on.day, tzinfo=UTC),
            )
        except typst.TypstError as error:
            raise _translated(error, template.name, customer) from error
        return cast("bytes", pdf)

    def _compiler(self, template: Template) -> typst.Compiler:
        compilers: dict[tuple[str, str], typst.Compiler] = self._mine.__dict__.setdefault("compilers", {})
        key = (template.name, template.version)
        if key not in compilers:
            compilers[key] = typst.Compiler(
                template.folder / "document.typ",
                root=template.folder,
                font_paths=_fonts(template.fonts),
                package_path=PACKAGES,
                package_cache_path=PACKAGES,
            )
        return compilers[key]


@lru_cache
def _fonts(folder: Path) -> typst.Fonts:
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])


def _translated(error: typst.TypstError, template: str, customer: str) -> ComposeError | DataError:
    said = error.message
    if said.startswith(_REJECTED):
        field, _, problem = said.removeprefix(_REJECTED).partition(", ")
        return DataError(customer=customer, field=field, template=template, problem=problem)
    place = _PLACE.search(error.diagnostic)
    where = f" at {place.group(1)}" if place else ""
    return ComposeError(customer=customer, template=template, problem=f"Typst says{where}: {said}")
