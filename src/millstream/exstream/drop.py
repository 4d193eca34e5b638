"""Files for a directory that Exstream watches: there at once and whole, each once, and found again after a crash.

An input channel picks a file up as soon as its name fits its pattern (reference, 2.2), so what is half written must
have another name.
"""

from __future__ import annotations

from pathlib import Path

from millstream.exstream.errors import Call
from millstream.exstream.placing import place


def drop(folder: Path, name: str, content: bytes) -> Path:
    """Put a file into a watched directory; the same content under the same name is done already. Blocking.

    Raises:
        FilesFault: NameTaken (other content has the name), NoSpace, NotWritable.
    """
    return place(folder, name, content, call=Call("drop", "", write=True))


def lies(folder: Path, done: Path | None, name: str) -> Path | None:
    """Where a dropped file lies now: in the watched directory, or where Exstream puts what it took. Blocking.

    There it may have got something added to its name, before or behind, as channels do to keep names apart.
    """
    if (folder / name).exists():
        return folder / name
    if done is None or not done.is_dir():
        return None
    for entry in sorted(done.iterdir()):
        if name in entry.name:
            return entry
    return None
