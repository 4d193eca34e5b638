"""A driver that a person submits counts as what came in by its door."""

import orjson
import pytest

from millstream.app.house import open_house
from millstream.app.submit import submit_driver
from millstream.communication.model import Mode, Policy
from millstream.config import Settings
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import UnreadableDriver


@pytest.fixture
async def house(database_url, tmp_path):
    settings = Settings(folder=tmp_path, database={"url": database_url})
    async with open_house(settings) as house:
        yield house


@pytest.fixture
def submit(house, tmp_path, record):
    async def hand_in(*numbers: int):
        file = tmp_path / "october.jsonl"
        file.write_bytes(b"".join(orjson.dumps(record(number)) + b"\n" for number in numbers))
        run = await house.runs.open_run("october", pool="p", mode=Mode.DRAFT, policy=Policy(), source="")
        return await submit_driver(house, run, file)

    return hand_in


async def test_what_a_person_submits_is_counted_by_its_door(house, submit):
    assert (await submit(1, 2)).new == 2
    assert (await submit(1, 2, 3)).new == 1
    store = ConsignmentStore(house.pool)
    assert await store.doors("october") == {"driver": 3}
    assert {row["state"] for row in await store.newest()} == {"taken"}
    assert await store.claim("a worker", most=10, seconds=1) == []


async def test_the_same_file_again_changes_nothing_and_counts_once(house, submit, tmp_path):
    await submit(1, 2)
    run = await house.runs.find("october")
    again = await submit_driver(house, run, tmp_path / "october.jsonl")
    assert (again.new, again.unchanged) == (0, 2)
    assert await ConsignmentStore(house.pool).doors() == {"driver": 2}


async def test_a_submit_that_was_broken_off_is_counted_whole_by_the_next(house, submit, tmp_path):
    """As after a kill: what came in before the end has its number, and the row waits for its end."""
    await submit(1, 2)
    async with house.pool.connection() as connection:
        await connection.execute(
            "UPDATE consignment SET state = 'received', taken_at = NULL, receipt = NULL, tidied_at = NULL"
        )
    run = await house.runs.find("october")
    again = await submit_driver(house, run, tmp_path / "october.jsonl")
    assert (again.new, again.unchanged) == (0, 2)
    assert await ConsignmentStore(house.pool).doors() == {"driver": 2}


async def test_lines_that_are_not_in_are_exceptions(house, tmp_path, record):
    file = tmp_path / "october.jsonl"
    broken = record(2) | {"documents": [{"path": "nowhere.pdf"}]}
    file.write_bytes(b"\n".join((orjson.dumps(record(1)), b"{rubbish", orjson.dumps(broken))))
    run = await house.runs.open_run("october", pool="p", mode=Mode.DRAFT, policy=Policy(), source="")
    receipt = await submit_driver(house, run, file)
    assert (receipt.new, receipt.rejected) == (2, 1)
    told = await exceptions(house)
    assert [(each["kind"], each["payload"].get("line")) for each in told] == [
        ("intake.rejected", 2),
        ("intake.held", None),
    ]
    assert told[0]["payload"]["run"] == "october"
    assert told[0]["payload"]["source"] == "october.jsonl"
    assert told[1]["payload"]["customer"] == broken["customer"]["id"]

    await submit_driver(house, run, file)
    assert len(await exceptions(house)) == 2, "the same file again tells nothing new"


async def test_a_driver_that_cannot_be_read_is_an_exception_and_may_be_handed_in_again(house, submit, tmp_path):
    file = tmp_path / "october.jsonl"
    file.mkdir()
    run = await house.runs.open_run("october", pool="p", mode=Mode.DRAFT, policy=Policy(), source="")
    for _ in range(2):
        with pytest.raises(UnreadableDriver):
            await submit_driver(house, run, file)
    kinds = [each["kind"] for each in await exceptions(house)]
    assert kinds == ["intake.failed", "intake.failed"]
    file.rmdir()
    assert (await submit(1)).new == 1


async def exceptions(house) -> list[dict]:
    async with house.pool.connection() as connection:
        found = await connection.execute(
            "SELECT kind, payload FROM event WHERE starts_with(kind, 'intake.') ORDER BY id"
        )
        return await found.fetchall()
