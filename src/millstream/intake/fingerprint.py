"""Whether a file still is the one that was received: whoever puts it there may replace it at any moment."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

_PIECE: Final = 1024 * 1024
_OPENING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Neither through a link, nor waiting for the writer of a pipe."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a file holds, and how it looked before that was read."""

    sha256: str
    sight: tuple[int, int, int]
    """Size, time of change in nanoseconds, inode."""


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file that lies there itself. It blocks.

    Raises:
        OSError: it is not there, cannot be read, or is a link, a folder, a pipe or a device.
    """
    with os.fdopen(os.open(path, _OPENING), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no file")
        yield file


def fingerprint(path: Path) -> Fingerprint:
    """Read a file through. Raises OSError as `opened`."""
    digest = hashlib.sha256()
    with opened(path) as file:
        seen = sight(os.fstat(file.fileno()))
        while piece := file.read(_PIECE):
            digest.update(piece)
    return Fingerprint(digest.hexdigest(), seen)


def sight(found: os.stat_result) -> tuple[int, int, int]:
    """What differs once anybody has written to a file or put another one there."""
    return found.st_size, found.st_mtime_ns, found.st_ino
