"""A copy is a delivery like any other: of its own address, its own budget, its own hold."""

import pytest
from delivery_desk import POOL, Desk, one_each

from millstream.communication.model import Communication, Mode, Policy, Recipient


def communication(key: str = "one", *copies: Recipient, **changes: object) -> Communication:
    given = {
        "key": key,
        "type": "statement",
        "customer": "C-1",
        "recipient": Recipient("ada@example.org", "Ada Byron"),
        "subject": "Your statement",
        "text": "Dear customer,\n",
        "html": None,
        "locale": "en-GB",
        "stream": "statements",
        "source_hash": "x",
        "copies": copies,
        **changes,
    }
    return Communication(**given)  # type: ignore[arg-type]  # the test says what it gives


COPIES = (Recipient("agent@example.net", "Her Agent"), Recipient("office@example.com"))


@pytest.mark.parametrize("mode", Mode)
async def test_each_copy_arrives_once_and_names_its_own_recipient(desk: Desk, eventually, mode: Mode) -> None:
    run = await desk.runs.open_run("october", pool=POOL, mode=mode, policy=Policy(), source="")
    added = await desk.runs.add(run, [communication("one", *COPIES)])
    assert (added.new, added.unchanged) == (1, 0)

    async def accepted() -> bool:
        return (await desk.counts()).get("accepted") == 3

    async with desk.working():
        await eventually(accepted, within=30)
    assert await desk.arrived() == one_each(["ada@example.org", "agent@example.net", "office@example.com"])


async def test_what_a_lane_claims_is_addressed_to_the_copys_own_recipient(desk: Desk) -> None:
    run = await desk.runs.open_run("october", pool=POOL, mode=Mode.DRAFT, policy=Policy(), source="")
    await desk.runs.add(run, [communication("one", *COPIES)])
    [lane, *_] = await desk.store.lanes()
    holding = await desk.take(lane["mailbox"])
    parcels = await desk.claim(holding, most=10)
    assert [(each.recipient.address, each.recipient.name) for each in parcels] == [
        ("ada@example.org", "Ada Byron"),
        ("agent@example.net", "Her Agent"),
        ("office@example.com", ""),
    ]
    assert len({each.delivery.token for each in parcels}) == 3


async def test_the_same_again_owes_no_further_copy(desk: Desk) -> None:
    run = await desk.runs.open_run("october", pool=POOL, mode=Mode.DRAFT, policy=Policy(), source="")
    await desk.runs.add(run, [communication("one", *COPIES)])
    again = await desk.runs.add(run, [communication("one", *COPIES)])
    assert (again.new, again.unchanged) == (0, 1)
    assert await desk.counts() == {"queued": 3}


async def test_copies_count_for_the_content_only_where_there_are_some() -> None:
    assert communication().content_hash == communication("two").content_hash
    assert communication("one", *COPIES).content_hash != communication().content_hash
