"""What lies in the watched folder: the files that stand for a consignment, and whether each is whole."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from millstream.intake.consignment import Kind
from millstream.intake.folder.options import FolderOptions

_TAIL: Final = 4096
_HEAD: Final = 16 * 1024
_ROOT: Final = re.compile(rb"<([A-Za-z_][\w.:-]*)")
_NO_ROOT: Final = re.compile(rb"<\?.*?\?>|<!--.*?-->", re.DOTALL)
_ENDINGS: Final = {b"[": b"]", b"{": b"}"}
_UNFINISHED: Final = (".tmp", ".part", ".partial", ".filepart", ".swp", "~")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A file that may be a consignment, as it was seen."""

    path: Path
    kind: Kind
    size: int
    changed: int
    """Its time of change in nanoseconds."""
    inode: int

    @property
    def sight(self) -> tuple[int, int, int]:
        """Differs once anybody has written to it."""
        return self.size, self.changed, self.inode


def candidates(options: FolderOptions) -> Iterator[Candidate]:
    """Every manifest, index and driver below the folder, but not in done and error. It blocks.

    Links to folders are not followed. What cannot be read is passed over: the engine may be moving it.

    Raises:
        OSError: the watched folder itself cannot be listed.
    """
    own = options.own
    waiting: list[tuple[Path, int]] = [(options.path.absolute(), 0)]
    with os.scandir(options.path):
        pass
    while waiting:
        folder, depth = waiting.pop()
        entries = _entries(folder)
        if not entries and depth:
            _prune(folder, options)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth < options.depth and not entry.name.startswith(".") and Path(entry.path) not in own:
                    waiting.append((Path(entry.path), depth + 1))
            elif (kind := _kind(entry.name, options)) is not None and entry.is_file(follow_symlinks=False):
                with suppress(OSError):
                    found = entry.stat(follow_symlinks=False)
                    yield Candidate(Path(entry.path), kind, found.st_size, found.st_mtime_ns, found.st_ino)


def is_closed(candidate: Candidate) -> bool:
    """Whether a file ends like a whole one: XML with the end of its root, JSON with a closing brace."""
    with candidate.path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(0, candidate.size - _TAIL))
        tail = file.read(_TAIL).rstrip(b" \t\r\n\x00")
    if candidate.kind is not Kind.MANIFEST:
        ending = _ENDINGS.get(head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1])
        return bool(tail) and (ending is None or tail.endswith(ending))
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        head, tail = head.replace(b"\x00", b""), tail.replace(b"\x00", b"")
    root = _ROOT.search(_NO_ROOT.sub(b"", head))
    if root is None:
        return False
    end = re.compile(rb"</" + re.escape(root[1]) + rb"\s*>(\s|<!--.*?-->)*$", re.DOTALL)
    return end.search(tail) is not None or (candidate.size <= _HEAD and tail.endswith(b"/>"))


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError:
        return []


def _kind(name: str, options: FolderOptions) -> Kind | None:
    if name.startswith(".") or name.lower().endswith(_UNFINISHED):
        return None
    if name == options.manifest:
        return Kind.MANIFEST
    if any(fnmatchcase(name, pattern) for pattern in options.index):
        return Kind.INDEX
    if any(fnmatchcase(name, pattern) for pattern in options.drivers):
        return Kind.DRIVER
    return None


def _prune(folder: Path, options: FolderOptions) -> None:
    with suppress(OSError):
        if folder != (options.path / options.retry).absolute() and folder.stat().st_mtime < time.time() - options.prune:
            folder.rmdir()
