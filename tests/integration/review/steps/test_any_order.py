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


async def newest(office: Office) -> dict:
    [row] = await office.rows(
        "SELECT id, state, hash, step_state FROM review WHERE name = %s ORDER BY id DESC LIMIT 1", NAME
    )
    return row


async def act(office: Office, chance: random.Random) -> str:
    """One thing that somebody does; answers what it was."""
    what = chance.choice(["answer", "answer", "content", "state", "review", "look", "look", "carry", "lock", "forget"])
    match what:
        case "answer":
            row = await newest(office)
            if row["state"] == State.OPEN:
                await office.answer(row["id"], chance.choice(list(Verdict)), by=chance.choice([ANNA, BEN]))
        case "content":
            await office.edit(NAME, content=f"layout {chance.randrange(3)}")
        case "state":
            await office.edit(NAME, state=chance.choice(STATES), by="chief@exstream.role", comment="by hand")
        case "review":
            await office.edit(NAME, state="REVIEW", comment="please")
        case "look":
            await office.look()
        case "carry":
            # A step may meet what was changed since the last look; what was seen by one never.
            await office.look()
            before = await office.resource(NAME)
            await office.carry()
            after = await office.resource(NAME)
            if after["state"] == "APPROVED" != before["state"]:
                assert f"content {hash_of(after)}" in after["comment"]
        case "lock":
            await office.edit(NAME, locked_by=chance.choice(["designer@exstream.role", None]))
        case "forget":
            await office.rows("DELETE FROM review_watch RETURNING id")
    return what


@pytest.mark.parametrize("seed", range(10))
async def test_in_any_order(office: Office, seed) -> None:
    chance, done = random.Random(seed), []  # noqa: S311  a test's own order
    await office.look()
    for _ in range(14):
        done.append(await act(office, chance))
    await office.edit(NAME, locked_by=None)
    for _ in range(3):
        await office.look()
        await office.carry()
    resource, row = await office.resource(NAME), await newest(office)
    twice = await office.rows(
        "SELECT review_id, round FROM review_decision GROUP BY review_id, round HAVING count(*) > 1"
    )
    assert twice == [], done
    waiting = await office.rows("SELECT id FROM review WHERE name = %s AND state = 'open'", NAME)
    if resource["state"] == "REVIEW":
        refused = row["step_state"] == "refused" and row["hash"] == hash_of(resource)
        assert (row["state"] == State.OPEN and row["hash"] == hash_of(resource)) or refused, done
    else:
        assert waiting == [], done
    pending = await office.rows("SELECT id FROM next_step WHERE due_at IS NOT NULL")
    assert pending == [], done
