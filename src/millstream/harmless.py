"""Words of others where ours stand: they steer no terminal, turn no line around, and begin no line of their own."""

from __future__ import annotations

import re
from typing import Final

# Controls of a terminal, halves of characters, and the marks that turn the reading direction (UAX #9): with those a
# line reads as something else than it says (CVE-2021-42574).
_STEERING: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def text(words: str) -> str:
    """Without what steers; line breaks and tabs stay."""
    return _STEERING.sub("", words)


def line(words: str) -> str:
    """The same on one line, blanks in a row being one."""
    return text(" ".join(words.split()))
