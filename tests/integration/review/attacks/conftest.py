"""What attacks share: the rooms of the desk's and of gathering's own tests."""

import sys
from pathlib import Path

# Their helpers, whatever import mode the suite runs in.
sys.path[:0] = [str(Path(__file__).parents[1] / folder) for folder in ("state", "rules")]
