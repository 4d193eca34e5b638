"""What in Exstream is broken hides nothing else."""

import pytest

from millstream.exstream.errors import ExstreamError


async def test_one_thing_that_exstream_cannot_show_hides_no_other(office) -> None:
    fault = {"kind": "500_json", "method": "resources.content", "point": "before", "positions": [1]}
    await office.site.control("POST", "faults", fault)
    await office.look()
    assert len(await office.reviews()) == 3
    assert {row["state"] for row in await office.reviews()} == {"open"}


async def test_when_exstream_has_an_answer_about_nothing_it_counts_as_away(office) -> None:
    await office.site.control("POST", "faults", {"kind": "500_json", "method": "resources.content", "point": "before"})
    with pytest.raises(ExstreamError):
        await office.look()
    assert await office.reviews() == []


async def test_after_exstream_was_away_what_failed_last_waits_no_longer_than_the_next_look(office) -> None:
    fault = {"kind": "500_json", "method": "resources.content", "point": "before", "positions": [1, 2, 3]}
    await office.site.control("POST", "faults", fault)
    with pytest.raises(ExstreamError):
        await office.look()
    await office.look()
    assert len(await office.reviews()) == 2
    office.passed += 60
    await office.look()
    assert len(await office.reviews()) == 4
