"""What Exstream made for one customer: its facts and its files, before they are a record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutputFile:
    """One file of one customer."""

    path: str
    """Relative to the source's folder."""
    queue: str = ""
    name: str = ""
    """The attachment's name, where the data give one."""
    media_type: str | None = None


@dataclass(frozen=True, slots=True)
class CustomerOutputs:
    """One customer of a manifest, an index or a fetched job."""

    number: int
    """In the run, from 1."""
    line: int
    """Where it stands in what was handed in."""
    facts: Mapping[str, str]
    """Keys as Exstream's design names them."""
    files: tuple[OutputFile, ...]
