"""Walks a list page by page and loses nothing, whatever ``offset`` counts.

The API description says that ``offset`` skips entities, OpenText's SDK sample that it is the index of a page. So what
has been seen decides, not arithmetic: an entry is given once, and the end is where the total is reached or nothing new
comes. A list changes while it is read:

- entries that come in front push others on: those are met twice and given once;
- entries that go pull others back: where the total shrinks, the walk goes as many entries back.

What went and came in equal numbers cannot be noticed; ``complete`` is then no proof, and the next look has to overlap.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from millstream.exstream.model import Page
from millstream.exstream.options import Paging

_Item = TypeVar("_Item")
Fetch = Callable[[int, int], Awaitable[Page[_Item]]]
"""Gives the page at an offset with so many entries."""

_PATIENCE = 3
"""Pages in a row without anything new."""


@dataclass(slots=True)
class Walked:
    """How a walk went; filled while it goes."""

    seen: int = 0
    """Entries given, each counted once."""
    total: int | None = None
    """As the last page told it."""
    complete: bool = False
    """Whether all that the total promised was seen; false until the end."""


def identity(item: Any) -> Any:
    """What makes two entries the same: the id, or the entry itself where it has none."""
    return getattr(item, "id", item)


async def walk(
    fetch: Fetch[_Item], *, page_size: int, paging: Paging = Paging.AUTO, walked: Walked | None = None
) -> AsyncIterator[_Item]:
    """Each entry of a list once. Raises what ``fetch`` raises; a page whose fetch failed is not skipped."""
    course = _Course[_Item](fetch, page_size, paging, walked or Walked())
    while not course.ended:
        for item in await course.look():
            yield item


@dataclass(slots=True)
class _Course(Generic[_Item]):
    fetch: Fetch[_Item]
    size: int
    paging: Paging
    walked: Walked
    ended: bool = False
    offset: int = 0
    by_page: bool = False
    switched: bool = False
    stale: int = 0
    ids: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.by_page = self.paging is Paging.PAGES

    async def look(self) -> list[_Item]:
        """The new entries of the next page."""
        asked = self.offset
        page = await self.fetch(asked, self.size)
        before, self.walked.total = self.walked.total, page.total
        fresh = self._fresh(page)
        self.walked.seen = len(self.ids)
        shrunk = before - page.total if before is not None and page.total is not None else 0
        if self._looks_like_pages(page, asked):
            self._switch()
        elif not self._ends(page, fresh):
            self._advance(page, shrunk)
        return fresh

    def _fresh(self, page: Page[_Item]) -> list[_Item]:
        found = {identity(item): item for item in page.items}
        new = [key for key in found if key not in self.ids]
        self.ids.update(new)
        self.stale = 0 if new else self.stale + 1
        return [found[key] for key in new]

    @property
    def _more(self) -> bool:
        total = self.walked.total
        return total is not None and len(self.ids) < total

    def _looks_like_pages(self, page: Page[_Item], asked: int) -> bool:
        if self.paging is not Paging.AUTO or self.switched or asked == 0 or not self._more or self.size == 1:
            return False
        return not page.items or page.number == asked or self.stale >= _PATIENCE

    def _switch(self) -> None:
        self.by_page, self.switched, self.offset, self.stale = True, True, 1, 0

    def _ends(self, page: Page[_Item], fresh: list[_Item]) -> bool:
        if page.total is None:
            self.ended = not fresh or len(page.items) < self.size
            self.walked.complete = self.ended
        elif not self._more:
            self.ended = self.walked.complete = True
        else:
            self.ended = self.stale >= self._patience or (not page.items and not self.switched)
        return self.ended

    @property
    def _patience(self) -> int:
        """After a switch the pages that were met before it come by again."""
        return _PATIENCE + (len(self.ids) // self.size if self.switched else 0)

    def _advance(self, page: Page[_Item], shrunk: int) -> None:
        if shrunk > 0:
            back = -(-shrunk // self.size) if self.by_page else shrunk
            self.offset = max(0, self.offset - back)
        else:
            self.offset += 1 if self.by_page else len(page.items)
