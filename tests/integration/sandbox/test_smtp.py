"""The SMTP door."""

import asyncio
import smtplib
from collections.abc import Callable
from typing import Any

import pytest
from sandbox_desk import SENDER, Desk, Letter, Open


@pytest.fixture
async def door(open_desk: Open) -> Desk:
    return await open_desk(smtp_port=0)


async def relay(desk: Desk, work: Callable[[smtplib.SMTP], Any]) -> Any:
    """Do something with a client of the standard library, in a thread."""

    def talk() -> Any:
        with smtplib.SMTP("127.0.0.1", desk.running.smtp_port, timeout=10) as client:
            return work(client)

    return await asyncio.to_thread(talk)


async def message_ids(desk: Desk, address: str = "anna@example.org") -> list[dict[str, str]]:
    return [entry["headers"] for entry in await desk.inbox(address)]


@pytest.mark.parametrize("given", ["<mine@bank.example>", "<job-17.2@localhost>", "<a@[192.0.2.1]>"])
async def test_a_well_formed_message_id_is_kept(door: Desk, letter: Letter, given: str) -> None:
    await relay(door, lambda client: client.sendmail(SENDER, ["anna@example.org"], letter(Message_ID=given)))
    headers = (await message_ids(door))[0]
    assert headers["Message-ID"] == given
    assert headers["X-Millstream-Delivery"] == "d-1"
    assert await door.delivered() == 1


@pytest.mark.parametrize("given", ["<a@b@bank.example>", "<mine@bank.example.>", "no-brackets@x", "<>"])
async def test_a_malformed_message_id_is_replaced_and_remembered(door: Desk, letter: Letter, given: str) -> None:
    await relay(door, lambda client: client.sendmail(SENDER, ["anna@example.org"], letter(Message_ID=given)))
    headers = (await message_ids(door))[0]
    assert headers["Message-ID"].endswith("@mx.google.com>")
    assert headers["X-Google-Original-Message-ID"] == given


async def test_a_bounce_goes_to_the_envelope_sender(door: Desk, letter: Letter) -> None:
    await door.control("POST", "mailbox", {"address": "bounces@bank.example"})
    await relay(door, lambda client: client.sendmail("bounces+d-1@bank.example", ["nobody@bank.example"], letter()))
    bounce = (await message_ids(door, "bounces@bank.example"))[0]
    assert bounce["X-Failed-Recipients"] == "nobody@bank.example"


async def test_mail_from_outside_reaches_a_local_mailbox(door: Desk, letter: Letter) -> None:
    raw = letter(SENDER, sender="anna@example.org")
    await relay(door, lambda client: client.sendmail("anna@example.org", [SENDER], raw))
    assert (await message_ids(door, SENDER))[0]["From"] == "Statements <anna@example.org>"


async def test_no_copy_lies_in_sent_unless_the_relay_keeps_one(open_desk: Open, letter: Letter) -> None:
    for keeps in (False, True):
        desk = await open_desk(smtp_port=0, relay_keeps_sent_copy=keeps)
        await relay(desk, lambda client: client.sendmail(SENDER, ["anna@example.org"], letter()))
        assert (await desk.call("GET", "messages?labelIds=SENT")).json["resultSizeEstimate"] == int(keeps)


async def test_the_daily_limit_is_said_at_once(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, limit_overrides={"messages_per_day": "1/day"})

    def twice(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.sendmail(SENDER, ["anna@example.org"], letter())
        with pytest.raises(smtplib.SMTPDataError) as caught:
            client.sendmail(SENDER, ["anna@example.org"], letter())
        return caught.value.smtp_code, caught.value.smtp_error

    code, text = await relay(desk, twice)
    assert (code, text[:38]) == (550, b"5.4.5 Daily user sending limit exceede")
    assert await desk.delivered() == 1


async def test_a_transaction_takes_a_hundred_recipients(door: Desk, letter: Letter) -> None:
    many = [f"c{number}@example.org" for number in range(101)]
    refused = await relay(door, lambda client: client.sendmail(SENDER, many, letter()))
    assert {address: code for address, (code, _) in refused.items()} == {"c100@example.org": 452}
    assert await door.delivered() == 100


async def test_faults_strike_the_door_before_and_after_the_effect(door: Desk, letter: Letter) -> None:
    rules = [
        {"point": "before", "kind": "rate_limited", "method": "smtp.send", "positions": [1]},
        {"point": "after", "kind": "reset", "method": "smtp.send", "positions": [1]},
    ]
    await door.control("POST", "faults", rules)

    def send(client: smtplib.SMTP) -> None:
        client.sendmail(SENDER, ["anna@example.org"], letter())

    with pytest.raises(smtplib.SMTPDataError) as refused:
        await relay(door, send)
    assert refused.value.smtp_code == 421
    assert await door.delivered() == 0
    with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionResetError)):
        await relay(door, send)
    assert await door.delivered() == 1


async def test_a_closing_sandbox_hangs_up(door: Desk) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.running.smtp_port)
    assert (await reader.readline()).startswith(b"220 ")
    await door.running.close()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
