"""The demo in its storm: faults everywhere, three ailing mailboxes, a worker that dies at every point."""

import pytest
from acceptance_stage import Stage

CUSTOMERS = 60


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow), pytest.param(3, marks=pytest.mark.slow)])
async def test_every_customer_has_one_statement_after_the_storm(bare_stage: Stage, seed: int) -> None:
    ended = await bare_stage.run(
        *("demo", "--faults", "--seed", str(seed), "--no-reviews"),
        *("--customers", str(CUSTOMERS), "--exit", "--json"),
        within=280,
    )
    outcome = ended.json
    asked = ("customers", "composed", "duplicates", "missing", "uncertain", "failed", "held", "accepted")
    assert {name: outcome[name] for name in asked} == {
        "customers": CUSTOMERS,
        "composed": CUSTOMERS,
        "duplicates": 0,
        "missing": 0,
        "uncertain": 0,
        "failed": 0,
        "held": 0,
        "accepted": CUSTOMERS,
    }
    assert ended.code == 0
