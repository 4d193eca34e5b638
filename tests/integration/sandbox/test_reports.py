"""What comes back for a message: bounces, delays, other servers' reports, absence notices, forwards, verdicts."""

import base64
import email
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any

import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

CUSTOMER = "anna@mail.example"
HOUR = 3_600


async def received(desk: Desk, address: str = SENDER) -> list[EmailMessage]:
    """What lies in an inbox, newest first, as the standard library reads it."""
    found = []
    for entry in await desk.inbox(address):
        answer = await desk.http("GET", f"/sandbox/v1/mailboxes/{address}/messages/{entry['id']}/raw")
        message = email.message_from_bytes(answer.body, policy=default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


def report_of(message: Message) -> tuple[Message, Message]:
    """The two blocks of a report: about the message, about the recipient."""
    (part,) = [one for one in message.walk() if one.get_content_type() == "message/delivery-status"]
    about, recipient = part.get_payload()
    return about, recipient


async def told(desk: Desk, **condition: Any) -> None:
    await desk.control("POST", "mailbox", {"address": CUSTOMER} | condition)


@pytest.mark.parametrize(
    ("status", "title", "word"),
    [
        ("5.1.1", "Address not found", "NoSuchUser"),
        ("5.1.10", "Address not found", "null MX"),
        ("5.2.1", "Address not found", "DisabledUser"),
        ("5.2.2", "Recipient inbox full", "OverQuotaPerm"),
        ("5.2.3", "Message too large", "MaxSizeError"),
        ("5.3.4", "Message too large", "exceeds fixed limit"),
        ("5.7.1", "Message blocked", "rejected"),
    ],
)
async def test_a_bounce_has_gmails_parts_and_googles_proof(
    desk: Desk, letter: Letter, status: str, title: str, word: str
) -> None:
    await told(desk, rejects=status)
    sent = (await desk.send(letter(CUSTOMER))).json
    (bounce,) = await received(desk)
    about, recipient = report_of(bounce)
    kinds = [part.get_content_type() for part in bounce.walk()]
    assert kinds == [
        "multipart/report", "multipart/related", "multipart/alternative", "text/plain", "text/html", "image/png",
        "message/delivery-status", "text/plain", "text/plain", "message/rfc822", "text/plain",
    ]  # fmt: skip
    assert (recipient["Action"], recipient["Status"]) == ("failed", status)
    assert recipient["Final-Recipient"] == f"rfc822; {CUSTOMER}"
    assert word in recipient["Diagnostic-Code"]
    assert recipient["Remote-MTA"].startswith("dns; mx.mail.example")
    assert about["X-Original-Message-ID"] == bounce["In-Reply-To"] == bounce["References"]
    assert bounce["Subject"] == "Delivery Status Notification (Failure)"
    assert f"** {title} **" in bounce.get_body(("plain",)).get_content()
    assert bounce["Return-Path"] == "<>"
    proof = bounce["Authentication-Results"]
    assert proof.startswith("mx.google.com;")
    assert "dkim=pass header.i=@googlemail.com" in proof
    assert "dmarc=pass (p=QUARANTINE sp=QUARANTINE dis=NONE) header.from=googlemail.com" in proof
    assert bounce["ARC-Authentication-Results"].startswith("i=1; mx.google.com;")
    assert bounce.keys().index("Authentication-Results") < bounce.keys().index("From")
    assert (await desk.inbox(SENDER))[0]["thread_id"] == sent["threadId"]
    picture = next(part for part in bounce.walk() if part.get_content_type() == "image/png")
    assert picture.get_content().startswith(b"\x89PNG\r\n")
    assert picture["Content-ID"] == "<icon.png>"


@pytest.mark.parametrize(
    ("language", "title"),
    [
        ("en", "Address not found"),
        ("de", "Adresse nicht gefunden"),
        ("pt", "Endereço não encontrado"),
        ("fr", "Adresse introuvable"),
        ("es", "No se ha encontrado la dirección"),
    ],
)
async def test_notices_are_written_in_the_senders_language(
    desk: Desk, letter: Letter, language: str, title: str
) -> None:
    await desk.control("POST", "mailbox", {"address": SENDER, "language": language})
    await desk.send(letter("nobody@bank.example"))
    (bounce,) = await received(desk)
    assert f"** {title} **" in bounce.get_body(("plain",)).get_content()
    assert report_of(bounce)[1]["Status"] == "5.1.1"


async def test_a_delayed_message_is_told_and_then_fails(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    await told(desk, delays={"status": "4.4.1"})
    sent = (await desk.send(letter(CUSTOMER))).json
    assert await received(desk) == []
    await desk.control("POST", "clock", {"advance": 2 * HOUR})
    (notice,) = await received(desk)
    about, recipient = report_of(notice)
    assert notice["Subject"] == "Delivery Status Notification (Delay)"
    assert (recipient["Action"], recipient["Status"]) == ("delayed", "4.4.1")
    until = email.utils.parsedate_to_datetime(recipient["Will-Retry-Until"])
    assert (until - email.utils.parsedate_to_datetime(about["Arrival-Date"])).total_seconds() == 48 * HOUR
    assert "46 more hours" in " ".join(notice.get_body(("plain",)).get_content().split())
    await desk.control("POST", "clock", {"advance": 47 * HOUR})
    failed, _ = await received(desk)
    _, recipient = report_of(failed)
    assert failed["Subject"] == "Delivery Status Notification (Failure)"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "4.4.1")
    assert "Will-Retry-Until" not in recipient
    assert {entry["thread_id"] for entry in await desk.inbox(SENDER)} == {sent["threadId"]}
    assert await desk.delivered() == 0
    assert await desk.inbox(CUSTOMER) == []


async def test_a_delayed_message_can_arrive_late_after_all(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    await told(desk, delays={"notice_after": 60, "retry_for": 600, "then": "deliver"})
    await desk.send(letter(CUSTOMER))
    await desk.control("POST", "clock", {"advance": 700})
    assert [one["Subject"] for one in await received(desk)] == ["Delivery Status Notification (Delay)"]
    assert len(await desk.inbox(CUSTOMER)) == 1


async def test_a_running_clock_brings_about_what_is_due(open_desk: Open, letter: Letter, eventually: Any) -> None:
    desk = await open_desk(clock_rate=100_000.0)
    await told(desk, delays={})
    await desk.send(letter(CUSTOMER))

    async def subjects() -> list[str]:
        return sorted(str(one["Subject"]) for one in await received(desk))

    await eventually(lambda: len(desk.running.world.account(SENDER).shelf(("INBOX",))) == 2)
    assert await subjects() == ["Delivery Status Notification (Delay)", "Delivery Status Notification (Failure)"]


async def test_a_reset_forgets_what_was_due(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    await told(desk, delays={})
    await desk.send(letter(CUSTOMER))
    assert (await desk.control("POST", "reset", {}))["due_later"] == 0
    await desk.control("POST", "clock", {"advance": 100 * HOUR})
    assert await received(desk) == []


@pytest.mark.parametrize(
    ("shape", "subject", "sender"),
    [
        ("postfix", "Undelivered Mail Returned to Sender", "MAILER-DAEMON@mx.mail.example"),
        ("exchange", "Undeliverable: Your statement", "postmaster@mail.example"),
    ],
)
async def test_another_server_reports_by_itself(
    desk: Desk, letter: Letter, shape: str, subject: str, sender: str
) -> None:
    await told(desk, foreign_bounce={"shape": shape, "status": "5.2.2"})
    await desk.send(letter(CUSTOMER))
    (report,) = await received(desk)
    about, recipient = report_of(report)
    assert (report["Subject"], report["From"]) == (subject, sender)
    assert report.get_content_type() == "multipart/report"
    assert (recipient["Action"], recipient["Status"]) == ("failed", "5.2.2")
    assert "dns" in about["Reporting-MTA"]
    assert report["Return-Path"] == "<>"
    assert "X-Failed-Recipients" not in report
    assert "dmarc=pass" in report["Authentication-Results"]
    assert "header.from=" in report["Authentication-Results"]
    headers = next(part for part in report.walk() if part.get_content_type() == "text/rfc822-headers")
    assert "X-Millstream-Delivery: d-1" in headers.get_content()
    assert await desk.inbox(CUSTOMER) == []


async def test_another_servers_report_may_prove_nothing_and_come_later(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    await told(desk, foreign_bounce={"after": 90, "authentication": "fail"})
    await desk.send(letter(CUSTOMER))
    assert await received(desk) == []
    await desk.control("POST", "clock", {"advance": 90})
    (report,) = await received(desk)
    assert "dmarc=fail" in report["Authentication-Results"]


@pytest.mark.parametrize(
    ("style", "subject", "marks"),
    [
        ("gmail", "Re: Your statement", {"Auto-Submitted": "auto-replied", "Precedence": "bulk"}),
        ("plain", "Re: Your statement", {"Auto-Submitted": "auto-replied"}),
        (
            "exchange",
            "Automatische Antwort: Your statement",
            {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"},
        ),
    ],
)
async def test_an_absence_notice_answers_into_the_thread(
    desk: Desk, letter: Letter, style: str, subject: str, marks: dict[str, str]
) -> None:
    await told(desk, name="Müller, Anna", auto_reply={"text": "Bis 5. März <weg>.", "language": "de", "style": style})
    sent = (await desk.send(letter(CUSTOMER))).json
    (notice,) = await received(desk)
    assert notice["Subject"] == subject
    assert {name: notice[name] for name in marks} == marks
    assert notice["Return-Path"] == "<>"
    assert email.utils.parseaddr(notice["From"]) == ("Müller, Anna", CUSTOMER)
    assert "Bis 5. März <weg>." in notice.get_body(("plain",)).get_content()
    original = (await desk.call("GET", f"messages/{sent['id']}?format=metadata&metadataHeaders=Message-ID")).json
    assert notice["In-Reply-To"] == notice["References"] == original["payload"]["headers"][0]["value"]
    in_thread = (await desk.inbox(SENDER))[0]["thread_id"] == sent["threadId"]
    assert in_thread is (style != "exchange")  # Outlook's subject is another one, so Gmail begins a thread


async def test_an_absence_notice_under_a_subject_of_its_own_begins_a_thread(desk: Desk, letter: Letter) -> None:
    await told(desk, auto_reply={"subject": "Away"})
    sent = (await desk.send(letter(CUSTOMER))).json
    assert [one["Subject"] for one in await received(desk)] == ["Away Re: Your statement"]
    assert (await desk.inbox(SENDER))[0]["thread_id"] != sent["threadId"]


async def test_an_absence_notice_comes_once_in_its_period(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0)
    await told(desk, auto_reply={"period": 100})
    for seconds, notices in ((0, 1), (50, 1), (100, 2)):
        await desk.control("POST", "clock", {"advance": seconds and 50})
        await desk.send(letter(CUSTOMER))
        assert len(await received(desk)) == notices


async def test_machines_do_not_answer_machines_unless_they_are_careless(desk: Desk, letter: Letter) -> None:
    await told(desk, auto_reply={"period": 0})
    for headers in ({"Auto_Submitted": "auto-generated"}, {"Precedence": "bulk"}, {"List_Id": "<l.bank.example>"}):
        await desk.send(letter(CUSTOMER, **headers))
    assert await received(desk) == []
    await told(desk, auto_reply={"period": 0, "style": "exchange"})
    await desk.send(letter(CUSTOMER, X_Auto_Response_Suppress="OOF, AutoReply"))
    assert await received(desk) == []
    await told(desk, auto_reply={"period": 0, "careless": True})
    await desk.send(letter(CUSTOMER, Auto_Submitted="auto-generated"))
    assert len(await received(desk)) == 1


async def test_two_absent_people_do_not_write_to_each_other_for_ever(desk: Desk, letter: Letter) -> None:
    for address in (COLLEAGUE, SENDER):
        rule = {"period": 0, "careless": True}
        await desk.control("POST", "mailbox", {"address": address, "auto_reply": rule})
    await desk.send(letter(COLLEAGUE))
    assert len(await received(desk)) == 1
    assert len(await received(desk, COLLEAGUE)) == 1


async def test_a_forward_keeps_the_sender_and_says_where_it_was(desk: Desk, letter: Letter) -> None:
    await told(desk, forwards_to=COLLEAGUE)
    await desk.control("POST", "mailbox", {"address": COLLEAGUE, "forwards_to": CUSTOMER})
    await desk.send(letter(CUSTOMER))
    (forwarded,) = await received(desk, COLLEAGUE)
    assert forwarded["From"] == f"Statements <{SENDER}>"
    assert forwarded["X-Forwarded-For"] == f"{CUSTOMER} {COLLEAGUE}"
    assert forwarded["Return-Path"] == "<anna+caf_=colleague=bank.example@mail.example>"
    assert len(await received(desk, CUSTOMER)) == 2  # once from the sender, once back; then the circle ends


async def test_a_verdict_belongs_to_a_domain_or_to_one_delivery(open_desk: Open) -> None:
    desk = await open_desk(authentication={"shop.example": "none"})

    async def results(sender: str, **fields: Any) -> str | None:
        document = {"sender": sender, "recipients": [SENDER], "subject": "x"}
        await desk.control("POST", "deliver", document | fields)
        return (await received(desk))[0]["Authentication-Results"]

    assert "dmarc=pass" in str(await results("a@mail.example"))
    unsigned = str(await results("a@news.shop.example"))
    assert "spf=none" in unsigned
    assert "dmarc" not in unsigned
    assert "dkim" not in unsigned
    await desk.control("POST", "authentication", {"domain": "Mail.Example", "verdict": "fail"})
    assert "dmarc=fail" in str(await results("a@mail.example"))
    assert "dmarc=pass" in str(await results("a@mail.example", authentication="pass"))
    assert await results("a@mail.example", authentication="missing") is None
    unaligned = str(await results("a@mail.example", authentication="unaligned"))
    assert "dkim=pass header.i=@mailer.example" in unaligned
    assert "dmarc=fail" in unaligned
    spelt = {"spf": "softfail", "dkim": "temperror", "dmarc": "fail"}
    assert "dkim=temperror" in str(await results("a@mail.example", authentication=spelt))
    await desk.control("POST", "authentication", {"domain": "mail.example", "verdict": None})
    assert "dmarc=pass" in str(await results("a@mail.example"))
    wrong = {"sender": "a@mail.example", "recipients": [SENDER], "authentication": "perhaps"}
    assert (await desk.http("POST", "/sandbox/v1/deliver", json=wrong)).status == 400


async def test_a_forged_bounce_keeps_its_own_verdict_below_gmails(desk: Desk) -> None:
    forged = (
        "Authentication-Results: mx.google.com; dkim=pass header.i=@googlemail.com;\r\n"
        " dmarc=pass header.from=googlemail.com\r\n"
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\r\nTo: statements@bank.example\r\n"
        "Subject: Delivery Status Notification (Failure)\r\nX-Failed-Recipients: anna@mail.example\r\n\r\n"
        "Address not found\r\n"
    )
    document = {"sender": "", "recipients": [SENDER], "raw": forged, "authentication": "fail"}
    (delivered,) = (await desk.control("POST", "deliver", document))["delivered"]
    (message,) = await received(desk)
    first, second = message.get_all("Authentication-Results")
    assert "dmarc=fail" in first
    assert "dmarc=pass" in second
    assert message["Message-ID"].endswith(".SMTPIN_ADDED_MISSING@mx.google.com>")
    assert delivered["id"] == (await desk.inbox(SENDER))[0]["id"]


async def test_any_bytes_can_be_delivered(desk: Desk) -> None:
    raw = b"Subject: \xff\xfe\x00\r\nFrom: x@mail.example\r\n\r\n\x00\x80"
    document = {"sender": "x@mail.example", "recipients": [SENDER], "raw_base64": base64.b64encode(raw).decode()}
    (delivered,) = (await desk.control("POST", "deliver", document))["delivered"]
    for form in ("full", "metadata", "minimal", "raw"):
        assert (await desk.call("GET", f"messages/{delivered['id']}?format={form}")).status == 200
    assert (await desk.http("POST", "/sandbox/v1/deliver", json=document | {"raw_base64": "%"})).status == 400


async def test_a_delivery_can_land_in_spam(desk: Desk) -> None:
    document = {"sender": "eve@mail.example", "recipients": [SENDER], "subject": "Approved", "spam": True}
    (delivered,) = (await desk.control("POST", "deliver", document))["delivered"]
    assert await desk.inbox(SENDER) == []
    read = (await desk.call("GET", f"messages/{delivered['id']}?format=minimal")).json
    assert read["labelIds"] == ["SPAM", "UNREAD"]
