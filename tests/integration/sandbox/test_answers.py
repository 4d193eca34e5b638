"""Answers and new mail that a person writes in the sandbox, by the control API and by the pages' forms."""

import base64
import email
import re
from email.message import EmailMessage
from email.policy import SMTP, default
from typing import Any

import aiohttp
import pytest
from sandbox_desk import COLLEAGUE, SENDER, Answer, Desk, Letter, Open

CUSTOMER = "maria@mail.example"
HTML = (
    "<html><head><style>p {color: red}</style></head><body><p>Dear <b>María</b></p><script>x()</script></body></html>"
)


def statement(**headers: str) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"] = f"Statements <{SENDER}>", "Your statement"
    for name, value in ({"To": f"María Núñez <{CUSTOMER}>"} | headers).items():
        message[name.replace("_", "-")] = value
    message.set_content("Dear María,\n\nyour statement is here.\n")
    message.add_alternative(HTML, subtype="html")
    return message.as_bytes()


async def arrived(desk: Desk, address: str, number: int = 0) -> tuple[str, EmailMessage]:
    entry = (await desk.inbox(address))[number]
    answer = await desk.http("GET", f"/sandbox/v1/mailboxes/{address}/messages/{entry['id']}/raw")
    message = email.message_from_bytes(answer.body, policy=default)
    assert isinstance(message, EmailMessage)
    return entry["id"], message


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")


async def answered(desk: Desk, address: str, **document: Any) -> Any:
    identifier, _ = await arrived(desk, address)
    return await desk.control(
        "POST", f"mailboxes/{address}/messages/{identifier}/reply", {"text": "Thank you."} | document
    )


async def test_a_customers_answer_joins_the_thread_on_both_sides(desk: Desk) -> None:
    sent = (await desk.send(statement())).json
    theirs, original = await arrived(desk, CUSTOMER)
    answer = await answered(desk, CUSTOMER, text="Thank you.\nAll is well & <good>.")
    _, message = await arrived(desk, SENDER)
    assert message["From"] == CUSTOMER
    assert message["To"] == f"Statements <{SENDER}>"
    assert message["Subject"] == "Re: Your statement"
    assert message["In-Reply-To"] == message["References"] == original["Message-ID"]
    assert message["Message-ID"] == answer["message_id"]
    assert answer["message_id"].endswith("@mail.example>")
    assert "dmarc=pass" in message["Authentication-Results"]
    thread = (await desk.call("GET", f"threads/{sent['threadId']}?format=minimal")).json["messages"]
    assert [one["labelIds"] for one in thread] == [["SENT"], ["INBOX", "UNREAD"]]
    own = await desk.control("GET", f"mailboxes/{CUSTOMER}/messages")
    assert {one["thread_id"] for one in own["messages"]} == {theirs_thread(own, theirs)}
    assert {tuple(one["labels"]) for one in own["messages"]} == {("SENT",), ("INBOX", "UNREAD")}


def theirs_thread(listed: dict[str, Any], identifier: str) -> str:
    return next(one["thread_id"] for one in listed["messages"] if one["id"] == identifier)


async def test_an_answer_quotes_as_gmail_on_the_web_does(open_desk: Open) -> None:
    desk = await open_desk(clock_start="2026-11-23T09:05:00+00:00", clock_rate=0.0)
    await desk.send(statement())
    await answered(desk, CUSTOMER, text="Thank you.\nAll & <good>.")
    _, message = await arrived(desk, SENDER)
    text = text_of(message)
    html = text_of(message, "html")
    wrote = f"On Mon, Nov 23, 2026 at 9:05\N{NARROW NO-BREAK SPACE}AM Statements <{SENDER}> wrote:"
    assert text == f"Thank you.\nAll & <good>.\n\n{wrote}\n\n> Dear María,\n>\n> your statement is here.\n"
    assert html.startswith('<div dir="ltr">Thank you.<br>All &amp; &lt;good&gt;.</div><br><div class="gmail_quote')
    assert '<blockquote class="gmail_quote"' in html
    assert "<p>Dear <b>María</b></p>" in html
    assert "script" not in html
    assert "<style" not in html


@pytest.mark.parametrize(
    ("style", "language", "marks"),
    [
        ("gmail", "de", ("schrieb Statements", "gmail_quote")),
        ("gmail", "fr", ("a écrit", "gmail_quote")),
        ("gmail", "es", ("escribió:", "gmail_quote")),
        ("gmail", "pt", ("escreveu:", "gmail_quote")),
        ("outlook", "en", ("________________________________\nFrom: Statements <", "divRplyFwdMsg")),
        ("outlook", "de", ("Von: Statements <", "<b>Gesendet:</b> Montag, 23 November 2026")),
        ("apple", "en", ("> On Mon, Nov 23, 2026", '<blockquote type="cite">')),
        ("plain", "en", ("> Dear María,", None)),
        ("html", "en", (None, "gmail_quote")),
    ],
)
async def test_other_programs_quote_in_other_ways(
    open_desk: Open, style: str, language: str, marks: tuple[str | None, str | None]
) -> None:
    desk = await open_desk(clock_start="2026-11-23T09:05:00+00:00", clock_rate=0.0)
    await desk.send(statement())
    await answered(desk, CUSTOMER, style=style, language=language)
    _, message = await arrived(desk, SENDER)
    for kind, mark in zip(("plain", "html"), marks, strict=True):
        assert (message.get_body((kind,)) is None) is (mark is None)
        if mark is not None:
            assert mark in text_of(message, kind)
            assert "Thank you." in text_of(message, kind)


async def test_an_answer_goes_to_reply_to_and_to_all_if_wished(desk: Desk) -> None:
    sent = statement(To=f"{CUSTOMER}, carl@mail.example", Cc=COLLEAGUE, Reply_To=f"Service <{COLLEAGUE}>")
    await desk.send(sent)
    await answered(desk, CUSTOMER)
    _, alone = await arrived(desk, COLLEAGUE)
    assert (alone["To"], alone["Cc"]) == (f"Service <{COLLEAGUE}>", None)
    await answered(desk, CUSTOMER, everybody=True)
    _, for_all = await arrived(desk, COLLEAGUE)
    assert (for_all["To"], for_all["Cc"]) == (f"Service <{COLLEAGUE}>", "carl@mail.example")
    assert len(await desk.inbox("carl@mail.example")) == 2


async def test_an_approver_inside_answers_as_gmails_own_page(desk: Desk, letter: Letter) -> None:
    sent = (await desk.send(letter(COLLEAGUE))).json
    answer = await answered(desk, COLLEAGUE, text="Approved")
    _, message = await arrived(desk, SENDER)
    assert message["Message-ID"] == answer["message_id"]
    assert message["Message-ID"].endswith("@mail.gmail.com>")
    assert (await desk.inbox(SENDER))[0]["thread_id"] == sent["threadId"]
    listed = (await desk.call("GET", "messages?labelIds=SENT", user=COLLEAGUE)).json["messages"]
    assert [one["id"] for one in listed] == [answer["id"]]


async def test_a_conversation_of_many_answers_stays_one_thread(desk: Desk) -> None:
    sent = (await desk.send(statement())).json
    for _ in range(60):
        await answered(desk, CUSTOMER)
        await answered(desk, SENDER)
    _, last = await arrived(desk, CUSTOMER)
    assert last["Subject"] == "Re: Your statement"
    assert len(last["References"].split()) == 50
    assert len((await desk.call("GET", f"threads/{sent['threadId']}?format=minimal")).json["messages"]) == 121


async def test_a_file_goes_along_and_a_strange_type_does_no_harm(desk: Desk) -> None:
    await desk.send(statement())
    files = [
        {"name": "Ausweis März.pdf", "media_type": "application/pdf", "content": base64.b64encode(b"%PDF").decode()},
        {"name": "odd", "media_type": "message/rfc822", "content": base64.b64encode(b"\x00").decode()},
        {"name": "blank", "media_type": "nonsense", "content": ""},
    ]
    await answered(desk, CUSTOMER, attachments=files)
    _, message = await arrived(desk, SENDER)
    kinds = [(part.get_filename(), part.get_content_type()) for part in message.iter_attachments()]
    assert kinds == [
        ("Ausweis März.pdf", "application/pdf"),
        ("odd", "application/octet-stream"),
        ("blank", "application/octet-stream"),
    ]


async def test_a_new_mail_is_written_from_outside_and_from_inside(desk: Desk) -> None:
    await desk.control("POST", "mailbox", {"address": CUSTOMER, "name": "Núñez, María"})
    written = {"to": f"Service <{SENDER}>", "cc": COLLEAGUE, "subject": "A copy, please", "text": "Of October."}
    sent = await desk.control("POST", f"mailboxes/{CUSTOMER}/compose", written)
    _, message = await arrived(desk, SENDER)
    assert message["Message-ID"] == sent["message_id"]
    assert email.utils.parseaddr(message["From"]) == ("Núñez, María", CUSTOMER)
    assert text_of(message) == "Of October.\n"
    assert len(await desk.inbox(COLLEAGUE)) == 1
    for to in ("", "nobody", "a@b.example, c d"):
        answer = await desk.http("POST", f"/sandbox/v1/mailboxes/{CUSTOMER}/compose", json={"text": "x", "to": to})
        assert answer.status == 400


async def test_an_answer_to_nothing_or_nobody_is_refused(desk: Desk) -> None:
    document = {"sender": "", "recipients": [SENDER], "raw": "Subject: no sender\r\n\r\nx"}
    (delivered,) = (await desk.control("POST", "deliver", document))["delivered"]
    path = f"/sandbox/v1/mailboxes/{SENDER}/messages"
    assert (await desk.http("POST", f"{path}/{delivered['id']}/reply", json={"text": "x"})).status == 400
    assert (await desk.http("POST", f"{path}/1234/reply", json={"text": "x"})).status == 404


async def test_hostile_headers_do_not_get_into_an_answer(desk: Desk) -> None:
    raw = (
        "From: =?utf-8?q?Eve=0D=0ABcc:_x=40evil.example?= <eve@mail.example>\r\n"
        "Subject: =?utf-8?q?Hi=0D=0ABcc:_y@evil.example?=\r\n"
        "Message-ID: <a@mail.example>\r\nReferences: <b@mail.example> nonsense <c@mail.example>\r\n\r\nx"
    )
    document = {"sender": "eve@mail.example", "recipients": [SENDER], "raw": raw}
    await desk.control("POST", "deliver", document)
    await answered(desk, SENDER)
    _, message = await arrived(desk, "eve@mail.example")
    assert message["Bcc"] is None
    assert message["References"].split() == ["<b@mail.example>", "<c@mail.example>", "<a@mail.example>"]
    assert [one["address"] for one in (await desk.control("GET", "mailboxes"))["mailboxes"]] == [
        COLLEAGUE, SENDER, "eve@mail.example",
    ]  # fmt: skip


# The pages


async def form_of(desk: Desk, path: str) -> tuple[str, str]:
    """Where a page's form goes, and the word it carries."""
    text = (await desk.http("GET", path)).text
    form = re.search(r'<form class="writing" action="([^"]*)".*?name="token" value="([^"]*)"', text, re.DOTALL)
    assert form is not None
    return form[1], form[2]


async def post(desk: Desk, path: str, fields: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
    data = aiohttp.FormData(quote_fields=False, charset="utf-8")
    for name, value in fields.items():
        if isinstance(value, bytes):
            data.add_field(name, value, filename="Foto ä.png", content_type="image/png")
        else:
            data.add_field(name, value)
    return await desk.http("POST", path, data=data, headers=headers or {}, allow_redirects=False)


async def test_the_form_below_a_letter_sends_the_answer_and_shows_it(desk: Desk) -> None:
    await desk.send(statement(Cc=COLLEAGUE))
    identifier, _ = await arrived(desk, CUSTOMER)
    page = f"/mailboxes/{CUSTOMER}/messages/{identifier}"
    action, token = await form_of(desk, page)
    fields = {
        "token": token,
        "text": "Danke!",
        "style": "outlook",
        "language": "de",
        "everybody": "1",
        "attachment": b"PNG",
    }
    answer = await post(desk, action, fields)
    assert answer.status == 303
    shown = (await desk.http("GET", answer.headers["Location"])).text
    assert "Sent. The copy below lies in Sent." in shown
    assert "Re: Your statement" in shown
    _, message = await arrived(desk, SENDER)
    assert "Von: Statements" in text_of(message)
    assert [part.get_filename() for part in message.iter_attachments()] == ["Foto ä.png"]
    assert len(await desk.inbox(COLLEAGUE)) == 2


async def test_the_form_for_new_mail_sends_it_and_an_error_keeps_what_was_typed(desk: Desk) -> None:
    path = f"/mailboxes/{COLLEAGUE}/compose"
    action, token = await form_of(desk, path)
    fields = {"token": token, "to": "nobody", "subject": "A <b> subject", "text": "Kept & safe"}
    wrong = await post(desk, action, fields)
    assert wrong.status == 400
    for kept in ('role="alert"', 'value="nobody"', "A &lt;b&gt; subject", "Kept &amp; safe"):
        assert kept in wrong.text
    assert (await post(desk, action, fields | {"to": SENDER})).status == 303
    _, message = await arrived(desk, SENDER)
    assert message["Subject"] == "A <b> subject"


@pytest.mark.parametrize(
    ("changed", "headers"),
    [
        ({"token": "guessed"}, {}),
        ({"token": ""}, {}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
        ({}, {"Sec-Fetch-Site": "same-site"}),
        ({}, {"Origin": "http://evil.example"}),
        ({}, {"Origin": "null"}),
        ({}, {"Host": "evil.example"}),
    ],
)
async def test_a_form_from_elsewhere_sends_nothing(
    desk: Desk, changed: dict[str, str], headers: dict[str, str]
) -> None:
    await desk.send(statement())
    identifier, _ = await arrived(desk, CUSTOMER)
    action, token = await form_of(desk, f"/mailboxes/{CUSTOMER}/messages/{identifier}")
    answer = await post(desk, action, {"token": token, "text": "x"} | changed, headers)
    assert answer.status == 403
    assert "Nothing was sent." in answer.text
    assert await desk.inbox(SENDER) == []


async def test_the_sandboxs_own_page_may_say_where_it_comes_from(desk: Desk) -> None:
    await desk.send(statement())
    identifier, _ = await arrived(desk, CUSTOMER)
    action, token = await form_of(desk, f"/mailboxes/{CUSTOMER}/messages/{identifier}")
    own = {"Origin": desk.running.url, "Sec-Fetch-Site": "same-origin"}
    assert (await post(desk, action, {"token": token, "text": "x"}, own)).status == 303


async def test_a_mailbox_that_may_not_send_says_so_on_the_form(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(COLLEAGUE))
    await desk.control("POST", "mailbox", {"address": COLLEAGUE, "mail_sending_for": 3600})
    identifier, _ = await arrived(desk, COLLEAGUE)
    action, token = await form_of(desk, f"/mailboxes/{COLLEAGUE}/messages/{identifier}")
    answer = await post(desk, action, {"token": token, "text": "Approved"})
    assert answer.status == 400
    assert "Mail sending" in answer.text
    empty = await post(desk, action, {"token": token, "text": "  "})
    assert "Write something first." in empty.text


async def test_a_draft_has_no_form(desk: Desk, letter: Letter) -> None:
    draft = (await desk.upload("drafts", letter())).json["message"]["id"]
    assert 'class="writing"' not in (await desk.http("GET", f"/mailboxes/{SENDER}/messages/{draft}")).text
