"""Which room answers which event: the one place where that is said."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from millstream.app.options import sighting_rules
from millstream.app.steps import step_listeners
from millstream.config import Settings
from millstream.delivery.sightings import Sightings
from millstream.work.events import Listener


def listeners(settings: Settings, *more: Mapping[str, Listener]) -> Mapping[str, Sequence[Listener]]:
    """Kind of event to those who answer it; `more` are those of rooms that were opened before, and come first.

    The delivery room's answer locks the audit chain's head; a review's row, which reviews lock, must be locked before.
    An event without a listener stays as a record for rooms to come.
    """
    found: dict[str, tuple[Listener, ...]] = defaultdict(tuple)
    for rooms in (*more, Sightings(sighting_rules(settings)).listeners(), step_listeners(settings)):
        for kind, answer in rooms.items():
            found[kind] = (*found[kind], answer)
    return dict(found)
