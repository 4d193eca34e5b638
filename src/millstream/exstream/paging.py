"""Walks a list page by page and loses nothing, whatever ``offset`` counts.

The API description says that ``offset`` skips entities, OpenText's SDK sample that it is the index of a page. So what
has been seen decides, not arithmetic: an entry is given once, and the end is where the total is reached or nothing new
comes. A list changes while it is read:

- entries that come in front push others on: those are met twice and given once;
- entries that go pull others back: where the total shrinks, the walk goes as many entries back;
- an entry that comes and goes pushes another over the edge of a page: where the total says at the end that something is
  missing, the list is walked once more.

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
"""Pages in a row without anything new, while the total promises more."""
_HOPELESS = 1_000
"""Pages in a row without anything new, whatever the total does."""


@dataclass(slots=True)
class Walked:
    """How a walk went; filled while it goes."""

    seen: int = 0
    """Entries met, each counted once."""
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
    resume: int | None = None
    """Where counting entities goes on if counting pages turns out to be wrong; None once pages brought something."""
    lapped: bool = False
    stale: int = 0
    barren: int = 0
    gone: int = 0
    """Entries that the total lost so far."""
    again: int = 0
    """Pages that bring nothing new because of entries that came in front or went."""
    ids: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.by_page = self.paging is Paging.PAGES

    async def look(self) -> list[_Item]:
        """The new entries of the next page."""
        asked = self.offset
        page = await self.fetch(asked, self.size)
        before, self.walked.total = self.walked.total, page.total
        fresh = self._fresh(page)
        shrunk = before - page.total if before is not None and page.total is not None else 0
        self.gone += max(0, shrunk)
        self.again += -(-abs(shrunk) // self.size) + (shrunk > 0)
        if self.barren >= _HOPELESS:
            self.ended = True
        elif shrunk > 0:
            self.offset = max(0, asked - (-(-shrunk // self.size) if self.by_page else shrunk))
        elif self._looks_like_pages(page, asked):
            self.by_page, self.switched, self.resume = True, True, asked + len(page.items)
            self.offset, self.stale = 0 if self.gone else 1, 0
        elif not self._ends(page, asked) and page.items:
            # Entries met again tell of a list that moves: the next page overlaps, too. An empty one is asked for again.
            self.offset += 1 if self.by_page else len(fresh) or len(page.items)
        return fresh

    def _fresh(self, page: Page[_Item]) -> list[_Item]:
        found = {identity(item): item for item in page.items}
        new = [key for key in found if key not in self.ids]
        self.ids.update(new)
        self.walked.seen = len(self.ids)
        if new:
            self.stale, self.barren, self.resume = 0, 0, None
        else:
            self.stale, self.barren = self.stale + 1, self.barren + 1
        return [found[key] for key in new]

    @property
    def _more(self) -> bool:
        """Whether something may be left; of what was seen, as many as the total lost may be gone."""
        total = self.walked.total
        return total is not None and len(self.ids) < total + self.gone

    def _looks_like_pages(self, page: Page[_Item], asked: int) -> bool:
        """Whether an answer says that ``offset`` was taken for the index of a page."""
        if self.paging is not Paging.AUTO or self.switched or asked == 0 or self.size == 1 or not self._more:
            return False
        within = page.total is not None and asked < page.total
        return page.number == asked or (within and not page.items) or self.stale >= self._patience

    def _ends(self, page: Page[_Item], asked: int) -> bool:
        """Whether this walk, or this way of walking, is at its end."""
        if page.total is None:
            short = len(page.items) < self.size
            self.ended, self.walked.complete = short or self.stale > 0, short
            return self.ended
        if not self._more:
            self.ended = self.walked.complete = True
            return True
        beyond = not page.items and asked * (self.size if self.by_page else 1) >= page.total
        if not beyond and self.stale < self._patience:
            return False
        if self.resume is not None:
            self.by_page, self.offset, self.resume, self.stale = False, self.resume, None, 0
        elif not self.lapped:
            # What is missing may have been pushed over the edge of a page for a moment.
            self.lapped, self.offset, self.stale = True, 0, 0
            self.again += -(-page.total // self.size)
        else:
            self.ended, self.walked.complete = True, beyond and len(self.ids) >= page.total
        return True

    @property
    def _patience(self) -> int:
        """After a switch the pages that were met before it come by again, too."""
        return _PATIENCE + self.again + (-(-len(self.ids) // self.size) if self.switched else 0)
