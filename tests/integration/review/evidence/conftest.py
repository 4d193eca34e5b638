"""A room with a review in it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in

from evidence_room import Room, make_room

from millstream.storage.objects import open_store
from millstream.storage.pool import Pool


@pytest.fixture
def room(pool: Pool, tmp_path: Path) -> Room:
    """A desk and a document store of this test's own."""
    return make_room(pool, open_store(str(tmp_path / "documents")))
