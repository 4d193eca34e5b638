"""What the shared path takes from a door, and what it needs of other rooms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from millstream.communication.entries import Added, Known, Reject
from millstream.communication.model import Communication, Need, Run
from millstream.intake.errors import Unfit
from millstream.intake.password import PasswordRule
from millstream.intake.record import Record

if TYPE_CHECKING:
    from millstream.intake.files import HandedIn
    from millstream.intake.path import Made

_LONGEST_PROBLEM = 1000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record as a door hands it in."""

    line: int
    """Its place in what was handed in, from 1."""
    record: Record
    digest: bytes
    """SHA-256 of the record with its fields sorted."""
    size: int
    """Bytes as handed in; what it weighs in memory."""
    consignment: int | None = None
    """What it came in with."""
    files: Mapping[str, bytes | Unfit] = field(default_factory=dict)
    """Of the files that the record names by path, those that the source has looked at itself, or why it has none."""

    def head(self, source_hash: str) -> Head:
        """What stands for it where its content is not needed."""
        record = self.record
        return Head(self.line, record.key, source_hash, self.consignment, record.customer.id, record.type)


class Head(NamedTuple):
    """What the ledger is asked about a record, and people are told of it. A tuple: those cross processes quickly."""

    line: int
    key: str
    source_hash: str
    """SHA-256 hex over all that was handed in."""
    consignment: int | None
    customer: str
    type: str


class Source(Protocol):
    """A door: something that hands in records. One that reads a file can be pickled, and read in another process."""

    @property
    def name(self) -> str:
        """For people: a file, a queue, a caller."""

    @property
    def folder(self) -> Path | None:
        """Where the paths of documents start and may not leave; without one, documents come inline only."""

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Records and broken ones in order. Called in a thread, so it may read files."""


class Ledger(Protocol):
    """The part of `communication.store.RunStore` that a submit needs."""

    async def known(self, run: Run, keys: Sequence[str]) -> dict[str, Known]:
        """What the run already has of these keys."""

    async def add(self, run: Run, communications: Sequence[Communication]) -> Added:
        """Add a batch, all or nothing; keys that the run already has stay as they are."""

    async def reject(self, run: Run, rejects: Sequence[Reject]) -> int:
        """Put lines aside."""


class Stored(Protocol):
    """A document at rest."""

    @property
    def sha256(self) -> str:
        """SHA-256 hex of its bytes, under which it lies."""


class DocumentStore(Protocol):
    """The part of `storage.objects` that a submit needs."""

    async def put(self, content: bytes, /) -> Stored:
        """Keep a document under its hash; keeping the same again changes nothing."""

    async def flush(self) -> None:
        """Return when all that was put survives a power failure."""


class Mail(Protocol):
    """A composed mail."""

    @property
    def subject(self) -> str:
        """One line."""

    @property
    def text(self) -> str:
        """The text alternative."""

    @property
    def html(self) -> str | None:
        """The HTML part."""


class Composing(Protocol):
    """The part of the composer that a submit needs. Its calls are CPU-bound and made in threads."""

    def version(self, template: str) -> str:
        """The template's version."""

    def render_mail(self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None) -> Mail:
        """Subject, text and HTML in the locale's language."""

    def compose_document(
        self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None
    ) -> bytes:
        """A PDF."""

    def document_name(self, template: str, data: Mapping[str, Any], locale: str, *, customer: str | None = None) -> str:
        """The file name to attach the document under, in the locale's language."""


class Asked(Protocol):
    """Who must let a communication leave."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Empty for most."""

    @property
    def copies(self) -> tuple[bytes, ...]:
        """What the needs' papers hold and the documents do not."""


class Gate(Protocol):
    """Who is asked before a communication leaves (`review.gate.Gate`). It never raises, and can be pickled."""

    def look(self, handed: HandedIn, made: Made, *, run: str, password: str | None) -> Asked:
        """Whom a communication needs; CPU-bound, in the thread that made it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What every communication of one submit is held to."""

    most_bytes: int
    """Of an encoded message."""
    password: PasswordRule | None = None
    composer: Composing | None = None
    unsubscribe: str | None = None
    run: str = ""
    """The run's key."""
    gate: Gate | None = None
    """None: nobody is asked, and nothing is looked at."""


def put_aside(line: int, key: str | None, problem: str, digest: str, *, head: Head | None = None) -> Reject:
    """A reject that any ledger can hold: one line of text without NUL, which Postgres does not store."""
    said = " ".join(problem.replace("\x00", "\\0").split())[:_LONGEST_PROBLEM]
    return Reject(
        line=line,
        key=key.replace("\x00", "\\0")[:200] if key else None,
        problem=said,
        digest=digest,
        consignment=head.consignment if head else None,
        customer=head.customer if head else None,
        type=head.type if head else None,
    )
