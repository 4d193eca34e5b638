"""The SMTP door through the standard library's client and through raw bytes: what is promised is durable."""

import asyncio
import smtplib
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import uvloop
from smtp_clients import GUEST, SENDER, message, rows, sent, trusting

from millstream.intake.consignment import Accepted
from millstream.intake.smtp import MailMap, SmtpDoor, SmtpOptions


async def test_a_message_is_a_consignment_and_a_document_before_250(opened, reception) -> None:
    async with opened() as door:
        assert await sent(door, message()) == [{}]
    [row] = await rows(reception)
    assert (row["door"], row["kind"], row["state"]) == ("smtp", "message", "received")
    kept = await reception.documents.get(row["place"].removeprefix("sha256:"), check=True)
    assert b"Subject: Statement 1\r\n" in kept
    assert row["size"] == len(kept)


async def test_a_message_sent_again_is_the_same_consignment(opened, reception) -> None:
    async with opened() as door:
        same = message()
        await sent(door, same, same)
        await sent(door, same)
        await sent(door, message(2))
    assert len(await rows(reception)) == 2


async def test_the_same_message_id_with_other_content_is_another_consignment(opened, reception) -> None:
    other = message()
    other.replace_header("Subject", "A corrected statement")
    async with opened() as door:
        await sent(door, message(), other)
    assert len(await rows(reception)) == 2


async def test_each_envelope_recipient_gets_a_consignment_whatever_the_header_says(opened, reception) -> None:
    async with opened() as door:
        await sent(door, message(), to=("a@example.com", "b@example.com", "a@EXAMPLE.com"))
    found = await rows(reception)
    assert sorted(row["facts"]["recipient"] for row in found) == ["a@example.com", "b@example.com"]
    assert len({row["place"] for row in found}) == 1


async def test_headers_name_stream_customer_and_type(opened, reception) -> None:
    named = message(
        X_Exstream_Campaign="Autumn 2026", X_Exstream_Customer="Müller/7", X_Exstream_Document="kredit karte"
    )
    async with opened() as door:
        await sent(door, named)
    [row] = await rows(reception)
    facts = row["facts"]
    assert (facts["stream"], facts["customer"], facts["type"]) == ("Autumn-2026", "Müller/7", "kredit-karte")
    assert row["run_key"] == f"smtp/Autumn-2026/{datetime.now(UTC):%Y-%m-%d}"


async def test_the_envelope_names_the_customer_where_that_is_wanted(opened, reception) -> None:
    async with opened(map=MailMap(plus_as_customer=True, run="{sender}/{type}", type="notice")) as door:
        await sent(door, message(), to=("name+C17@example.com",))
    [row] = await rows(reception)
    assert (row["facts"]["customer"], row["facts"]["recipient"]) == ("C17", "name@example.com")
    assert row["run_key"] == f"{SENDER}/notice"


async def test_an_international_domain_is_taken(opened, reception) -> None:
    async with opened() as door:
        await sent(door, message(), to=("kunde@xn--bcher-kva.example",))
    assert len(await rows(reception)) == 1


async def test_a_client_that_leaves_in_the_middle_of_data_leaves_nothing(
    opened, connect, reception, eventually
) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: half\r\n\r\n" + b"x" * 300_000)
        await eventually(lambda: door.held > 200_000)
        raw.writer.transport.abort()
        await eventually(lambda: door.held == 0)
        assert await sent(door, message()) == [{}]
    assert len(await rows(reception)) == 1


async def test_a_client_that_leaves_before_its_250_has_its_message_kept_once(
    opened, connect, reception, eventually
) -> None:
    reception.gate.clear()
    whole = message().as_bytes()
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(whole.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
        await reception.reached.wait()
        raw.writer.transport.abort()
        await eventually(lambda: door.held == 0)
        reception.gate.set()
        await eventually(lambda: rows(reception))
        again = await connect(door)
        await again.begin()
        again.writer.write(whole.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
        assert (await again.reply()).endswith("which came in before")
    assert len(await rows(reception)) == 1


async def test_lines_of_any_length_and_bare_line_feeds_are_taken_as_they_come(opened, connect, reception) -> None:
    body = b"Subject: x\r\n\r\n" + b"y" * 70_000 + b"\r\nbare\nfeeds\n.\nand \r returns\r\n..dot\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert (await raw.reply()).startswith("250")
    [row] = await rows(reception)
    assert await reception.documents.get(row["place"].removeprefix("sha256:")) == body


async def test_only_crlf_dot_crlf_ends_a_message(opened, connect, reception) -> None:
    smuggled = b"Subject: one\r\n\r\nfirst\n.\nMAIL FROM:<evil@x.example>\n.\r\nmore\r.\r\nlast\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(smuggled + b".\r\n")
        assert (await raw.reply()).startswith("250")
    assert len(await rows(reception)) == 1


async def test_commands_and_messages_may_come_without_waiting(opened, connect, reception) -> None:
    one = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{GUEST}>\r\nDATA\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        raw.writer.write(one.encode())
        assert [(await raw.reply())[:3] for _ in range(3)] == ["250", "250", "354"]
        raw.writer.write(b"Subject: 1\r\n\r\nx\r\n.\r\n" + one.encode())
        assert [(await raw.reply())[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        raw.writer.write(b"Subject: 2\r\n\r\nx\r\n.\r\nQUIT\r\n")
        assert [(await raw.reply())[:3] for _ in range(2)] == ["250", "221"]
    assert len(await rows(reception)) == 2


async def test_the_null_sender_is_taken(opened, connect, reception) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin(mail="MAIL FROM:<>")
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    [row] = await rows(reception)
    assert row["facts"]["sender"] == ""


async def test_closing_answers_the_message_under_way_first(opened, connect, reception) -> None:
    reception.gate.clear()
    async with opened() as door:
        raw, idle = await connect(door), await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: x\r\n\r\nx\r\n.\r\n")
        await reception.reached.wait()
        port = door.port
        closing = asyncio.create_task(door.close())
        assert (await idle.reply()).startswith("421 4.3.2")
        with pytest.raises(ConnectionError):
            await asyncio.open_connection("127.0.0.1", port)
        reception.gate.set()
        assert (await raw.reply()).startswith("250")
        await closing
        assert await raw.reader.read() == b""
    assert len(await rows(reception)) == 1


async def test_many_clients_at_a_time_each_have_their_messages(opened, reception) -> None:
    async with opened(connections_per_address=50) as door:
        await asyncio.gather(*(sent(door, *(message(10 * who + each) for each in range(5))) for who in range(20)))
    assert len(await rows(reception)) == 100


async def test_rubbish_does_not_stop_the_door(opened, connect, reception) -> None:
    async with opened() as door:
        for rubbish in (
            b"\x00" * 5000,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            b"GET / HTTP/1.1\r\n\r\n" * 20,
            b"\xff\xfe\r\n" * 20,
            b"x" * 500_000,
            b"EHLO c\r\nAUTH\r\nAUTH X\r\nMAIL\r\nMAIL FROM\r\n",
        ):
            raw = await connect(door)
            with suppress(ConnectionError):
                raw.writer.write(rubbish)
                await raw.writer.drain()
                raw.writer.write_eof()
                await asyncio.wait_for(raw.reader.read(), 10)
        assert await sent(door, message()) == [{}]


def test_the_door_works_in_the_loop_of_the_worker(database_url, tmp_path, tls) -> None:
    async def scene() -> int:
        assert isinstance(asyncio.get_running_loop(), uvloop.Loop)

        class Counting:
            taken = 0

            async def receive(self, *_offered: object) -> Accepted:
                self.taken += 1
                return Accepted(1, new=True)

        counting = Counting()
        door = SmtpDoor(SmtpOptions(port=0, tls=tls, users={"ex": "pw"}, tls_required=True), counting)
        await door.open()

        def client() -> None:
            with smtplib.SMTP("localhost", door.port, timeout=20) as smtp:
                smtp.starttls(context=trusting())
                smtp.login("ex", "pw")
                for each in range(3):
                    smtp.send_message(message(each), SENDER, [GUEST])

        await asyncio.to_thread(client)
        await door.close()
        return counting.taken

    assert uvloop.run(scene()) == 3


@pytest.mark.parametrize("at_once", [True, False])
async def test_a_letter_that_is_sent_though_data_was_refused_is_not_read_as_commands(
    opened, connect, reception, at_once
) -> None:
    letter = b"Subject: one\r\n\r\nRCPT TO:<victim@example.com>\r\nDATA\r\nSubject: two\r\n\r\nx\r\n.\r\n"
    async with opened() as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        await raw.say("MAIL FROM:<exstream@bank.example>")
        await raw.say("RCPT TO:<nobody>")
        if at_once:
            raw.writer.write(b"DATA\r\n" + letter)
        else:
            assert (await raw.say("DATA")).startswith("503")
            raw.writer.write(letter)
        assert (await raw.reply()).startswith("421 4.7.0")
        with suppress(ConnectionError):
            assert await raw.reader.read() == b""
    assert await rows(reception) == []
