"""Pictures and texts of documents' pages, made once and kept for a while: whoever looks, others look too."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from millstream.composer.apart import PdfReader
from millstream.composer.errors import UnreadablePdf
from millstream.log import get_logger

log = get_logger(__name__)

WIDTH = 1000
"""Pixels of a page's picture: sharp at twice a phone's width."""
MOST_PAGES = 12
"""Pages that are shown as pictures; the document has the others."""
_MOST_BYTES = 64_000_000
_AT_ONCE = 2

Content = Callable[[], Awaitable[bytes]]


class Pictures:
    """Draws in a process apart and keeps 64 MB of what was drawn. What cannot be drawn is None, or 0 pages."""

    def __init__(self, reader: PdfReader | None = None) -> None:
        self._reader = reader or PdfReader()
        self._kept: OrderedDict[tuple[Any, ...], tuple[int, Any]] = OrderedDict()
        self._size = 0
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def pages(self, sha256: str, content: Content) -> int:
        """How many pages a PDF has; 0 for what is none."""
        return int(await self._made(("pages", sha256), self._reader.count, content) or 0)

    async def page(self, sha256: str, n: int, content: Content) -> bytes | None:
        """The n-th page as PNG, the first being 1."""
        if self.hopeless(sha256) and ("page", sha256, n) not in self._kept:
            return None
        made: bytes | None = await self._made(("page", sha256, n), lambda pdf: self._reader.png(pdf, n, WIDTH), content)
        return made

    def hopeless(self, sha256: str) -> bool:
        """Whether a page of it could not be drawn; the others are not tried then, each might take as long."""
        return ("hopeless", sha256) in self._kept

    async def texts(self, sha256: str, content: Content) -> list[str]:
        """The text of each page."""
        return list(await self._made(("texts", sha256), self._reader.texts, content) or ())

    async def kept(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """What `make` gives, made once."""
        return await self._made(key, lambda _: make(), None)

    async def _made(self, key: tuple[Any, ...], make: Callable[[bytes], Any], content: Content | None) -> Any:
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key][1]
        async with self._turn:
            if key in self._kept:
                return self._kept[key][1]
            pdf = await content() if content is not None else b""
            try:
                made = await asyncio.to_thread(make, pdf)
            except IndexError:
                made = None
            except UnreadablePdf as error:
                log.info("review.not_drawn", what=key[0], sha256=key[1], why=str(error))
                made = None
                if key[0] == "page":
                    self._keep(("hopeless", key[1]), made)
            self._keep(key, made)
        return made

    def _keep(self, key: tuple[Any, ...], made: Any) -> None:
        size = 200 + (len(made) if isinstance(made, bytes) else sum(map(len, made)) if isinstance(made, list) else 0)
        self._kept[key] = (size, made)
        self._size += size
        while self._size > _MOST_BYTES and len(self._kept) > 1:
            _, (freed, _) = self._kept.popitem(last=False)
            self._size -= freed
