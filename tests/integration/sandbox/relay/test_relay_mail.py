"""What the relay does with the mail it takes: signed, delivered, bounced to the envelope sender, limited, kept once."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Callable
from email import message_from_bytes
from typing import Any

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sandbox_desk import SENDER, Desk, Letter, Open

from millstream.sandbox.gmail.dkim import Signer
from millstream.sandbox.gmail.headers import Headers, split

ANNA = "anna@example.org"
VERP = "bounces+b-0123456789abcdef0123-abcdefghijkl@bank.example"


@pytest.fixture
async def door(open_desk: Open) -> Desk:
    return await open_desk(smtp_port=0)


async def post(desk: Desk, sender: str, to: str | list[str], raw: bytes) -> tuple[int, str]:
    """Send by the standard library's client; the relay's last word."""

    def go() -> tuple[int, str]:
        with smtplib.SMTP("127.0.0.1", desk.running.smtp_port, timeout=10) as client:
            try:
                client.sendmail(sender, to, raw)
            except smtplib.SMTPDataError as refused:
                return refused.smtp_code, refused.smtp_error.decode()
            return 250, ""

    return await asyncio.to_thread(go)


async def raws(desk: Desk, address: str) -> list[bytes]:
    found = await desk.inbox(address)
    return [
        (await desk.http("GET", f"/sandbox/v1/mailboxes/{address}/messages/{each['id']}/raw")).body for each in found
    ]


async def record(desk: Desk) -> Callable[..., bytes]:
    """Stands in for the DNS, as dkimpy asks it."""
    said = await desk.control("GET", "relay/dkim")

    def look_up(name: bytes, timeout: float = 5) -> bytes:
        assert name.decode().rstrip(".") in said["names"]
        return said["txt"].encode()

    return look_up


@pytest.mark.parametrize(
    "body", [b"The body.\r\n", b"", b"\r\n\r\n", b" a \t b  \r\n\r\n\r\n", b"no end", b".\r\n..\r\n"]
)
async def test_what_is_delivered_carries_a_signature_that_others_verify(
    door: Desk, letter: Letter, body: bytes
) -> None:
    head = letter(
        Reply_To="a@bank.example", List_Unsubscribe="<https://bank.example/u>", Date="Wed, 25 Nov 2026 10:00:00 +0000"
    )
    await post(door, SENDER, ANNA, head.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + body)
    [raw] = await raws(door, ANNA)
    assert dkim.verify(raw, dnsfunc=await record(door))
    assert not dkim.verify(raw.replace(b"Your statement", b"My statement"), dnsfunc=await record(door))
    signature = message_from_bytes(raw)["DKIM-Signature"]
    assert "d=bank.example; s=google" in signature
    assert "list-unsubscribe" in signature
    received = [
        at for at, line in enumerate(raw.split(b"\r\n")) if line.startswith(b"Received: from [127.0.0.1] by smtp-relay")
    ]
    assert len(received) == 1


async def test_a_letter_of_a_foreign_domain_is_not_signed(door: Desk, letter: Letter) -> None:
    await post(door, ANNA, "ben@example.org", letter("ben@example.org", sender=ANNA))
    [raw] = await raws(door, "ben@example.org")
    assert message_from_bytes(raw)["DKIM-Signature"] is None


@given(
    st.lists(st.sampled_from(["a", " ", "\t", "\r\n", ".", "ü"]), max_size=40).map(
        lambda found: "".join([*found, "\r\n"])
    )
)
def test_any_body_verifies(body: str) -> None:
    signer = SIGNER
    head, content = split(b"From: a@bank.example\r\nSubject:  two  blanks \r\n folded\r\n\r\n" + body.encode())
    signed = signer.signature(Headers.parse(head), content, domain="bank.example", moment=1_700_000_000)
    raw = signed + b"\r\n" + head + b"\r\n\r\n" + content
    assert dkim.verify(raw, dnsfunc=lambda _name, timeout=5: signer.record.encode())  # noqa: ARG005  dkimpy passes it


SIGNER = Signer()


@pytest.mark.parametrize(
    "special",
    [{"rejects": "5.1.1"}, {"foreign_bounce": {"shape": "postfix"}}, {"foreign_bounce": {"shape": "exchange"}}],
)
async def test_a_bounce_comes_to_the_envelope_sender_with_its_plus_tag(
    door: Desk, letter: Letter, special: dict[str, Any]
) -> None:
    await door.control("POST", "mailbox", {"address": "bounces@bank.example"})
    await door.control("POST", "mailbox", {"address": ANNA} | special)
    await post(door, VERP, ANNA, letter(Message_ID="<m.1@bank.example>"))
    [raw] = await raws(door, "bounces@bank.example")
    bounce = message_from_bytes(raw)
    assert bounce["Delivered-To"] == VERP
    assert bounce["To"].strip("<>") == VERP
    assert bounce["Return-Path"] == "<>"
    assert b"<m.1@bank.example>" in raw
    assert b"X-Millstream-Delivery: d-1" in raw


async def test_a_catch_all_takes_bounces_for_an_address_without_a_mailbox(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, catch_all="shared@bank.example")
    for special in ({"rejects": "5.2.2"}, {"rejects": None, "foreign_bounce": {"shape": "postfix"}}):
        await desk.control("POST", "mailbox", {"address": ANNA} | special)
        await post(desk, VERP, ANNA, letter())
    google, foreign = map(message_from_bytes, reversed(await raws(desk, "shared@bank.example")))
    for bounce in (google, foreign):
        assert bounce["Delivered-To"] == "shared@bank.example"
        assert bounce["X-Gm-Original-To"] == VERP
    assert google["X-Failed-Recipients"] == ANNA


async def test_without_a_catch_all_mail_for_nobody_still_bounces(door: Desk, letter: Letter) -> None:
    await post(door, SENDER, "nobody@bank.example", letter("nobody@bank.example"))
    [raw] = await raws(door, SENDER)
    assert message_from_bytes(raw)["X-Failed-Recipients"] == "nobody@bank.example"


async def test_an_empty_envelope_sender_gets_no_bounce(door: Desk, letter: Letter) -> None:
    before = (await door.control("GET", "state"))["messages"]
    await post(door, "", "nobody@bank.example", letter())
    assert (await door.control("GET", "state"))["messages"] == before


@pytest.mark.parametrize(("settings", "kept"), [({}, 2), ({"drops_same_message_id": True}, 1)])
async def test_a_second_copy_under_the_same_message_id_may_be_dropped(
    open_desk: Open, letter: Letter, settings: dict[str, Any], kept: int
) -> None:
    desk = await open_desk(smtp_port=0, **settings)
    for _ in range(2):
        assert await post(desk, SENDER, ANNA, letter(Message_ID="<m.1@bank.example>")) == (250, "")
    assert await post(desk, SENDER, "ben@example.org", letter(Message_ID="<m.1@bank.example>")) == (250, "")
    counts = await desk.control("GET", "counts")
    assert counts["by_recipient"] == {ANNA: kept, "ben@example.org": 1}
    assert counts["dropped_twins"] == 2 - kept


# Limits


async def said(desk: Desk, letter: Letter, *posts: tuple[str, str]) -> list[str]:
    found = []
    for sender, to in posts:
        code, text = await post(desk, sender, to, letter(to))
        found.append(f"{code} {text}"[: len("550 5.4.5 Daily SMTP relay limit exceeded for user")])
    return found


async def test_a_users_day_is_counted_over_all_its_envelope_senders(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, clock_rate=0, limit_overrides={"relay_messages_per_day": "2/day"})
    over = "550 5.4.5 Daily SMTP relay limit exceeded for user"
    mine = [(f"statements+b-{number}@bank.example", ANNA) for number in range(3)]
    assert await said(desk, letter, *mine, ("colleague@bank.example", ANNA), ("nobody@bank.example", ANNA)) == [
        "250 ", "250 ", over, "250 ", "250 "]  # fmt: skip
    await desk.control("POST", "clock", {"advance": 86_400})
    assert await said(desk, letter, (SENDER, ANNA)) == ["250 "]
    used = (await desk.control("GET", "ledger"))["relay"]
    assert (used["accepted"], used["refused"], used["users"][SENDER]) == (5, {"550 5.4.5": 1}, 1)


async def test_unique_recipients_of_a_day_are_counted_once_each(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, limit_overrides={"relay_recipients_per_user_day": "2/day"})
    one, two, three = ((SENDER, f"{name}@example.org") for name in ("one", "two", "three"))
    found = await said(desk, letter, one, two, one, two, three)
    assert [line[:9] for line in found] == ["250 ", "250 ", "250 ", "250 ", "550 5.4.5"]


async def test_the_organisations_ten_minutes_are_counted_in_recipients(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(smtp_port=0, clock_rate=0, limit_overrides={"relay_recipients_per_period": "3/10min"})
    assert (await post(desk, SENDER, [ANNA, "ben@example.org"], letter()))[0] == 250
    code, text = await post(desk, "nobody@bank.example", [ANNA, "ben@example.org"], letter())
    assert (code, text[:52]) == (450, "4.2.1 Peak SMTP relay limit exceeded for customer. F")
    assert (await post(desk, SENDER, ANNA, letter()))[0] == 250
    await desk.control("POST", "clock", {"advance": 599})
    assert (await post(desk, SENDER, ANNA, letter()))[0] == 450
    await desk.control("POST", "clock", {"advance": 1})
    assert (await post(desk, SENDER, ANNA, letter()))[0] == 250
    assert (await desk.control("GET", "relay"))["used"]["period_peak"] == 3


async def test_the_organisations_day_ends_too_and_limits_change_while_it_runs(door: Desk, letter: Letter) -> None:
    await post(door, SENDER, ANNA, letter())
    await door.control("POST", "relay", {"limits": {"relay_recipients_per_day": "1/day"}})
    code, text = await post(door, SENDER, ANNA, letter())
    assert (code, text[:49]) == (550, "5.7.1 Daily SMTP relay limit exceeded for custome")
    await door.control("POST", "relay", {"limits": {"relay_recipients_per_day": "2/day"}})
    assert (await post(door, SENDER, ANNA, letter()))[0] == 250
    refused = await door.http("POST", "/sandbox/v1/relay", json={"limits": {"relay_recipients": "2/day"}})
    assert refused.status == 400
    assert (await door.http("POST", "/sandbox/v1/relay", json={"networks": ["here"]})).status == 400


async def test_a_refused_message_counts_for_nobody(open_desk: Open, letter: Letter) -> None:
    limits = {"relay_messages_per_day": "1/day", "relay_recipients_per_period": "2/10min"}
    desk = await open_desk(smtp_port=0, limit_overrides=limits)
    for _ in range(4):
        await post(desk, SENDER, ANNA, letter())
    used = (await desk.control("GET", "relay"))["used"]
    assert (used["accepted"], used["period_used"], used["users"]) == (1, 1, {SENDER: 1})
    assert await desk.delivered() == 1
