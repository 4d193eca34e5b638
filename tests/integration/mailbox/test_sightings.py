"""What a message tells: what it is, what it is about, and whether it may have consequences."""

import base64
from typing import Any

import pytest
from reading_desk import ANNA, BOX, ReadingDesk, report

from millstream.mailbox.model import Role


def bounce(desk: ReadingDesk, token: str, *, sender: str, thread_id: str | None = None, **said: Any) -> str:
    """A bounce that came in from a mail server."""
    head = (
        f"From: Mail Delivery System <{sender}>\r\nTo: {BOX}\r\nSubject: Undelivered\r\n"
        "Message-ID: <r@mx.customer.test>\r\nAuto-Submitted: auto-replied\r\n"
    )
    passed = said.pop("verdict", True)
    received = "Received: from mx.customer.test by mx.google.com with ESMTPS id y; Wed, 25 Nov 2026 10:00:00 +0000\r\n"
    domain = sender.rpartition("@")[2]
    verdict = (
        f"Authentication-Results: mx.google.com; dkim=pass header.i=@{domain}; dmarc=pass header.from={domain}\r\n"
        if passed
        else ""
    )
    raw = f"Delivered-To: {BOX}\r\nReturn-Path: <>\r\n{received}{verdict}{head}{report(token, **said)}".encode()
    return desk.arrive(raw=raw, thread_id=thread_id)


async def test_a_bounce_of_another_server_is_proven_by_the_token_that_only_the_letter_carried(
    desk: ReadingDesk,
) -> None:
    token = await desk.accepted()
    message = bounce(desk, token, sender="mailer-daemon@mx.customer.test")
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["subject"], told["mapped_by"], told["proven"]) == (
        "bounced_hard",
        f"delivery:{token}",
        "header",
        True,
    )
    [event] = await desk.rows("SELECT kind, subject, payload FROM event")
    assert (event["kind"], event["subject"]) == ("sighting.bounced_hard", f"delivery:{token}")
    assert event["payload"]["address_is_bad"] is True
    assert event["payload"]["status"] == "5.1.1"


@pytest.mark.parametrize(
    ("said", "kind"),
    [({"status": "4.2.2"}, "bounced_soft"), ({"action": "delayed", "status": "4.4.1"}, "delayed")],
)
async def test_a_bounce_is_hard_soft_or_a_delay(desk: ReadingDesk, said: dict[str, str], kind: str) -> None:
    token = await desk.accepted()
    message = bounce(desk, token, sender="postmaster@mx.customer.test", **said)
    await desk.look()
    assert (await desk.sighting(message))["kind"] == kind


async def test_a_bounce_that_names_another_recipient_than_the_letters_proves_nothing(desk: ReadingDesk) -> None:
    token = await desk.accepted()
    message = bounce(desk, token, sender="mailer-daemon@mx.customer.test", recipient="somebody@else.test")
    await desk.look()
    assert (await desk.sighting(message))["proven"] is False


async def test_a_forged_bounce_in_gmails_name_proves_nothing(desk: ReadingDesk) -> None:
    await desk.accepted(thread_id="t-9")
    message = bounce(desk, "no-such", sender="mailer-daemon@googlemail.com", thread_id="t-9", verdict=False)
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["mapped_by"], told["proven"]) == ("bounced_hard", "thread", False)


async def test_gmails_own_bounce_in_the_thread_is_proven(desk: ReadingDesk) -> None:
    token = await desk.accepted(thread_id="t-9")
    message = bounce(desk, "no-such", sender="mailer-daemon@googlemail.com", thread_id="t-9")
    await desk.look()
    told = await desk.sighting(message)
    assert (told["subject"], told["proven"]) == (f"delivery:{token}", True)


async def test_a_reply_to_the_shared_inbox_is_mapped_by_its_address(desk: ReadingDesk) -> None:
    await desk.register(BOX, roles=(Role.SHARED,))
    token = await desk.accepted(mailbox="s2@bank.example")
    head = (
        f"From: Anna Ample <{ANNA}>\r\nTo: s1+{token}@bank.example\r\nSubject: Re: Your statement\r\n"
        "Message-ID: <a@customer.test>\r\nIn-Reply-To: <x@mail.gmail.com>\r\n\r\n"
    )
    body = "The sum is wrong.\r\n\r\nOn Wed, 25 Nov 2026 Example Bank <s1@bank.example> wrote:\r\n> Your statement\r\n"
    message = desk.arrive(head=head, body=body)
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["subject"], told["mapped_by"], told["proven"]) == (
        "replied",
        f"delivery:{token}",
        "reply_token",
        True,
    )
    assert told["reply"] == "The sum is wrong."
    assert "> Your statement" in told["full_text"]


async def test_a_reply_without_a_passed_verdict_or_in_spam_is_not_proven(desk: ReadingDesk) -> None:
    await desk.accepted(thread_id="t-7")
    unsigned = desk.arrive(number=1, thread_id="t-7", verdict=None)
    in_spam = desk.arrive(number=2, thread_id="t-7", labels=("SPAM",))
    await desk.look()
    for message in (unsigned, in_spam):
        told = await desk.sighting(message)
        assert (told["kind"], told["proven"]) == ("replied", False)


async def test_an_absence_notice_is_no_reply(desk: ReadingDesk) -> None:
    await desk.accepted(thread_id="t-7")
    head = (
        f"From: Anna Ample <{ANNA}>\r\nTo: {BOX}\r\nSubject: Out of office\r\nAuto-Submitted: auto-replied\r\n"
        "Message-ID: <o@customer.test>\r\n\r\n"
    )
    message = desk.arrive(head=head, thread_id="t-7")
    await desk.look()
    assert (await desk.sighting(message))["kind"] == "auto_replied"


async def test_our_own_mail_and_mass_mail_are_noted_and_tell_nobody(desk: ReadingDesk) -> None:
    own = desk.arrive(number=1, head=f"From: {BOX}\r\nTo: {BOX}\r\nX-Millstream-Delivery: t\r\nSubject: s\r\n\r\n")
    bulk = desk.arrive(
        number=2, head=f"From: n@list.test\r\nTo: {BOX}\r\nList-Id: <news.list.test>\r\nSubject: n\r\n\r\n"
    )
    await desk.look()
    assert await desk.told() == {own: "own", bulk: "bulk"}
    assert await desk.events() == []


async def test_of_mail_that_is_not_about_us_nothing_is_kept(desk: ReadingDesk) -> None:
    message = desk.arrive(body="A private matter.\r\n")
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["sender"], told["title"], told["full_text"]) == ("mail", "", "", None)


async def test_mail_to_a_request_inbox_is_a_request(desk: ReadingDesk) -> None:
    await desk.register(BOX, roles=(Role.REQUEST,))
    content = base64.b64encode(b"%PDF-1.7 " * 2_000).decode()
    head = (
        f"From: Anna Ample <{ANNA}>\r\nTo: {BOX}\r\nSubject: A copy, please\r\nMessage-ID: <q@customer.test>\r\n"
        'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="m"\r\n\r\n'
    )
    body = (
        "--m\r\nContent-Type: text/plain\r\n\r\nPlease send October again.\r\n"
        '--m\r\nContent-Type: application/pdf; name="old.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
        f'Content-Disposition: attachment; filename="old.pdf"\r\n\r\n{content}\r\n--m--\r\n'
    )
    message = desk.arrive(head=head, body=body)
    await desk.look()
    told = await desk.sighting(message)
    assert (told["kind"], told["subject"], told["reply"]) == ("request", None, "Please send October again.")
    [attached] = told["attachments"]
    assert (attached["name"], attached["media_type"]) == ("old.pdf", "application/pdf")
    assert await desk.events() == [("sighting.request", f"mailbox:{BOX}")]


async def test_a_bounce_that_comes_before_the_ledger_knows_the_send_waits_for_it(desk: ReadingDesk) -> None:
    desk.tune(young=60.0)
    await desk.look()
    message = bounce(desk, "token-later", sender="mailer-daemon@googlemail.com", thread_id="t-5")
    await desk.look()
    assert await desk.told() == {}
    token = await desk.accepted(thread_id="t-5", token="token-later")
    await desk.look()
    assert (await desk.sighting(message))["subject"] == f"delivery:{token}"


async def test_where_scopes_show_headers_alone_a_bounce_is_still_a_bounce(desk: ReadingDesk) -> None:
    token = await desk.accepted(thread_id="t-9")
    raw = (
        f"Delivered-To: {BOX}\r\nReturn-Path: <>\r\nFrom: <mailer-daemon@googlemail.com>\r\nTo: {BOX}\r\n"
        f"Auto-Submitted: auto-replied\r\nX-Failed-Recipients: {ANNA}\r\nSubject: s\r\n\r\nIt did not work.\r\n"
    )
    message = desk.arrive(raw=raw.encode(), thread_id="t-9")
    await desk.fault("scope_insufficient", point="before", method="messages.get", times=1)
    await desk.look()
    told = await desk.sighting(message)
    assert (told["subject"], told["proven"], told["kind"]) == (f"delivery:{token}", True, "bounced_hard")
