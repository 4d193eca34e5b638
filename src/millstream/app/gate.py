"""The gate of intake, with the house's policies and rules; and rules tried on a driver before they hold anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from millstream.app.house import House
from millstream.app.options import composer
from millstream.app.review import policy_book
from millstream.communication.entries import Reject
from millstream.communication.model import Finding
from millstream.composer.apart import PdfReader
from millstream.config import Settings
from millstream.intake.batch import BatchSize, batches
from millstream.intake.driver import Driver
from millstream.intake.password import PasswordRule
from millstream.intake.path import make
from millstream.intake.ports import Arrival, Terms
from millstream.review.gate import Gate
from millstream.review.gathering import templates_since
from millstream.review.policy import EMPTY, PolicyBook
from millstream.review.rules.pack import Packs, load_packs


async def gate(house: House, book: PolicyBook) -> Gate | None:
    """The gate, or None where nothing is to be looked at: then intake pays nothing.

    Raises:
        BadRulePack: a file of rules cannot be used.
    """
    packs = load_packs(house.settings.review.rules, book.policies)
    asks = any(each.concerns in {"communication", "run"} for each in book.policies.values())
    if not packs.files and not asks:
        return None
    by_age = any(
        condition.template_younger_days is not None
        for each in book.policies.values()
        if each.sampling is not None
        for condition in each.sampling.when
    )
    since = await templates_since(house.pool) if by_age else {}
    return Gate(book, packs, PdfReader().texts, since)


async def house_gate(house: House) -> Gate | None:
    """The gate as the settings have it; None where they name neither policies nor rules, or none that look at intake.

    Raises:
        BadPolicy: files of policies or rules cannot be used.
        ConfigError: the pool that asks has no mailbox.
    """
    review = house.settings.review
    if not review.policies and not review.rules:
        return None
    return await gate(house, policy_book(house.settings))


@dataclass(frozen=True, slots=True)
class Tried:
    """What rules say to one line of a driver."""

    line: int
    key: str
    problem: str = ""
    """Why it could not be looked at."""
    findings: tuple[Finding, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether it would wait for people."""
        return any(each.severity == "error" for each in self.findings)


def try_rules(
    settings: Settings, packs: Packs, driver: Path, *, line: int | None = None, password: str | None = None
) -> Iterator[Tried]:
    """Make what a driver holds, and have rules look at it; nothing is kept.

    Raises:
        IntakeError: the driver cannot be read, or not composed.
        BadPasswordRule: `password` is none.
    """
    reader = PdfReader()
    terms = Terms(
        most_bytes=settings.limits.limits().max_message_bytes,
        password=PasswordRule.parse(password) if password else None,
        composer=composer(settings),
        run=driver.stem,
        gate=Gate(EMPTY, packs, reader.texts, today=lambda: datetime.now(UTC).date()),
    )
    try:
        for batch in batches(_Lines(Driver(driver), line), terms, BatchSize()):
            yield from (Tried(each.line, each.key or "", each.problem) for each in batch.rejects)
            for handed in batch.handed:
                communication = make(handed, terms).communication
                number = handed.arrival.line
                if communication.hold is not None:
                    yield Tried(number, communication.key, communication.hold.detail)
                else:
                    found: Sequence[Finding] = [each for need in communication.needs for each in need.findings]
                    yield Tried(number, communication.key, findings=tuple(found))
    finally:
        reader.close()


@dataclass(frozen=True, slots=True)
class _Lines:
    """A driver, or one line of it."""

    driver: Driver
    line: int | None

    @property
    def name(self) -> str:
        """The file."""
        return self.driver.name

    @property
    def folder(self) -> Path | None:
        """Where its documents lie."""
        return self.driver.folder

    def arrivals(self) -> Iterator[Arrival | Reject]:
        """Its records, or the one that was asked for."""
        for each in self.driver.arrivals():
            if self.line is None or each.line == self.line:
                yield each
            if self.line is not None and each.line >= self.line:
                return
