"""Whatever people do in whatever order, here and in Exstream: nothing passes unseen, and nothing waits unasked."""

import hashlib
import random

import pytest
from office import ANNA, BEN, Office

from millstream.review.model import State, Verdict

NAME = "Account statement 2027"
STATES = ("DRAFT", "REVIEW", "APPROVED", "REJECTED")


def hash_of(resource: dict) -> str:
    content = hashlib.sha256(resource["content"].encode()).hexdigest()
    return hashlib.sha256("\x1f".join((resource["id"], resource["name"], content)).encode()).hexdigest()


async def newest(office: Office) -> list[dict]:
    """The newest review by each policy."""
    return await office.rows(
        "SELECT DISTINCT ON (policy) id, state, hash, step_state FROM review WHERE name = %s ORDER BY policy, id DESC",
        NAME,
    )


async def answer(office: Office, chance: random.Random) -> None:
    if waiting := [row["id"] for row in await newest(office) if row["state"] == State.OPEN]:
        await office.answer(chance.choice(waiting), chance.choice(list(Verdict)), by=chance.choice([ANNA, BEN]))


async def edit(office: Office, chance: random.Random) -> None:
    await office.edit(NAME, content=f"layout {chance.randrange(3)}")


async def settle(office: Office, chance: random.Random) -> None:
    await office.edit(NAME, state=chance.choice(STATES), by="chief@exstream.role", comment="by hand")


async def hand_in(office: Office, _chance: random.Random) -> None:
    await office.edit(NAME, state="REVIEW", comment="please")


async def look(office: Office, _chance: random.Random) -> None:
    await office.look()


async def lock(office: Office, chance: random.Random) -> None:
    await office.edit(NAME, locked_by=chance.choice(["designer@exstream.role", None]))


async def forget(office: Office, _chance: random.Random) -> None:
    await office.rows("DELETE FROM review_watch RETURNING id")


async def carry(office: Office, _chance: random.Random) -> None:
    # A step may meet what was changed since the last look; what a look has seen it never meets.
    await office.look()
    before = await office.resource(NAME)
    await office.carry()
    after = await office.resource(NAME)
    if after["state"] == "APPROVED" != before["state"]:
        assert f"content {hash_of(after)}" in after["comment"]
        assert {(row["state"], row["hash"]) for row in await newest(office)} == {(State.APPROVED, hash_of(after))}


ACTS = (answer, answer, answer, edit, settle, hand_in, look, look, carry, lock, forget)


@pytest.mark.parametrize("policies", [1, 2])
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 148, 226])
async def test_in_any_order(office_of, seed, policies) -> None:
    office = await office_of(policies={f"policy {number}": {"concerns": "resource"} for number in range(policies)})
    chance = random.Random(seed)  # noqa: S311  a test's own order
    acts = [chance.choice(ACTS) for _ in range(26)]
    done = [each.__name__ for each in acts]
    await office.look()
    for each in acts:
        await each(office, chance)
    await office.edit(NAME, locked_by=None)
    for _ in range(3):
        await office.look()
        await office.carry()
    resource = await office.resource(NAME)
    if resource["state"] == "REVIEW":
        assert any(
            row["hash"] == hash_of(resource) and (row["state"] == State.OPEN or row["step_state"] == "refused")
            for row in await newest(office)
        ), done
    else:
        assert State.OPEN not in {row["state"] for row in await newest(office)}, done
    assert await office.rows("SELECT id FROM next_step WHERE due_at IS NOT NULL") == [], done
