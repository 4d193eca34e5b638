"""Many mailboxes in one process and in several: leases, pacing, hints, the watchdog."""

from datetime import UTC, datetime, timedelta

import pytest
from reading_desk import BOX, OTHER, ReadingDesk

from millstream.gmail.pubsub import Hint
from millstream.mailbox.desk import Desk
from millstream.mailbox.errors import LeaseLost, UnknownMailbox
from millstream.mailbox.model import Kind, Sighting
from millstream.mailbox.options import PushOptions
from millstream.mailbox.watching import Hints, Watchdog, Watches
from millstream.quota import Limits


async def test_a_dead_mailbox_stops_no_other(desk: ReadingDesk) -> None:
    await desk.register(BOX, OTHER)
    await desk.ail(BOX, token_dead=True)
    message = desk.arrive(OTHER)
    await desk.look(2)
    assert set(await desk.told(OTHER)) == {message}
    dead = await desk.mailbox(BOX)
    assert dead["trouble"] in {"token_dead", "temporary"}
    assert dead["failures"] == 2
    await desk.ail(BOX, token_dead=False)
    await desk.look()
    assert (await desk.mailbox(BOX))["trouble"] is None


async def test_who_lost_the_lease_writes_nothing(desk: ReadingDesk) -> None:
    [first] = await desk.store.lease("one", most=5, seconds=0)
    await desk.rows("UPDATE mailbox SET leased_until = now() - interval '1 second'")
    [second] = await desk.store.lease("two", most=5, seconds=60)
    assert second.epoch == first.epoch + 1
    with pytest.raises(LeaseLost):
        await desk.store.record(first, [Sighting("m", "t", Kind.MAIL)], [])
    assert await desk.told() == {}
    assert await desk.store.lease("three", most=5, seconds=60) == []


async def test_a_sighting_is_recorded_and_told_once(desk: ReadingDesk) -> None:
    [lease] = await desk.store.lease("one", most=5, seconds=60)
    sighting = Sighting("m", "t", Kind.REQUEST)
    assert (await desk.store.record(lease, [sighting], [])).sightings == 1
    assert (await desk.store.record(lease, [sighting, sighting], [])).sightings == 0
    assert await desk.events() == [("sighting.request", f"mailbox:{BOX}")]


async def test_looks_that_are_broken_off_lose_nothing(desk: ReadingDesk, eventually) -> None:
    ids = {desk.arrive(number=number) for number in range(30)}
    await desk.fault("slow", method="messages.get", delay=0.2)
    async with Desk(desk.gmail, desk.tools) as one:
        await one.tend()
        await eventually(desk.told)
    assert 0 < len(await desk.told()) < len(ids)
    assert (await desk.mailbox())["holder"] is None, "it was given back"
    await desk.look()
    assert set(await desk.told()) == ids


async def test_a_hint_makes_a_mailbox_due_until_a_look_has_reached_it(desk: ReadingDesk) -> None:
    woken: list[bool] = []
    hints = Hints(desk.store, wake=lambda: woken.append(True))
    await desk.look()
    await desk.rows("UPDATE mailbox SET due_at = now() + interval '1 hour'")
    account = desk.running.world.account(BOX)
    assert account is not None
    message = desk.arrive()
    assert await hints.hint([Hint(BOX.upper(), account.history.last), Hint("nobody@bank.example", 5)]) == 1
    assert woken == [True]
    async with Desk(desk.gmail, desk.tools) as one:
        await one.tend()
        await one.drain()
    assert set(await desk.told()) == {message}
    row = await desk.mailbox()
    assert row["hint"] is None
    assert row["due_at"] - datetime.now(UTC) > timedelta(seconds=1)


async def test_a_hint_that_history_does_not_show_yet_keeps_the_mailbox_due(desk: ReadingDesk) -> None:
    await desk.look()
    [row] = await desk.rows("SELECT history_id FROM mailbox")
    await desk.store.hint([(BOX, row["history_id"] + 1_000)])
    async with Desk(desk.gmail, desk.tools) as one:
        await one.tend()
        await one.drain()
    after = await desk.mailbox()
    assert after["hint"] is not None
    assert after["due_at"] - datetime.now(UTC) < timedelta(seconds=1)


async def test_a_hint_of_the_past_wakes_nobody(desk: ReadingDesk) -> None:
    await desk.look()
    [row] = await desk.rows("SELECT history_id FROM mailbox")
    assert await desk.store.hint([(BOX, row["history_id"])]) == 0


async def test_the_watchdog_says_once_what_is_wrong_and_once_that_it_is_well(desk: ReadingDesk) -> None:
    watchdog = Watchdog(desk.store, desk.options)
    await desk.look()
    await desk.rows("UPDATE mailbox SET moved_at = now() - interval '1 day'")
    await watchdog.look()
    await watchdog.look()
    assert await desk.events() == [("mailbox.stalled", f"mailbox:{BOX}")]
    await desk.look()
    await watchdog.look()
    await watchdog.look()
    assert await desk.events() == [("mailbox.stalled", f"mailbox:{BOX}"), ("mailbox.recovered", f"mailbox:{BOX}")]


async def test_a_mailbox_that_is_no_more_configured_is_not_read(desk: ReadingDesk) -> None:
    await desk.register(OTHER)
    desk.arrive(BOX)
    await desk.look()
    assert await desk.told(BOX) == {}
    with pytest.raises(UnknownMailbox):
        await desk.store.find(BOX)


async def test_idle_looks_are_counted_together_and_stay_below_their_budget(desk: ReadingDesk) -> None:
    desk.tune(poll_units_per_day=2_000)
    await desk.look()
    assert await desk.rows("SELECT mailbox, units FROM reading WHERE mailbox IS NULL") == []
    async with Desk(desk.gmail, desk.tools) as one:
        await one.tend()
        await desk.rows("UPDATE mailbox SET due_at = now()")
        await one.tend()
        await one.drain()
    row = await desk.mailbox()
    assert row["due_at"] - datetime.now(UTC) > timedelta(seconds=60), "two units a look, a thousand looks a day"


async def test_units_are_spent_within_googles_rate(open_desk) -> None:
    desk = await open_desk(limits="google-2026", limit_overrides={"units_per_minute_user": "2_400/min"})
    desk.tune(limits=Limits.preset("google-2026", {"units_per_minute_user": "2_400/min"}))
    await desk.register(BOX)
    for number in range(12):
        desk.arrive(number=number)
    await desk.look()
    async with desk.session.get(f"{desk.running.url}/sandbox/v1/ledger") as reply:
        ledger = await reply.json()
    assert ledger["refusals"] == {}
    assert len(await desk.told()) == 12


async def test_the_watchdog_tells_of_a_dead_token_and_of_a_watch_that_runs_out(desk: ReadingDesk) -> None:
    desk.tune(push=PushOptions("projects/p/topics/gmail"))
    await desk.look()
    await desk.rows("UPDATE mailbox SET trouble = 'token_dead', watch_until = now() + interval '3 hours'")
    await Watchdog(desk.store, desk.options).look()
    assert sorted(await desk.events()) == [
        ("mailbox.token_dead", f"mailbox:{BOX}"),
        ("mailbox.watch_expiring", f"mailbox:{BOX}"),
    ]


async def test_watches_are_made_and_a_mailbox_that_refuses_stops_no_other(desk: ReadingDesk) -> None:
    topic = "projects/p/topics/gmail"
    async with desk.session.post(
        f"{desk.running.url}/sandbox/v1/topics", json={"name": topic, "granted": True}
    ) as reply:
        assert reply.status == 200
    await desk.register(BOX, OTHER)
    await desk.ail(OTHER, token_dead=True)
    watches = Watches(desk.gmail, desk.store, PushOptions(topic))
    assert await watches.renew() == 1
    assert await watches.renew() == 0, "nothing is due before tomorrow"
    well, ill = await desk.mailbox(BOX), await desk.mailbox(OTHER)
    assert well["watch_until"] - datetime.now(UTC) > timedelta(days=6)
    assert (ill["watch_until"], bool(ill["watch_failure"])) == (None, True)


async def test_what_a_mailbox_sends_does_not_drown_the_push_for_the_answer(desk: ReadingDesk) -> None:
    topic, control = "projects/p/topics/gmail", f"{desk.running.url}/sandbox/v1"
    async with desk.session.post(f"{control}/topics", json={"name": topic, "granted": True}) as reply:
        assert reply.status == 200
    await desk.register(BOX)
    await Watches(desk.gmail, desk.store, PushOptions(topic)).renew()
    desk.running.world.clock.advance(5.0)

    async def told() -> int:
        async with desk.session.get(f"{control}/state") as reply:
            return int((await reply.json())["notifications"]["sent"])

    before = await told()
    desk.arrive(number=1, labels=("DRAFT",))
    desk.arrive(number=2, labels=("SENT",))
    assert await told() == before
    desk.arrive(number=3)
    assert await told() == before + 1


async def test_a_push_that_is_lost_costs_a_poll_and_no_message(desk: ReadingDesk) -> None:
    await desk.look()
    await desk.fault("lost_push", method="push.notify")
    message = desk.arrive()
    await desk.look()
    assert set(await desk.told()) == {message}


async def test_reading_beside_a_sending_lane_announces_what_it_takes_beyond_its_part(desk: ReadingDesk) -> None:
    desk.tune(limits=Limits.preset("google-2026"), beside=40, heard_after=0.05)
    await desk.look()
    ids = {desk.arrive(number=number) for number in range(8)}
    await desk.rows("DELETE FROM reading")
    await desk.rows(
        "INSERT INTO lane (mailbox, pool, holder, heartbeat_at) VALUES (%(box)s, 'default', 'one', now())", box=BOX
    )
    await desk.look()
    assert set(await desk.told()) == ids
    rows = await desk.rows(
        "SELECT ahead, sum(units) AS units FROM reading WHERE mailbox = %(box)s GROUP BY ahead", box=BOX
    )
    units = {row["ahead"]: row["units"] for row in rows}
    assert 0 < units[False] <= 40, "what the lane always leaves"
    assert units[False] + units[True] == 8 * 20 + 2, "eight messages and one page of history"


async def test_a_look_under_way_learns_that_a_lane_has_begun_to_send(desk: ReadingDesk) -> None:
    [lease] = await desk.store.lease("one", most=5, seconds=60)
    assert not lease.lane_runs
    assert await desk.store.keep("one", [BOX], seconds=60) == {BOX: False}
    await desk.rows(
        "INSERT INTO lane (mailbox, pool, holder, heartbeat_at) VALUES (%(box)s, 'default', 'one', now())", box=BOX
    )
    assert await desk.store.keep("one", [BOX], seconds=60) == {BOX: True}
