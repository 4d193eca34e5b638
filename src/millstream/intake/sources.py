"""How each kind of consignment is read: every door ends in a source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol

from millstream.communication.entries import Reject
from millstream.intake.consignment import Consignment, Kind
from millstream.intake.driver import Driver, Posted
from millstream.intake.errors import Unreadable
from millstream.intake.ports import Arrival, Source

Fetch = Callable[[str], bytes]
"""A document of the store by its SHA-256, called in the thread that reads the source.

Raises:
    Unreadable: it is not there.
    DocumentsFailed: the store is away.
"""


class Opening(Protocol):
    """Makes the source of one kind. Of several consignments that come together each arrival carries its number."""

    def __call__(self, consignments: Sequence[Consignment], fetch: Fetch, /, *, patient: bool) -> Source:
        """`patient`: what is named and missing may still come, and is waited for by NotYet."""


def open_drivers(consignments: Sequence[Consignment], fetch: Fetch, /, *, patient: bool) -> Source:  # noqa: ARG001  a driver's documents are there with it
    """Drivers in the document store, or one in a file whose folder is its own."""
    if consignments[0].path is not None:
        (only,) = consignments
        return Driver(Path(consignments[0].path), consignment=only.id)
    return Posted([(each.id, partial(fetch, each.sha256 or "")) for each in consignments])


@dataclass(frozen=True, slots=True)
class Sources:
    """Which kinds this process can read; `app` puts in what it has options for."""

    openings: Mapping[Kind, Opening] = field(default_factory=dict)

    def opened(self, consignments: Sequence[Consignment], fetch: Fetch, *, patient: bool) -> Source:
        """The source of consignments of one kind.

        Raises:
            Unreadable: this process reads none of the kind.
        """
        kind = consignments[0].offer.kind
        opening = open_drivers if kind is Kind.DRIVER else self.openings.get(kind)
        if opening is None:
            raise Unreadable(f"nothing here reads a consignment of the kind {kind!r}")
        source = opening(consignments, fetch, patient=patient)
        return _Numbered(source, frozenset(each.id for each in consignments))


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Sees to it that what comes can be counted for the consignment that brought it."""

    source: Source
    numbers: frozenset[int]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def folder(self) -> Path | None:
        return self.source.folder

    def arrivals(self) -> Iterator[Arrival | Reject]:
        only = next(iter(self.numbers)) if len(self.numbers) == 1 else None
        for each in self.source.arrivals():
            if each.consignment in self.numbers:
                yield each
            elif only is not None:
                yield replace(each, consignment=only)
            else:
                raise ValueError(f"an arrival of {self.name} does not say which consignment brought it")
