"""Which road a message takes, by rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from millstream.communication.model import Road

ANY = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadRule:
    """Says the road of whatever fits all of it; patterns are those of a shell, in the stream's and type's own case."""

    road: Road
    stream: str = ANY
    type: str = ANY
    run_at_least: int = 0
    """Communications of the run."""
    bytes_at_least: int = 0
    """Of the message as it travels."""
    bytes_at_most: int | None = None
    sensitivity: str = ANY

    def fits(self, facts: RoadFacts) -> bool:
        """Whether it says the road of such a message. A run whose size nobody knows fits no least size."""
        return (
            fnmatchcase(facts.stream, self.stream)
            and fnmatchcase(facts.type, self.type)
            and (not self.run_at_least or (facts.run_size is not None and facts.run_size >= self.run_at_least))
            and facts.wire_bytes >= self.bytes_at_least
            and (self.bytes_at_most is None or facts.wire_bytes <= self.bytes_at_most)
            and self.sensitivity in (ANY, facts.sensitivity)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RoadFacts:
    """What rules go by."""

    stream: str
    type: str
    run_size: int | None
    wire_bytes: int
    sensitivity: str


DEFAULT_RULES = (
    RoadRule(road=Road.API, sensitivity="confidential"),
    RoadRule(road=Road.RELAY, bytes_at_least=500_000),
    RoadRule(road=Road.RELAY, run_at_least=20_000),
)
"""What holds without rules. A mailbox may upload 500 MB a day by the API: large messages would use that up first."""


def choose(rules: Sequence[RoadRule], facts: RoadFacts) -> Road | None:
    """The road by the first rule that fits; None where none does: either may carry it."""
    return next((rule.road for rule in rules if rule.fits(facts)), None)
