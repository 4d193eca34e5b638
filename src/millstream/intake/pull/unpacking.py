"""One customer's outputs from their ZIP into a folder: no name leads out of it, and nothing grows without bounds."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from millstream.intake.customer import OutputFile
from millstream.intake.errors import Unreadable

_PIECE: Final = 256 * 1024
_LONGEST: Final = 120


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A file that came out: its place in the archive, where it lies now, and its SHA-256."""

    entry: str
    path: str
    digest: str


def unpack(archive: BinaryIO, root: Path, under: str, *, most_entries: int, most_bytes: int) -> list[Unpacked]:
    """Write every file of an archive to `root/under/<n>-<name>`; empty files are left out. Blocking.

    Raises:
        Unreadable: it is no ZIP, is damaged or encrypted, or holds more, or more bytes, than it may.
        OSError: the disk is full, or may not be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [info for info in opened.infolist() if not info.is_dir()]
            if len(entries) > most_entries:
                raise Unreadable(f"the archive holds {len(entries)} files; {most_entries} are allowed")
            return [
                unpacked
                for number, info in enumerate(entries, 1)
                if (unpacked := _one(opened, info, root, f"{under}/{number}-{_plain(info.filename)}", most_bytes))
            ]
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError) as error:
        # RuntimeError: encrypted; NotImplementedError: a method or a version that the library does not know.
        raise Unreadable(f"the archive of a customer's outputs cannot be read: {error}") from error


def match(files: Sequence[OutputFile], unpacked: Sequence[Unpacked]) -> list[OutputFile]:
    """What a manifest names, with where its files lie now.

    The engine's paths need not be the archive's: a file is the one with the same path, else with the longest common
    end, at least its name. What the manifest does not name comes last, its queue being its folder in the archive. What
    is named and is not there keeps its name: whoever reads the manifest misses it.
    """
    left = {each.entry: each for each in unpacked}
    found: list[OutputFile] = []
    for file in files:
        best = max(left.values(), key=lambda each: _common(file.path, each.entry), default=None)
        if best is None or not _common(file.path, best.entry):
            found.append(OutputFile(f"missing/{_plain(file.path)}", file.queue, file.name, file.media_type))
            continue
        del left[best.entry]
        found.append(OutputFile(best.path, file.queue, file.name, file.media_type))
    found += [OutputFile(each.path, _queue(each.entry)) for each in left.values()]
    return found


def _one(opened: zipfile.ZipFile, info: zipfile.ZipInfo, root: Path, place: str, most: int) -> Unpacked | None:
    if info.file_size > most:
        raise Unreadable(f"{info.filename} in the archive has {info.file_size} bytes; {most} are allowed")
    if info.file_size == 0:
        return None  # the engine opens every file of a queue, also where nothing comes (reference, 2.1)
    path = root / place
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with opened.open(info) as source, path.open("wb") as out:
        while piece := source.read(_PIECE):
            size += len(piece)
            if size > most:  # the archive's own figure was a lie
                raise Unreadable(f"{info.filename} in the archive has more than {most} bytes")
            digest.update(piece)
            out.write(piece)
    return Unpacked(info.filename, place, digest.hexdigest())


def _plain(name: str) -> str:
    """The last part of a path as a harmless file name."""
    last = PurePosixPath(name.replace("\\", "/")).name
    kept = "".join(character if character.isalnum() or character in "._-" else "_" for character in last)
    return kept[-_LONGEST:].lstrip(".") or "file"


def _parts(path: str) -> tuple[str, ...]:
    return tuple(part for part in path.replace("\\", "/").split("/") if part not in {"", "."})


def _common(one: str, other: str) -> int:
    """How many last parts two paths share."""
    count = 0
    for left, right in zip(reversed(_parts(one)), reversed(_parts(other)), strict=False):
        if left != right:
            break
        count += 1
    return count


def _queue(entry: str) -> str:
    parts = _parts(entry)
    return parts[-2] if len(parts) > 1 else ""
