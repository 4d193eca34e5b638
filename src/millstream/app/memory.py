"""How often Python's collector walks through what is there."""

from __future__ import annotations

import gc

_GARBAGE = 20_000
"""Objects between two walks: records and deliveries have no cycles, so Python's 700 are walks in vain."""


def calm_collector() -> None:
    """What stands now stands until the end, and is not walked through again; what comes is looked at less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GARBAGE, 20, 20)
