"""Makes the folder's helper known."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the folder's helper, whatever import mode the suite runs in
