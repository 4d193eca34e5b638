"""The documents that a record names by path: read from the source's folder and nowhere else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from millstream.intake.errors import Unfit
from millstream.intake.ports import Arrival

_NO_FOLDER = "this way in has no folder; hand the document in as content"


# Not the file's fault: the submit stops, and can be made again.
_OUR_WANT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A record with the files it names, and the hash of all of it."""

    arrival: Arrival
    source_hash: str
    """SHA-256 hex over the record, the files and the versions of its templates."""
    files: Mapping[int, bytes | Unfit] = field(default_factory=dict)
    """By place in the record's documents: the file, or why there is none."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Template to version."""

    @property
    def key(self) -> str:
        """Of its communication."""
        return self.arrival.record.key

    @property
    def weight(self) -> int:
        """Bytes it takes in memory."""
        return self.arrival.size + sum(len(file) for file in self.files.values() if isinstance(file, bytes))


def gather(arrival: Arrival, folder: Path | None, versions: Mapping[str, str], *, most_bytes: int) -> HandedIn:
    """Read what a record refers to. A file of more than `most_bytes` is not read: no message could carry it."""
    digest = hashlib.sha256(arrival.digest)
    files: dict[int, bytes | Unfit] = {}
    for place, entry in enumerate(arrival.record.documents or ()):
        if entry.path is None:
            continue
        try:
            files[place] = content = read_inside(folder, entry.path, most_bytes=most_bytes)
            digest.update(hashlib.sha256(content).digest())
        except Unfit as unfit:
            files[place] = unfit
            digest.update(unfit.reason.encode())
    for template, version in versions.items():
        digest.update(f"{template}={version}\n".encode())
    return HandedIn(arrival, digest.hexdigest(), files, versions)


def read_inside(folder: Path | None, path: str, *, most_bytes: int) -> bytes:
    """A file of the folder.

    Raises:
        Unfit: `bad_content` where the path leads out of the folder, whether or not something lies there, so that
            nobody can ask by a driver what else the machine holds; `missing_document`; `too_large`.
    """
    if folder is None:
        raise Unfit(
            "bad_content", f"{path!r} is a path, but this way in has no folder; hand the document in as content"
        )
    try:
        root = folder.resolve(strict=True)
        target = (root / path).resolve()
        if not target.is_relative_to(root):
            raise Unfit(
                "bad_content",
                f"{path!r} leads out of the driver's folder {root}; put the file into that folder, or hand the "
                "document in as content",
            )
        return _read(target, path, most_bytes)
    except (OSError, ValueError, RuntimeError) as error:
        if isinstance(error, Unfit):
            raise
        raise _unfit(error, folder, path) from error


def _unfit(error: Exception, folder: Path, path: str) -> Exception:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unfit("missing_document", f"there is no file {path!r} in {folder}; put it there")
    if not isinstance(error, OSError):
        # ValueError: a NUL. RuntimeError: links that lead to each other, in pathlib of 3.11.
        return Unfit("bad_content", f"{path!r} leads nowhere: {error}; correct it")
    if error.errno in _OUR_WANT:
        return error
    return Unfit("missing_document", f"cannot read {path!r} in {folder}: {error.strerror}; mend that")


def _read(target: Path, path: str, most_bytes: int) -> bytes:
    with open(target, "rb", opener=_open_itself) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise Unfit("missing_document", f"{path!r} is no file but a device or a pipe; name the file itself")
        if found.st_size > most_bytes:
            raise Unfit(
                "too_large",
                f"{path!r} has {found.st_size:,} bytes, and a whole message may have {most_bytes:,}; make it smaller",
            )
        return file.read(most_bytes)


def _open_itself(path: str, flags: int) -> int:
    """Not through a link that was put there since the path was resolved, and not waiting for a pipe's writer."""
    return os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)
