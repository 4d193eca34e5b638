"""The relay's bad days: refusals before the effect, lost replies after it, and replies that are valid but odd."""

from __future__ import annotations

import asyncio
import smtplib
import time
from collections.abc import Callable
from typing import Any

import pytest
from sandbox_desk import SENDER, Desk, Letter, Open

ANNA = "anna@example.org"


@pytest.fixture
async def door(open_desk: Open) -> Desk:
    return await open_desk(smtp_port=0)


async def fault(desk: Desk, point: str, kind: str, method: str, **more: Any) -> None:
    await desk.control("POST", "faults", {"point": point, "kind": kind, "method": method, **more})


async def post(desk: Desk, letter: Letter, to: str = ANNA) -> str:
    """Send one letter; the last word, or that there was none."""

    def go() -> str:
        try:
            with smtplib.SMTP("127.0.0.1", desk.running.smtp_port, timeout=10) as client:
                client.sendmail(SENDER, [to], letter(to))
        except smtplib.SMTPRecipientsRefused as refused:
            code, text = refused.recipients[to]
            return f"{code} {text.decode()}"
        except smtplib.SMTPResponseException as refused:
            found = refused.smtp_error
            return f"{refused.smtp_code} {found.decode() if isinstance(found, bytes) else found}"
        except (smtplib.SMTPServerDisconnected, ConnectionError):
            return "lost"
        return "sent"

    return await asyncio.to_thread(go)


@pytest.mark.parametrize(
    ("kind", "method", "said"),
    [
        ("relay_user_day", "smtp.mail", "550 5.4.5 Daily SMTP relay limit exceeded for user"),
        ("relay_user_day", "smtp.content", "550 5.4.5 Daily SMTP relay limit exceeded for user"),
        ("relay_customer_day", "smtp.content", "550 5.7.1 Daily SMTP relay limit exceeded for customer"),
        ("relay_peak", "smtp.rcpt", "450 4.2.1 Peak SMTP relay limit exceeded for customer"),
        ("relay_rate", "smtp.mail", "421 4.7.28"),
        ("closing_421", "smtp.data", "421 4.3.0"),
        ("closing_421", "smtp.content", "421 4.3.0"),
        ("busy_451", "smtp.content", "451 4.3.0"),
        ("recipient_busy", "smtp.rcpt", "452 4.2.2"),
        ("recipient_refused", "smtp.rcpt", "550 5.1.1"),
        ("too_large", "smtp.content", "552 5.3.4"),
        ("blocked", "smtp.content", "552 5.7.0"),
        ("denied", "smtp.mail", "550 5.7.0"),
        ("sender_refused", "smtp.mail", "553 5.1.7"),
        ("greeting_refused", "smtp.ehlo", "lost"),
        ("closing_421", "smtp.connect", "421 4.3.0"),
        ("reset", "smtp.connect", "lost"),
        ("reset", "smtp.mail", "lost"),
        ("reset", "smtp.body", "lost"),
        ("reset", "smtp.content", "lost"),
        ("hang", "smtp.content", "lost"),
    ],
)
async def test_a_fault_before_the_effect_leaves_none(
    door: Desk, letter: Letter, kind: str, method: str, said: str
) -> None:
    await fault(door, "before", kind, method, times=1, delay=0.05, name="f")
    large = lambda to: letter(to) + b"more\r\n" * 100_000  # noqa: E731  smtp.body strikes where a message comes in pieces
    assert (await post(door, large))[: len(said)] == said
    assert await door.delivered() == 0
    assert await post(door, letter) == "sent"
    assert (await door.control("GET", "ledger"))["faults"] == {"f": 1}


@pytest.mark.parametrize("kind", ["reset", "hang", "garbage"])
@pytest.mark.parametrize("method", ["smtp.content", "smtp.send"])
async def test_after_the_effect_a_reply_is_lost_and_never_a_refusal(
    door: Desk, letter: Letter, kind: str, method: str
) -> None:
    await fault(door, "after", kind, method, times=1, delay=0.05)
    assert (await post(door, letter)).startswith(("lost", "-1 "))
    assert await door.delivered() == 1
    assert await post(door, letter) == "sent"


@pytest.mark.parametrize("kind", ["500", "503", "html", "busy_451", "relay_peak", "closing_421"])
async def test_a_refusal_after_the_effect_is_no_rule(door: Desk, kind: str) -> None:
    for method in ("smtp.send", "smtp.content"):
        rule = {"point": "after", "kind": kind, "method": method}
        assert (await door.http("POST", "/sandbox/v1/faults", json=rule)).status == 400


async def test_a_rule_for_everything_that_strikes_after_the_effect_cuts_the_line(door: Desk, letter: Letter) -> None:
    await fault(door, "after", "503", "*", times=1)
    assert await post(door, letter) == "lost"
    assert await door.delivered() == 1


async def test_kinds_of_the_relay_need_a_method_of_the_relay(door: Desk) -> None:
    for rule in (
        {"point": "before", "kind": "relay_peak"},
        {"point": "before", "kind": "greylisted", "method": "messages.send"},
        {"point": "odd", "kind": "garbage", "method": "smtp.content"},
    ):
        assert (await door.http("POST", "/sandbox/v1/faults", json=rule)).status == 400


async def test_a_greylisted_triple_is_let_through_later(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, clock_rate=0)
    await fault(desk, "before", "greylisted", "smtp.rcpt", delay=300)
    for advance, said in ((0, "450 4.2.0"), (299, "450 4.2.0"), (1, "sent")):
        await desk.control("POST", "clock", {"advance": advance})
        assert (await post(desk, letter))[: len(said)] == said
    assert (await post(desk, letter, "ben@example.org"))[:9] == "450 4.2.0"


async def test_a_shut_port_opens_again(door: Desk, letter: Letter, eventually: Callable[..., Any]) -> None:
    await fault(door, "before", "refused", "smtp.connect", times=1, delay=0.2)
    assert await post(door, letter) == "lost"
    assert await post(door, letter) == "lost"

    async def sent() -> bool:
        return await post(door, letter) == "sent"

    await eventually(sent)


@pytest.mark.parametrize("kind", ["multi_line", "split"])
async def test_odd_replies_are_valid(door: Desk, letter: Letter, kind: str) -> None:
    await fault(door, "odd", kind, "smtp.*")
    assert await post(door, letter) == "sent"
    reader, writer = await asyncio.open_connection("127.0.0.1", door.running.smtp_port)
    writer.write(b"EHLO a.example\r\nMAIL FROM:<>\r\nQUIT\r\n")
    said = (await asyncio.wait_for(reader.read(), 5)).decode().split("\r\n")
    assert ("250-" in said) is (kind == "multi_line")
    assert [line for line in said if line.startswith("250 2.1.0")] != []
    writer.close()


async def test_a_slow_relay_answers_and_reads_slowly(door: Desk, letter: Letter) -> None:
    await fault(door, "odd", "slow", "smtp.mail", delay=0.1)
    await fault(door, "odd", "slow_reader", "smtp.body", delay=0.1)
    began = time.monotonic()
    large = lambda to: letter(to) + b"more\r\n" * 500_000  # noqa: E731  more than fits the buffers between
    assert await post(door, large) == "sent"
    assert time.monotonic() - began > 0.2
    [found] = await door.inbox(ANNA)
    assert found["size"] > 3_000_000


async def test_a_kept_connection_is_closed_without_a_word(door: Desk, letter: Letter) -> None:
    await fault(door, "odd", "idle_close", "smtp.content", delay=0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", door.running.smtp_port)
    writer.write(b"EHLO a.example\r\nMAIL FROM:<a@bank.example>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n")
    writer.write(letter() + b".\r\n")
    said = (await asyncio.wait_for(reader.read(), 5)).decode().split("\r\n")
    assert said[-2].startswith("250 2.0.0 OK")
    assert said[-1] == ""
    writer.close()


async def test_silence_is_ended_with_421(open_desk: Open) -> None:
    desk = await open_desk(smtp_port=0, relay={"idle_seconds": 0.1})
    reader, writer = await asyncio.open_connection("127.0.0.1", desk.running.smtp_port)
    said = await asyncio.wait_for(reader.read(), 5)
    assert said.endswith(b"421 4.4.2 Timeout - closing connection. - gsmtp\r\n")
    writer.close()


async def test_a_message_without_its_end_is_thrown_away(door: Desk, letter: Letter, eventually: Any) -> None:
    """RFC 5321 section 4.1.1.4: what has no end was not sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", door.running.smtp_port)
    writer.write(b"EHLO a.example\r\nMAIL FROM:<a@bank.example>\r\nRCPT TO:<anna@example.org>\r\nDATA\r\n" + letter())
    await asyncio.wait_for(reader.readuntil(b"354 "), 5)
    writer.transport.abort()

    async def gone() -> bool:
        return (await door.control("GET", "relay"))["used"]["connections_now"] == 0

    await eventually(gone)
    assert await door.delivered() == 0


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00\xff\xfe\r\n" * 10,
        b"A" * 100_000,
        b"MAIL FROM:<\xff@bank.example>\r\n",
        b"EHLO\r\nEHLO \r\nHELO\r\n",
        b"RCPT TO:<a@b>\r\nDATA\r\nDATA x\r\n.\r\n",
        b"EHLO a\r\nMAIL FROM:<a@b.example> SIZE=99999999999999999999\r\nMAIL TO:<a@b>\r\nMAIL FROM:a@b\r\n",
        b"EHLO a\r\nAUTH PLAIN =\r\nSTARTTLS x\r\nAUTH\r\n",
        b"EHLO a\r\nMAIL FROM:<a@b.example>\r\nDATA\r\nSubject: x\r\n\r\nQUIT\r\n.\r\n",
        b"XYZZY\r\n" * 200,
    ],
)
async def test_rubbish_is_refused_and_harms_nobody(
    door: Desk, letter: Letter, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.running.smtp_port)
    writer.write(rubbish + b"\r\nQUIT\r\n")
    said = await asyncio.wait_for(reader.read(), 5)
    assert all(line[:1] in b"245" for line in said.splitlines())
    writer.close()
    assert await post(door, letter) == "sent"
    assert await door.delivered() == 1
    assert "smtp_conversation_failed" not in caplog.text
