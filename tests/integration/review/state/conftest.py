"""A desk with a clock of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from state_room import Room, make_room

from millstream.storage.pool import Pool


@pytest.fixture
def room_of(pool: Pool) -> Callable[..., Room]:
    """Make a room with a policy of these tables beside the usual ones."""
    return partial(make_room, pool)


@pytest.fixture
def room(pool: Pool) -> Room:
    """A room with the usual policy: two of three within eight hours."""
    return make_room(pool)
