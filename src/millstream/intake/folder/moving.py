"""Where files go once their consignment was taken or failed: into done, or into error with the reason beside them.

A manifest in a folder of its own goes with that folder, by one rename. Where other work lies in the folder, or it is
the watched folder itself, the file goes with what it names. Whatever dies when, the next round finds what is left: what
is there no more was moved, and what is there is moved.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from millstream.intake.consignment import Consignment, Kind
from millstream.intake.errors import Unreadable
from millstream.intake.folder.index import read_index
from millstream.intake.folder.looking import Tree
from millstream.intake.folder.manifest import read_manifest
from millstream.intake.folder.options import FolderOptions
from millstream.intake.folder.placing import Placing
from millstream.log import get_logger

log = get_logger(__name__)

_DEEPEST: Final = 32
Untidy = tuple[Consignment, str, str | None]


@dataclass(slots=True)
class Mover:
    """Moves files within the watched folder, or to a done folder on another file system. Its calls block."""

    options: FolderOptions

    def settle(self, untidy: Sequence[Untidy]) -> list[int]:
        """Move each; answers whose files are where they shall stay.

        What cannot be moved now is left for the next round.
        """
        moved = []
        for consignment, state, problem in untidy:
            try:
                if not self.options.leave:
                    self._move(consignment, failed=state == "failed", problem=problem or "")
            except OSError as error:
                log.warning("folder.not_moved", consignment=consignment.id, path=consignment.path, error=str(error))
                continue
            moved.append(consignment.id)
        return moved

    def _move(self, consignment: Consignment, *, failed: bool, problem: str) -> None:
        path = Path(consignment.path or "")
        root = self.options.path.absolute()
        if not path.is_relative_to(root) or not path.exists():
            return  # moved before, or taken away by somebody
        inside = path.relative_to(root)
        if inside.is_relative_to(self.options.retry):
            inside = inside.relative_to(self.options.retry)
        whole = len(inside.parts) > 1 and self._alone(path)
        source, place = (path.parent, inside.parent) if whole else (path, inside)
        gathered = not whole and consignment.offer.kind is not Kind.DRIVER
        if gathered:
            # With the files it names, in a folder of their own: the next manifest has the same name.
            place = inside.parent / f"{inside.stem}.{consignment.id}"
        goal = root / (self.options.error if failed else self.options.done) / place
        if not gathered and os.path.lexists(goal):
            goal = goal.with_name(f"{goal.name}.{consignment.id}")
        goal.parent.mkdir(parents=True, exist_ok=True)
        if failed:
            _write_whole(goal.with_name(f"{goal.name}.problem.txt"), f"{consignment.offer.source}: {problem}\n")
        if gathered:
            for named in self._named(consignment, path):
                _transfer(path.parent / named, goal / named, consignment.id)
            goal = goal / path.name
        _transfer(source, goal, consignment.id)

    def _alone(self, path: Path) -> bool:
        """Whether nothing else in its folder stands for a consignment."""
        within = replace(self.options, path=path.parent, depth=_DEEPEST, prune=float("inf"))
        return [each.path for each in Tree(within).candidates()] == [path]

    def _named(self, consignment: Consignment, path: Path) -> Iterator[str]:
        """The files below its folder that a manifest names; of one that cannot be read, those before that."""
        placing = Placing.of(path.parent)
        read = read_manifest if consignment.offer.kind is Kind.MANIFEST else read_index
        with suppress(Unreadable):
            for customer in read(path):
                for file in customer.files:
                    placed = placing.place(file.path)
                    if isinstance(placed, str) and placed and os.path.lexists(path.parent / placed):
                        yield placed


def _transfer(source: Path, goal: Path, number: int) -> None:
    """Rename; to another file system copy whole, and only then remove."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, goal)  # noqa: PTH104  its errno decides what follows
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, goal.with_name(f"{goal.name}.{number}"))


def _copy(source: Path, goal: Path) -> None:
    """A name that is there is complete: a copy comes into being aside."""
    if not goal.exists():
        # Its own name for each process: two that move the same at once must not write into one another.
        aside = goal.with_name(f".{goal.name}.{os.getpid()}.part")
        _remove(aside)
        try:
            if source.is_dir():
                shutil.copytree(source, aside, symlinks=True)
            else:
                shutil.copy2(source, aside, follow_symlinks=False)
            _sync(aside)
        except (OSError, shutil.Error):
            _remove(aside)
            raise
        os.rename(aside, goal)  # noqa: PTH104  the same
        _sync(goal.parent)
    _remove(source)


def _sync(path: Path) -> None:
    for each in (path, *(path.rglob("*") if path.is_dir() else ())):
        if not each.is_symlink():
            descriptor = os.open(each, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write_whole(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.part")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
