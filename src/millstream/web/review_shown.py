"""What of documents a page shows: how many pages there are, and what changed since the round before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

from millstream.log import get_logger
from millstream.review import difference
from millstream.review.model import Content
from millstream.review.pages import Pages
from millstream.review.sheet import Sheet, shows_papers
from millstream.storage.errors import StorageError
from millstream.web.pictures import MOST_PAGES, Pictures
from millstream.web.review_view import Change, Changes, Extras, PaperShown, size
from millstream.web.review_words import facts_of, language_of, words_of

log = get_logger(__name__)

PDF = "application/pdf"
PICTURES = frozenset({"image/png", "image/jpeg"})
_MOST_PAPERS = 50
_LOOKING = 20.0
"""Seconds that a page takes to look at documents; those it did not come to are there without pictures."""
_MOST_SHOWN = 100
"""Changes in full; the rest is counted."""
_MOST_WORDS = 600
"""Characters of one change."""

Bytes = Callable[[], Awaitable[bytes]]


async def extras_of(pages: Pages, pictures: Pictures, sheet: Sheet, given: Mapping[str, Any]) -> Extras:
    """A page's papers and changes, beside what is given."""
    if sheet.locked or not shows_papers(sheet):
        return Extras(**given)
    until = asyncio.get_running_loop().time() + _LOOKING
    papers = [
        await _paper(pages, pictures, sheet, n, until=until)
        for n in range(1, min(len(sheet.content.papers), _MOST_PAPERS) + 1)
    ]
    changes = await _changes(pages, pictures, sheet, until=until) if sheet.before is not None else None
    return Extras(papers=papers, changes=changes, **given)


async def side_by_side(pages: Pages, pictures: Pictures, sheet: Sheet, n: int, p: int) -> bytes | None:
    """A page of the n-th paper beside the one that it takes the place of."""
    pair = _pair(sheet, n)
    if pair is None or sheet.locked or not shows_papers(sheet):
        return None
    old, new = pair
    one = await pictures.page(old, p, partial(_former, pages, sheet, n))
    other = await pictures.page(new, p, partial(_now, pages, sheet, n))
    if one is None or other is None:
        return one or other
    made: bytes | None = await pictures.kept(("beside", old, new, p), lambda: difference.pictures(one, other))
    return made


async def _paper(pages: Pages, pictures: Pictures, sheet: Sheet, n: int, *, until: float) -> PaperShown:
    paper = sheet.content.papers[n - 1]
    if paper.media_type != PDF:
        return PaperShown(n, paper.name, size(paper.size), picture=paper.media_type in PICTURES)
    try:
        count = 0
        if not pictures.hopeless(paper.sha256) and asyncio.get_running_loop().time() < until:
            count = await pictures.pages(paper.sha256, partial(_now, pages, sheet, n))
    except StorageError as error:
        log.warning("review.paper_missing", review=sheet.review.id, why=str(error))
        return PaperShown(n, paper.name, size(paper.size), missing=True)
    return PaperShown(n, paper.name, size(paper.size), count, range(1, min(count, MOST_PAGES) + 1))


async def _changes(pages: Pages, pictures: Pictures, sheet: Sheet, *, until: float) -> Changes:
    before = sheet.before or Content("")
    words = words_of(language_of(sheet.seat.locale))
    found: list[Change] = []
    places: list[str] = []
    try:
        for n in range(1, min(len(sheet.content.papers), _MOST_PAPERS) + 1):
            if (pair := _pair(sheet, n)) is None or pair[0] == pair[1]:
                continue
            name = sheet.content.papers[n - 1].name
            old = new = []
            if asyncio.get_running_loop().time() < until:
                old = await pictures.texts(pair[0], partial(_former, pages, sheet, n))
                new = await pictures.texts(pair[1], partial(_now, pages, sheet, n))
            if not old or not new:  # what cannot be read is not what was taken out
                found.append(Change(f"{name}: {words['missing']}", "", ""))
                continue
            differing = await _compared(pictures, ("paper", *pair), old, new)
            count = await pictures.pages(pair[1], partial(_now, pages, sheet, n))
            for each in differing:
                place = words["page"].format(page=each.page, pages=count)
                found.append(Change(f"{name}: {place}", each.old[:_MOST_WORDS], each.new[:_MOST_WORDS]))
            # Where no text differs the picture does, and nobody knows on which page: the first ones are shown.
            pages_of = sorted({each.page for each in differing}) or range(1, min(count, 3) + 1)
            places += [f"change/{n}/{p}.png" for p in pages_of if p <= count]
    except StorageError as error:
        log.warning("review.paper_missing", review=sheet.review.id, why=str(error))
    key = ("round", str(sheet.review.id), str(sheet.seat.round))
    texts = await _compared(pictures, key, [before.text], [sheet.content.text])
    found += [Change(words["text"], each.old[:_MOST_WORDS], each.new[:_MOST_WORDS]) for each in texts]
    found = [*_facts(before, sheet.content, language_of(sheet.seat.locale)), *found]
    more = max(0, len(found) - _MOST_SHOWN)
    return Changes(found[:_MOST_SHOWN], more, places[:MOST_PAGES])


def _facts(before: Content, now: Content, language: str) -> list[Change]:
    told = [dict(facts_of(content, language)) for content in (before, now)]
    names = dict.fromkeys([*told[1], *told[0]])
    pairs = [(name, told[0].get(name, ""), told[1].get(name, "")) for name in names]
    return [Change(name, old[:_MOST_WORDS], new[:_MOST_WORDS]) for name, old, new in pairs if old != new]


async def _compared(
    pictures: Pictures, key: tuple[str, ...], old: list[str], new: list[str]
) -> tuple[difference.Change, ...]:
    if old == new:
        return ()
    made: tuple[difference.Change, ...] = await pictures.kept(("text", *key), lambda: difference.text(old, new))
    return made or ()


def _pair(sheet: Sheet, n: int) -> tuple[str, str] | None:
    """The hashes of the n-th paper of the round before and of this one, where both are PDFs."""
    before = sheet.before
    if before is None or not 1 <= n <= min(len(before.papers), len(sheet.content.papers)):
        return None
    old, new = before.papers[n - 1], sheet.content.papers[n - 1]
    return (old.sha256, new.sha256) if old.media_type == new.media_type == PDF else None


async def _now(pages: Pages, sheet: Sheet, n: int) -> bytes:
    return (await pages.paper(sheet, n))[2]


async def _former(pages: Pages, sheet: Sheet, n: int) -> bytes:
    return await pages.former(sheet, n) or b""
