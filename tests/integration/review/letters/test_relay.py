"""Questions that leave by the relay: their optional parts arrive as written, and what was sent is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from letters_desk import ANNA, BASE, BEN, POOL, QUICK, R1, LettersDesk, body

from millstream.communication.model import Road, Unclear
from millstream.delivery.board import RunBoard
from millstream.delivery.ledger import Ledger
from millstream.delivery.options import RelayRules
from millstream.delivery.store import LaneStore
from millstream.gmail import Gmail, GmailOptions, StaticTokens
from millstream.gmail.relay import RelayOptions
from millstream.gmail.relay.transport import SmtpRelay
from millstream.review import amp, markup
from millstream.review.options import ReviewOptions
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import serve
from millstream.storage.objects import open_store
from millstream.storage.pool import Pool

BY_RELAY = ReviewOptions(pool=POOL, base_url=BASE, road=Road.RELAY, unclear=Unclear.HOLD, amp=True, markup=True)
ONE_CLICK = {"rules": {"one_click": True}}


@pytest.fixture
async def desk(pool: Pool, tmp_path: Path) -> AsyncIterator[LettersDesk]:
    """A desk whose pool has one user of the relay, and no mailbox that sends by the API."""
    everybody = (R1, ANNA, BEN)
    async with AsyncExitStack() as stack:
        config = SandboxConfig(limits="none", notice_delay_seconds=0, mailboxes=everybody, smtp_port=0)
        running = await serve(config)
        stack.push_async_callback(running.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        authority = tmp_path / "relay.pem"
        async with session.get(f"{running.url}/sandbox/v1/relay/ca") as reply:
            authority.write_bytes(await reply.read())
        options = GmailOptions(endpoint=running.url, token_url=f"{running.url}/token", call_seconds=5.0)
        tokens = StaticTokens({address: f"sandbox:{address}" for address in everybody})
        gmail = await stack.enter_async_context(Gmail(options, tokens))
        ledger = await stack.enter_async_context(Ledger(pool, gap=0.001, give_up_after=20.0))
        store = LaneStore(pool, patience=20.0)
        relay = SmtpRelay(
            RelayOptions(
                host="127.0.0.1",
                port=running.smtp_port or 0,
                helo="bank.example",
                certificates=authority,
                connections=2,
            )
        )
        stack.push_async_callback(relay.close)
        await store.register({}, relay={POOL: (R1,)})
        made = LettersDesk(
            pool, running, session, ledger, gmail, store, RunBoard(store, QUICK.limits), open_store(str(tmp_path / "d"))
        )
        made.options, made.relay, made.review = replace(QUICK, relay=RelayRules()), relay, BY_RELAY
        yield made


async def _arrived(desk: LettersDesk, count: int) -> list[EmailMessage] | None:
    found = await desk.inbox(ANNA)
    return found if len(found) >= count else None


async def test_the_optional_parts_arrive_as_they_were_written_with_the_readers_own_link(
    desk: LettersDesk, eventually: Any
) -> None:
    review = await desk.open(terms=ONE_CLICK)
    number = await desk.put("ask", review)
    written = await desk.mailing().rendered(number)
    assert written is not None
    assert written[1].amp is not None
    async with desk.working():
        [message] = await eventually(lambda: _arrived(desk, 1), within=30)
    mail = await desk.mail(number)
    link = f"{BASE}/review/{mail['token']}.sealed"
    [part] = [each for each in message.walk() if each.get_content_type() == "text/x-amp-html"]
    arrived = part.get_payload(decode=True).decode().replace("\r\n", "\n")
    assert arrived.rstrip("\n") == written[1].amp.replace("https://answer.invalid/", link)
    assert amp.check(arrived) == ()
    kinds = [each.get_content_type() for each in message.walk() if each.get_content_maintype() == "text"]
    assert kinds[:3] == ["text/plain", "text/x-amp-html", "text/html"]
    html = body(message, "html")
    assert f"{link}/one-click" in html
    assert markup.document("x", "y")["@type"] in html
    [row] = await desk.rows("SELECT d.only_road, r.key, r.policy FROM delivery d JOIN run r ON r.id = d.run_id")
    assert row["only_road"] == "relay"
    assert row["key"].endswith("-relay")
    assert (row["policy"]["road"], row["policy"]["unclear"]) == ("relay", "hold")


async def test_what_left_is_kept_and_the_conversation_holds_by_references(desk: LettersDesk, eventually: Any) -> None:
    review = await desk.open(terms=ONE_CLICK)
    first = await desk.put("ask", review)
    async with desk.working():

        async def kept() -> dict[str, Any] | None:
            mail = await desk.mail(first)
            return mail if mail["raw"] else None

        mail = await eventually(kept, within=30)
        await desk.put("remind", review, n=1)
        [asked, reminded] = await eventually(lambda: _arrived(desk, 2), within=30)
    raw = await desk.documents.get(mail["raw"])
    assert f"<{mail['rfc822_id']}>" == asked["Message-ID"]
    assert mail["token"].encode() in raw
    assert asked["Message-ID"] in reminded["References"]
    assert reminded["Subject"] == f"Re: {asked['Subject']}"
    assert reminded["X-Thread"] == asked["X-Thread"]


async def test_by_the_api_neither_part_is_sent(desk: LettersDesk, eventually: Any) -> None:
    desk.review = replace(BY_RELAY, road=Road.API, unclear=None)
    await desk.store.register({POOL: (R1,)})
    await desk.put("ask", await desk.open(terms=ONE_CLICK))
    async with desk.working():
        [message] = await eventually(lambda: _arrived(desk, 1), within=30)
    assert "text/x-amp-html" not in [part.get_content_type() for part in message.walk()]
    assert "ld+json" not in body(message, "html")
