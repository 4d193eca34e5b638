"""The client against the sandbox: the two agree on shapes, refusals, tokens and the ways of drafts."""

import asyncio
import re
from collections.abc import AsyncIterator
from html import unescape

import aiohttp
import pytest

from millstream.gmail import (
    AuthorizedUserTokens,
    Gmail,
    GmailOptions,
    ImpersonatedTokens,
    MailboxClient,
    OAuthClient,
    ServiceAccountKey,
    ServiceAccountTokens,
    StaticTokens,
    TokenFolder,
    TokenSource,
    errors,
    machine_tokens,
)
from millstream.gmail.consent import Consent, connect_mailbox
from millstream.gmail.errors import Effect, Fault
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.server import Running, serve

BOX = "statements@bank.example"
RAW = (
    b"From: Bank <statements@bank.example>\r\nTo: Ada <ada@customer.example>\r\nSubject: Statement\r\n"
    b"X-Millstream-Delivery: d-1\r\nMessage-ID: <ours@bank.example>\r\n\r\nDear Ada\r\n"
)


@pytest.fixture
async def sandbox() -> AsyncIterator[Running]:
    running = await serve(SandboxConfig(domains=("bank.example",), mailboxes=(BOX,), notice_delay_seconds=0))
    yield running
    await running.close()


def options(sandbox: Running) -> GmailOptions:
    return GmailOptions(
        endpoint=sandbox.url,
        token_url=f"{sandbox.url}/token",
        auth_url=f"{sandbox.url}/o/oauth2/v2/auth",
        iam_endpoint=sandbox.url,
        metadata_endpoint=sandbox.url,
        connect_seconds=2,
        call_seconds=5,
    )


@pytest.fixture
async def box(sandbox: Running, key) -> AsyncIterator[MailboxClient]:
    told = options(sandbox)
    async with Gmail(told, ServiceAccountTokens(ServiceAccountKey(key.info), told)) as gmail:
        yield gmail.mailbox(BOX)


async def fault(sandbox: Running, **rule: object) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.url}/sandbox/v1/faults", json=[rule]) as reply,
    ):
        assert reply.status < 300, await reply.text()


async def test_a_draft_is_created_found_sent_and_gone(box: MailboxClient) -> None:
    before = (await box.profile()).history_id
    draft = await box.create_draft(RAW)
    assert (await box.get_draft(draft.id)).thread_id == draft.thread_id
    assert [found.id for found in (await box.list_drafts()).items] == [draft.id]
    sent = await box.send_draft(draft.id)
    assert sent.thread_id == draft.thread_id
    assert "SENT" in sent.label_ids
    with pytest.raises(errors.NotFound):
        await box.get_draft(draft.id)
    with pytest.raises(errors.NotFound):
        await box.send_draft(draft.id)
    history = await box.list_history(before, "SENT")
    assert sent.id in [found.id for found in history.added]
    assert [found.id for found in (await box.list_messages(("SENT",))).items] == [sent.id]


async def test_our_header_is_kept_and_our_message_id_is_not(box: MailboxClient) -> None:
    sent = await box.send_message(RAW)
    seen = await box.get_message(sent.id, headers=("X-Millstream-Delivery", "Message-ID"))
    assert seen.headers.get("x-millstream-delivery") == "d-1"
    assert seen.headers.get("message-id") != "<ours@bank.example>"
    assert (seen.internal_date is not None, seen.history_id is not None) == (True, True)
    whole = await box.get_message(sent.id, "raw")
    assert b"Dear Ada" in whole.raw


async def test_a_deleted_draft_is_gone(box: MailboxClient) -> None:
    draft = await box.create_draft(RAW)
    await box.delete_draft(draft.id)
    with pytest.raises(errors.NotFound):
        await box.delete_draft(draft.id)


async def test_the_mailbox_tells_its_labels_and_addresses(box: MailboxClient) -> None:
    assert "SENT" in {label.id for label in await box.list_labels()}
    assert [(entry.address, entry.verified) for entry in await box.list_send_as()] == [(BOX, True)]
    with pytest.raises(errors.HistoryExpired):
        await box.list_history(1)


REFUSALS = [
    ("rate_limited", errors.RateLimited, True),
    ("user_rate_limited", errors.RateLimited, True),
    ("rate_limited_429", errors.RateLimited, True),
    ("cloud_quota", errors.RateLimited, True),
    ("project_exhausted", errors.ProjectExhausted, False),
    ("domain_policy", errors.DomainForbids, False),
    ("scope_insufficient", errors.ScopeMissing, False),
    ("delegation_denied", errors.DelegationDenied, False),
    ("mail_sending", errors.MailSendingLimit, True),
    ("concurrency", errors.TooManyConcurrent, False),
    ("exhausted", errors.Exhausted, False),
    ("mail_service_off", errors.MailServiceOff, False),
]


@pytest.mark.parametrize(("kind", "expected", "says_when"), REFUSALS)
async def test_what_the_sandbox_refuses_before_the_effect_did_not_happen(
    sandbox, box, kind, expected, says_when
) -> None:
    draft = await box.create_draft(RAW)
    await fault(sandbox, point="before", kind=kind, method="drafts.send", times=1, delay=30)
    with pytest.raises(expected) as caught:
        await box.send_draft(draft.id)
    assert type(caught.value) is expected
    assert caught.value.effect is Effect.NO
    assert (caught.value.retry_at is not None) == says_when
    assert (await box.get_draft(draft.id)).id == draft.id


@pytest.mark.parametrize("point", ["before", "after"])
@pytest.mark.parametrize("kind", ["500", "502", "503", "504", "html", "reset", "hang"])
async def test_an_unclear_send_is_settled_by_its_draft(sandbox, box, point, kind) -> None:
    draft = await box.create_draft(RAW)
    await fault(sandbox, point=point, kind=kind, method="drafts.send", times=1, delay=0.1)
    with pytest.raises(errors.Unclear) as caught:
        await box.send_draft(draft.id)
    assert caught.value.effect is Effect.UNKNOWN
    if point == "before":
        await box.get_draft(draft.id)
    else:
        with pytest.raises(errors.NotFound):
            await box.get_draft(draft.id)
    assert len((await box.list_messages(("SENT",))).items) == (point == "after")


async def test_a_token_the_interface_refuses_is_renewed(sandbox, box) -> None:
    await fault(sandbox, point="before", kind="unauthorized", method="drafts.create", times=1)
    await box.create_draft(RAW)
    assert len((await box.list_drafts()).items) == 1


async def test_a_dead_token_is_the_mailboxs_fault(sandbox, box) -> None:
    await fault(sandbox, point="before", kind="invalid_grant", method="oauth.token")
    with pytest.raises(errors.TokenDead) as caught:
        await box.profile()
    assert (caught.value.fault, caught.value.temporary) == (Fault.MAILBOX, False)


async def whose(sandbox: Running, tokens: TokenSource) -> str:
    async with Gmail(options(sandbox), tokens) as gmail:
        return (await gmail.mailbox(BOX).profile()).address


async def test_every_kind_of_token_opens_the_mailbox(sandbox, tmp_path) -> None:
    told = options(sandbox)
    assert await whose(sandbox, StaticTokens(f"sandbox:{BOX}")) == BOX
    keyless = ImpersonatedTokens("sender@project.iam.gserviceaccount.com", machine_tokens(told), told)
    assert await whose(sandbox, keyless) == BOX
    client, folder = OAuthClient("client", "secret"), TokenFolder(tmp_path)
    visits: list[asyncio.Task[None]] = []
    profile = await connect_mailbox(
        Consent(mailbox=BOX, client=client, wait_seconds=5),
        folder,
        told,
        lambda url: visits.append(asyncio.create_task(allow(url))),
    )
    await asyncio.gather(*visits)
    assert profile.address == BOX
    assert await whose(sandbox, AuthorizedUserTokens(client, folder, told)) == BOX


async def allow(url: str) -> None:
    """A person who opens the consent page, chooses the mailbox and clicks Allow."""
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as page:
            text = await page.text()
        fields = {name: unescape(value) for name, value in re.findall(r'name="?(\w+)"? value="([^"]*)"', text)}
        form = {**fields, "mailbox": BOX, "decision": "allow"}
        async with session.post(url.split("?", maxsplit=1)[0], data=form) as done:
            assert done.status == 200, await done.text()
