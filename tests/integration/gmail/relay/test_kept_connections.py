"""Connections are kept, shared, limited and left in order."""

import asyncio

import pytest
from little_relay import Conversation, hang_up, reset

from millstream.gmail.relay import Envelope, errors

TO = Envelope("statements@bank.example", "customer@example.net")
RAW = b"Subject: Hello\r\n\r\nHello.\r\n"


async def test_a_connection_serves_one_message_after_another(relay, client, send):
    ours = client(relay)
    for _ in range(5):
        await send(ours)
    assert (relay.connections, len(relay.messages)) == (1, 5)


async def test_after_so_many_messages_a_new_connection_is_made_and_the_old_one_left(relay, client, send, eventually):
    ours = client(relay, messages_per_connection=3)
    for _ in range(7):
        await send(ours)
    assert (relay.connections, len(relay.messages)) == (3, 7)
    await eventually(lambda: relay.open_now == 1)
    assert [relay.of_connection[number][-1] for number in (1, 2)] == ["QUIT", "QUIT"]


async def test_an_idle_connection_is_left_before_the_relay_does_it(relay, client, send, eventually):
    ours = client(relay, idle_seconds=0.1)
    await send(ours)
    await eventually(lambda: relay.open_now == 0)
    assert relay.in_tls[-1] == "QUIT"


async def test_the_connection_used_last_is_used_first(relay, client, send):
    ours = client(relay)
    slips = [await ours.open(TO, RAW) for _ in range(3)]
    for slip in slips:
        await ours.finish(slip)
    for _ in range(4):
        await send(ours)
    assert [lines.count("DATA") for lines in relay.of_connection.values()] == [1, 1, 5]


async def test_there_are_never_more_connections_than_allowed(relay, client, send, together):
    ours = client(relay, connections=3)
    most = 0

    async def look(talk: Conversation) -> bytes:
        nonlocal most
        most = max(most, relay.open_now)
        return b"250 OK\r\n"

    relay.script["MAIL"] += [look] * 30
    outcomes = await together(*(send(ours) for _ in range(30)))
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert (most, relay.connections, len(relay.messages)) == (3, 3, 30)


async def test_whoever_gives_up_waiting_for_a_connection_takes_nobodys_turn(relay, client, together):
    ours = client(relay, connections=1)
    first = await ours.open(TO, RAW)
    waiting = [asyncio.create_task(ours.open(TO, RAW)) for _ in range(4)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    waiting[2].cancel()
    await ours.finish(first)
    waiting[1].cancel()  # it may hold its turn already
    slip = await asyncio.wait_for(waiting[3], 5)
    await ours.finish(slip)
    outcomes = await together(*waiting[:3])
    assert [type(each) for each in outcomes] == [asyncio.CancelledError] * 3
    assert (relay.connections <= 2, len(relay.messages)) == (True, 2)


@pytest.mark.parametrize("how", [reset, hang_up, b"421 4.4.2 idle for too long\r\n"])
async def test_a_kept_connection_that_is_dead_is_replaced_once(relay, client, send, how):
    ours = client(relay)
    await send(ours)
    relay.script["MAIL"].append(how)
    await send(ours)
    assert (relay.connections, len(relay.messages)) == (2, 2)


async def test_a_second_dead_one_is_not_replaced(relay, client, send):
    ours = client(relay)
    await send(ours)
    relay.script["MAIL"] += [reset, reset]
    with pytest.raises(errors.LostBeforeDot):
        await send(ours)
    assert (relay.connections, len(relay.messages)) == (2, 1)


async def test_a_new_connection_that_dies_is_an_error_at_once(relay, client, send):
    relay.script["MAIL"].append(reset)
    with pytest.raises(errors.LostBeforeDot):
        await send(client(relay))
    assert relay.connections == 1


async def test_a_dead_one_among_as_many_as_allowed_is_still_replaced(relay, client, send):
    ours = client(relay, connections=2)
    slips = [await ours.open(TO, RAW) for _ in range(2)]
    for slip in slips:
        await ours.finish(slip)
    relay.script["MAIL"].append(reset)
    await asyncio.wait_for(send(ours), 5)
    assert len(relay.messages) == 3


async def test_a_limit_told_on_a_kept_connection_is_not_tried_again(relay, client, send):
    ours = client(relay)
    await send(ours)
    relay.script["MAIL"].append(b"421 4.7.28 unusual rate\r\n")
    with pytest.raises(errors.RelayRateLimited):
        await send(ours)
    assert relay.connections == 1


async def test_a_connection_that_ended_while_it_was_idle_is_not_used(relay, client, send, eventually):
    ours = client(relay)

    async def say_goodbye(talk: Conversation) -> None:
        await talk.say(b"250 2.0.0 OK\r\n")
        await talk.say(b"421 4.4.2 idle for too long\r\n")
        await hang_up(talk)

    relay.script["DOT"].append(say_goodbye)
    await send(ours)
    await eventually(lambda: relay.open_now == 0 and not ours._pool._idle)
    await send(ours)
    assert (relay.connections, relay.verbs().count("MAIL")) == (2, 2)


async def test_one_connection_too_many_waits_for_those_that_stand(relay, client, send, together):
    async def full(talk: Conversation) -> bytes:
        return b"421 4.7.0 Too many connections\r\n" if relay.open_now > 2 else b"220 welcome\r\n"

    relay.script["greeting"] += [full] * 500
    ours = client(relay, connections=10)
    outcomes = await together(*(send(ours) for _ in range(60)))
    assert [each for each in outcomes if isinstance(each, BaseException)] == []
    assert len(relay.messages) == 60
    refused = sum(not lines for lines in relay.of_connection.values())
    assert relay.connections - refused <= 12
    assert ours._pool.most <= 9


async def test_a_relay_that_closes_connections_gets_fewer_and_later_more(relay, client, send, together):
    relay.script["MAIL"] += [b"421 4.3.0 not now\r\n"] * 8
    ours = client(relay, connections=10)
    outcomes = await together(*(send(ours) for _ in range(8)))
    assert [type(each) for each in outcomes] == [errors.RelayClosing] * 8
    assert ours._pool.most == 2
    await together(*(send(ours) for _ in range(40)))
    assert (ours._pool.most, len(relay.messages)) == (10, 40)


async def test_closing_leaves_every_idle_connection_in_order(relay, client, send, eventually):
    ours = client(relay)
    slips = [await ours.open(TO, RAW) for _ in range(3)]
    await ours.finish(slips[0])
    await ours.finish(slips[1])
    await ours.close()
    assert relay.in_tls.count("QUIT") == 2
    await ours.finish(slips[2])  # what is under way ends well
    await eventually(lambda: relay.open_now == 0)
    assert (relay.in_tls.count("QUIT"), len(relay.messages)) == (3, 3)


async def test_closing_waits_for_nobody_who_does_not_answer(relay, client, send):
    async def never(talk: Conversation) -> None:
        await talk.gone()

    relay.script["QUIT"].append(never)
    ours = client(relay)
    await send(ours)
    await asyncio.wait_for(ours.close(), 10)
    assert relay.in_tls[-1] == "QUIT"


async def test_every_tenth_421_loses_nothing(relay, client, send, together):
    relay.script["MAIL"] += ([b"250 OK\r\n"] * 9 + [b"421 4.3.0 not now\r\n"]) * 20
    ours = client(relay, connections=10, messages_per_connection=7)
    left = list(range(100))
    for _ in range(10):
        outcomes = await together(*(send(ours, b"%d" % number) for number in left))
        assert {type(each) for each in outcomes if isinstance(each, BaseException)} <= {errors.RelayClosing}
        left = [number for number, each in zip(left, outcomes, strict=True) if isinstance(each, BaseException)]
    assert left == []
    assert sorted(int(each.body) for each in relay.messages) == list(range(100))
