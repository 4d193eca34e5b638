"""How what came in is taken; the settings become these values at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Point(StrEnum):
    """Where a recovery drill may kill the process."""

    AFTER_RECEIPT = "after_receipt"
    """What was handed over is durable; nobody was told, and no run has it."""
    AFTER_SUBMIT_BEFORE_TAKEN = "after_submit_before_taken"
    """Its communications are in the run; it does not say so yet."""
    AFTER_TAKEN_BEFORE_TIDY = "after_taken_before_tidy"
    """It says so; its files were not moved yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakingOptions:
    """How consignments become communications. Times are in seconds."""

    lease: float = 30.0
    """Without a sign of life for so long, another worker takes over."""
    most_tries: int = 8
    missing: float = 60.0
    """How long a file may come later than what names it."""
    parallel: int = 2
    """Submits at the same time in one process: one that takes minutes must not keep a single letter waiting."""
    together: int = 500
    """Consignments of one run in one submit."""
    together_bytes: int = 16 * 1024 * 1024
    alone_from: int = 1024 * 1024
    """Bytes from which a consignment is a submit of its own."""
    driver_apart_from: int = 32 * 1024 * 1024
    """Bytes from which a driver is made in a process of its own, which takes a quarter of a second to start. Whatever
    names files is so from `alone_from` on: it weighs many times its own size."""
    first_gap: float = 1.0
    longest_gap: float = 300.0
