"""Processes that do work which can be done again."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def raise_killable() -> None:
    """Where memory runs out, this process goes before the one that started it: what it had in hand is made again."""
    with suppress(OSError):  # another system than Linux, or not ours to change
        Path("/proc/self/oom_score_adj").write_text("500", "ascii")
