"""Puts a file where another program watches: whole or not at all, under its name at once."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from millstream.exstream import translate
from millstream.exstream.errors import BadRequest, Call, NameTaken

_NAME_LIMIT = 240


def place(folder: Path, name: str, content: bytes, *, call: Call) -> Path:
    """Write ``.<name>.tmp``, make it durable, and give it its name.

    A file of that name and content is what an earlier try left: then nothing is to be done. Blocks on the disk.

    Raises:
        BadRequest: the name is none for a file in this folder.
        NameTaken: a file of that name has another content.
        NoSpace, NotWritable: it cannot be written; nothing is left behind.
    """
    if not name or name != Path(name).name or name in {".", ".."} or "\0" in name or len(name.encode()) > _NAME_LIMIT:
        raise BadRequest(call, text=f"{name[:80]!r} is no name for a file")
    target = folder / name
    try:
        if not _there(target, content, call):
            _write(folder, target, content, call)
        _keep(folder)
    except OSError as exc:
        raise translate.unwritable(call, exc, str(target)) from exc
    return target


def _there(target: Path, content: bytes, call: Call) -> bool:
    try:
        size = target.lstat().st_size
    except FileNotFoundError:
        return False
    if target.is_file() and size == len(content) and target.read_bytes() == content:
        return True
    raise NameTaken(call, text=str(target))


def _write(folder: Path, target: Path, content: bytes, call: Call) -> None:
    rough = folder / f".{target.name}.tmp"
    try:
        rough.unlink(missing_ok=True)  # of a try that was killed
        with rough.open("xb") as file:  # never through a link that somebody laid there
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(rough, target)
        except FileExistsError:
            if not _there(target, content, call):  # gone again: the other side has taken it
                rough.replace(target)
        except OSError:  # no hard links there (SMB, FAT); a rename may cover a file that came this instant
            rough.replace(target)
    finally:
        with contextlib.suppress(OSError):
            rough.unlink(missing_ok=True)


def _keep(folder: Path) -> None:
    """Make the name durable, where the file system lets a folder be synced."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
