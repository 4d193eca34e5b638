"""What a dead process left in `sending` is settled by evidence, and by nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from delivery_desk import S1, S2, Desk, one_each

from millstream.communication.model import Mode
from millstream.delivery.errors import UnknownDelivery
from millstream.delivery.transport import Sent, Unsent, find_sent

LETTER = b"From: s1@bank.example\r\nTo: somebody@example.org\r\nSubject: Other mail\r\n\r\nHello.\r\n"


async def accepted(desk: Desk, count: int = 1) -> bool:
    return await desk.counts() == {"accepted": count}


async def test_a_draft_that_exists_was_not_sent_and_is_sent_once(desk: Desk, eventually) -> None:
    addresses = await desk.add()
    parcel = await desk.stage(await desk.take(S1))
    async with desk.working():
        await eventually(lambda: accepted(desk), within=10)
    assert await desk.arrived() == one_each(addresses)
    assert ("probe", "unsent") in await desk.attempts(parcel)
    assert await desk.drafts() == 0


async def test_a_draft_that_was_sent_is_found_in_its_thread(desk: Desk, eventually) -> None:
    addresses = await desk.add()
    parcel = await desk.stage(await desk.take(S1))
    await desk.mailbox(S1).send_draft(parcel.delivery.draft_id or "")
    async with desk.working():
        await eventually(lambda: accepted(desk), within=10)
    assert await desk.arrived() == one_each(addresses)
    [probe] = await desk.rows("SELECT outcome, evidence FROM attempt WHERE kind = 'probe'")
    assert probe == {"outcome": "sent", "evidence": "thread"}


async def test_a_direct_send_is_found_by_its_header(desk: Desk, eventually) -> None:
    addresses = await desk.add(mode=Mode.DIRECT)
    _, raw = await desk.intend(await desk.take(S1))
    for _ in range(3):
        await desk.mailbox(S1).send_message(LETTER)
    await desk.mailbox(S1).send_message(raw)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=10)
    assert (await desk.arrived())[addresses[0]] == 1
    [probe] = await desk.rows("SELECT outcome, evidence FROM attempt WHERE kind = 'probe'")
    assert probe == {"outcome": "sent", "evidence": "header"}
    [found] = await desk.rows("SELECT message_id, rfc822_id FROM delivery")
    sent = await desk.mailbox(S1).get_message(found["message_id"])
    assert f"<{found['rfc822_id']}>" == sent.headers.get("Message-ID")


@pytest.mark.parametrize("mode", Mode)
async def test_what_shows_late_in_sent_is_waited_for(open_desk, eventually, mode: Mode) -> None:
    desk = await open_desk(label_lag_seconds=1.0)
    desk.tune(probe_for=10.0)
    await desk.register(S1)
    addresses = await desk.add(12, mode=mode)
    await desk.fault("after", "reset", method="*.send", times=5)
    async with desk.working():
        await eventually(lambda: accepted(desk, 12), within=20)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.drafts() == 0


async def test_a_direct_send_without_evidence_goes_to_a_person_who_decides(desk: Desk, eventually) -> None:
    addresses = await desk.add(2, mode=Mode.DIRECT)
    holding = await desk.take(S1)
    never, _ = await desk.intend(holding)
    other, _ = await desk.intend(holding)
    async with desk.working():
        await eventually(lambda: waits_for_a_person(desk, 2), within=20)
        assert await desk.arrived() == {}
        await desk.store.settle_by_person(never.delivery.token, disposition="queued", detail="not there", actor="A")
        await desk.store.settle_by_person(other.delivery.token, disposition="accepted", detail="it is", actor="A")
        await eventually(lambda: accepted(desk, 2), within=20)
    assert await desk.arrived() == one_each(addresses[:1])
    with pytest.raises(UnknownDelivery):
        await desk.store.settle_by_person(never.delivery.token, disposition="queued", detail="again", actor="A")


async def waits_for_a_person(desk: Desk, count: int) -> bool:
    found = await desk.rows("SELECT count(*) FROM delivery WHERE disposition = 'uncertain' AND due_at IS NULL")
    return found == [{"count": count}]


async def test_a_draft_that_a_person_deleted_is_never_made_again(desk: Desk, eventually) -> None:
    await desk.register(S1, S2)
    await desk.add()
    parcel = await desk.stage(await desk.take(S1))
    await desk.mailbox(S1).delete_draft(parcel.delivery.draft_id or "")
    async with desk.working():
        await eventually(lambda: waits_for_a_person(desk, 1), within=20)
    assert await desk.arrived() == {}
    assert (await desk.get("ledger"))["calls"]["drafts.create"] == 1
    assert (await desk.current(parcel)).mailbox == S1


ODD: list[dict[str, Any]] = [
    {"kind": "duplicate_page", "method": "history.list", "times": 2},
    {"kind": "duplicate_page", "method": "history.list"},
    {"kind": "empty_page", "method": "history.list", "times": 2},
    {"kind": "expired_history", "method": "history.list"},
    {"kind": "vanished", "method": "messages.get", "times": 2},
]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: f"{odd['kind']}-{odd.get('times', 'always')}")
@pytest.mark.parametrize("by", ["thread", "header"])
async def test_evidence_is_found_behind_odd_answers(desk: Desk, odd: dict[str, Any], by: str) -> None:
    if by == "thread" and odd["kind"] == "vanished":
        pytest.skip("a thread is found without reading messages")
    await desk.add()
    parcel = await desk.stage(await desk.take(S1))
    for _ in range(4):
        await desk.mailbox(S1).send_message(LETTER)
    sent = await desk.mailbox(S1).send_draft(parcel.delivery.draft_id or "")
    await desk.fault("odd", **odd)
    thread = parcel.delivery.thread_id if by == "thread" else None
    sought = replace(parcel.delivery, thread_id=thread)
    found = await find_sent(desk.mailbox(S1), sought)
    assert isinstance(found, Sent)
    assert (found.message_id, found.thread_id, found.how) == (sent.id, sent.thread_id, by)


async def test_an_empty_page_that_never_ends_does_not_hold_a_lane(desk: Desk) -> None:
    await desk.add()
    parcel = await desk.stage(await desk.take(S1))
    await desk.fault("odd", "empty_page", method="history.list")
    assert await find_sent(desk.mailbox(S1), parcel.delivery) is Unsent.NOTHING
