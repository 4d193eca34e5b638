"""Which room answers which event: the one place where that is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from millstream.app.options import sighting_rules
from millstream.app.steps import step_listeners
from millstream.config import Settings
from millstream.delivery.sightings import Sightings
from millstream.storage.pool import Pool
from millstream.work.events import Listener


def listeners(settings: Settings, pool: Pool) -> Mapping[str, Sequence[Listener]]:
    """Kind of event to those who answer it. An event without a listener stays as a record for rooms to come."""
    found: dict[str, list[Listener]] = defaultdict(list)
    for kind, answer in Sightings(sighting_rules(settings)).listeners().items():
        found[kind].append(answer)
    for kind, answers in step_listeners(settings, pool).items():
        found[kind].extend(answers)
    return found
