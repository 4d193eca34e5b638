"""Messages over a session that stands: what is written, in which order, and what arrives."""

import asyncio

import pytest
import uvloop
from little_relay import Conversation, byte_by_byte, little_relay

from millstream.gmail.errors import Effect
from millstream.gmail.relay import Envelope, SmtpRelay, errors
from tls import authority

TO = Envelope("statements@bank.example", "customer@example.net")
RAW = b"Subject: Hello\r\n\r\nHello.\r\n"


async def test_a_message_arrives_as_it_was_given(relay, client, send):
    taken = await send(client(relay))
    assert [each.body for each in relay.messages] == [
        b"Subject: Hello\r\nMessage-ID: <m.1@bank.example>\r\n\r\nHello.\r\n"
    ]
    assert taken.words == "250 2.0.0 OK 1764000000 little"
    assert str(relay.port) in taken.connection
    assert relay.messages[0].sender.startswith("MAIL FROM:<statements+b-token@bank.example> SIZE=")
    assert relay.messages[0].recipient == "RCPT TO:<customer@example.net>"


async def test_nothing_but_the_name_and_the_wish_for_tls_is_said_in_clear(relay, client, send):
    await send(client(relay))
    assert relay.in_clear == ["EHLO bank.example", "STARTTLS"]


async def test_before_its_end_is_sent_nothing_has_arrived(relay, client):
    ours = client(relay)
    slip = await ours.open(TO, RAW)
    assert relay.messages == []
    said: list[int] = []
    await ours.finish(slip, dotted=lambda: said.append(len(relay.messages)))
    assert (said, len(relay.messages), slip.size) == ([0], 1, len(RAW))


async def test_a_dropped_slip_leaves_a_body_without_an_end(relay, client, eventually):
    ours = client(relay)
    ours.drop(await ours.open(TO, RAW))
    await eventually(lambda: relay.unended)
    assert (relay.unended, relay.messages) == ([RAW], [])


@pytest.mark.parametrize(
    ("raw", "arrives"),
    [
        (b".first\r\n..second\r\n.\r\n", b".first\r\n..second\r\n.\r\n"),
        (b"no line end", b"no line end\r\n"),
        (b"a dot at the end\r\n.", b"a dot at the end\r\n.\r\n"),
        (b".", b".\r\n"),
        (b"", b""),
        (b"\r\n.\r\n.\r\n", b"\r\n.\r\n.\r\n"),
        (b"torn\r", b"torn\r\r\n"),
    ],
)
async def test_dots_and_missing_line_ends_change_nothing(relay, client, send, raw, arrives):
    await send(client(relay), raw)
    assert [each.body for each in relay.messages] == [arrives]


@pytest.mark.parametrize("raw", [b"a\n.\r\nMAIL FROM:<x@y.test>\r\n", b"a\r.\r\n", b"a\r\nb\n.\n"])
async def test_a_body_that_some_would_take_for_two_is_not_handed_over(relay, client, send, raw):
    with pytest.raises(errors.RelayRefused) as refused:
        await send(client(relay), raw)
    assert (refused.value.effect, relay.connections) == (Effect.NO, 0)


@pytest.mark.parametrize(
    ("envelope", "kind"),
    [
        (Envelope("a@bank.example", "x@example.net>\r\nRCPT TO:<y@example.net"), errors.RecipientRefused),
        (Envelope("a@bank.example", "x@example.net> NOTIFY=NEVER"), errors.RecipientRefused),
        (Envelope("a@bank.example", ""), errors.RecipientRefused),
        (Envelope("a@bank.example\r\nRSET", "x@example.net"), errors.SenderRefused),
    ],
)
async def test_an_address_that_would_be_a_command_is_not_said(relay, client, send, envelope, kind):
    with pytest.raises(kind):
        await send(client(relay), envelope=envelope)
    assert relay.connections == 0


async def test_mail_rcpt_and_data_leave_together_and_the_body_waits(relay, client, send):
    seen: dict[str, bytes] = {}

    def look(verb: str, words: bytes):
        async def step(talk: Conversation) -> bytes:
            seen[verb] = talk.waiting
            return words

        return step

    relay.script["MAIL"].append(look("MAIL", b"250 OK\r\n"))
    relay.script["DATA"].append(look("DATA", b"354 go\r\n"))
    await send(client(relay))
    assert seen == {"MAIL": b"RCPT TO:<customer@example.net>\r\nDATA\r\n", "DATA": b""}


async def test_without_pipelining_each_command_waits_for_its_reply(relay, client, send):
    relay.offers = ("8BITMIME",)
    seen: list[bytes] = []

    async def step(talk: Conversation) -> bytes:
        seen.append(talk.waiting)
        return b"250 OK\r\n"

    relay.script["MAIL"].append(step)
    relay.script["RCPT"].append(step)
    await send(client(relay))
    assert (seen, len(relay.messages)) == ([b"", b""], 1)
    assert relay.messages[0].sender == "MAIL FROM:<statements+b-token@bank.example>"


async def test_without_pipelining_a_refused_recipient_ends_it_before_data(relay, client, send):
    relay.offers = ("8BITMIME",)
    relay.script["RCPT"].append(b"550 5.1.1 nobody of that name\r\n")
    ours = client(relay)
    with pytest.raises(errors.RecipientRefused):
        await send(ours)
    await send(ours)
    assert relay.verbs().count("DATA") == 1
    assert (relay.connections, len(relay.messages)) == (1, 1)


@pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_replies_in_single_bytes_are_replies(relay, client, send, verb):
    code = {"DATA": b"354"}.get(verb, b"250")
    relay.script[verb].append(byte_by_byte(code + b"-one\r\n" + code + b"-two\r\n" + code + b" three\r\n"))
    await send(client(relay))
    assert len(relay.messages) == 1


async def test_a_reply_of_many_lines_is_one_reply(relay, client, send):
    relay.script["DOT"].append(b"250-2.0.0 taken\r\n250-2.0.0 and kept\r\n250 2.0.0 for you\r\n")
    assert (await send(client(relay))).words == "250 2.0.0 taken and kept for you"


async def test_replies_that_come_all_at_once_are_told_apart(relay, client, send):
    async def nothing(talk: Conversation) -> None:
        return None

    relay.script["MAIL"].append(nothing)
    relay.script["RCPT"].append(nothing)
    relay.script["DATA"].append(b"250 OK\r\n250 OK\r\n554 5.5.1 no\r\n")
    with pytest.raises(errors.RelayRefused):
        await send(client(relay))


async def test_bytes_beyond_127_are_declared_and_need_8bitmime(relay, client, send):
    raw = "Subject: x\r\n\r\nGrüße\r\n".encode()
    await send(client(relay), raw)
    assert relay.messages[0].sender.endswith(f" SIZE={len(raw)} BODY=8BITMIME")
    relay.offers = ("PIPELINING",)
    with pytest.raises(errors.NeedsEightBit):
        await send(client(relay), raw)
    assert len(relay.messages) == 1


async def test_letters_beyond_ascii_in_an_address_need_smtputf8(relay, client, send):
    to = Envelope("a@bank.example", "grüße@example.net")
    await send(client(relay), RAW, to)
    assert relay.messages[0].sender.endswith(" SMTPUTF8")
    assert relay.messages[0].recipient == "RCPT TO:<grüße@example.net>"
    relay.offers = ("PIPELINING", "8BITMIME")
    with pytest.raises(errors.NeedsUtf8):
        await send(client(relay), RAW, to)
    assert len(relay.messages) == 1


async def test_what_is_above_the_size_told_is_not_handed_over(relay, client, send):
    relay.offers = ("PIPELINING", "SIZE 1000")
    ours = client(relay)
    assert ours.fits(10**9)
    with pytest.raises(errors.RelayMessageTooLarge) as refused:
        await send(ours, b"x" * 1001)
    assert "1001 bytes; the relay takes 1000" in str(refused.value)
    assert (ours.fits(1000), ours.fits(1001)) == (True, False)
    await send(ours)
    assert (relay.connections, len(relay.messages)) == (1, 1)


async def test_a_large_message_goes_through_a_relay_that_reads_slowly(relay, client, send):
    raw = b"Subject: large\r\n\r\n" + (b"x" * 76 + b"\r\n") * 60_000
    await send(client(relay), raw)
    assert relay.messages[0].body == raw


async def test_messages_above_the_room_for_bytes_go_one_after_another(relay, client, send, together):
    ours = client(relay, bytes_in_flight=1_000)
    first = await ours.open(TO, b"x" * 900)
    second = asyncio.create_task(ours.open(TO, b"y" * 900))
    third = asyncio.create_task(ours.open(TO, b"z" * 50_000))
    await asyncio.sleep(0)
    assert relay.verbs().count("DATA") == 1
    second.cancel()
    await together(second)
    await ours.finish(first)
    await ours.finish(await third)
    await send(ours)
    assert [each.body[:1] for each in relay.messages] == [b"x", b"z", b"S"]


async def test_a_slip_is_finished_once(relay, client):
    ours = client(relay)
    slip = await ours.open(TO, RAW)
    await ours.finish(slip)
    ours.drop(slip)
    with pytest.raises(ValueError, match="finished once"):
        await ours.finish(slip)
    assert len(relay.messages) == 1


def test_it_works_on_the_workers_own_loop_too(tmp_path):
    trusted = tmp_path / "authority.pem"
    trusted.write_bytes(authority().pem)

    async def main() -> list[bytes]:
        async with little_relay(tmp_path) as relay, SmtpRelay(relay.options(certificates=trusted)) as ours:
            for number in range(3):
                await ours.finish(await ours.open(TO, RAW + b".%d" % number))
            ours.drop(await ours.open(TO, RAW))
            return [each.body[-4:] for each in relay.messages]

    assert uvloop.run(main()) == [b".0\r\n", b".1\r\n", b".2\r\n"]
