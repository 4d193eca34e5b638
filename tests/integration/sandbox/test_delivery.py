"""What becomes of a message between two mailboxes."""

import email
from email.message import Message

from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open


async def read(desk: Desk, address: str, number: int = 0) -> Message:
    entry = (await desk.inbox(address))[number]
    answer = await desk.http("GET", f"/sandbox/v1/mailboxes/{address}/messages/{entry['id']}/raw")
    return email.message_from_bytes(answer.body)


async def test_a_sent_draft_arrives_once_with_gmails_stamps(desk: Desk, letter: Letter) -> None:
    draft_id = await desk.draft(letter())
    sent = await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert sent.json["labelIds"] == ["SENT"]
    arrived = await read(desk, "anna@example.org")
    assert arrived.keys()[:6] == [
        "Delivered-To",
        "Received",
        "Return-Path",
        "Received",
        "Received-SPF",
        "Authentication-Results",
    ]
    assert arrived["Return-Path"] == f"<{SENDER}>"
    assert arrived["Authentication-Results"].startswith("mx.google.com;")
    assert "dmarc=pass" in arrived["Authentication-Results"]
    assert arrived["X-Millstream-Delivery"] == "d-1"
    assert arrived.get_payload() == "The body.\r\n"
    assert await desk.delivered() == 1


async def test_arrived_mail_is_unread_in_the_inbox_under_ids_of_its_own(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter(COLLEAGUE))).json
    listed = (await desk.call("GET", "messages", user=COLLEAGUE)).json["messages"]
    assert [entry["id"] for entry in listed] != [sent["id"]]
    got = (await desk.call("GET", f"messages/{listed[0]['id']}", user=COLLEAGUE)).json
    assert got["labelIds"] == ["INBOX", "UNREAD"]
    own = (await desk.call("GET", "profile")).json["historyId"]
    assert got["historyId"] != own


async def test_the_api_replaces_the_message_id_and_keeps_own_headers(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(Message_ID="<mine@bank.example>", X_Own_Thing="kept"))
    arrived = await read(desk, "anna@example.org")
    assert arrived["Message-ID"].startswith("<CA")
    assert arrived["Message-ID"].endswith("@mail.gmail.com>")
    assert arrived["X-Own-Thing"] == "kept"


async def test_a_sent_draft_has_a_new_id_in_the_thread_of_the_draft(desk: Desk, letter: Letter) -> None:
    draft = (await desk.upload("drafts", letter())).json
    sent = (await desk.call("POST", "drafts/send", json={"id": draft["id"]})).json
    assert sent["id"] != draft["message"]["id"]
    assert sent["threadId"] == draft["message"]["threadId"]
    assert (await desk.call("GET", f"messages/{draft['message']['id']}")).status == 404


async def test_a_consumed_draft_is_not_found_a_second_time(desk: Desk, letter: Letter) -> None:
    draft_id = await desk.draft(letter())
    assert (await desk.call("POST", "drafts/send", json={"id": draft_id})).status == 200
    again = await desk.call("POST", "drafts/send", json={"id": draft_id})
    assert (again.status, again.error["errors"][0]["reason"]) == (404, "notFound")
    assert (await desk.call("GET", f"drafts/{draft_id}")).status == 404
    assert await desk.delivered() == 1


async def test_from_becomes_the_primary_address_unless_a_send_as_is_verified(desk: Desk, letter: Letter) -> None:
    await desk.send(letter("one@example.org", sender="boss@elsewhere.example"))
    await desk.control("POST", "mailbox", {"address": SENDER, "send_as": {"boss@elsewhere.example": "pending"}})
    await desk.send(letter("two@example.org", sender="boss@elsewhere.example"))
    await desk.control("POST", "mailbox", {"address": SENDER, "send_as": {"boss@elsewhere.example": "accepted"}})
    await desk.send(letter("three@example.org", sender="boss@elsewhere.example"))
    senders = [(await read(desk, f"{name}@example.org"))["From"] for name in ("one", "two", "three")]
    assert senders == [f'"Statements" <{SENDER}>', f'"Statements" <{SENDER}>', "Statements <boss@elsewhere.example>"]


async def test_blind_copies_reach_their_readers_and_stay_in_sent_alone(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter(Cc=COLLEAGUE, Bcc="hidden@example.net"))).json
    for address in ("anna@example.org", COLLEAGUE, "hidden@example.net"):
        assert "Bcc" not in await read(desk, address)
    raw = (await desk.call("GET", f"messages/{sent['id']}?format=metadata&metadataHeaders=Bcc")).json
    assert raw["payload"]["headers"] == [{"name": "Bcc", "value": "hidden@example.net"}]


async def test_an_unknown_local_address_bounces_into_the_senders_thread(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter("nobody@bank.example"))).json
    thread = (await desk.call("GET", f"threads/{sent['threadId']}?format=full")).json["messages"]
    assert len(thread) == 2
    bounce = await read(desk, SENDER)
    assert bounce["From"] == "Mail Delivery Subsystem <mailer-daemon@googlemail.com>"
    assert (bounce["Return-Path"], bounce["Auto-Submitted"]) == ("<>", "auto-replied")
    assert bounce["X-Failed-Recipients"] == "nobody@bank.example"
    assert bounce.get_content_type() == "multipart/report"
    report, returned = bounce.get_payload()[1:]
    per_message, per_recipient = report.get_payload()
    assert per_message["Reporting-MTA"] == "dns; googlemail.com"
    assert per_message["X-Original-Message-ID"] == bounce["In-Reply-To"]
    assert (per_recipient["Action"], per_recipient["Status"]) == ("failed", "5.1.1")
    assert per_recipient["Final-Recipient"] == "rfc822; nobody@bank.example"
    assert returned.get_payload()[0]["X-Millstream-Delivery"] == "d-1"
    assert await desk.delivered() == 0


async def test_a_mailbox_told_to_reject_bounces_with_that_status(desk: Desk, letter: Letter) -> None:
    await desk.control("POST", "mailbox", {"address": COLLEAGUE, "rejects": "5.2.2"})
    await desk.send(letter(COLLEAGUE))
    report = (await read(desk, SENDER)).get_payload()[1]
    assert report.get_payload()[1]["Status"] == "5.2.2"
    assert await desk.inbox(COLLEAGUE) == []


async def test_a_message_larger_than_travels_bounces(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(limit_overrides={"max_message_bytes": "10 kB"})
    assert (await desk.send(letter() + b"x" * 10_000)).status == 200
    assert (await read(desk, SENDER)).get_payload()[1].get_payload()[1]["Status"] == "5.2.3"
    assert await desk.delivered() == 0


async def test_an_answer_joins_the_thread_it_refers_to(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter(COLLEAGUE))).json
    first = await read(desk, COLLEAGUE)
    await desk.send(
        letter(SENDER, sender=COLLEAGUE, Subject="Re: Your statement", References=first["Message-ID"]), user=COLLEAGUE
    )
    await desk.send(
        letter(SENDER, sender=COLLEAGUE, Subject="Something else", References=first["Message-ID"]), user=COLLEAGUE
    )
    thread = (await desk.call("GET", f"threads/{sent['threadId']}?format=minimal")).json["messages"]
    assert [entry["labelIds"] for entry in thread] == [["SENT"], ["INBOX", "UNREAD"]]


async def test_mail_to_oneself_is_one_message_in_sent_and_inbox(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter("statements+tag@bank.example"))).json
    assert sent["labelIds"] == ["INBOX", "SENT", "UNREAD"]
    assert (await desk.call("GET", "profile")).json["messagesTotal"] == 1
    assert await desk.delivered() == 1


async def test_a_plus_tag_leads_to_the_mailbox_without_it(desk: Desk, letter: Letter) -> None:
    await desk.send(letter("colleague+4711@bank.example"))
    assert (await read(desk, COLLEAGUE))["Delivered-To"] == "colleague+4711@bank.example"


async def test_copies_share_the_bytes_of_the_body(desk: Desk, letter: Letter) -> None:
    await desk.send(letter("anna@example.org, bert@example.org"))
    bodies = [message.body for account in desk.running.world.mailboxes() for message in account.messages()]
    assert len(bodies) == 3
    assert len({id(body) for body in bodies}) == 1


async def test_bare_line_feeds_become_crlf(desk: Desk, letter: Letter) -> None:
    await desk.send(letter().replace(b"\r\n", b"\n"))
    entry = (await desk.inbox("anna@example.org"))[0]
    raw = (await desk.http("GET", f"/sandbox/v1/mailboxes/anna@example.org/messages/{entry['id']}/raw")).body
    assert raw.count(b"\n") == raw.count(b"\r\n")


async def test_what_is_no_address_or_no_message_is_refused_in_gmails_words(desk: Desk, letter: Letter) -> None:
    bad = await desk.send(letter("not an address"))
    assert (bad.status, bad.error["message"], bad.error["status"]) == (400, "Invalid To header", "INVALID_ARGUMENT")
    nobody = await desk.send(b"Subject: to nobody\r\n\r\nx")
    assert nobody.error["message"] == "Recipient address required"
    empty = await desk.call("POST", "messages/send", json={})
    assert empty.error["message"].startswith("'raw' RFC822 payload message string")
    strange = await desk.call("GET", "messages/xyz")
    assert (strange.status, strange.error["message"]) == (400, "Invalid id value")
