"""Who is let in by the SMTP door, and what is too much for it: each with its code."""

import asyncio
import smtplib
from contextlib import suppress
from ipaddress import ip_network

import pytest
from smtp_clients import GUEST, SENDER, message, rows, sent, trusting

from millstream.intake.errors import DocumentsFailed, LedgerFailed, SpoolFull
from millstream.intake.smtp import SmtpDoor
from millstream.storage.errors import StoreFull


async def test_a_login_is_taken_under_tls_alone(opened, reception, tls) -> None:
    def client(port: int) -> tuple[int, bytes]:
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.ehlo()
            assert not smtp.has_extn("auth")
            bare = smtp.docmd("AUTH", "PLAIN AGV4AHB3")
            with pytest.raises(smtplib.SMTPSenderRefused) as refused:
                smtp.sendmail(SENDER, [GUEST], message().as_bytes())
            assert refused.value.smtp_code == 530
            smtp.starttls(context=trusting())
            smtp.login("ex", "password")
            smtp.send_message(message(), SENDER, [GUEST])
            return bare

    async with opened(tls=tls, users={"ex": "password"}, networks=()) as door:
        assert (await asyncio.to_thread(client, door.port))[0] == 538
    [row] = await rows(reception)
    assert row["facts"]["client"] == "ex"


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
async def test_both_ways_to_log_in_refuse_a_wrong_password_and_hang_up_on_guessing(opened, tls, method) -> None:
    def client(port: int) -> list[int]:
        with smtplib.SMTP("localhost", port, timeout=20) as smtp:
            smtp.starttls(context=trusting())
            smtp.ehlo()
            smtp.user, smtp.password = "ex", "wrong"
            codes = []
            for _ in range(3):
                with suppress(smtplib.SMTPAuthenticationError) as _nothing:
                    codes.append(_code(smtp, method))
            with pytest.raises(smtplib.SMTPServerDisconnected):
                smtp.noop()
            return codes

    async with opened(tls=tls, users={"ex": "right"}) as door:
        assert await asyncio.to_thread(client, door.port) == [535, 535, 421]


def _code(smtp: smtplib.SMTP, method: str) -> int:
    try:
        return smtp.auth(method.removeprefix("auth_").upper(), getattr(smtp, method))[0]
    except smtplib.SMTPAuthenticationError as error:
        return error.smtp_code


async def test_tls_can_be_required(opened, tls, connect) -> None:
    async with opened(tls=tls, tls_required=True) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        assert await raw.say(f"MAIL FROM:<{SENDER}>") == "530 5.7.0 Must issue a STARTTLS command first"


async def test_what_was_said_before_tls_does_not_count_under_tls(opened, tls, connect, reception) -> None:
    async with opened(tls=tls) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        raw.writer.write(b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@bank.example>\r\n")
        assert await raw.reply() == "220 2.0.0 Ready to start TLS"
        await raw.writer.start_tls(trusting(), server_hostname="localhost")
        assert (await raw.say(f"MAIL FROM:<{SENDER}>")).startswith("503")  # a new EHLO is asked for
        assert (await raw.begin()).startswith("354")
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert (await raw.say("STARTTLS")).startswith("503")
    [row] = await rows(reception)
    assert row["facts"]["sender"] == SENDER


async def test_a_client_that_speaks_no_tls_after_asking_for_it_leaves_the_door_well(opened, tls, connect) -> None:
    async with opened(tls=tls) as door:
        raw = await connect(door)
        await raw.say("EHLO client.example")
        await raw.say("STARTTLS")
        raw.writer.write(b"this is no handshake\r\n" * 10)
        with suppress(ConnectionError):
            await asyncio.wait_for(raw.reader.read(), 10)
        assert await sent(door, message()) == [{}]


@pytest.mark.parametrize(
    ("changes", "talk", "code"),
    [
        ({"most_bytes": 1000}, ["EHLO c", f"MAIL FROM:<{SENDER}> SIZE=1001"], "552 5.3.4"),
        ({"recipients": 1}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b.example>", "RCPT TO:<c@b.example>"],
         "452 4.5.3"),
        ({"senders": ("*@bank.example",)}, ["EHLO c", "MAIL FROM:<a@other.example>"], "550 5.7.1"),
        ({"networks": ()}, ["EHLO c", "MAIL FROM:<a@b.example>"], "550 5.7.1"),
        ({"networks": (ip_network("192.0.2.0/24"),)}, ["EHLO c", "MAIL FROM:<a@b.example>"], "550 5.7.1"),
        ({}, ["MAIL FROM:<a@b.example>"], "503"),
        ({}, ["EHLO c", "RCPT TO:<a@b.example>"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "DATA"], "503 5.5.1"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<no address>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@b@c>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<a@localhost>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example> SMTPUTF8", "RCPT TO:<jürgen@example.com>"], "553 5.6.7"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example>", "RCPT TO:<\udcff\udcfe@example.com>"], "553 5.1.3"),
        ({}, ["EHLO c", "MAIL FROM:<\udcff@example.com>"], "553 5.1.7"),
        ({}, ["EHLO c", "AUTH PLAIN AGEAYg=="], "538"),
        ({}, ["EHLO c", "STARTTLS"], "454 4.7.0"),
        ({}, ["EHLO c", "WIZ"], "500"),
        ({}, ["EHLO c", "MAIL FROM:<a@b.example> FOO=bar"], "555"),
        ({"errors_per_connection": 2}, ["EHLO c", "WIZ", "WIZ", "WIZ"], "421 4.7.0"),
        ({"replies_without_message": 3, "recipients": 1}, ["EHLO c", *["NOOP"] * 20], "421 4.7.0"),
    ],
)  # fmt: skip
async def test_what_is_over_a_limit_or_wrong_gets_its_code(opened, connect, reception, changes, talk, code) -> None:
    async with opened(**changes) as door:
        raw = await connect(door)
        reply = ""
        for line in talk:
            reply = await raw.say(line)
            if reply.startswith("421"):
                break
        assert reply.startswith(code)
    assert await rows(reception) == []


async def test_a_message_that_is_too_large_is_refused_and_the_next_one_taken(opened, connect, reception) -> None:
    async with opened(most_bytes=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write((b"x" * 78 + b"\r\n") * 1800 + b".\r\n")
        assert await raw.reply() == "552 5.3.4 The message is larger than we take"
        await raw.begin()
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert door.held == 0
    assert len(await rows(reception)) == 1


async def test_who_sends_without_end_is_hung_up_on(opened, connect, reception) -> None:
    async with opened(most_bytes=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        with suppress(ConnectionError):
            for _ in range(1000):
                raw.writer.write(b"x" * 10_000)
                await raw.writer.drain()
        assert await raw.reply() == "552 5.3.4 The message is far larger than we take; goodbye"
        assert await sent(door, message()) == [{}]
        assert door.held == 0


async def test_who_sends_far_too_much_reads_why_before_it_is_hung_up_on(opened, connect) -> None:
    async with opened(most_bytes=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write((b"x" * 78 + b"\r\n") * 50_000 + b".\r\n")
        await raw.writer.drain()
        assert await raw.reply() == "552 5.3.4 The message is far larger than we take; goodbye"
        assert await raw.reader.read() == b""
        assert door.held == 0


async def test_a_message_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(opened, connect) -> None:
    async with opened(most_bytes=1000) as door:
        raw = await connect(door)
        for size, code in ((1000, "250"), (1001, "552")):
            await raw.begin()
            head = "Subject: x\r\n\r\n"
            assert (await raw.say(head + "y" * (size - len(head) - 2) + "\r\n.")).startswith(code)


async def test_a_client_that_drips_is_hung_up_on(opened, connect) -> None:
    async with opened(slow_for_seconds=0.0, slowest_bytes_per_second=1e9) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"S")
        assert (await raw.reply()).startswith("421 4.4.2")
        assert await raw.reader.read() == b""


async def test_a_client_that_says_nothing_is_hung_up_on(opened, connect) -> None:
    async with opened(idle_seconds=0.2) as door:
        raw = await connect(door)
        assert (await raw.reply()).startswith("421 4.4.2")
        assert await raw.reader.read() == b""
        raw = await connect(door)
        await raw.begin()
        assert (await raw.reply()).startswith("421 4.4.2")


async def test_there_is_room_for_so_many_connections_in_all_and_from_one_address(opened, connect, eventually) -> None:
    for limits in ({"connections": 2}, {"connections_per_address": 2}):
        async with opened(**limits) as door:
            kept = [await connect(door), await connect(door)]
            reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
            assert (await reader.readline()).startswith(b"421 4.7.0")
            assert await reader.read() == b""
            writer.close()
            assert await kept[0].say("QUIT") == "221 Bye"

            async def let_in(door: SmtpDoor = door) -> bool:
                reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
                greeting = await reader.readline()
                writer.close()
                return greeting.startswith(b"220")

            assert await eventually(let_in)


async def test_a_connection_has_so_many_messages(opened, connect) -> None:
    async with opened(messages_per_connection=2) as door:
        raw = await connect(door)
        for _ in range(2):
            await raw.begin()
            assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
        assert (await raw.say(f"MAIL FROM:<{SENDER}>")).startswith("421 4.7.0")


async def test_too_much_mail_at_a_time_is_for_later(opened, connect, reception) -> None:
    async with opened(most_bytes_held=100_000) as door:
        raw = await connect(door)
        await raw.begin()
        raw.writer.write(b"Subject: x\r\n\r\n" + b"x" * 150_000)
        other = await connect(door)
        raw.writer.write(b"\r\n.\r\n")
        assert (await raw.reply()).startswith("452 4.3.1")
        await other.begin()
        assert (await other.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    assert len(await rows(reception)) == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LedgerFailed("away"), "451 4.3.0"),
        (DocumentsFailed("secret path"), "451 4.3.0"),
        (SpoolFull("full"), "452 4.3.1"),
        ("full", "452 4.3.1"),
        (RuntimeError("nobody thought of it"), "451 4.3.0"),
    ],
)
async def test_what_cannot_be_kept_is_not_promised(opened, connect, reception, error, code) -> None:
    if error == "full":
        error = DocumentsFailed("x")
        error.__cause__ = StoreFull("full")
    reception.error = error
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        reply = await raw.say("Subject: x\r\n\r\nx\r\n.")
        assert reply.startswith(code)
        assert "secret" not in reply
        reception.error = None
        await raw.begin()
        assert (await raw.say("Subject: x\r\n\r\nx\r\n.")).startswith("250")
    assert len(await rows(reception)) == 1


@pytest.mark.parametrize(
    "content",
    [
        "no header at all",
        "",
        'Content-Type: multipart/mixed; boundary="never"\r\n\r\nbut it never comes\r\n',
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n' + "--b\r\n\r\nx\r\n" * 1100 + "--b--\r\n",
        'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        + "--b\r\nContent-Type: text/csv\r\n\r\nx\r\n" * 51
        + "--b--\r\n",
    ],
)
async def test_a_message_that_cannot_be_read_is_refused_for_good(opened, connect, reception, content) -> None:
    async with opened() as door:
        raw = await connect(door)
        await raw.begin()
        assert (await raw.say(f"{content}\r\n." if content else ".")).startswith("550 5.6.0")
    assert await rows(reception) == []
