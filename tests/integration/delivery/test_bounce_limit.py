"""A run whose bounces pass its limit pauses itself, and again only when they have doubled after a person went on."""

from typing import Any

import pytest
from sighting_desk import Office

from millstream.communication.model import RunState
from millstream.delivery.bounces import BounceRules
from millstream.delivery.sightings import SightingRules


@pytest.fixture
def office(office: Office) -> Office:
    """More than one in ten, once twenty were accepted."""
    office.rules = SightingRules(bounces=BounceRules(limit=0.1, limit_after=20))
    return office


async def carried(office: Office, count: int, **policy: Any) -> list[str]:
    """A run of so many accepted deliveries."""
    tokens = await office.queued(*[f"c{number}@example.org" for number in range(count)], **policy)
    await office.rows(
        "UPDATE delivery SET disposition = 'accepted', mailbox = 's1@bank.example', epoch = 1, message_id = token, "
        "accepted_at = now() - interval '1 hour', due_at = NULL RETURNING 1"
    )
    return tokens


async def bounce(office: Office, tokens: list[str], **facts: Any) -> None:
    for token in tokens:
        await office.record("bounced_hard", token, status="5.7.1", **facts)
    await office.answer()


async def state(office: Office) -> RunState:
    return (await office.runs.find("october")).state


async def test_a_run_whose_bounces_pass_its_limit_pauses_itself_and_says_why(office: Office) -> None:
    tokens = await carried(office, 30)
    await bounce(office, tokens[:3])
    assert await state(office) is RunState.OPEN
    await bounce(office, tokens[3:4])
    run = await office.runs.find("october")
    assert run.state is RunState.PAUSED
    assert run.reason == "4 of 30 accepted deliveries bounced (13.3%); its limit is 10.0%"
    [told] = await office.raised("run.paused")
    assert (told["run"], told["bounced"], told["accepted"], told["limit"]) == ("october", 4, 30, 0.1)
    assert await office.trail("run:october") == ["run.paused"]


async def test_more_bounces_pause_a_paused_run_no_more(office: Office) -> None:
    tokens = await carried(office, 30)
    await bounce(office, tokens[:10])
    assert len(await office.raised("run.paused")) == 1
    assert "4 of 30" in str((await office.runs.find("october")).reason)


async def test_a_resumed_run_pauses_again_when_its_bounces_have_doubled(office: Office) -> None:
    tokens = await carried(office, 40)
    await bounce(office, tokens[:6])  # paused at five; the sixth was on its way
    resumed = await office.runs.change_state("october", RunState.OPEN, actor="ada")
    assert resumed.reason is None
    await bounce(office, tokens[6:11])
    assert await state(office) is RunState.OPEN
    await bounce(office, tokens[11:12])
    assert await state(office) is RunState.PAUSED
    assert [told["bounced"] for told in await office.raised("run.paused")] == [5, 12]


async def test_a_young_run_does_not_pause_itself(office: Office) -> None:
    tokens = await carried(office, 19)
    await bounce(office, tokens)
    assert await state(office) is RunState.OPEN


async def test_bounces_that_are_not_for_good_or_not_proven_do_not_count(office: Office) -> None:
    tokens = await carried(office, 30)
    for kind in ("bounced_soft", "delayed", "replied"):
        for token in tokens[:10]:
            await office.record(kind, token)
    await bounce(office, tokens[10:20], proven=False)
    assert await state(office) is RunState.OPEN


async def test_one_delivery_that_bounces_often_counts_once(office: Office) -> None:
    tokens = await carried(office, 30)
    await bounce(office, tokens[:1] * 10)
    assert await state(office) is RunState.OPEN


@pytest.mark.parametrize(("limit", "then"), [(0.0, "paused"), (0.02, "paused"), (0.3, "open"), (1.0, "open")])
async def test_a_run_may_have_a_limit_of_its_own(office: Office, limit: float, then: str) -> None:
    tokens = await carried(office, 30, bounce_limit=limit)
    await bounce(office, tokens[:5])
    assert await state(office) == then


async def test_a_limit_of_all_pauses_nothing_even_when_all_bounce(office: Office) -> None:
    tokens = await carried(office, 30, bounce_limit=1.0)
    await bounce(office, tokens)
    assert await state(office) is RunState.OPEN


async def test_a_cancelled_run_stays_cancelled(office: Office) -> None:
    tokens = await carried(office, 30)
    await office.runs.change_state("october", RunState.CANCELLED, actor="ada")
    await bounce(office, tokens)
    assert await state(office) is RunState.CANCELLED


async def test_other_runs_do_not_count(office: Office) -> None:
    tokens = await carried(office, 30)
    await office.queued(*[f"o{number}@example.org" for number in range(3)], key="november")
    await bounce(office, tokens[:4])
    assert (await office.runs.find("november")).state is RunState.OPEN
    assert await state(office) is RunState.PAUSED


async def test_a_run_shows_what_was_sighted_about_it(office: Office) -> None:
    tokens = await carried(office, 30)
    await bounce(office, tokens[:2])
    await office.tell("replied", tokens[0])
    run = await office.runs.find("october")
    assert await office.runs.sighted(run) == {"bounced_hard": 2, "replied": 1}
    [listed] = await office.runs.recent()
    assert (listed["bounced"], listed["reason"]) == (2, None)
