"""What leaves by the relay: how it leaves, and what a lost reply leads to."""

import asyncio
from dataclasses import replace

import psycopg
import pytest
from delivery_desk import S1, S2, one_each
from post_relay import LOST_AND_NOT_SENT, LOST_AND_SENT, LOST_BEFORE, Trouble
from relay_desk import R1, RelayDesk

from millstream.communication.model import LetterHints, RunState, Unclear
from millstream.delivery.errors import StaleEpoch
from millstream.delivery.holding import Holding
from millstream.delivery.model import Attempt, Kind
from millstream.delivery.options import Point
from millstream.delivery.relay_carry import RelayCarrier
from millstream.gmail.errors import Effect
from millstream.gmail.relay import RelayError, errors
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.transit import Transit
from millstream.storage.objects import open_store


async def accepted(desk: RelayDesk, count: int = 1, key: str = "october") -> bool:
    return await desk.counts(key) == {"accepted": count}


async def waits_for_a_person(desk: RelayDesk) -> bool:
    row = await desk.delivery()
    return (row["disposition"], row["due_at"]) == ("uncertain", None)


async def test_a_message_leaves_with_our_message_id_and_bounces_to_its_token(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by()
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    row = await relay_desk.delivery()
    [slip], [letter] = relay_desk.relay.taken, relay_desk.relay.letters
    assert slip.envelope.recipient == addresses[0]
    assert slip.envelope.sender == f"s1+b-{row['token']}@bank.example"
    assert letter["From"] == f"Example Bank <{S1}>"
    assert letter["Reply-To"] == f"Example Bank <s1+{row['token']}@bank.example>"
    assert letter["Message-ID"] == f"<{row['rfc822_id']}>"
    assert row["rfc822_id"].endswith("@bank.example")
    assert row["token"] not in row["rfc822_id"]
    assert row["message_id"] == row["rfc822_id"]
    assert row["mailbox"] == R1
    assert await relay_desk.outcomes() == [("send", "intended", "no"), ("send", "ok", "yes")]
    [last] = await relay_desk.rows("SELECT evidence FROM attempt WHERE outcome = 'ok'")
    assert last == {"evidence": "250 2.0.0 OK 1 - gsmtp"}


async def test_a_relay_lane_asks_gmail_for_nothing(relay_desk, eventually) -> None:
    await relay_desk.add_by(5)
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk, 5), within=10)
    assert (await relay_desk.get("ledger"))["calls"] == {}


async def test_a_lost_reply_waits_for_a_person_and_for_nothing_else(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.HOLD)
    relay_desk.relay.script(LOST_AND_SENT)
    async with relay_desk.working():
        await eventually(lambda: waits_for_a_person(relay_desk), within=10)
    row = await relay_desk.delivery()
    assert relay_desk.relay.arrived == one_each(addresses)
    assert row["reason"] == "reply_lost"
    assert f"<{row['rfc822_id']}>" in row["detail"]
    assert f"communication settle {row['token']}" in row["detail"]


@pytest.mark.parametrize(("lost", "copies"), [(LOST_AND_SENT, 2), (LOST_AND_NOT_SENT, 1)])
async def test_a_lost_reply_is_sent_again_under_the_same_message_id(relay_desk, eventually, lost, copies) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.AGAIN)
    relay_desk.relay.script(lost)
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    row = await relay_desk.delivery()
    assert relay_desk.relay.arrived == {addresses[0]: copies}
    assert {letter["Message-ID"] for letter in relay_desk.relay.letters} == {f"<{row['rfc822_id']}>"}
    assert (row["repeats"], row["only_road"]) == (1, "relay")
    waits = ("probe", "reply_lost", "unknown")
    assert [each for each in await relay_desk.outcomes() if each != waits] == [
        ("send", "intended", "no"),
        ("send", "reply_lost", "unknown"),
        ("probe", "again", "unknown"),
        ("send", "intended", "no"),
        ("send", "ok", "yes"),
    ]


async def test_after_three_lost_replies_a_person_decides(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.AGAIN)
    relay_desk.relay.script(*[LOST_AND_SENT] * 3)
    async with relay_desk.working():
        await eventually(lambda: waits_for_a_person(relay_desk), within=10)
    assert relay_desk.relay.arrived == {addresses[0]: 3}
    row = await relay_desk.delivery()
    assert row["repeats"] == 2
    assert "sent again 2 times" in row["detail"]


async def test_what_may_have_been_sent_is_not_sent_again_once_its_run_is_cancelled(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.AGAIN)
    relay_desk.relay.script(LOST_AND_SENT)
    relay_desk.rule(again_after=0.6)

    async def unclear() -> bool:
        return await relay_desk.counts() == {"uncertain": 1}

    async with relay_desk.working():
        await eventually(unclear, within=10)
        await relay_desk.change(RunState.CANCELLED)
        await eventually(lambda: waits_for_a_person(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)


async def test_what_is_lost_before_the_dot_was_not_sent_and_is_sent_once(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.HOLD)
    relay_desk.relay.script(LOST_BEFORE, Trouble(errors.LostBeforeDot))
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)
    assert (await relay_desk.delivery())["repeats"] == 0


async def test_a_dot_that_was_refused_is_an_answer(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.HOLD)
    relay_desk.relay.script(Trouble(errors.RelayBusy, "finish"))
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)
    assert ("send", "relay_busy", "no") in await relay_desk.outcomes()


@pytest.mark.parametrize(
    ("error", "disposition", "reason"),
    [
        (errors.RecipientRefused, "held", "bad_recipient"),
        (errors.NeedsUtf8, "held", "bad_recipient"),
        (errors.RelayMessageTooLarge, "held", "too_large"),
        (errors.MessageBlocked, "failed", "blocked"),
        (errors.RelayRefused, "failed", "refused_by_relay"),
    ],
)
@pytest.mark.parametrize("at", ["open", "finish"])
async def test_a_refusal_of_the_message_stops_it_alone(
    relay_desk, eventually, error: type[RelayError], disposition: str, reason: str, at: str
) -> None:
    await relay_desk.add_by(3)
    relay_desk.rule(per_lane=1)
    relay_desk.relay.script(Trouble(error, at))

    async def over() -> bool:
        return await relay_desk.counts() == {"accepted": 2, disposition: 1}

    async with relay_desk.working():
        await eventually(over, within=10)
    [row] = await relay_desk.rows("SELECT reason FROM delivery WHERE disposition <> 'accepted'")
    assert row == {"reason": reason}


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.TlsMissing, "relay_tls"),
        (errors.CertificateRefused, "relay_tls"),
        (errors.LoginRefused, "relay_login"),
        (errors.RelayDenied, "relay_denied"),
        (errors.SenderRefused, "relay_sender"),
        (errors.UserDayReached, "relay_user_day"),
    ],
)
async def test_a_refused_user_is_parked_and_others_take_its_work(relay_desk, eventually, error, reason) -> None:
    await relay_desk.register_roads([S1, S2])
    addresses = await relay_desk.add_by(10)
    relay_desk.rule(recheck=60.0)
    relay_desk.relay.script(Trouble(error))

    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk, 10), within=10)
    lanes = [await relay_desk.lane(f"relay:{each}") for each in (S1, S2)]
    assert [lane["reason"] for lane in lanes if lane["state"] == "parked"] == [reason]
    assert relay_desk.relay.arrived == one_each(addresses)


async def test_a_relay_that_cannot_be_reached_fails_nothing(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(3)
    relay_desk.relay.script(Trouble(errors.RelayAway), Trouble(errors.RelayAway))
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk, 3), within=15)
    assert relay_desk.relay.arrived == one_each(addresses)
    assert [row["tries"] for row in await relay_desk.rows("SELECT tries FROM delivery")] == [0, 0, 0]


async def test_a_message_above_the_relays_size_is_held_before_anything_is_opened(relay_desk, eventually) -> None:
    await relay_desk.add_by()
    relay_desk.relay.size = 100

    async def held() -> bool:
        return await relay_desk.counts() == {"held": 1}

    async with relay_desk.working():
        await eventually(held, within=10)
    assert relay_desk.relay.opened == []
    assert (await relay_desk.delivery())["reason"] == "too_large"


async def test_a_lane_that_was_taken_over_sends_no_dot(relay_desk) -> None:
    """Body handed over, then another process takes the lane: what has no end is dropped, and is sent by nobody else."""
    await relay_desk.add_by()
    mine = Holding(await relay_desk.store.take(R1, holder="one"), relay_desk.tools, age_days=0)
    [parcel] = await relay_desk.claim(mine)

    await relay_desk.store.take(R1, holder="two")
    with pytest.raises(StaleEpoch):
        await RelayCarrier(mine).carry(parcel)
    assert relay_desk.relay.taken == []
    assert len(relay_desk.relay.dropped) == 1
    assert (await relay_desk.current(parcel)).disposition == "queued"


async def test_a_lane_that_is_lost_between_body_and_dot_sends_no_dot(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by()
    mine = Holding(await relay_desk.store.take(R1, holder="one"), relay_desk.tools, age_days=0)
    [parcel] = await relay_desk.claim(mine)
    relay_desk.relay.between = asyncio.Event()
    carrying = asyncio.create_task(RelayCarrier(mine).carry(parcel))
    await relay_desk.relay.reached.wait()
    await relay_desk.store.take(R1, holder="two")
    relay_desk.relay.between.set()
    with pytest.raises(StaleEpoch):
        await carrying
    assert len(relay_desk.relay.dropped) == 1
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)


async def test_a_run_that_is_paused_between_body_and_dot_sends_no_dot(relay_desk) -> None:
    await relay_desk.add_by()
    mine = Holding(await relay_desk.store.take(R1, holder="one"), relay_desk.tools, age_days=0)
    [parcel] = await relay_desk.claim(mine)
    relay_desk.relay.between = asyncio.Event()
    carrying = asyncio.create_task(RelayCarrier(mine).carry(parcel))
    await relay_desk.relay.reached.wait()
    await relay_desk.change(RunState.PAUSED)
    relay_desk.relay.between.set()
    await carrying
    assert (relay_desk.relay.taken, len(relay_desk.relay.dropped)) == ([], 1)
    assert (await relay_desk.current(parcel)).disposition == "queued"


async def test_a_copy_in_the_senders_mailbox_settles_a_lost_reply(open_relay, eventually) -> None:
    """Comprehensive mail storage: the mailbox is asked before the run's policy says that it is sent again."""
    desk = await open_relay(relay_keeps_sent_copy=True)
    await desk.register_roads([S1])
    desk.rule(sent_copies=True, probe_for=20.0)
    front = desk.running.world
    transit = Transit(front, Quota(front.config, front.clock))
    desk.relay.on_taken = lambda slip: transit.relay(S1, (slip.envelope.recipient,), slip.raw) and None
    addresses = await desk.add_by(unclear=Unclear.AGAIN)
    desk.relay.script(LOST_AND_SENT)
    async with desk.working():
        await eventually(lambda: accepted(desk), within=10)
    assert desk.relay.arrived == one_each(addresses)
    row = await desk.delivery()
    assert (row["repeats"], row["message_id"]) == (0, row["rfc822_id"])
    assert (await desk.outcomes())[-1] == ("probe", "sent", "yes")


async def test_a_mailbox_without_a_copy_leaves_it_to_the_run(open_relay, eventually) -> None:
    desk = await open_relay()
    await desk.register_roads([S1])
    desk.rule(sent_copies=True)
    await desk.add_by(unclear=Unclear.HOLD)
    desk.relay.script(LOST_AND_NOT_SENT)
    async with desk.working():
        await eventually(lambda: waits_for_a_person(desk), within=10)
    assert ("probe", "reply_lost", "unknown") in await desk.outcomes()


async def test_what_a_dead_process_was_sending_is_unclear(relay_desk, eventually) -> None:
    """Nobody can tell a death before the dot from one after it."""
    await relay_desk.add_by(unclear=Unclear.HOLD)
    mine = Holding(await relay_desk.store.take(R1, holder="dead"), relay_desk.tools, age_days=0)
    [parcel] = await relay_desk.claim(mine)
    await mine.record(
        parcel.delivery,
        parcel.delivery.sending(rfc822_id="m.1@bank.example"),
        Attempt(Kind.SEND, "intended", Effect.NO),
    )
    async with relay_desk.working():
        await eventually(lambda: waits_for_a_person(relay_desk), within=10)
    assert relay_desk.relay.taken == []
    assert ("send", "reply_lost", "unknown") in await relay_desk.outcomes()


async def test_a_person_who_says_not_sent_has_it_sent_under_the_same_message_id(relay_desk, eventually) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.HOLD)
    relay_desk.relay.script(LOST_AND_NOT_SENT)
    async with relay_desk.working():
        await eventually(lambda: waits_for_a_person(relay_desk), within=10)
        row = await relay_desk.delivery()
        await relay_desk.store.settle_by_person(row["token"], disposition="queued", detail="asked", actor="anna")
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)
    assert [letter["Message-ID"] for letter in relay_desk.relay.letters] == [f"<{row['rfc822_id']}>"]


async def test_a_process_that_stood_still_before_the_dot_sends_none_once_its_lane_is_anothers(
    relay_desk, database_url, eventually
) -> None:
    """The row says sending, and another process settles it as lost: the dot would be a copy that nobody lists."""
    addresses = await relay_desk.add_by(unclear=Unclear.AGAIN)
    mine = Holding(await relay_desk.store.take(R1, holder="one"), relay_desk.tools, age_days=0)

    class StandsStill:
        def passes(self, point: Point) -> None:
            if point is Point.AFTER_COMMIT_BEFORE_DOT:
                with psycopg.connect(database_url) as connection:
                    connection.execute("UPDATE lane SET epoch = epoch + 1")
                mine._heard_at = 0.0

    mine.tools = replace(mine.tools, drill=StandsStill())
    [parcel] = await relay_desk.claim(mine)
    with pytest.raises(StaleEpoch):
        await RelayCarrier(mine).carry(parcel)
    assert (relay_desk.relay.taken, len(relay_desk.relay.dropped)) == ([], 1)
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == one_each(addresses)


async def test_one_of_a_conversation_is_kept_as_it_left(relay_desk, eventually, tmp_path) -> None:
    """Nobody can fetch a message afterwards that left by the relay."""
    relay_desk.documents = open_store(str(tmp_path))
    [address] = await relay_desk.add_by(hints=LetterHints(references=("<first@bank.example>",)))
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    [row] = await relay_desk.rows("SELECT evidence FROM attempt WHERE outcome = 'intended'")
    raw = await relay_desk.documents.get(row["evidence"].removeprefix("raw:"), check=True)
    assert [slip.raw for slip in relay_desk.relay.taken] == [raw]
    assert address.encode() in raw


async def test_a_lane_that_waits_for_a_slow_reply_is_taken_over_by_nobody(relay_desk, eventually) -> None:
    """Its slice is over and its heart beats on: what is only slow is not settled as lost."""
    relay_desk.tune(slice=0.2, heartbeat=0.2, stalled_after=0.8)
    [address] = await relay_desk.add_by(unclear=Unclear.AGAIN)
    relay_desk.relay.reply_after = 2.5
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=15)
    assert relay_desk.relay.arrived == {address: 1}
    assert await relay_desk.outcomes() == [("send", "intended", "no"), ("send", "ok", "yes")]


@pytest.mark.parametrize(
    ("proven", "mapped_by", "copies"), [(True, "envelope", 1), (False, "envelope", 2), (True, "recipient", 2)]
)
async def test_what_a_mail_proves_is_not_sent_again_also_before_its_event_is_answered(
    relay_desk, eventually, proven, mapped_by, copies
) -> None:
    addresses = await relay_desk.add_by(unclear=Unclear.AGAIN)
    relay_desk.relay.script(LOST_AND_SENT)
    token = (await relay_desk.delivery())["token"]
    async with relay_desk.pool.connection() as connection:
        await connection.execute("INSERT INTO mailbox (address) VALUES ('bounces@bank.example')")
        await connection.execute(
            "INSERT INTO sighting (mailbox, message_id, kind, subject, mapped_by, proven) "
            "VALUES ('bounces@bank.example', 'm1', 'bounced_soft', %s, %s, %s)",
            (f"delivery:{token}", mapped_by, proven),
        )
    async with relay_desk.working():
        await eventually(lambda: accepted(relay_desk), within=10)
    assert relay_desk.relay.arrived == {addresses[0]: copies}
    assert ("probe", "sighting", "yes") in await relay_desk.outcomes() or copies == 2
