"""Files on their way into the spool: written in pieces, hashed on the way, gone again unless they are kept."""

from __future__ import annotations

import asyncio
import hashlib
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from millstream.intake.errors import IntakeError, SpoolFull
from millstream.intake.http.errors import Away, Refused, TooLarge
from millstream.intake.spool import Spool
from millstream.log import get_logger

log = get_logger(__name__)

_PIECE = 1024 * 1024
_DEEPEST = 16
_LONGEST_NAME = 255
_LONGEST_PATH = 1000
_NO_PATH = frozenset({"", ".", ".."})


@dataclass(frozen=True, slots=True)
class Laid:
    """A file that is whole."""

    path: str
    """In the folder."""
    sha256: str
    size: int


class Laying:
    """One request's folder in the spool, for a block: `async with Laying(spool, most, files) as laying`."""

    def __init__(self, spool: Spool, *, most_bytes: int, most_files: int) -> None:
        self.size = 0
        """Bytes written so far."""
        self._spool = spool
        self._most_bytes = most_bytes
        self._most_files = most_files
        self._folder: Path | None = None
        self._open: Sink | None = None
        self._taken: set[str] = set()
        self._folders: set[str] = set()

    async def __aenter__(self) -> Self:
        try:
            self._folder = await asyncio.to_thread(self._spool.new)
        except IntakeError as error:
            raise away(error) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._open is not None:
            await self._open.abandon()
        if self._folder is not None:
            await asyncio.shield(asyncio.to_thread(self._spool.drop, self._folder))

    async def begin(self, path: str) -> Sink:
        """A new file, at a path that stays inside.

        Raises:
            Refused: the path leads out, is none, or is taken; or there are too many files.
            Away: the disk does not take it.
        """
        inside = relative(path)
        if inside in self._taken:
            raise Refused(f"two parts are called {inside!r}; each file needs a name of its own")
        if any(str(each) in self._taken for each in PurePosixPath(inside).parents) or inside in self._folders:
            raise Refused(f"{inside!r} is a file and a folder at once; give each file a name of its own")
        if len(self._taken) > self._most_files:
            raise TooLarge(f"more than {self._most_files:,} files came in one request")
        self._taken.add(inside)
        self._folders.update(str(each) for each in PurePosixPath(inside).parents)
        assert self._folder is not None  # noqa: S101  made on entering
        self._open = Sink(self, self._folder, inside)
        return self._open

    def release(self) -> Path:
        """Hand the folder on: whoever has it now sees to it."""
        assert self._folder is not None  # noqa: S101  made on entering
        folder, self._folder = self._folder, None
        return folder

    def count(self, size: int) -> None:
        """So many bytes more. Raises TooLarge."""
        self.size += size
        if self.size > self._most_bytes:
            raise TooLarge(f"a request may have {self._most_bytes:,} bytes")


class Sink:
    """One file that is being written, a megabyte at a time and in a thread."""

    def __init__(self, laying: Laying, folder: Path, path: str) -> None:
        self.path = path
        self.size = 0
        self._laying = laying
        self._target = folder / path
        self._digest = hashlib.sha256()
        self._pieces: list[bytes] = []
        self._held = 0
        self._descriptor: int | None = None
        self._writing: asyncio.Future[None] | None = None

    async def write(self, piece: bytes) -> None:
        """Add a piece.

        Raises:
            TooLarge: the request has more bytes than are taken.
            Away: the disk does not take it.
        """
        self._laying.count(len(piece))
        self._pieces.append(piece)
        self._held += len(piece)
        if self._held >= _PIECE:
            await self._out()

    async def close(self) -> Laid:
        """It is whole. Raises Away."""
        await self._out()
        await self.abandon()
        return Laid(self.path, self._digest.hexdigest(), self.size)

    async def abandon(self) -> None:
        """Close the file as it is."""
        if self._writing is not None:  # the request was given up: the file must not close under its thread
            await asyncio.wait([self._writing])
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    async def _out(self) -> None:
        content = b"".join(self._pieces)
        self._pieces.clear()
        self._held = 0
        try:
            self._writing = asyncio.get_running_loop().run_in_executor(None, self._write, content)
            await asyncio.shield(self._writing)
        except OSError as error:
            log.warning("http.spool", why=error.strerror or str(error), file=str(self._target))
            raise Away("what is coming in cannot be written; try again later") from error
        self._writing = None
        self.size += len(content)

    def _write(self, content: bytes) -> None:
        if self._descriptor is None:
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
        self._digest.update(content)
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]


def relative(path: str) -> str:
    """A path that stays in its folder, with `/` between its steps.

    Raises:
        Refused: it is absolute, leads out, or holds what no file name can.
    """
    steps = path.replace("\\", "/").split("/")
    bad = (
        not _NO_PATH.isdisjoint(steps)
        or len(steps) > _DEEPEST
        or len(path) > _LONGEST_PATH
        or any(len(step.encode("utf-8", "replace")) > _LONGEST_NAME for step in steps)
        or not path.isprintable()
    )
    if bad:
        raise Refused(f"{path[:100]!r} is no name for a file here; give a path below the driver's folder")
    return "/".join(steps)


def away(error: IntakeError) -> Away:
    """The answer where what came cannot be kept; it names nothing of ours."""
    room = "there is no room for what is coming in" if isinstance(error, SpoolFull) else "it cannot be kept now"
    return Away(f"{room}; try again later")
