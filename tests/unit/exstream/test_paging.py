"""Whatever offset counts and whatever happens to the list meanwhile: each entry once, and an end."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.exstream.model import Page
from millstream.exstream.options import Paging
from millstream.exstream.paging import Walked, walk


@dataclass
class Listing:
    """A list as a server keeps it; `changes` are made before the fetch of that number."""

    items: list[str]
    by_page: bool = False
    tells_total: bool = True
    tells_number: bool = True
    largest: int = 1000
    changes: dict[int, list[tuple[str, str]]] = field(default_factory=dict)
    asked: list[int] = field(default_factory=list)

    async def fetch(self, offset: int, count: int) -> Page[str]:
        for verb, item in self.changes.get(len(self.asked), []):
            if verb == "add":
                self.items.insert(0, item)
            elif verb == "add-last":
                self.items.append(item)
            elif item in self.items:
                self.items.remove(item)
        self.asked.append(offset)
        size = min(count, self.largest)
        start = offset * size if self.by_page else offset
        number = offset if self.by_page else start // size
        return Page(
            tuple(self.items[start : start + size]),
            total=len(self.items) if self.tells_total else None,
            number=number if self.tells_number else None,
        )


async def walked(listing: Listing, size: int, paging: Paging = Paging.AUTO) -> tuple[list[str], Walked]:
    course = Walked()
    found = [item async for item in walk(listing.fetch, page_size=size, paging=paging, walked=course)]
    return found, course


def names(count: int) -> list[str]:
    return [f"job-{number}" for number in range(count)]


@given(
    st.integers(0, 130),
    st.integers(1, 12),
    st.booleans(),
    st.booleans(),
    st.sampled_from([3, 1000]),
)
async def test_every_entry_is_given_once_whatever_offset_counts(count, size, by_page, tells_number, largest) -> None:
    listing = Listing(names(count), by_page=by_page, tells_number=tells_number, largest=largest)
    found, course = await walked(listing, size)
    assert sorted(found) == sorted(names(count))
    assert course.complete
    assert (course.seen, course.total) == (count, count)
    assert len(listing.asked) <= 2 * math.ceil(count / min(size, largest)) + 5


@given(st.integers(0, 60), st.integers(1, 12), st.sampled_from([Paging.ENTITIES, Paging.PAGES]))
async def test_a_server_that_tells_no_total_is_read_to_its_last_page(count: int, size: int, paging: Paging) -> None:
    listing = Listing(names(count), by_page=paging is Paging.PAGES, tells_total=False, tells_number=False)
    found, course = await walked(listing, size, paging)
    assert found == names(count)
    assert course.complete


@given(
    st.integers(1, 60),
    st.integers(1, 8),
    st.booleans(),
    st.dictionaries(st.integers(0, 12), st.lists(st.sampled_from(["add", "add", "remove"]), max_size=4), max_size=6),
)
async def test_what_stays_is_found_while_others_come_in_front(count, size, by_page, kinds) -> None:
    """Entries come in front of the others, as new jobs do; none of those that were there is lost."""
    changes = {at: [("add", f"new-{at}-{number}") for number, _ in enumerate(row)] for at, row in kinds.items()}
    listing = Listing(names(count), by_page=by_page, changes=changes)
    found, _ = await walked(listing, size)
    assert len(found) == len(set(found))
    assert set(names(count)) <= set(found)


@given(st.integers(1, 60), st.integers(1, 8), st.booleans(), st.lists(st.integers(0, 59), max_size=30), st.data())
async def test_what_stays_is_found_while_others_go(count, size, by_page, going, data) -> None:
    """Jobs leave a list of those that run; the ones behind them move up and must not slip through."""
    changes: dict[int, list[tuple[str, str]]] = {}
    for number in going:
        changes.setdefault(data.draw(st.integers(0, 15)), []).append(("remove", f"job-{number}"))
    listing = Listing(names(count), by_page=by_page, changes=changes)
    found, _ = await walked(listing, size)
    assert len(found) == len(set(found))
    assert set(listing.items) <= set(found)


async def test_a_total_that_shrinks_before_pages_are_told_from_entries_loses_nothing() -> None:
    listing = Listing(names(3), by_page=True, tells_number=False, changes={1: [("remove", "job-0")]})
    found, _ = await walked(listing, 2)
    assert found == ["job-0", "job-1", "job-2"]


@pytest.mark.parametrize("paging", list(Paging))
@pytest.mark.parametrize("at", [0, 1, 2])
async def test_a_page_that_is_empty_once_is_asked_again(paging: Paging, at: int) -> None:
    listing = Listing(names(25), by_page=paging is Paging.PAGES)
    calls = []

    async def fetch(offset: int, count: int) -> Page[str]:
        page = await listing.fetch(offset, count)
        calls.append(offset)
        return Page((), page.total, page.number) if len(calls) == at + 1 else page

    course = Walked()
    found = [item async for item in walk(fetch, page_size=10, paging=paging, walked=course)]
    assert sorted(found) == sorted(names(25))
    assert course.complete


@pytest.mark.parametrize("by_page", [False, True])
async def test_a_page_that_begins_with_the_end_of_the_one_before_pushes_nothing_out(by_page) -> None:
    """An entry came in front for the time of one page and went again: the total tells nothing of it."""
    listing = Listing(
        names(9), by_page=by_page, changes={1: [("add", "new"), ("remove", "job-8")], 2: [("remove", "new")]}
    )
    listing.changes[2].append(("add-last", "job-8"))
    found, _ = await walked(listing, 3)
    assert sorted(found) == sorted(names(9))


async def test_a_job_that_stands_in_two_pages_is_given_once() -> None:
    listing = Listing(["a", "b", "c", "c", "d", "e"])
    found, course = await walked(listing, 3)
    assert found == ["a", "b", "c", "d", "e"]
    assert not course.complete  # the total counts it twice, so nothing proves that all were seen


@pytest.mark.parametrize("tells_total", [True, False])
async def test_a_server_that_always_gives_its_first_page_does_not_hold_us_for_ever(tells_total) -> None:
    asked = []

    async def first(offset: int, count: int) -> Page[str]:
        asked.append(offset)
        return Page(tuple(names(count)), total=100 if tells_total else None)

    course = Walked()
    assert [item async for item in walk(first, page_size=10, walked=course)] == names(10)
    assert not course.complete
    assert len(asked) < 30


async def test_a_server_whose_page_number_repeats_the_offset_but_counts_entries_is_read_whole() -> None:
    listing = Listing(names(45), tells_number=False)

    async def misleading(offset: int, count: int) -> Page[str]:
        page = await listing.fetch(offset, count)
        return Page(page.items, page.total, offset)

    found = [item async for item in walk(misleading, page_size=10)]
    assert found == names(45)


async def test_a_total_that_swings_ends() -> None:
    asked = []

    async def swinging(offset: int, count: int) -> Page[str]:
        asked.append(offset)
        return Page(("a", "b"), total=100 - 30 * (len(asked) % 2))

    assert [item async for item in walk(swinging, page_size=2)] == ["a", "b"]
    assert len(asked) < 1100


async def test_a_fetch_that_fails_ends_the_walk_with_its_error_and_loses_nothing_before() -> None:
    listing = Listing(names(20))

    async def failing(offset: int, count: int) -> Page[str]:
        if offset:
            raise ConnectionError("away")
        return await listing.fetch(offset, count)

    course = walk(failing, page_size=5)
    assert [await anext(course) for _ in range(5)] == names(5)
    with pytest.raises(ConnectionError):
        await anext(course)
