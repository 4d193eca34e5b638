"""The folder's helper can be imported."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # whatever import mode the suite runs in
