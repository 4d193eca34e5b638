"""Where what is too large for memory lies until it is a run: a folder for each consignment."""

from __future__ import annotations

import errno
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from millstream.intake.errors import SpoolFull, SpoolRefused
from millstream.storage.folder import sync_file_system

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_THERE = {errno.EEXIST, errno.ENOTEMPTY}
"""What renaming a folder says when another one has the name: rename(2)."""
_INCOMING = "incoming"
_LEFT_BEHIND_SECONDS = 86_400


@contextmanager
def spooling(what: str) -> Iterator[None]:
    """Translate what the disk says in the block.

    Raises:
        SpoolFull: there is no room.
        SpoolRefused: it cannot be written for another reason.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise SpoolFull(
                f"there is no room for {what} ({error.strerror}); make space on that disk, and it goes on"
            ) from error
        raise SpoolRefused(f"cannot keep {what}: {error.strerror or error} ({error.filename}); mend that") from error


class Spool:
    """Folders that come into being aside, and are complete once they have their name. Its calls block."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def new(self) -> Path:
        """An empty folder to write into.

        Raises:
            SpoolFull, SpoolRefused: it cannot be made.
        """
        folder = self.root / _INCOMING / uuid.uuid4().hex
        with spooling(f"what is coming in, in {self.root}"):
            folder.mkdir(parents=True, mode=0o750)
        return folder

    def keep(self, folder: Path, name: str) -> Path:
        """Give a folder from `new` its last place, and return when it survives a power failure.

        The same name again answers with what is there, and drops the folder.

        Raises:
            SpoolFull, SpoolRefused: it cannot be kept; the folder is dropped.
        """
        target = self.root / name[:2] / name
        try:
            with spooling(f"{folder.name} in {self.root}"):
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
                # The contents first: a name that is there is complete.
                sync_file_system(str(folder))
                try:
                    os.rename(folder, target)  # noqa: PTH104  Path.rename would say less about the error
                except OSError as error:
                    if error.errno not in _THERE:
                        raise
                sync_file_system(str(target))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return target

    def drop(self, folder: Path) -> None:
        """Forget a folder that was kept, or one that never will be. What is not there, or is not ours, stays so."""
        if folder.resolve().is_relative_to(self.root.resolve()) and folder.resolve() != self.root.resolve():
            shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Remove what killed processes left half written a day ago."""
        for folder in (self.root / _INCOMING).glob("*"):
            with suppress(OSError):
                if folder.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)
