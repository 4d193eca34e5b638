"""Files inside one folder and nowhere else, by paths that somebody else wrote."""

from __future__ import annotations

import os
from collections import OrderedDict
from pathlib import Path
from typing import Self

_KEPT_OPEN = 64
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # not waiting for a pipe's writer
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOut(ValueError):
    """The path leads out of the folder, or nowhere that has a name."""


class Inside:
    """Opens files below a folder. Not for several threads at a time.

    A path is walked from folder to folder without following a link, so that nobody can change the way between the look
    and the opening. A link, or `..`, is resolved first and then walked like any other; what leads out is refused in the
    same words whether or not something lies there, so that nobody can ask what else the machine holds. The last folders
    stay open: the files of a job lie in few of them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._top: int | None = None
        self._real: Path | None = None
        self._open: OrderedDict[str, int] = OrderedDict()

    def open(self, path: str) -> int:
        """A descriptor of the file; the caller closes it.

        Raises:
            LeadsOut: out of the folder.
            OSError: it is not there, or cannot be opened.
        """
        if "\x00" in path:
            raise LeadsOut(f"{path!r} holds a NUL")
        if not path.startswith("/") and ".." not in path:
            try:
                return self._walk(path)
            except OSError:
                # A link somewhere on the way, a folder that was replaced, or it is not there: looked at slowly.
                self._forget()
        return self._walk(self._resolved(path))

    def close(self) -> None:
        """Close what was kept open."""
        self._forget()
        if self._top is not None:
            os.close(self._top)
            self._top = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _resolved(self, path: str) -> str:
        try:
            if self._real is None:
                self._real = self.root.resolve(strict=True)
            target = (self._real / path).resolve()
        except RuntimeError as error:  # links that lead to each other, in pathlib of 3.11
            raise LeadsOut(str(error)) from error
        if not target.is_relative_to(self._real):
            raise LeadsOut(f"it leads out of the folder {self._real}")
        return str(target.relative_to(self._real))

    def _walk(self, path: str) -> int:
        folder, _, name = path.rpartition("/")
        return os.open(name or ".", _FILE, dir_fd=self._folder(folder))

    def _folder(self, path: str) -> int:
        if self._top is None:
            self._top = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        if not path:
            return self._top
        found = self._open.get(path)
        if found is not None:
            self._open.move_to_end(path)
            return found
        at = self._top
        for step in path.split("/"):
            try:
                following = os.open(step or ".", _FOLDER, dir_fd=at)
            finally:
                if at != self._top:
                    os.close(at)
            at = following
        self._open[path] = at
        if len(self._open) > _KEPT_OPEN:
            _, oldest = self._open.popitem(last=False)
            os.close(oldest)
        return at

    def _forget(self) -> None:
        while self._open:
            _, each = self._open.popitem()
            os.close(each)
