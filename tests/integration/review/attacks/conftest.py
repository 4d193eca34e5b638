"""What attacks share: the room of the desk's own tests."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "state"))  # its helper, whatever import mode the suite runs in
