"""A delivery goes to another lane, or nowhere, only when its draft is surely gone."""

import asyncio

import pytest
from delivery_desk import S1, S2, Desk, one_each

from millstream.communication.model import RunState
from millstream.delivery.carry import Carrier
from millstream.delivery.lane import Lane
from millstream.delivery.model import Disposition
from millstream.delivery.parcel import Parcel
from millstream.delivery.suppression import Suppressions


@pytest.fixture
async def drafted(desk: Desk) -> Parcel:
    """One delivery whose draft lies in S1 and waits; S2 is there too."""
    await desk.register(S1, S2)
    await desk.add()
    holding = await desk.take(S1)
    parcel = await desk.stage(holding, release=False)
    await desk.store.leave(holding.grip)
    return parcel


async def park(desk: Desk, mailbox: str, seconds: float) -> None:
    """A lane that may not send for so long."""
    holding = await desk.take(mailbox)
    [row] = await desk.rows("SELECT now() + make_interval(secs => %(seconds)s) AS until", seconds=seconds)
    await desk.store.park(holding.grip, reason="mail_sending", until=row["until"])
    await desk.store.leave(holding.grip)


async def ended(desk: Desk, disposition: Disposition) -> bool:
    return await desk.counts() == {disposition.value: 1}


async def accepted(desk: Desk) -> bool:
    return await ended(desk, Disposition.ACCEPTED)


async def test_a_parked_lane_gives_its_drafts_to_others(desk: Desk, drafted: Parcel, eventually) -> None:
    await park(desk, S1, 60)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=15)
    assert await desk.arrived() == {"october-0@example.org": 1}
    assert await desk.sent_from() == {S2: 1}
    assert await desk.drafts() == 0
    assert ("withdraw", "ok") in await desk.attempts(drafted)


async def suppress(desk: Desk) -> None:
    for stream in ("statements", "another"):
        await Suppressions(desk.pool).add("October-0@example.org", stream=stream, why="it bounced", actor="ada")


async def test_a_draft_to_an_address_that_was_suppressed_meanwhile_is_removed_and_held(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    await suppress(desk)
    async with desk.working():
        await eventually(lambda: ended(desk, Disposition.HELD), within=15)
    assert await desk.arrived() == {}
    assert await desk.drafts() == 0
    held = await desk.current(drafted)
    assert held.reason == "suppressed"
    assert "it bounced" in str(held.detail)


async def test_a_delivery_that_is_tried_again_is_held_where_its_address_was_suppressed_meanwhile(
    desk: Desk, eventually
) -> None:
    await desk.add()
    await desk.fault("before", "500", method="drafts.create", times=1)
    lane = await desk.take(S1)
    [parcel] = await desk.claim(lane)
    await Carrier(lane).carry(parcel)
    assert (await desk.current(parcel)).mailbox == S1
    await suppress(desk)
    async with desk.working():
        await eventually(lambda: ended(desk, Disposition.HELD), within=15)
    assert await desk.arrived() == {}


async def test_a_cancelled_run_leaves_no_drafts(desk: Desk, drafted: Parcel, eventually) -> None:
    await desk.change(RunState.CANCELLED)
    async with desk.working():
        await eventually(lambda: ended(desk, Disposition.CANCELLED), within=15)
    assert await desk.arrived() == {}
    assert await desk.drafts() == 0


async def test_a_cancelled_run_takes_its_drafts_out_of_a_parked_lane_too(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    await park(desk, S1, 60)
    await desk.change(RunState.CANCELLED)
    async with desk.working():
        await eventually(lambda: ended(desk, Disposition.CANCELLED), within=15)
    assert await desk.drafts() == 0


async def test_a_draft_that_a_person_sent_by_hand_is_accepted_and_not_sent_again(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    await desk.mailbox(S1).send_draft(drafted.delivery.draft_id or "")
    await desk.change(RunState.CANCELLED)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=15)
    assert await desk.arrived() == {"october-0@example.org": 1}


async def test_a_draft_that_is_gone_without_a_trace_waits_for_a_person(desk: Desk, drafted: Parcel, eventually) -> None:
    await desk.mailbox(S1).delete_draft(drafted.delivery.draft_id or "")
    await park(desk, S1, 60)
    async with desk.working():
        await eventually(lambda: waits_for_a_person(desk), within=20)
    assert await desk.arrived() == {}
    assert (await desk.get("ledger"))["calls"]["drafts.create"] == 1


async def waits_for_a_person(desk: Desk) -> bool:
    found = await desk.rows("SELECT count(*) FROM delivery WHERE disposition = 'uncertain' AND due_at IS NULL")
    return found == [{"count": 1}]


async def test_a_deletion_whose_answer_was_lost_is_believed_when_the_draft_is_gone(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    await desk.fault("after", "reset", method="drafts.delete", times=1)
    await park(desk, S1, 60)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=20)
    assert await desk.arrived() == {"october-0@example.org": 1}
    assert await desk.sent_from() == {S2: 1}
    withdrawals = [outcome for kind, outcome in await desk.attempts(drafted) if kind == "withdraw"]
    assert withdrawals == ["intended", "connection_lost", "gone", "gone"]


async def test_a_draft_that_is_being_withdrawn_is_not_sent_when_its_lane_opens_again(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    """Our own deletion, answer lost: sending that draft would end in doubt that nobody can settle."""
    await desk.fault("after", "reset", method="drafts.delete", times=1)
    await park(desk, S1, 0.6)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=20)
    assert await desk.arrived() == {"october-0@example.org": 1}
    assert not [outcome for _, outcome in await desk.attempts(drafted) if outcome == "draft_gone"]


async def test_a_send_by_hand_that_sent_shows_late_is_not_taken_for_our_deletion(open_desk, eventually) -> None:
    desk = await open_desk(label_lag_seconds=1.6)
    desk.tune(probe_floor=2.0)
    await desk.register(S1, S2)
    await desk.add()
    holding = await desk.take(S1)
    parcel = await desk.stage(holding, release=False)
    await desk.store.leave(holding.grip)
    await desk.fault("before", "reset", method="drafts.delete", times=1)  # not deleted, and nobody knows
    await park(desk, S1, 60)
    async with desk.working():
        await eventually(lambda: tried_to_withdraw(desk), within=10)
        await desk.mailbox(S1).send_draft(parcel.delivery.draft_id or "")
        await eventually(lambda: accepted(desk), within=20)
    assert await desk.arrived() == {"october-0@example.org": 1}
    assert await desk.sent_from() == {S1: 1}


async def tried_to_withdraw(desk: Desk) -> bool:
    return bool(await desk.rows("SELECT 1 FROM attempt WHERE kind = 'withdraw' AND outcome <> 'intended'"))


async def test_a_process_that_died_after_removing_a_draft_leaves_no_doubt(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    """The intent stands in the ledger before the draft goes."""
    await desk.change(RunState.CANCELLED)
    await desk.fault("after", "hang", method="drafts.delete", delay=30, times=1)
    dying = asyncio.create_task(Lane.run_once(S1, desk.tools))
    await eventually(lambda: no_drafts(desk), within=10)
    dying.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dying
    async with desk.working():
        await eventually(lambda: ended(desk, Disposition.CANCELLED), within=15)
    assert await desk.arrived() == {}


async def no_drafts(desk: Desk) -> bool:
    return await desk.drafts() == 0


async def test_a_mailbox_that_cannot_be_looked_into_delays_a_withdrawal_only(
    desk: Desk, drafted: Parcel, eventually
) -> None:
    await desk.mailbox(S1).send_draft(drafted.delivery.draft_id or "")
    await desk.fault("before", "500", method="history.list", times=4)
    await park(desk, S1, 60)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=20)
    assert await desk.arrived() == {"october-0@example.org": 1}
    assert await desk.sent_from() == {S1: 1}


async def test_a_pause_keeps_drafts_and_a_resume_sends_them(desk: Desk, drafted: Parcel, eventually) -> None:
    await desk.change(RunState.PAUSED)
    others = await desk.add(key="november")
    async with desk.working():
        await eventually(lambda: november_left(desk), within=15)
        assert await desk.arrived() == one_each(others)
        assert await desk.drafts() == 1
        await desk.change(RunState.OPEN)
        await eventually(lambda: accepted(desk), within=15)
    assert await desk.arrived() == one_each(["october-0@example.org", *others])


async def november_left(desk: Desk) -> bool:
    return await desk.counts("november") == {"accepted": 1}


async def test_a_paused_mailbox_keeps_its_drafts_until_it_is_resumed(desk: Desk, drafted: Parcel, eventually) -> None:
    await desk.store.set_state(S1, "paused", reason="holiday", actor="Anna")
    others = await desk.add(6, key="november")
    async with desk.working():
        await eventually(lambda: six_left(desk), within=15)
        assert await desk.sent_from() == {S2: 6}
        await desk.store.set_state(S1, "open", reason=None, actor="Anna")
        await eventually(lambda: accepted(desk), within=15)
    assert await desk.arrived() == one_each(["october-0@example.org", *others])
    assert await desk.drafts() == 0


async def six_left(desk: Desk) -> bool:
    return await desk.counts("november") == {"accepted": 6}


async def test_a_message_that_gmail_refuses_is_put_aside_and_its_draft_removed(desk: Desk, eventually) -> None:
    await desk.add(2)
    await desk.fault("before", "html", method="drafts.send", status=413, times=1)
    async with desk.working():
        await eventually(lambda: one_held(desk), within=15)
    assert await desk.drafts() == 0
    assert sum((await desk.arrived()).values()) == 1


async def one_held(desk: Desk) -> bool:
    return await desk.counts() == {"accepted": 1, "held": 1}
