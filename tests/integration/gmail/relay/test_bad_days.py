"""What a relay does at a bad moment, and what is known afterwards: no, yes, or honestly unknown."""

import asyncio

import pytest
from little_relay import Conversation, HangUp, byte_by_byte, hang_up, reset, say_nothing

from millstream.gmail.errors import Effect, Fault
from millstream.gmail.relay import AfterDot, Envelope, errors

TO = Envelope("statements@bank.example", "customer@example.net")
RAW = b"Subject: Hello\r\n\r\n" + b"Hello.\r\n" * 50
CLOSING = b"421 4.3.0 Temporary System Problem. Try again later (10).\r\n"


async def failed(wait) -> errors.RelayError:
    with pytest.raises(errors.RelayError) as found:
        await wait
    return found.value


@pytest.mark.parametrize("end", [reset, hang_up], ids=["reset", "hang up"])
@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_a_connection_lost_before_the_body_sent_nothing(relay, client, send, verb, end):
    relay.script[verb].append(end)
    ours = client(relay)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect, error.temporary, error.fault) == (
        errors.LostBeforeDot,
        Effect.NO,
        True,
        Fault.GOOGLE,
    )
    await send(ours, RAW)
    assert (relay.connections, len(relay.messages)) == (2, 1)


@pytest.mark.parametrize("end", [reset, hang_up], ids=["reset", "hang up"])
async def test_a_connection_lost_within_the_body_sent_nothing(relay, client, send, end):
    relay.script["BODY"].append(end)
    # More than the buffers of both kernels take, so that the loss is known before the dot is written.
    error = await failed(send(client(relay), b"x" * 70 + b"\r\n" + b"y\r\n" * 9_000_000))
    assert (type(error), error.effect, relay.messages) == (errors.LostBeforeDot, Effect.NO, [])


async def test_a_connection_lost_between_body_and_dot_sent_nothing(relay, client, eventually):
    relay.script["BODY"].append(reset)
    ours = client(relay)
    slip = await ours.open(TO, RAW)
    await eventually(lambda: relay.open_now == 0 and slip.line.ended)
    error = await failed(ours.finish(slip, dotted=lambda: pytest.fail("there was nobody to send it to")))
    assert (type(error), error.effect) == (errors.LostBeforeDot, Effect.NO)


@pytest.mark.parametrize("end", [reset, hang_up], ids=["reset", "hang up"])
@pytest.mark.parametrize("effect", [True, False])
async def test_a_connection_lost_after_the_dot_leaves_it_unknown(relay, client, send, end, effect):
    relay.script["DOT"].append(end)
    relay.script["NO_EFFECT"].append(not effect)
    error = await failed(send(client(relay), RAW))
    assert (type(error), error.effect, error.temporary) == (errors.LostAfterDot, Effect.UNKNOWN, True)
    assert isinstance(error, AfterDot)
    assert len(relay.messages) == effect


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
async def test_silence_before_the_body_is_given_up_in_time(relay, client, send, verb):
    relay.script[verb].append(say_nothing)
    ours = client(relay, command_seconds=0.2)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect) == (errors.LostBeforeDot, Effect.NO)
    assert "no answer in time" in str(error)


async def test_a_relay_that_reads_no_more_of_a_body_is_given_up_in_time(relay, client, eventually):
    async def wait(talk: Conversation) -> None:
        talk.writer.transport.pause_reading()
        await asyncio.Event().wait()

    relay.script["BODY"].append(wait)
    error = await failed(client(relay, command_seconds=0.3).open(TO, b"x" * 70 + b"\r\n" + b"y\r\n" * 9_000_000))
    assert (type(error), error.effect, relay.messages) == (errors.LostBeforeDot, Effect.NO, [])


async def test_silence_after_the_dot_leaves_it_unknown_and_the_connection_unused(relay, client, send, eventually):
    relay.script["DOT"].append(say_nothing)
    ours = client(relay, reply_seconds=0.2)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect) == (errors.SilentAfterDot, Effect.UNKNOWN)
    await eventually(lambda: relay.open_now == 0)
    await send(ours, RAW)
    assert relay.connections == 2


@pytest.mark.parametrize(
    "words",
    [
        b"<html><h1>502 Bad Gateway</h1></html>\r\n",
        b"\x00\xff\x17\x03\x03\r\n",
        b"250-one\r\n550 two codes\r\n",
        b"250x\r\n",
        b"99 bottles\r\n",
        b"650 6.0.0 beyond\r\n",
        b"354 go ahead\r\n",
        b"150 1.0.0 working on it\r\n",
        b"2",
        b"250-" + b"x" * 10_000 + b"\r\n",
        b"250-x\r\n" * 10_000,
        b"y" * 20_000,
    ],
)
async def test_what_is_no_reply_after_the_dot_leaves_it_unknown(relay, client, send, words):
    relay.script["DOT"].append(words)
    ours = client(relay, reply_seconds=0.2)
    error = await failed(send(ours, RAW))
    kind = errors.SilentAfterDot if words == b"2" else errors.UnreadableAfterDot
    assert (type(error), error.effect) == (kind, Effect.UNKNOWN)
    await send(ours, RAW)
    assert relay.connections == 2


async def test_a_half_reply_after_the_dot_is_none(relay, client, send):
    async def half(talk: Conversation) -> None:
        await talk.say(b"250 2.0.0 O")
        raise HangUp

    relay.script["DOT"].append(half)
    assert type(await failed(send(client(relay), RAW))) is errors.LostAfterDot


async def test_a_whole_reply_counts_whatever_follows_it(relay, client, send):
    relay.script["DOT"] += [b"250 2.0.0 OK\r\n\xff\xffrubbish\r\n", b"250 2.0.0 OK\r\n421 4.4.2 bye\r\n"]
    ours = client(relay)
    for _ in range(3):
        await send(ours, RAW)
    assert (relay.connections, len(relay.messages)) == (3, 3)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (b"450 4.2.1 Peak SMTP relay limit exceeded for customer.\r\n", errors.CustomerPeakReached),
        (b"550 5.4.5 Daily SMTP relay limit exceeded for user.\r\n", errors.UserDayReached),
        (b"451 4.3.0 Mail server temporarily rejected message.\r\n", errors.RelayBusy),
        (b"552-5.7.0 This message was blocked because its content\r\n552 5.7.0 x\r\n", errors.MessageBlocked),
        (b"552 5.3.4 Your message exceeded Google's message size limits.\r\n", errors.RelayMessageTooLarge),
    ],
)
async def test_a_refusal_after_the_dot_is_an_answer_and_the_connection_serves_on(relay, client, send, words, kind):
    relay.script["DOT"].append(words)
    relay.script["NO_EFFECT"].append(True)
    ours = client(relay)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect) == (kind, Effect.NO)
    await send(ours, RAW)
    assert (relay.connections, len(relay.messages)) == (1, 1)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_421_anywhere_closes_this_connection_and_no_other(relay, client, send, verb):
    relay.script[verb].append(CLOSING)
    relay.script["NO_EFFECT"].append(verb == "DOT")
    ours = client(relay)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect, error.status) == (errors.RelayClosing, Effect.NO, 421)
    await send(ours, RAW)
    assert (relay.connections, len(relay.messages)) == (2, 1)


@pytest.mark.parametrize("end", [None, hang_up, reset])
async def test_421_in_the_middle_of_a_body_ends_it(relay, client, end):
    async def close(talk: Conversation) -> None:
        await talk.say(CLOSING)
        if end is not None:
            await end(talk)
        await talk.gone()

    relay.script["BODY"].append(close)
    error = await failed(client(relay).open(TO, b"x\r\n" * 9_000_000))
    assert error.effect is Effect.NO
    assert type(error) is errors.RelayClosing or end is reset  # a reset may overtake the words
    assert relay.messages == []


async def test_421_between_body_and_dot_sends_no_dot(relay, client, eventually):
    relay.script["BODY"].append(CLOSING)
    ours = client(relay)
    slip = await ours.open(TO, RAW)
    await eventually(lambda: slip.line.ended)
    error = await failed(ours.finish(slip, dotted=lambda: pytest.fail("the relay had closed")))
    assert (type(error), error.effect) == (errors.RelayClosing, Effect.NO)
    await eventually(lambda: relay.unended)
    assert relay.messages == []


@pytest.mark.parametrize("words", [b"250 2.0.0 OK\r\n", b"25", b"hello\r\n"])
async def test_an_answer_before_the_dot_is_none_to_it(relay, client, eventually, words):
    relay.script["BODY"].append(words)
    ours = client(relay)
    slip = await ours.open(TO, RAW)
    await eventually(lambda: slip.line.ended or slip.line._replies.amid)
    error = await failed(ours.finish(slip, dotted=lambda: pytest.fail("nothing it says now can be told apart")))
    assert (error.effect, relay.messages) == (Effect.NO, [])


async def test_a_refused_recipient_with_the_go_ahead_for_data_gets_no_dot(relay, client, send, eventually):
    relay.script["RCPT"].append(b"550 5.1.1 No such user\r\n")
    ours = client(relay)
    error = await failed(send(ours, RAW))
    assert (type(error), error.effect) == (errors.RecipientRefused, Effect.NO)
    await eventually(lambda: relay.unended)
    assert (relay.unended, relay.messages) == ([b""], [])
    await send(ours, RAW)
    assert relay.connections == 2


async def test_a_refused_recipient_and_refused_data_leave_the_connection_to_the_next(relay, client, send):
    relay.script["RCPT"].append(b"550 5.1.1 No such user\r\n")
    relay.script["DATA"].append(b"554 5.5.1 No valid recipients\r\n")
    ours = client(relay)
    assert type(await failed(send(ours, RAW))) is errors.RecipientRefused
    await send(ours, RAW)
    verbs = [line.split(" ")[0] for line in relay.in_tls]
    assert verbs == ["EHLO", "MAIL", "RCPT", "DATA", "RSET", "MAIL", "RCPT", "DATA"]
    assert (relay.connections, len(relay.messages)) == (1, 1)


async def test_a_relay_that_does_not_begin_anew_is_left(relay, client, send):
    relay.script["MAIL"].append(b"451 4.3.0 not now\r\n")
    relay.script["RCPT"].append(b"503 5.5.1 MAIL first\r\n")
    relay.script["DATA"].append(b"503 5.5.1 MAIL first\r\n")
    relay.script["RSET"].append(b"500 what?\r\n")
    ours = client(relay)
    assert type(await failed(send(ours, RAW))) is errors.RelayBusy
    await send(ours, RAW)
    assert relay.connections == 2


async def test_the_first_refusal_is_the_one_that_counts(relay, client, send):
    relay.script["MAIL"].append(b"550 5.4.5 Daily user sending limit exceeded.\r\n")
    relay.script["RCPT"].append(b"503 5.5.1 MAIL first\r\n")
    relay.script["DATA"].append(b"503 5.5.1 MAIL first\r\n")
    error = await failed(send(client(relay), RAW))
    assert (type(error), error.status, error.reason) == (errors.UserDayReached, 550, "5.4.5")
    assert error.text == "Daily user sending limit exceeded."


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("words", [b"what?\r\n", b"250-a\r\n550 b\r\n", b"z" * 20_000, b"220 2.0.0\xff\r\n" * 9])
async def test_rubbish_before_the_body_sends_nothing(relay, client, send, verb, words):
    relay.script[verb].append(words)
    ours = client(relay, command_seconds=1.0)
    error = await failed(send(ours, RAW))
    assert (error.effect, relay.messages) == (Effect.NO, [])
    await send(ours, RAW)
    assert len(relay.messages) == 1


async def test_a_slow_relay_is_waited_for(relay, client, send):
    async def slow(talk: Conversation) -> None:
        for piece in (b"250-2.0.0 one", b" moment\r\n2", b"50 2.0.0 please\r\n"):
            await asyncio.sleep(0)
            await talk.say(piece)

    relay.script["DOT"] += [slow, byte_by_byte(b"250 2.0.0 OK\r\n")]
    ours = client(relay)
    assert (await send(ours, RAW)).words == "250 2.0.0 one moment please"
    await send(ours, RAW)
    assert relay.connections == 1


async def test_whoever_is_cancelled_after_the_dot_takes_the_connection_along(relay, client, together, eventually):
    met = asyncio.Event()

    async def wait(talk: Conversation) -> None:
        met.set()
        await talk.gone()

    relay.script["DOT"].append(wait)
    ours = client(relay)
    finishing = asyncio.create_task(ours.finish(await ours.open(TO, RAW)))
    await met.wait()
    finishing.cancel()
    assert isinstance((await together(finishing))[0], asyncio.CancelledError)
    await eventually(lambda: relay.open_now == 0)


POINTS = ["greeting", "EHLO", "STARTTLS", "MAIL", "RCPT", "DATA", "BODY", "DOT"]


@pytest.mark.parametrize("verb", POINTS)
@pytest.mark.parametrize("step", [reset, hang_up, b"\xff\xfe\r\n", b"421 no\r\n", b"500 no\r\n", b"199 x\r\n", b"\r\n"])
async def test_nothing_but_our_own_errors_comes_out_and_all_room_is_given_back(
    relay, client, send, together, verb, step
):
    relay.script[verb].append(step)
    ours = client(relay, command_seconds=0.3, connect_seconds=0.3, reply_seconds=0.3, connections=1)
    outcome = (await together(send(ours, RAW)))[0]
    doubtful = verb == "DOT" and not (isinstance(step, bytes) and step[:1] in b"45")
    if verb != "BODY":  # there it may have come too late to matter
        assert isinstance(outcome, errors.RelayError)
        assert outcome.effect is (Effect.UNKNOWN if doubtful else Effect.NO)
    elif isinstance(outcome, BaseException):
        assert isinstance(outcome, errors.RelayError)
    relay.script.clear()
    await asyncio.wait_for(send(ours, RAW), 5)
    assert (ours._room._free, len(ours._pool._leased)) == (ours._options.bytes_in_flight, 0)
