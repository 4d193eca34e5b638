"""What arrived in the recipients' mailboxes, counted by a header."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from millstream.sandbox.gmail.headers import find
from millstream.sandbox.gmail.world import World

DEFAULT_HEADER: Final = "X-Millstream-Delivery"


@dataclass(frozen=True, slots=True)
class Tally:
    """How often each value of a header arrived at each address."""

    header: str
    arrived: Mapping[str, Counter[str]]
    without: int
    dropped_twins: int = 0
    """Messages that their recipients did not keep: they had one with the same Message-ID."""

    def summary(self, *, with_values: bool) -> dict[str, Any]:
        """Totals, and what arrived more than once."""
        by_recipient: Counter[str] = Counter()
        for places in self.arrived.values():
            by_recipient.update(places)
        summary: dict[str, Any] = {
            "header": self.header,
            "delivered_total": by_recipient.total(),
            "distinct": len(self.arrived),
            "duplicates": self._duplicates(),
            "without_header": self.without,
            "dropped_twins": self.dropped_twins,
            "by_recipient": dict(by_recipient),
        }
        if with_values:
            summary["values"] = {value: dict(places) for value, places in self.arrived.items()}
        return summary

    def _duplicates(self) -> dict[str, int]:
        """Values that arrived more than once at one address, with how often too often."""
        extra = {value: sum(count - 1 for count in places.values()) for value, places in self.arrived.items()}
        return {value: count for value, count in extra.items() if count}

    def against(self, expected: Mapping[str, str]) -> dict[str, Any]:
        """The difference to what should have arrived: values with the address they were for."""
        missing, misdirected = {}, {}
        for value, address in expected.items():
            places = self.arrived.get(value, Counter())
            if address.lower() not in places:
                missing[value] = address
            wrong = [place for place in places if place != address.lower()]
            if wrong:
                misdirected[value] = wrong
        return {
            "header": self.header,
            "expected": len(expected),
            "arrived": sum(places.total() for places in self.arrived.values()),
            "missing": missing,
            "duplicates": self._duplicates(),
            "misdirected": misdirected,
            "unexpected": sorted(self.arrived.keys() - expected.keys()),
        }


def tally(world: World, header: str) -> Tally:
    """Count every received message that has the header; looks at header blocks only."""
    arrived: defaultdict[str, Counter[str]] = defaultdict(Counter)
    without = 0
    for account, message in world.received():
        value = find(message.head, header)
        if value is None:
            without += 1
        else:
            arrived[value][account.address] += 1
    return Tally(header, arrived, without, world.dropped_twins)
