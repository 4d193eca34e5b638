"""What a mailbox may send: rates, days, parks and Gmail's second thoughts. Other lanes take over."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from delivery_desk import S1, S2, S3, Desk, one_each
from sighting_desk import Office

from millstream.communication.model import Mode, RunState
from millstream.delivery.errors import StaleEpoch
from millstream.delivery.meter import LaneMeter
from millstream.delivery.model import Attempt, Disposition, Kind
from millstream.delivery.options import DeliveryOptions
from millstream.gmail.errors import Effect
from millstream.quota import Limits, Rate

FIVE = Rate.parse("5/day")


async def accepted(desk: Desk, count: int, key: str = "october") -> bool:
    return await desk.counts(key) == {"accepted": count}


async def parked(desk: Desk, mailbox: str, reason: str) -> bool:
    lane = await desk.lane(mailbox)
    return (lane["state"], lane["reason"]) == ("parked", reason)


async def used(desk: Desk, mailbox: str) -> dict[str, Any]:
    """What the sandbox says of a mailbox."""
    return (await desk.get("ledger"))["mailboxes"].get(mailbox, {"calls": {}, "refusals": {}})


@pytest.mark.parametrize("mode", Mode)
async def test_no_call_is_made_before_the_time_that_gmail_named(desk: Desk, eventually, mode: Mode) -> None:
    addresses = await desk.add(12, mode=mode)
    # Written in whole milliseconds into the text of the refusal, and nowhere else.
    await desk.fault("before", "rate_limited_429", method="*.send", delay=2.5, positions=[3])

    async def refused() -> bool:
        return (await desk.lane(S1))["resume_at"] is not None

    async with desk.working():
        await eventually(refused, within=10)
        until = (await desk.lane(S1))["resume_at"]
        in_flight = desk.options.concurrency
        before = sum((await used(desk, S1))["calls"].values())

        async def time_has_come() -> bool:
            calls = sum((await used(desk, S1))["calls"].values())
            too_early = datetime.now(UTC) < until - timedelta(milliseconds=50)
            assert calls <= before + in_flight or not too_early, "a call was made while the mailbox rested"
            return not too_early

        await eventually(time_has_come, within=10)
        await eventually(lambda: accepted(desk, 12), within=20)
    assert await desk.arrived() == one_each(addresses)
    assert (await used(desk, S1))["refusals"] == {"429 rateLimitExceeded": 1}


async def test_a_rate_that_gmail_enforces_is_never_pushed_back(open_desk, eventually) -> None:
    """The lane believes in no limit: it is refused, waits for the stated time, and is not refused for coming early."""
    desk = await open_desk(limits="google-2026", limit_overrides={"units_per_minute_user": "600/min"})
    await desk.register(S1)
    await desk.add(8)
    async with desk.working():
        await eventually(lambda: refused(desk), within=15)
        refusals = sum((await used(desk, S1))["refusals"].values())
        assert refusals <= desk.options.concurrency  # those that were in flight together


async def refused(desk: Desk) -> bool:
    return (await desk.lane(S1))["resume_at"] is not None


async def test_a_mailbox_that_may_not_send_is_parked_and_others_take_its_work(desk: Desk, eventually) -> None:
    await desk.register(S1, S2)
    addresses = await desk.add(20)
    await desk.post("mailbox", {"address": S1, "mail_sending_for": 3600})
    async with desk.working():
        await eventually(lambda: accepted(desk, 20), within=20)
        assert await parked(desk, S1, "mail_sending")
    until = (await desk.lane(S1))["until"]
    assert timedelta(minutes=59) < until - datetime.now(UTC) < timedelta(minutes=61)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.sent_from() == {S2: 20}
    assert await desk.drafts() == 0


async def test_a_limit_notice_takes_an_acceptance_back(open_desk, eventually) -> None:
    """Gmail answers 200 and says afterwards that it did not send: another mailbox does, once."""
    desk = await open_desk(notice_delay_seconds=0.2)
    await desk.register(S1, S2)
    addresses = await desk.add(20)
    await desk.post("mailbox", {"address": S1, "daily_limit": 3})
    office = Office(desk.pool)

    async def taken_back_and_sent() -> bool:
        await office.read_notices(desk.mailbox(S1))
        return await desk.arrived() == one_each(addresses) and await accepted(desk, 20)

    async with desk.working():
        await eventually(taken_back_and_sent, within=30)
        assert await parked_for_limit(desk)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.drafts() == 0
    notices = await desk.rows("SELECT count(*) FROM attempt WHERE kind = 'notice'")
    assert notices[0]["count"] == (await used(desk, S1))["answered_but_not_sent"] > 0


async def parked_for_limit(desk: Desk) -> bool:
    return await parked(desk, S1, "limit_notice") or await parked(desk, S1, "mail_sending")


async def test_a_lane_at_work_hears_of_a_take_back_and_writes_nothing_over_it(desk: Desk) -> None:
    """Its send was called, and Gmail's word on it is answered before the lane could write the acceptance."""
    await desk.add()
    lane = await desk.take(S1)
    parcel = await desk.stage(lane)
    office = Office(desk.pool)
    await office.tell("limit_notice", parcel.delivery.token, thread_id=parcel.delivery.thread_id or "")
    attempt = Attempt(Kind.SEND, "ok", Effect.YES)
    with pytest.raises(StaleEpoch):
        await lane.record(parcel.delivery, parcel.delivery.accepted("m", "t", datetime.now(UTC)), attempt)
    assert (await desk.current(parcel)).disposition is Disposition.QUEUED
    assert lane.sends
    await lane.beat()
    assert not lane.sends
    assert (lane.row.state, lane.row.reason) == ("parked", "limit_notice")
    assert await desk.claim(lane) == []


async def test_a_dead_token_parks_its_mailbox_until_it_lives_again(desk: Desk, eventually) -> None:
    await desk.register(S1, S2)
    holding = await desk.take(S1)
    addresses = await desk.add(20)
    stuck = await desk.stage(holding)
    await desk.post("mailbox", {"address": S1, "suspended": True})
    async with desk.working():
        await eventually(lambda: parked(desk, S1, "mail_service_off"), within=15)
        await eventually(lambda: accepted_count(desk, 19), within=20)
        assert (await desk.current(stuck)).disposition in {"sending", "uncertain", "drafted"}
        await desk.post("mailbox", {"address": S1, "suspended": False})
        await eventually(lambda: accepted(desk, 20), within=20)
        await eventually(lambda: no_drafts(desk), within=10)
    assert await desk.arrived() == one_each(addresses)


async def accepted_count(desk: Desk, count: int) -> bool:
    return (await desk.counts()).get("accepted") == count


async def no_drafts(desk: Desk) -> bool:
    return await desk.drafts() == 0


async def test_a_draft_left_in_a_mailbox_that_died_is_removed_when_it_lives_again(desk: Desk, eventually) -> None:
    await desk.register(S1, S2)
    addresses = await desk.add(10)
    await desk.fault("before", "mail_service_off", method="drafts.send", mailbox=S1)
    await desk.fault("before", "mail_service_off", method="drafts.delete", mailbox=S1, times=2)
    async with desk.working():
        await eventually(lambda: accepted(desk, 10), within=20)
        await eventually(lambda: no_drafts(desk), within=20)
    assert await desk.arrived() == one_each(addresses)
    assert await desk.sent_from() == {S2: 10}


@pytest.mark.parametrize("mode", Mode)
async def test_the_day_ends_with_its_last_message(desk: Desk, eventually, mode: Mode) -> None:
    desk.limit(messages_per_day=FIVE)
    await desk.add(8, mode=mode)
    async with desk.working():
        await eventually(lambda: parked(desk, S1, "day_budget"), within=15)
        await eventually(lambda: five_left(desk), within=10)
    assert (await desk.sent_from()) == {S1: 5}
    assert (await desk.lane(S1))["until"] > datetime.now(UTC) + timedelta(hours=23)
    assert await desk.drafts() == 0


async def five_left(desk: Desk) -> bool:
    return await desk.counts() == {"accepted": 5, "queued": 3}


async def test_the_day_counts_what_was_sent_before_a_restart(desk: Desk, eventually) -> None:
    """Three messages left, and their process died before it could say so."""
    desk.limit(messages_per_day=FIVE)
    await desk.add(8)
    holding = await desk.take(S1)
    for _ in range(3):
        parcel = await desk.stage(holding)
        await desk.mailbox(S1).send_draft(parcel.delivery.draft_id or "")
    async with desk.working():
        await eventually(lambda: five_left(desk), within=15)
        await eventually(lambda: parked(desk, S1, "day_budget"), within=15)
    async with desk.working():
        await eventually(lambda: five_left(desk), within=15)
    assert await desk.sent_from() == {S1: 5}
    assert sum(row["sent"] for row in await desk.store.spent(S1, seconds=60)) == 5


async def test_drafts_that_waited_through_a_pause_do_not_exceed_the_day(desk: Desk, eventually) -> None:
    desk.limit(messages_per_day=FIVE)
    await desk.add(4)
    holding = await desk.take(S1)
    for _ in range(4):
        await desk.stage(holding, release=False)
    await desk.store.leave(holding.grip)
    await desk.change(RunState.PAUSED)
    await desk.add(4, key="november")
    async with desk.working():
        await eventually(lambda: accepted(desk, 4, "november"), within=15)
        await desk.change(RunState.OPEN)
        await eventually(lambda: parked(desk, S1, "day_budget"), within=15)
        await eventually(lambda: no_drafts(desk), within=15)
    assert await desk.sent_from() == {S1: 5}
    assert await desk.counts() == {"accepted": 1, "queued": 3}


async def test_a_young_mailbox_sends_less_and_an_old_one_its_full_day(desk: Desk, eventually) -> None:
    await desk.register(S1, S2, S3)
    desk.limit(messages_per_day=Rate.parse("6/day"), warm_up=(2, 4))
    desk.tune(warm={S2: 1, S3: 30})
    await desk.add(20)
    async with desk.working():
        for mailbox in (S1, S2, S3):
            await eventually(lambda mailbox=mailbox: parked(desk, mailbox, "day_budget"), within=15)
    assert await desk.sent_from() == {S1: 2, S2: 4, S3: 6}


async def test_the_bytes_of_a_day_hold_a_mailbox_back(desk: Desk, eventually) -> None:
    await desk.register(S1)
    desk.limit(upload_bytes_per_day=Rate.parse("2_000/day"))
    await desk.add(10)
    async with desk.working():
        await eventually(lambda: parked(desk, S1, "upload_budget"), within=15)
    assert (await used(desk, S1))["uploaded_last_day"] <= 2_000


async def test_a_park_that_comes_while_a_heartbeat_is_under_way_is_not_forgotten(desk: Desk) -> None:
    holding = await desk.take(S1)
    until = datetime.now(UTC) + timedelta(hours=1)
    for _ in range(25):
        await desk.store.set_state(S1, "open", reason=None, actor="Anna")
        await holding.beat()
        await asyncio.gather(holding.beat(), holding.park("mail_sending", until), holding.beat())
        assert holding.row.state == "parked"


def test_a_meter_starts_from_what_the_ledger_says_was_spent() -> None:
    limits = Limits.preset("google-2026", {"messages_per_day": "5/day", "warm_up": "none"})
    meter = LaneMeter(DeliveryOptions(limits=limits), age_days=10, stopped=lambda: False)
    now = datetime.now(UTC).timestamp()
    rows = [
        {"at": now - age, "units": 100, "bytes": 1_000, "sent": sent}
        for age, sent in ((90_000, True), (60, True), (5, False))
    ]
    meter.restore(rows[1:])
    assert meter.messages_left() == 4
    assert meter.bytes_left() == 500_000_000 - 2_000
    assert meter.day_frees_at() - datetime.now(UTC) <= timedelta(days=1)


def test_lanes_share_what_the_project_may_spend() -> None:
    meter = LaneMeter(DeliveryOptions(limits=Limits.preset("google-2026")), age_days=10, stopped=lambda: False)
    meter.share_project(10)
    assert str(meter._window.rate) == "6_000/min"
    meter.share_project(400)
    assert meter._window.rate is not None
    assert meter._window.rate.per_second * 400 <= 20_000
    meter.share_project(10)
    assert str(meter._window.rate) == "6_000/min"


async def test_a_project_whose_day_is_spent_sends_nothing_more(desk: Desk, eventually) -> None:
    await desk.add(4)
    desk.board._day = Rate.parse("1/day")
    holding = await desk.take(S1)
    drafted = await desk.stage(holding, release=False)
    await desk.board.count_day()
    assert desk.board.project_open
    await desk.rows(
        "INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect, units) "
        "VALUES (%(id)s, 99, 's1@bank.example', 1, 'probe', '-', 'no', 500) RETURNING 1",
        id=drafted.delivery.id,
    )
    await desk.board.count_day()
    assert not desk.board.project_open
    async with desk.working():
        await eventually(lambda: nothing_left_to_look_for(desk), within=15)
    assert await desk.arrived() == {}


async def nothing_left_to_look_for(desk: Desk) -> bool:
    lane = await desk.lane(S1)
    return lane["epoch"] > 1 and lane["strays_at"] is None and lane["holder"] is None


def test_a_lane_leaves_room_for_what_reading_its_mailbox_takes() -> None:
    meter = LaneMeter(DeliveryOptions(limits=Limits.preset("google-2026")), age_days=10, stopped=lambda: False)
    meter.share_project(1, spared=0)
    assert meter._window.rate == Rate.parse("6_000/min")
    meter.share_project(1, spared=40)
    assert meter._window.rate == Rate.parse("5_960/min")
    meter.share_project(1, spared=1_540)
    assert meter._window.rate == Rate.parse("4_460/min")
    meter.share_project(1, spared=9_000)
    assert meter._window.rate == Rate.parse("100/min"), "a draft can still be sent"


async def test_a_heartbeat_tells_what_is_left_to_reading(desk: Desk) -> None:
    holding = await desk.take(S1)

    async def spared() -> int:
        return (await desk.store.beat(holding.grip, holding.row, width=4, stalled_after=1, beside=40)).spared

    assert await spared() == 0, "nobody reads it"
    await desk.rows("INSERT INTO mailbox (address) VALUES (%(mailbox)s) RETURNING address", mailbox=S1)
    await desk.rows("INSERT INTO reading (mailbox, units) VALUES (%(m)s, 20), (%(m)s, 2) RETURNING units", m=S1)
    assert await spared() == 40, "so much is always left"
    await desk.rows("INSERT INTO reading (mailbox, units) VALUES (%(m)s, 100) RETURNING units", m=S1)
    assert await spared() == 122
    await desk.rows("INSERT INTO reading (mailbox, units, ahead) VALUES (%(m)s, 300, true) RETURNING units", m=S1)
    assert await spared() == 422
    await desk.rows("UPDATE reading SET at = now() - interval '80 seconds' RETURNING units")
    assert await spared() == 340, "what was announced may have been spent later"
    assert await desk.store.project_spent() == 422
