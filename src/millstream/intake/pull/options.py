"""How finished jobs are found and fetched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Per(StrEnum):
    """What is fetched as one: a job at its end, or each of its flows at its own."""

    JOB = "job"
    FLOW = "flow"


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """How the door that fetches behaves."""

    channels: tuple[str, ...] = ()
    """Input channels whose jobs are ours, as patterns; none: all."""
    statuses: tuple[str, ...] = ("complete",)
    lookback_days: float = 2.0
    per: Per = Per.JOB
    concurrency: int = 8
    """Customers whose outputs are fetched at the same time."""
    most_tries: int = 8
    most_entries: int = 100
    """Files of one customer."""
    most_entry_bytes: int = 50 * 1024 * 1024
    pool: str = "default"
    mode: str = "draft"
