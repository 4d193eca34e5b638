"""The documents that a record names by path: read from the source's folder and nowhere else."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from millstream.intake.errors import Unfit
from millstream.intake.inside import Inside, LeadsOut
from millstream.intake.ports import Arrival, Head

HTML_PLACE = -1
"""Where the HTML file stands among a record's files."""

# Not the file's fault: the submit stops, and can be made again.
_OUR_WANT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO}


@dataclass(frozen=True, slots=True)
class HandedIn:
    """A record with the files it names, and the hash of all of it."""

    arrival: Arrival
    source_hash: str
    """SHA-256 hex over the record, the files and the versions of its templates."""
    files: Mapping[int, bytes | Unfit] = field(default_factory=dict)
    """By place in the record's documents: the file, or why there is none; at `HTML_PLACE` the HTML."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Template to version."""

    @property
    def key(self) -> str:
        """Of its communication."""
        return self.arrival.record.key

    @property
    def head(self) -> Head:
        """What stands for it where its content is not needed."""
        return self.arrival.head(self.source_hash)

    @property
    def weight(self) -> int:
        """Bytes it takes in memory."""
        return self.arrival.size + sum(len(file) for file in self.files.values() if isinstance(file, bytes))


def gather(arrival: Arrival, inside: Inside | None, versions: Mapping[str, str], *, most_bytes: int) -> HandedIn:
    """Read what a record refers to. A file of more than `most_bytes` is not read: no message could carry it."""
    digest = hashlib.sha256(arrival.digest)
    files: dict[int, bytes | Unfit] = {}
    record = arrival.record
    named = [(place, entry.path) for place, entry in enumerate(record.documents or ()) if entry.path is not None]
    if record.html_path is not None:
        named.append((HTML_PLACE, record.html_path))
    for place, path in named:
        found = arrival.files.get(path)
        if found is None:
            found = read_inside(inside, path, most_bytes=most_bytes)
        files[place] = found
        digest.update(found.reason.encode() if isinstance(found, Unfit) else hashlib.sha256(found).digest())
    for template, version in versions.items():
        digest.update(f"{template}={version}\n".encode())
    return HandedIn(arrival, digest.hexdigest(), files, versions)


def read_inside(inside: Inside | None, path: str, *, most_bytes: int) -> bytes | Unfit:
    """A file of the folder, or why there is none.

    `bad_content` where the path leads out of the folder, whether or not something lies there, so that nobody can ask by
    a driver what else the machine holds; else `missing_document` or `too_large`.

    Raises:
        OSError: no file's fault: too many open files, a broken disk.
    """
    if inside is None:
        return Unfit(
            "bad_content", f"{path!r} is a path, but this way in has no folder; hand the document in as content"
        )
    descriptor = open_inside(inside, path)
    if isinstance(descriptor, Unfit):
        return descriptor
    try:
        return read_open(descriptor, path, most_bytes=most_bytes)
    finally:
        os.close(descriptor)


def open_inside(inside: Inside, path: str) -> int | Unfit:
    """A descriptor of a file of the folder, or why there is none.

    Raises:
        OSError: as `read_inside`.
    """
    try:
        return inside.open(path)
    except LeadsOut as error:
        return Unfit(
            "bad_content",
            f"{path!r} leads out of the driver's folder: {error}; put the file into that folder, or hand the document "
            "in as content",
        )
    except OSError as error:
        if error.errno in _OUR_WANT:
            raise
        return _missing(error, inside, path)


def read_open(descriptor: int, path: str, *, most_bytes: int) -> bytes | Unfit:
    """What an open file holds, or why it is none that could be sent."""
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        return Unfit("missing_document", f"{path!r} is no file but a folder, a device or a pipe; name the file itself")
    if found.st_size > most_bytes:
        return Unfit(
            "too_large",
            f"{path!r} has {found.st_size:,} bytes, and a whole message may have {most_bytes:,}; make it smaller",
        )
    return os.read(descriptor, found.st_size)


def _missing(error: OSError, inside: Inside, path: str) -> Unfit:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return Unfit("missing_document", f"there is no file {path!r} in {inside.root}; put it there")
    return Unfit("missing_document", f"cannot read {path!r} in {inside.root}: {error.strerror}; mend that")
