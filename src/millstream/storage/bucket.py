"""Documents in a bucket: S3, Google Cloud Storage or Azure by URL, through obstore."""

from collections.abc import Iterator
from contextlib import contextmanager

import obstore
from obstore import exceptions as foreign
from obstore.store import ObjectStore, from_url

from millstream.storage.errors import DocumentMissing, StoreAway, StoreRefused

_KINDS = ("s3", "s3a", "gs", "az", "azure", "abfs", "abfss", "memory")


class Bucket:
    """A shelf in an object store; what was written is durable when the call returns."""

    def __init__(self, url: str) -> None:
        """Prepare the client; the bucket itself is asked by the first call.

        Raises:
            StoreRefused: the URL names no kind of store that we know.
        """
        self._url = url
        kind = url.partition("://")[0]
        if kind not in _KINDS:
            raise StoreRefused(
                f"{url} is no document store: {kind!r} is none of {', '.join(_KINDS[:5])}. "
                "Set documents.url, or MILLSTREAM_DOCUMENTS__URL, to one of them or to a folder."
            )
        with self._translated(""):
            self._store: ObjectStore = from_url(url)

    def __str__(self) -> str:
        return self._url

    async def write(self, path: str, content: bytes) -> None:
        """Put the object unless it is there."""
        if await self.has(path):
            return
        with self._translated(path):
            await obstore.put_async(self._store, path, content)

    async def read(self, path: str) -> bytes:
        """Get the object."""
        with self._translated(path):
            found = await obstore.get_async(self._store, path)
            return bytes(await found.bytes_async())

    async def has(self, path: str) -> bool:
        """Ask for the object's head."""
        try:
            with self._translated(path):
                await obstore.head_async(self._store, path)
        except DocumentMissing:
            return False
        return True

    async def flush(self) -> None:
        """Do nothing: a put that returned is durable."""

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Turn obstore's errors into ours; the only place that knows them."""
        try:
            yield
        except FileNotFoundError as error:
            raise DocumentMissing(
                f"No document {path.rpartition('/')[2]} in {self._url}. See that documents.url names the store "
                "that it was put into."
            ) from error
        except (
            foreign.PermissionDeniedError,
            foreign.UnauthenticatedError,
            foreign.UnknownConfigurationKeyError,
        ) as error:
            raise StoreRefused(
                f"The document store {self._url} refuses us: {_first_line(error)}. Check the credentials and the "
                "grants on the bucket."
            ) from error
        except (foreign.BaseError, OSError, ValueError) as error:
            raise StoreAway(
                f"The document store {self._url} did not answer: {_first_line(error)}. See that the bucket exists and "
                "can be reached from here."
            ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
