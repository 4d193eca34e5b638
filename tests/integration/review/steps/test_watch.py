"""The watch on Exstream: what waits there is put to people, and what was settled there ends its question."""

from millstream.review.model import Verdict


async def test_every_resource_in_review_is_put_to_people_once(office) -> None:
    await office.look()
    await office.look()
    found = await office.reviews()
    assert sorted(row["name"] for row in found) == [
        "Account statement 2027",
        "Annual letter",
        "Collection letter",
        "Interest notice",
    ]
    assert {row["state"] for row in found} == {"open"}


async def test_an_approval_reaches_exstream_and_ends_there(office) -> None:
    await office.look()
    number = next(row["id"] for row in await office.reviews() if row["name"] == "Interest notice")
    await office.answer(number, Verdict.APPROVE)
    await office.carry()
    await office.look()
    assert (await office.resource("Interest notice"))["state"] == "APPROVED"
    assert (await office.step_state(number), len(await office.reviews())) == ("done", 4)
    assert "18f0c0ffee" in (await office.resource("Interest notice"))["comment"]
