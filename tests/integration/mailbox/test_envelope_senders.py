"""Bounces to signed envelope senders, from the relay to the ledger; a forged one changes nothing at all."""

from __future__ import annotations

import asyncio
import smtplib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from reading_desk import BOX, OTHER, ReadingDesk, report

from millstream.delivery.sightings import SightingRules, Sightings
from millstream.delivery.verp import Verp
from millstream.work.events import Events

VERP = Verp(b"a secret of thirty-two bytes ....", "bounces@bank.example")
ANNA, BEN = "anna.ample@customer.test", "ben@customer.test"
TOKEN, OTHERS = "0123456789abcdef0123", "abcdef0123456789abcd"


@pytest.fixture
async def desk(open_desk: Callable[..., Awaitable[ReadingDesk]]) -> ReadingDesk:
    """A desk that reads the mailbox where a catch-all puts what is for nobody."""
    desk = await open_desk(smtp_port=0, catch_all=BOX)
    desk.verp = VERP
    await desk.register(BOX)
    await desk.accepted(ANNA, mailbox=f"relay:{OTHER}", thread_id="", token=TOKEN)
    await desk.accepted(BEN, mailbox=f"relay:{OTHER}", thread_id="none", token=OTHERS)
    return desk


async def relayed(desk: ReadingDesk, sender: str, *, token: str = TOKEN, to: str = ANNA) -> None:
    """Send a letter by the sandbox's relay."""
    raw = f"From: {OTHER}\r\nTo: {to}\r\nSubject: s\r\nMessage-ID: <m.1@bank.example>\r\n{token}\r\nText.\r\n"

    def go() -> None:
        with smtplib.SMTP("127.0.0.1", desk.running.smtp_port, timeout=10) as client:
            client.sendmail(sender, [to], raw.encode())

    await asyncio.to_thread(go)


async def answered(desk: ReadingDesk) -> None:
    """Read, and let the delivery room answer."""
    await desk.look()
    listeners = Sightings(SightingRules()).listeners()
    await Events(desk.pool, {kind: [heard] for kind, heard in listeners.items()}).answer_due(1_000)


async def ledger(desk: ReadingDesk) -> list[Any]:
    tables = ("delivery", "run", "lane", "suppression", "attempt", "audit")
    return [await desk.rows(f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608  names of this file


@pytest.mark.parametrize("shape", ["google", "postfix", "exchange"])
async def test_a_bounce_comes_home_by_its_envelope_sender_alone(desk: ReadingDesk, shape: str) -> None:
    """Neither header nor Message-ID nor thread of ours: only the address that the bounce came to."""
    special = {"rejects": "5.1.1"} if shape == "google" else {"foreign_bounce": {"shape": shape}}
    await desk.ail(ANNA, **special)
    await relayed(desk, VERP.sender_of(OTHER, TOKEN), token="")
    await answered(desk)
    [told] = await desk.rows("SELECT * FROM sighting")
    assert (told["kind"], told["subject"], told["mapped_by"], told["proven"]) == (
        "bounced_hard", f"delivery:{TOKEN}", "envelope", True)  # fmt: skip
    [row] = await desk.rows("SELECT sighted FROM delivery WHERE token = %(token)s", token=TOKEN)
    assert row["sighted"] == ["bounced_hard"]
    assert [entry["address"] for entry in await desk.rows("SELECT address FROM suppression")] == [ANNA]


async def test_a_reply_of_a_machine_to_the_envelope_sender_is_known(desk: ReadingDesk) -> None:
    await desk.ail(ANNA, auto_reply={"careless": True})
    await relayed(desk, VERP.sender_of(OTHER, TOKEN), token="")
    await answered(desk)
    [told] = await desk.rows("SELECT * FROM sighting")
    assert (told["kind"], told["subject"], told["mapped_by"]) == ("auto_replied", f"delivery:{TOKEN}", "envelope")


async def test_a_lost_reply_is_settled_by_the_bounce_that_came(desk: ReadingDesk) -> None:
    await desk.rows(
        "UPDATE delivery SET disposition = 'uncertain', uncertain_since = now(), accepted_at = NULL, due_at = NULL, "
        "message_id = NULL, rfc822_id = 'm.1@bank.example', reason = 'reply_lost' WHERE token = %(token)s",
        token=TOKEN,
    )
    await desk.ail(ANNA, foreign_bounce={"status": "5.2.2"})
    await relayed(desk, VERP.sender_of(OTHER, TOKEN), token="")
    await answered(desk)
    [row] = await desk.rows("SELECT * FROM delivery WHERE token = %(token)s", token=TOKEN)
    assert (row["disposition"], row["message_id"], row["reason"]) == ("accepted", "m.1@bank.example", None)


def tagged(tag: str) -> str:
    return f"bounces+{tag}@bank.example"


MINE = VERP.sender_of(OTHER, TOKEN).partition("+")[2].partition("@")[0]
HIS = VERP.sender_of(OTHER, OTHERS).partition("+")[2].partition("@")[0]


@pytest.mark.parametrize(
    "to",
    [
        tagged(Verp(b"a secret of somebody else's making").sender_of(OTHER, TOKEN).partition("+")[2].partition("@")[0]),
        tagged(f"b-{OTHERS}-{MINE[-12:]}"),
        tagged(f"b-{TOKEN}-{HIS[-12:]}"),
        tagged(f"b-{TOKEN}-{'a' * 12}"),
        tagged(f"b-{TOKEN}"),
        tagged(TOKEN + "x"),
        tagged(f"{MINE}-{HIS}"),
        tagged("b-" + "f" * 20 + MINE[-13:]),
    ],
)
async def test_a_bounce_to_a_forged_envelope_sender_changes_nothing(desk: ReadingDesk, to: str) -> None:
    before = await ledger(desk)
    for sender, verdict in (("mailer-daemon@mx.customer.test", True), ("mailer-daemon@googlemail.com", False)):
        arrives(desk, to, sender=sender, passed=verdict)
    await answered(desk)
    assert await ledger(desk) == before
    assert await desk.rows("SELECT 1 FROM sighting WHERE proven") == []


@pytest.mark.parametrize(
    "forged",
    [
        {"recipient": BEN},  # it names another than the letter's
        {"labels": ("SPAM", "UNREAD")},
        {"recipient": "nobody@customer.test"},
    ],
)
async def test_a_true_envelope_sender_with_another_mistake_changes_nothing(
    desk: ReadingDesk, forged: dict[str, Any]
) -> None:
    before = await ledger(desk)
    arrives(desk, tagged(MINE), **forged)
    await answered(desk)
    assert await ledger(desk) == before


async def test_a_true_envelope_sender_in_other_letters_counts(desk: ReadingDesk) -> None:
    arrives(desk, tagged(MINE).upper())
    await answered(desk)
    [row] = await desk.rows("SELECT sighted FROM delivery WHERE token = %(token)s", token=TOKEN)
    assert row["sighted"] == ["bounced_hard"]


async def test_the_address_counts_for_the_delivery_it_was_made_for_whatever_is_returned(desk: ReadingDesk) -> None:
    """Who got one letter cannot report a bounce of another's: its signature is the first's."""
    arrives(desk, tagged(MINE), returned=OTHERS, recipient=BEN)
    await answered(desk)
    assert {tuple(row["sighted"]) for row in await desk.rows("SELECT sighted FROM delivery")} == {()}


async def test_what_a_person_writes_to_a_forged_address_marks_nothing(desk: ReadingDesk) -> None:
    before = await ledger(desk)
    head = f"From: Anna <{ANNA}>\r\nTo: {tagged(f'b-{TOKEN}-{HIS[-12:]}')}\r\nSubject: Re: s\r\nMessage-ID: <p@x>\r\n"
    desk.arrive(head=head, body="It bounced! 550 5.1.1 no such user\r\n")
    await answered(desk)
    assert await ledger(desk) == before


def arrives(desk: ReadingDesk, to: str, **said: Any) -> str:
    """A bounce from another server, as it came to the catch-all."""
    sender, passed = said.pop("sender", "mailer-daemon@mx.customer.test"), said.pop("passed", True)
    labels, returned = said.pop("labels", ("INBOX", "UNREAD")), said.pop("returned", "")
    domain = sender.rpartition("@")[2]
    verdict = f"mx.google.com; dkim=pass header.i=@{domain}; dmarc={'pass' if passed else 'fail'} header.from={domain}"
    raw = (
        f"Delivered-To: {BOX}\r\nX-Gm-Original-To: {to}\r\nReturn-Path: <>\r\n"
        "Received: from mx.customer.test by mx.google.com with ESMTPS id y; Wed, 25 Nov 2026 10:00:00 +0000\r\n"
        f"Authentication-Results: {verdict}\r\nFrom: Mail Delivery System <{sender}>\r\nTo: {to}\r\n"
        f"Subject: Undelivered\r\nMessage-ID: <r@mx.customer.test>\r\nAuto-Submitted: auto-replied\r\n"
        f"{report(returned, **said)}"
    )
    return desk.arrive(raw=raw.encode(), labels=labels)
