"""What lies in the watched folder: the files that stand for a consignment, and whether each is whole."""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase, translate
from pathlib import Path
from typing import Final

from millstream.intake.consignment import Kind
from millstream.intake.fingerprint import opened
from millstream.intake.folder.options import FolderOptions

_TAIL: Final = 4096
_HEAD: Final = 16 * 1024
_CLOCK_STEP: Final = 3_000_000_000
"""Nanoseconds: a folder listed so soon after its last change may change again under the same time."""
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


@dataclass(frozen=True, slots=True)
class _Listing:
    """What lay in a folder when it was listed."""

    changed: int
    at: int
    folders: tuple[str, ...]
    files: tuple[tuple[str, Kind], ...]
    empty: bool


class Tree:
    """A watched folder, looked through again and again. Its calls block.

    The time of a folder's change tells whether names were added or removed, so that a job's hundred thousand files are
    listed once and not every second; only files that may be a consignment are looked at each time.
    """

    def __init__(self, options: FolderOptions) -> None:
        self._options = options
        self._listings: dict[str, _Listing] = {}
        patterns = (re.escape(options.manifest), *map(translate, options.index), *map(translate, options.drivers))
        self._any = re.compile("|".join(f"(?:{pattern})$" for pattern in patterns))

    def candidates(self) -> Iterator[Candidate]:
        """Every manifest, index and driver below the folder, but not in done and error.

        Links are not followed. What cannot be read is passed over: the engine may be moving it.

        Raises:
            OSError: the watched folder itself cannot be listed.
        """
        root = str(self._options.path.absolute())
        with os.scandir(root):
            pass
        own = {str(each) for each in self._options.own}
        before, self._listings = self._listings, {}
        waiting = [(root, 0)]
        while waiting:
            folder, depth = waiting.pop()
            listing = self._listed(folder, before.get(folder))
            if listing is None:
                continue
            if listing.empty and depth:
                _prune(Path(folder), self._options)
            if depth < self._options.depth:
                below = (f"{folder}/{name}" for name in listing.folders)
                waiting.extend((path, depth + 1) for path in below if path not in own)
            for name, kind in listing.files:
                path = Path(folder, name)
                with suppress(OSError):
                    found = path.lstat()
                    if stat.S_ISREG(found.st_mode):
                        yield Candidate(path, kind, found.st_size, found.st_mtime_ns, found.st_ino)

    def _listed(self, folder: str, before: _Listing | None) -> _Listing | None:
        try:
            changed = os.stat(folder).st_mtime_ns  # noqa: PTH116  for every folder in every look
            if before is not None and before.changed == changed and before.at - changed > _CLOCK_STEP:
                self._listings[folder] = before
                return before
            at = time.time_ns()
            with os.scandir(folder) as entries:
                listing = self._sorted(entries, changed, at)
        except OSError:
            return None
        self._listings[folder] = listing
        return listing

    def _sorted(self, entries: Iterable[os.DirEntry[str]], changed: int, at: int) -> _Listing:
        """What counts of a folder; of a hundred thousand outputs nothing is kept."""
        folders, files, empty = [], [], True
        for entry in entries:
            empty = False
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith("."):
                    folders.append(entry.name)
            elif self._any.match(entry.name) and (kind := _kind(entry.name, self._options)) is not None:
                files.append((entry.name, kind))
        return _Listing(changed, at, tuple(sorted(folders)), tuple(sorted(files)), empty)


def is_closed(candidate: Candidate) -> bool:
    """Whether a file ends like a whole one: XML with the end of its root, JSON with a closing brace."""
    with opened(candidate.path) as file:
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


def is_begun(folder: Path, options: FolderOptions) -> bool:
    """Whether something is being written below a folder that is a consignment once it has its name."""
    for _, _, names in os.walk(folder):
        for name in names:
            final = name.removeprefix(".")
            ending = next((each for each in _UNFINISHED if final.lower().endswith(each)), "")
            final = final.removesuffix(final[len(final) - len(ending) :]) if ending else final
            if final != name and _kind(final, options) is not None:
                return True
    return False


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
