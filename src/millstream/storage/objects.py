"""Documents at rest, each under the hash of its content.

A document's place is `ab/abcdef…`, its sha256 in hex (256 folders: a second level would make one folder
per document): the same content is stored once, a stored document never
changes, and a name that is there is complete (it is written aside and renamed, or put whole into a bucket).
"""

import hashlib
from dataclasses import dataclass
from typing import Protocol

from millstream import lazy
from millstream.storage.errors import DocumentDamaged
from millstream.storage.folder import Folder


@dataclass(frozen=True, slots=True)
class Stored:
    """What was put: its sha256 in hex and its size in bytes."""

    sha256: str
    size: int


class Shelf(Protocol):
    """Where the bytes lie: a folder or a bucket. Paths are relative, with `/`."""

    async def write(self, path: str, content: bytes) -> None:
        """Keep `content` under `path`, whole or not at all; do nothing when it is there."""

    async def read(self, path: str) -> bytes:
        """Return what lies under `path`."""

    async def has(self, path: str) -> bool:
        """Tell whether something lies under `path`."""

    async def flush(self) -> None:
        """Return when everything written so far survives a power failure."""


class DocumentStore:
    """Puts and gets documents by the hash of their content."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf

    async def put(self, content: bytes) -> Stored:
        """Keep a document; putting the same content again does nothing.

        In a folder it survives the end of the process at once, and a power failure after `flush`.

        Raises:
            StoreFull: no space; nothing of the document stays.
            StoreAway, StoreRefused: the bucket or folder does not take it.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        await self._shelf.write(_place(sha256), content)
        return Stored(sha256, len(content))

    async def get(self, sha256: str, *, check: bool = False) -> bytes:
        """Return a document; with `check` its content is hashed again (35 us for 50 KB).

        Raises:
            DocumentMissing: nothing has this hash.
            DocumentDamaged: with `check`, the content has another hash.
        """
        content = await self._shelf.read(_place(sha256))
        if check and hashlib.sha256(content).hexdigest() != sha256:
            raise DocumentDamaged(
                f"The document {sha256} in {self._shelf} is not what was put there ({len(content)} bytes). "
                "Restore it from a backup, or submit its communication again in a new run."
            )
        return content

    async def has(self, sha256: str) -> bool:
        """Tell whether a document with this hash is there."""
        return await self._shelf.has(_place(sha256))

    async def flush(self) -> None:
        """Return when all that was put is durable; call it before committing the rows that name it."""
        await self._shelf.flush()


def open_store(url: str) -> DocumentStore:
    """Open the store at `url`: a folder's path, file://, s3://, gs:// or az://.

    Credentials of a bucket come from the environment, as its provider defines them.

    Raises:
        StoreRefused: the URL names no kind of store that we know, or the folder cannot be used.
    """
    if "://" in url and not url.startswith("file://"):
        return DocumentStore(lazy.load("millstream.storage.bucket:Bucket")(url))  # obstore: 6 MB that a folder saves
    return DocumentStore(Folder(url.removeprefix("file://")))


def _place(sha256: str) -> str:
    if len(sha256) != hashlib.sha256().digest_size * 2 or not sha256.isalnum():
        raise ValueError(f"A document is named by its sha256 in hex, not by {sha256!r}.")
    return f"{sha256[:2]}/{sha256}"
