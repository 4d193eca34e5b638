"""One batch job of Exstream through each door, with processes that die and come back: exactly one statement each."""

import pytest
from acceptance_stage import Stage

DOORS = ["folder", "http", "smtp", "pull"]


async def _once(stage: Stage, door: str, customers: int, *weather: str, within: float) -> dict[str, object]:
    ended = await stage.run(
        *("demo", "--intake", door, *weather, "--no-reviews", "--customers", str(customers), "--exit", "--json"),
        within=within,
    )
    outcome = ended.json
    asked = ("customers", "doors", "duplicates", "missing", "uncertain", "failed", "held", "accepted")
    assert {name: outcome[name] for name in asked} == {
        "customers": customers,
        "doors": {door: customers},
        "duplicates": 0,
        "missing": 0,
        "uncertain": 0,
        "failed": 0,
        "held": 0,
        "accepted": customers,
    }
    assert ended.code == 0
    return outcome


@pytest.mark.parametrize("door", DOORS)
async def test_a_batch_job_comes_in_by_each_door(bare_stage: Stage, door: str) -> None:
    outcome = await _once(bare_stage, door, 60, within=200)
    assert outcome["composed"] == 60


@pytest.mark.slow
@pytest.mark.timeout(700)  # the suite's own would end it before `within` does
@pytest.mark.parametrize("door", DOORS)
async def test_two_thousand_by_each_door_in_a_storm(bare_stage: Stage, door: str) -> None:
    outcome = await _once(bare_stage, door, 2_000, "--faults", "--seed", "5", within=600)
    assert outcome["kills"]
