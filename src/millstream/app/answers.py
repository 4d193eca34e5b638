"""Which room answers which event: the one place where that is said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from millstream.app.options import sighting_rules
from millstream.config import Settings
from millstream.delivery.sightings import Sightings
from millstream.work.events import Listener


def listeners(settings: Settings) -> Mapping[str, Sequence[Listener]]:
    """Kind of event to those who answer it. An event without a listener stays as a record for rooms to come."""
    return {kind: (answer,) for kind, answer in Sightings(sighting_rules(settings)).listeners().items()}
