"""A bench for rule packs."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helpers, whatever import mode the suite runs in

from rule_desk import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """Writes a pack and has it look at letters."""
    return Bench(tmp_path)
