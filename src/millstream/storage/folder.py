"""Documents in a folder of this machine.

Plain files, read and written where the call comes from: for 50 KB that is 0.03 and 0.06 ms of CPU, against 0.2 ms in
obstore's local store and 0.3 ms more for a trip through a thread (measured 2026-11-23). What would wait for the disk
goes through a thread all the same: a file that is not in memory, a document above a megabyte, the flush.
See docs/decisions/0010.
"""

import asyncio
import ctypes
import errno
import itertools
import os
import time
from contextlib import suppress
from pathlib import Path

from millstream.storage.errors import DocumentMissing, DocumentStoreError, StoreFull, StoreRefused

_LARGE_BYTES = 1 << 20
_INCOMING = "incoming"
_LEFT_BEHIND_SECONDS = 86_400
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_numbers = itertools.count()


class Folder:
    """A shelf on the local disk."""

    def __init__(self, root: str) -> None:
        """Create the folder where it is missing, and remove what a killed process left half written a day ago.

        Raises:
            StoreRefused: the folder cannot be made or written.
        """
        self._root = str(Path(root).expanduser().absolute())
        incoming = Path(self._root, _INCOMING)
        try:
            incoming.mkdir(parents=True, exist_ok=True)
            for path in incoming.iterdir():
                with suppress(FileNotFoundError):  # another process has given it its name by now
                    if path.stat().st_mtime < time.time() - _LEFT_BEHIND_SECONDS:
                        path.unlink()
            if not os.access(incoming, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(incoming))
        except OSError as error:
            raise self._fault(error, "be used") from error

    def __str__(self) -> str:
        return self._root

    async def write(self, path: str, content: bytes) -> None:
        """Write aside and rename; a file that a power failure cut short is written anew."""
        if len(content) > _LARGE_BYTES:
            await asyncio.to_thread(self._write, path, content)
        else:
            self._write(path, content)

    async def read(self, path: str) -> bytes:
        """Return the file, at once when the system has it in memory."""
        try:
            return _read_from_memory(f"{self._root}/{path}")
        except BlockingIOError:
            return await asyncio.to_thread(Path(self._root, path).read_bytes)
        except FileNotFoundError as error:
            raise DocumentMissing(
                f"No document {path.rpartition('/')[2]} in {self._root}. See that documents.url names the store "
                "that it was put into."
            ) from error
        except OSError as error:
            raise self._fault(error, "be read") from error

    async def has(self, path: str) -> bool:
        """Tell whether the file is there."""
        return Path(self._root, path).exists()  # noqa: ASYNC240  one stat, a microsecond

    async def flush(self) -> None:
        """Sync the file system that holds the folder: contents and names, everything in one call."""
        try:
            await asyncio.to_thread(_sync_file_system, self._root)
        except OSError as error:
            raise self._fault(error, "be made durable") from error

    def _write(self, path: str, content: bytes) -> None:
        target = f"{self._root}/{path}"
        with suppress(FileNotFoundError):
            if os.stat(target).st_size == len(content):  # noqa: PTH116  a third of the time of Path.stat
                return
        aside = f"{self._root}/{_INCOMING}/{os.getpid()}-{next(_numbers)}"
        try:
            _write_whole(aside, content)
            _rename(aside, target)
        except OSError as error:
            Path(aside).unlink(missing_ok=True)
            raise self._fault(error, "take a document") from error

    def _fault(self, error: OSError, purpose: str) -> DocumentStoreError:
        if error.errno in _NO_SPACE:
            return StoreFull(
                f"The disk of the document store {self._root} is full ({error.strerror}). Make space there; "
                "the work goes on by itself and nothing stored is lost."
            )
        return StoreRefused(
            f"The document store {self._root} cannot {purpose}: {error.strerror} ({error.filename}). "
            "See who owns the folder, or name another one: documents.url, or MILLSTREAM_DOCUMENTS__URL."
        )


def _write_whole(path: str, content: bytes) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o640)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
    finally:
        os.close(descriptor)


def _rename(aside: str, target: str) -> None:
    try:
        os.rename(aside, target)  # noqa: PTH104  on the path of every document
    except FileNotFoundError:
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        os.rename(aside, target)  # noqa: PTH104  the same


def _read_from_memory(path: str) -> bytes:
    """Read a whole file that is in the page cache.

    Raises:
        BlockingIOError: the disk would have to be asked, or the file system cannot tell.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(descriptor).st_size
        content = bytearray(size)
        try:
            got = os.preadv(descriptor, [content], 0, os.RWF_NOWAIT)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                raise BlockingIOError(errno.EAGAIN, "cannot tell") from error
            raise
    finally:
        os.close(descriptor)
    if got != size:
        raise BlockingIOError(errno.EAGAIN, "only a part is in memory")
    return bytes(content)


def _sync_file_system(root: str) -> None:
    descriptor = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        # syncfs(2) reports what could not be written since the descriptor was opened; the standard library lacks it.
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), root)
    finally:
        os.close(descriptor)
