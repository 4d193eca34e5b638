"""A gathering with a desk that writes down, and held communications to gather."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helpers, whatever import mode the suite runs in

from gathered import Room

from millstream.storage.pool import Pool


@pytest.fixture
async def room(pool: Pool) -> Room:
    """Held communications without a worker."""
    return Room(pool)
