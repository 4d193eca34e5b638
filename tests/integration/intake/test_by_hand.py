"""A driver that a person submits counts as what came in by its door."""

import orjson
import pytest

from millstream.app.house import open_house
from millstream.app.submit import submit_driver
from millstream.communication.model import Mode, Policy
from millstream.config import Settings
from millstream.intake.consignments import ConsignmentStore


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
