"""What `q` finds: Gmail's operators, how they join, and an index that lags."""

from email.message import EmailMessage
from email.policy import SMTP

import pytest
from sandbox_desk import COLLEAGUE, SENDER, Desk, Letter, Open

START = "2026-11-23T09:00:00+00:00"
DAY = 86_400


def letter(subject: str, *, sender: str = "Anna Berg <anna@mail.example>", **headers: str) -> EmailMessage:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = sender, SENDER, subject
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("The rent for March is due.\n")
    return message


async def deliver(desk: Desk, message: EmailMessage) -> str:
    document = {"sender": "anna@mail.example", "recipients": [SENDER], "raw": message.as_bytes().decode()}
    return (await desk.control("POST", "deliver", document))["delivered"][0]["id"]


async def found(desk: Desk, query: str, **more: str) -> list[str]:
    answer = await desk.call("GET", "messages", params={"q": query} | more)
    assert answer.status == 200, answer.text
    return [one["id"] for one in answer.json.get("messages", ())]


@pytest.fixture
async def shelf(open_desk: Open) -> tuple[Desk, dict[str, str]]:
    """Four letters that differ in everything a search can ask for."""
    desk = await open_desk(clock_start=START, clock_rate=0.0)
    plain = await deliver(
        desk, letter("Rent March", Message_ID="<rent@mail.example>", List_ID="<tenants.mail.example>")
    )
    attached = letter("Statement for Berg", sender="Bert <bert.berg@shop.example>", Cc="Cora <cora@mail.example>")
    attached.add_attachment(b"%PDF" * 700, maintype="application", subtype="pdf", filename="Kontoauszug März.pdf")
    linked = letter("A sheet to look at", sender="cora@mail.example")
    linked.set_content("See https://docs.google.com/spreadsheets/d/1 please\n")
    await desk.control("POST", "clock", {"advance": 2 * DAY})
    ids = {"plain": plain, "attached": await deliver(desk, attached)}
    await desk.control("POST", "clock", {"advance": 2 * DAY})
    ids["linked"] = await deliver(desk, linked)
    ids["spam"] = await deliver(desk, letter("Rent a castle"))
    label = (await desk.call("POST", "labels", json={"name": "To do/Big ones"})).json["id"]
    changes = {"plain": ["STARRED", label], "linked": ["IMPORTANT", "CATEGORY_PROMOTIONS"], "spam": ["SPAM"]}
    for name, add in changes.items():
        await desk.call("POST", f"messages/{ids[name]}/modify", json={"addLabelIds": add})
    await desk.call("POST", f"messages/{ids['attached']}/modify", json={"removeLabelIds": ["UNREAD", "INBOX"]})
    return desk, ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("from:anna", "plain"),
        ("from:berg", "attached plain"),
        ("from:shop.example", "attached"),
        ("from:ann", ""),
        ("to:statements@bank.example", "linked attached plain"),
        ("to:me", "linked attached plain"),
        ("to:cora", "attached"),
        ("cc:cora@mail.example", "attached"),
        ("bcc:cora", ""),
        ("subject:rent", "plain"),
        ("subject:state", ""),
        ("subject:(rent march)", "plain"),
        ('subject:"march rent"', ""),
        ("subject:{rent statement}", "attached plain"),
        ("subject:(rent OR statement)", "attached plain"),
        ("subject:rent OR subject:statement", "attached plain"),
        ("{subject:rent subject:sheet}", "linked plain"),
        ("{rent sheet} from:cora", "linked"),
        ("(subject:rent OR subject:sheet) -from:anna", "linked"),
        ("-{from:anna from:cora}", "attached"),
        ("-(subject:rent from:anna)", "linked attached"),
        ("-subject:(rent march)", "linked attached"),
        ('"for March is"', "attached plain"),
        ('-"for March is"', "linked"),
        ("has:attachment", "attached"),
        ("-has:attachment", "linked plain"),
        ("has:spreadsheet", "linked"),
        ("has:drive", "linked"),
        ("has:document", ""),
        ("has:userlabels", "plain"),
        ("has:nouserlabels", "linked attached"),
        ("has:yellow-star", "plain"),
        ("filename:pdf", "attached"),
        ("filename:kontoauszug", "attached"),
        ('filename:"Kontoauszug März.pdf"', "attached"),
        ("filename:docx", ""),
        ("after:2026/11/26", "linked"),
        ("after:2026-11-24 before:2026-11-26", "attached"),
        ("before:11/24/2026", "plain"),
        ("older:2026/11/24", "plain"),
        ("newer:2026/11/26", "linked"),
        ("after:1795770000", "linked"),
        ("newer_than:1d", "linked"),
        ("newer_than:3d", "linked attached"),
        ("older_than:3d", "plain"),
        ("older_than:1m", ""),
        ("newer_than:1y", "linked attached plain"),
        ("rfc822msgid:rent@mail.example", "plain"),
        ("rfc822msgid:<rent@mail.example>", "plain"),
        ("in:inbox", "linked plain"),
        ("in:archive", "attached"),
        ("in:spam", "spam"),
        ("in:anywhere rent", "spam attached plain"),
        ("label:spam", "spam"),
        ("is:unread", "linked plain"),
        ("is:read", "attached"),
        ("is:starred", "plain"),
        ("is:important", "linked"),
        ("label:to-do-big-ones", "plain"),
        ('label:"To do/Big ones"', "plain"),
        ("category:promotions", "linked"),
        ("category:primary", ""),
        ("larger:2K", "attached"),
        ("size:2000", "attached"),
        ("smaller:2k", "linked plain"),
        ("smaller:1M", "linked attached plain"),
        ("list:tenants.mail.example", "plain"),
        ("deliveredto:statements@bank.example", "linked attached plain"),
        ("  ", "linked attached plain"),
        ("OR", "linked attached plain"),
        ("larger:huge", ""),
        ("before:yesterday", ""),
        ("newer_than:soon", ""),
        ("((((subject:rent", "plain"),
        ("subject:rent)) }", "plain"),
        ('subject:"rent', "plain"),
        ("- subject:rent", "plain"),
        ("from:", "linked attached plain"),
        ("(" * 200 + "subject:rent", "plain"),
    ],
)
async def test_a_query_finds_what_gmail_would(shelf: tuple[Desk, dict[str, str]], query: str, names: str) -> None:
    desk, ids = shelf
    by_id = {identifier: name for name, identifier in ids.items()}
    assert [by_id[one] for one in await found(desk, query)] == names.split()


async def test_spam_is_found_only_where_it_is_asked_for(shelf: tuple[Desk, dict[str, str]]) -> None:
    desk, ids = shelf
    assert ids["spam"] not in await found(desk, "castle")
    assert await found(desk, "castle", includeSpamTrash="true") == [ids["spam"]]
    threads = (await desk.call("GET", "threads", params={"q": "in:spam"})).json["threads"]
    assert len(threads) == 1
    assert "threads" not in (await desk.call("GET", "threads", params={"q": "castle"})).json


async def test_a_search_index_lags_while_labels_are_there_at_once(open_desk: Open, letter: Letter) -> None:
    desk = await open_desk(clock_rate=0.0, search_lag_seconds=600)
    sent = (await desk.send(letter())).json["id"]
    assert await found(desk, "subject:statement") == []
    assert len((await desk.call("GET", "messages?labelIds=SENT")).json["messages"]) == 1
    await desk.control("POST", "clock", {"advance": 601})
    assert await found(desk, "subject:statement") == [sent]


async def test_a_search_comes_in_pages_without_a_gap(desk: Desk, letter: Letter) -> None:
    ids = [(await desk.send(letter(Subject=f"{'Odd' if n % 2 else 'Even'} one"))).json["id"] for n in range(11)]
    listed, token = [], ""
    while True:
        page = (await desk.call("GET", f"messages?q=subject:odd&maxResults=2&pageToken={token}")).json
        listed += [one["id"] for one in page.get("messages", ())]
        token = page.get("nextPageToken", "")
        if not token:
            break
    assert listed == ids[1::2][::-1]


async def test_a_mailbox_of_another_is_searched_by_its_own_me(desk: Desk, letter: Letter) -> None:
    await desk.send(letter(COLLEAGUE))
    found_by_them = await desk.call("GET", "messages", user=COLLEAGUE, params={"q": "to:me -from:me"})
    assert len(found_by_them.json["messages"]) == 1
