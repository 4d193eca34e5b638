"""The sandbox's pages over HTTP: what a person finds on them, and what a hostile letter cannot do."""

import re
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from millstream.sandbox.gmail import pages
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.headers import split
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.world import World

SENDER, CUSTOMER = "statements@bank.example", "maria.nunez@mail.example"
PDF = b"%PDF-1.7\n" + bytes(range(256))
DASH = "\N{EN DASH}"
PICTURE = bytes.fromhex("89504e470d0a1a0a")
HOSTILE = (
    "<html><head><title>x</title></head><body><p>Dear Maria</p><img src='cid:logo'>"
    "<script>alert(1)</script></body></html>"
)


@pytest.fixture
def world():
    return World(SandboxConfig(mailboxes=(SENDER,)))


@pytest.fixture
async def browser(world):
    app = web.Application()
    app.add_routes(pages.routes(world, Transit(world, Quota(world.config, world.clock))))
    async with TestClient(TestServer(app)) as client:
        yield client


def compose(subject="Your statement", *, html=HOSTILE):
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"] = f"Bank <{SENDER}>", f"María Núñez <{CUSTOMER}>"
    letter["Subject"], letter["X-Millstream-Delivery"] = subject, "d-1"
    letter.set_content("Dear María,\n\nyour statement is attached.\n")
    if html:
        letter.add_alternative(html, subtype="html")
        letter.get_payload()[1].add_related(PICTURE, "image", "png", cid="<logo>")
        letter.add_attachment(PDF, maintype="application", subtype="pdf", filename="Kontoauszug März.pdf")
        letter.add_attachment(b"<script>alert(2)</script>", maintype="text", subtype="html", filename='a"b.html')
    return letter.as_bytes()


def put(world, address, raw, *labels, thread=None):
    head, body = split(raw)
    account = world.recipient(address)
    return world.store(account, head, body, labels=frozenset(labels), thread_id=thread, received="INBOX" in labels)


@pytest.fixture
def message(world):
    """A statement in the customer's inbox."""
    return put(world, CUSTOMER, compose(), "INBOX", "UNREAD")


@pytest.fixture
def place(message):
    return f"/mailboxes/{CUSTOMER}/messages/{message.id}"


async def read(browser, path, status=200):
    async with browser.get(path) as response:
        assert response.status == status
        return await response.text()


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, _tag, attrs):
        self.found += [value for name, value in attrs if name in {"href", "src", "action"}]


async def test_the_first_page_lists_the_mailboxes_of_both_sides(browser, message):
    text = await read(browser, "/")
    assert "<title>Mailboxes · Gmail sandbox</title>" in re.sub(r"\s*\n\s*", "", text)
    assert text.index(SENDER) < text.index(CUSTOMER)
    assert "Your statement" in text


@pytest.mark.parametrize(("kind", "here", "away"), [("senders", SENDER, CUSTOMER), ("outside", CUSTOMER, SENDER)])
async def test_the_list_shows_one_side_alone(browser, message, kind, here, away):
    text = await read(browser, f"/?kind={kind}")
    assert here in text
    assert away not in text


async def test_a_search_narrows_the_list_of_mailboxes(browser, message):
    text = await read(browser, "/?q=NUNEZ")
    assert CUSTOMER in text
    assert SENDER not in text
    assert "No mailbox matches “nobody”." in await read(browser, "/?q=nobody")


async def test_two_thousand_mailboxes_come_in_pages(browser, world):
    for number in range(2_000):
        world.create(f"customer-{number:04d}@mail.example")
    first = await read(browser, "/?kind=outside")
    second = await read(browser, "/?kind=outside&page=2")
    assert f"1{DASH}50 of 2,000" in first
    assert f"51{DASH}100 of 2,000" in second
    assert "customer-0050@" in second
    assert f"1,951{DASH}2,000 of 2,000" in await read(browser, "/?kind=outside&page=99999")
    assert "/?kind=outside&amp;page=2" in first


async def test_a_mailbox_opens_in_the_first_folder_that_holds_something(browser, world, message):
    put(world, SENDER, compose("Sent one"), "SENT")
    put(world, SENDER, compose("A draft"), "DRAFT")
    text = await read(browser, f"/mailboxes/{SENDER}")
    assert "Sent one" in text
    assert "A draft" not in text
    assert "To: María Núñez" in text
    assert "A draft" in await read(browser, f"/mailboxes/{SENDER}?folder=drafts")


async def test_a_row_tells_sender_subject_snippet_and_attachment(browser, message):
    text = await read(browser, f"/mailboxes/{CUSTOMER}")
    for shown in ("Bank", "Your statement", "Dear María, your statement is attached.", "With attachment", "unread"):
        assert shown in text


async def test_a_search_inside_a_mailbox_looks_at_subjects_and_people(browser, world, message):
    put(world, CUSTOMER, compose("Something else"), "INBOX")
    text = await read(browser, f"/mailboxes/{CUSTOMER}?q=ELSE&folder=inbox")
    assert "Something else" in text
    assert "Your statement" not in text


async def test_a_message_stands_in_its_thread_with_its_people_and_documents(browser, world, message, place):
    put(world, CUSTOMER, compose("Re: Your statement", html=None), "SENT", thread=message.thread_id)
    text = await read(browser, place)
    for shown in ("Bank &lt;statements@bank.example&gt;", "María Núñez", "Kontoauszug März.pdf", "265 bytes"):
        assert shown in text
    assert text.count('class="folded"') == 1
    assert "image/png" not in text


async def test_the_frame_allows_no_script_and_the_page_no_foreign_thing(browser, place):
    async with browser.get(place) as response:
        text, policy = await response.text(), response.headers["Content-Security-Policy"]
    frame = re.search(r"<iframe[^>]*>", text)[0]
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in frame
    assert 'referrerpolicy="no-referrer"' in frame
    assert "<script" not in text
    assert "default-src 'none'" in policy
    assert all(link.startswith(("/", "#", "data:,")) for link in Links(text).found)


async def test_the_frames_content_has_its_own_strict_policy_and_its_own_pictures(browser, place):
    async with browser.get(f"{place}/body") as response:
        text, headers = await response.text(), response.headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    assert "sandbox allow-popups" in headers["Content-Security-Policy"]
    assert "allow-scripts" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "data:image/png;base64,iVBORw0KGgo=" in text
    assert '<head><base target="_blank">' in text


async def test_the_text_the_headers_and_the_source_have_views_of_their_own(browser, place):
    assert "your statement is attached." in await read(browser, f"{place}?view=text")
    assert "X-Millstream-Delivery" in await read(browser, f"{place}?view=headers")
    source = await read(browser, f"{place}?view=source")
    assert "Content-Type: multipart/mixed" in source
    assert "<script>alert(1)" not in source


async def test_the_source_is_downloaded_as_it_is_stored(browser, message, place):
    async with browser.get(f"{place}/source") as response:
        assert await response.read() == message.raw
        assert response.headers["Content-Type"] == "message/rfc822"
        assert response.headers["Content-Disposition"] == f'attachment; filename="{message.id}.eml"'


async def documents(browser, place):
    return [link for link in Links(await read(browser, place)).found if "/parts/" in link]


async def test_a_pdf_opens_in_the_browser_under_its_true_name(browser, place):
    opened, downloaded, _ = await documents(browser, place)
    async with browser.get(opened) as response:
        assert await response.read() == PDF
        headers = response.headers
    assert headers["Content-Type"] == "application/pdf"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"] == (
        "inline; filename=\"Kontoauszug M_rz.pdf\"; filename*=UTF-8''Kontoauszug%20M%C3%A4rz.pdf"
    )
    async with browser.get(downloaded) as response:
        assert response.headers["Content-Disposition"].startswith("attachment; ")


async def test_an_html_attachment_is_only_downloaded_and_sandboxed(browser, place):
    *_, page = await documents(browser, place)
    async with browser.get(page.removesuffix("?download=1")) as response:
        assert response.headers["Content-Disposition"].startswith('attachment; filename="a_b.html"; filename*=')
        assert "sandbox" in response.headers["Content-Security-Policy"]


async def test_a_letter_without_html_is_shown_as_text(browser, world):
    message = put(world, CUSTOMER, compose("<b>Plain</b>", html=None), "INBOX")
    text = await read(browser, f"/mailboxes/{CUSTOMER}/messages/{message.id}")
    assert "<iframe" not in text
    assert "your statement is attached." in text
    assert "&lt;b&gt;Plain&lt;/b&gt;" in text
    assert "no such part" in (await read(browser, f"/mailboxes/{CUSTOMER}/messages/{message.id}/body", 404)).lower()


async def test_a_message_that_is_no_mail_at_all_still_has_a_page(browser, world):
    message = put(world, CUSTOMER, b"\xff\xfe nonsense\r\n\r\n\x00\x01", "INBOX")
    assert "(no subject)" in await read(browser, f"/mailboxes/{CUSTOMER}/messages/{message.id}")
    assert "(no subject)" in await read(browser, f"/mailboxes/{CUSTOMER}")


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/mailboxes/nobody@mail.example", "No such mailbox"),
        (f"/mailboxes/{CUSTOMER}/messages/0000000000000001", "No such message"),
        ("{place}/parts/9", "No such part"),
    ],
)
async def test_what_is_not_there_gets_a_page_that_leads_on(browser, place, path, title):
    text = await read(browser, path.format(place=place), 404)
    assert f"<h1>{title}</h1>" in text
    assert len(Links(text).found) > 3


async def test_an_address_with_markup_in_it_stays_text(browser):
    text = await read(browser, "/mailboxes/%3Cscript%3Ealert(1)%3C%2Fscript%3E@mail.example", 404)
    assert "<script" not in text


async def test_reading_changes_nothing(browser, world, message, place):
    account = world.account(CUSTOMER)
    before = (message.labels, account.history.last)
    for path in ("/", f"/mailboxes/{CUSTOMER}", place, f"{place}/body", f"{place}/source"):
        await read(browser, path)
    assert (message.labels, account.history.last) == before


async def test_every_internal_link_of_the_pages_leads_somewhere(browser, world, message, place):
    put(world, SENDER, compose(), "SENT")
    seen, waiting = set(), ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen or not path.startswith("/"):
            continue
        seen.add(path)
        async with browser.get(path) as response:
            assert response.status == 200, path
            if response.content_type == "text/html" and "/parts/" not in path and not path.endswith("/body"):
                waiting += Links(await response.text()).found
    assert {"/", place, f"{place}?view=source", "/static/pages.css"} <= seen
