"""Where files go once their consignment was taken or failed: into done, or into error with the reason beside them.

A manifest in a folder of its own goes with that folder, by one rename. Where other work lies in the folder, or it is
the watched folder itself, the file goes with what it names. Whatever dies when, the next round finds what is left: what
is there no more was moved, and what is there is moved. What is not the file that was received stays: it comes in by
itself.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Final

from millstream.intake.consignment import Consignment, Kind
from millstream.intake.errors import Unreadable
from millstream.intake.fingerprint import fingerprint
from millstream.intake.folder.index import read_index
from millstream.intake.folder.looking import Candidate, Tree, is_begun
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
        if not path.is_relative_to(root) or not os.path.lexists(path):
            return  # moved before, or taken away by somebody
        try:
            found = fingerprint(path)
        except FileNotFoundError:
            return
        if found.sha256 != consignment.offer.digest:
            return  # replaced: nobody received what lies there now
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
        goal = _free(goal, consignment.id, path.name if gathered else "")
        goal.parent.mkdir(parents=True, exist_ok=True)
        if failed:
            _write_whole(goal.with_name(f"{goal.name}.problem.txt"), f"{consignment.offer.source}: {problem}\n")
        if gathered:
            for named in self._named(consignment, path):
                _transfer(path.parent / named, goal / named)
            goal = goal / path.name
        _transfer(source, goal)
        if whole and self._waiting(goal) != [(goal / path.name, found.sight)]:
            # Somebody put another one there in that very moment: it is not lost, and this one goes alone next time.
            os.rename(goal, source)  # noqa: PTH104  its errno is told
            raise BlockingIOError(errno.EAGAIN, "something else came into its folder", str(source))

    def _waiting(self, folder: Path) -> list[tuple[Path, tuple[int, int, int]]]:
        return [(each.path, each.sight) for each in self._candidates(folder, _DEEPEST)]

    def _candidates(self, folder: Path, depth: int) -> list[Candidate]:
        within = replace(self.options, path=folder, depth=depth, prune=float("inf"))
        return list(Tree(within).candidates())

    def _alone(self, path: Path) -> bool:
        """Whether nothing else in its folder stands for a consignment."""
        alone = [each.path for each in self._candidates(path.parent, _DEEPEST)] == [path]
        return alone and not is_begun(path.parent, self.options)

    def _named(self, consignment: Consignment, path: Path) -> Iterator[str]:
        """The files below its folder that a manifest names and that are its own alone.

        Not what lies behind a link, nor in a folder that another one stands in, nor what another one beside it names
        and still waits for.
        """
        beside = self._candidates(path.parent, 0)
        wanted = {each.path.name for each in beside}
        for each in beside:
            if each.path != path and each.kind is not Kind.DRIVER:
                wanted.update(_names(each.path, each.kind))
        top = path.parent.resolve()
        fit: dict[Path, bool] = {}
        for placed in _names(path, consignment.offer.kind):
            if placed in wanted:
                continue
            folder = (path.parent / placed).parent
            if folder not in fit:
                fit[folder] = self._is_its_own(folder, path.parent, top)
            if fit[folder] and _is_file(path.parent / placed):
                yield placed

    def _is_its_own(self, folder: Path, base: Path, top: Path) -> bool:
        """Whether a folder lies where its path says, is none of ours, and nothing else that waits stands above it."""
        steps = folder.relative_to(base)
        if folder.resolve() != top / steps:
            return False
        ours = [self.options.path.absolute() / self.options.retry, *self.options.own]
        if folder != base and any(folder.is_relative_to(each) and not base.is_relative_to(each) for each in ours):
            return False
        between = [base.joinpath(*steps.parts[:depth]) for depth in range(1, len(steps.parts) + 1)]
        return not any(self._candidates(each, 0) for each in between if each.is_dir())


def _names(path: Path, kind: Kind) -> Iterator[str]:
    """The paths below its folder that a manifest or an index names; of one that cannot be read, those before that."""
    placing = Placing.of(path.parent)
    read = read_manifest if kind is Kind.MANIFEST else read_index
    with suppress(Unreadable):
        for customer in read(path):
            for file in customer.files:
                placed = placing.place(file.path)
                if isinstance(placed, str) and placed:
                    yield placed


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def _free(goal: Path, number: int, inside: str = "") -> Path:
    """The first name that is free, or that holds no `inside` yet: the same may come, or fail, any number of times."""
    for attempt in count():
        ending = "" if attempt == 0 else f".{number}" if attempt == 1 else f".{number}.{attempt}"
        found = goal.with_name(f"{goal.name}{ending}")
        if not os.path.lexists(found / inside if inside else found):
            return found
    raise AssertionError  # `count` has no end


def _transfer(source: Path, goal: Path) -> None:
    """Rename; to another file system copy whole, and only then remove."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.rename(source, goal)  # noqa: PTH104  its errno decides what follows
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(source, goal)


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
