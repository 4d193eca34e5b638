"""How a folder is watched; the settings become these values at the edge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from millstream.communication.model import Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderOptions:
    """The door for files. Times are in seconds."""

    path: Path
    manifest: str = "_STDDELIVERYFILE.xml"
    index: tuple[str, ...] = ("*.index.csv", "*.index.json")
    drivers: tuple[str, ...] = ("*.jsonl",)
    depth: int = 8
    settle: float = 2.0
    """What did not change for so long is whole."""
    missing: float = 60.0
    """So long a manifest without its end is waited for."""
    done: str = "done"
    error: str = "error"
    retry: str = "retry"
    leave: bool = False
    run: str = "{folder}"
    pool: str = "default"
    mode: Mode = Mode.DRAFT
    prune: float = 3_600.0
    """An empty folder of so great an age is removed: nobody writes into it any more."""

    @property
    def own(self) -> frozenset[Path]:
        """The folders of ours that are not looked into."""
        return frozenset((self.path / name).absolute() for name in (self.done, self.error))
