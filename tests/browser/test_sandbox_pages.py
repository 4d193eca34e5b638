"""The sandbox's pages in a real browser: reading a letter, answering it, and a letter that would run a script."""

from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import expect

from millstream.sandbox.gmail import pages
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.headers import split
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.server import serve
from millstream.sandbox.gmail.transit import Letter, Transit
from millstream.sandbox.gmail.world import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SENDER, CUSTOMER = "statements@bank.example", "maria.nunez@mail.example"
COLLEAGUE = "colleague@bank.example"
PDF = b"%PDF-1.7\n%%EOF\n"
HTML = """<html><body><h1 id="greeting">Dear María</h1>
<a href="/beacon?link">Pay now</a><img src="/beacon?picture"><img src="http://127.0.0.1:9/beacon">
<form action="/beacon?form"><button>Confirm</button></form>
<iframe src="/beacon?frame"></iframe>
<script>document.getElementById('greeting').textContent = 'Hacked'; fetch('/beacon?script')</script>
<p onclick="this.textContent='Hacked'" id="trap">Your statement</p></body></html>"""


@pytest.fixture
def beacon():
    """Every call that a letter managed to make."""
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def address(beacon):
    """A sandbox's pages with one customer, one letter; gives the base URL."""
    world = World(SandboxConfig(mailboxes=(SENDER,)))
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"], letter["Subject"] = f"Bank <{SENDER}>", CUSTOMER, "Your statement for October"
    letter.set_content("Dear María, in plain words.\n")
    letter.add_alternative(HTML, subtype="html")
    letter.add_attachment(PDF, maintype="application", subtype="pdf", filename="Kontoauszug März.pdf")
    head, body = split(letter.as_bytes())
    world.store(world.create(CUSTOMER), head, body, labels=frozenset({"INBOX", "UNREAD"}), received=True)

    async def called(request: web.Request) -> web.Response:
        beacon.append(str(request.rel_url))
        return web.Response(text="called")

    app = web.Application()
    app.add_routes([web.get("/beacon", called), *pages.routes(world, Transit(world, Quota(world.config, world.clock)))])
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


@pytest_asyncio.fixture(loop_scope="session")
async def message(context, address):
    """The letter's page, reached as a person would: from the list of mailboxes."""
    page = await context.new_page()
    await page.goto(address)
    await page.get_by_role("searchbox", name="Search mailboxes").fill("nunez")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name=CUSTOMER).click()
    await expect(page).to_have_title(f"{CUSTOMER} · Gmail sandbox")
    await page.get_by_role("link", name="Your statement for October").click()
    return page


async def test_a_person_finds_the_letter_and_reads_it_as_its_customer_would(message):
    frame = message.frame_locator("iframe[title='The message as its recipient sees it']")
    await expect(message.get_by_role("heading", level=1)).to_contain_text("Your statement for October")
    await expect(frame.get_by_role("heading", name="Dear María")).to_be_visible()


async def test_a_letters_script_form_frame_and_foreign_pictures_do_nothing(message, beacon):
    frame = message.frame_locator("iframe.body")
    await frame.locator("#trap").click()
    await frame.get_by_role("button", name="Confirm").click()
    await expect(frame.locator("#greeting")).to_have_text("Dear María")
    await expect(frame.locator("#trap")).to_have_text("Your statement")
    assert beacon == []


async def test_the_pages_work_without_javascript(chromium, address):
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{address}/mailboxes/{CUSTOMER}")
    await page.get_by_role("link", name="Your statement for October").click()
    await page.get_by_role("link", name="Text").click()
    await expect(page.get_by_text("Dear María, in plain words.")).to_be_visible()
    await page.get_by_role("link", name="Headers").click()
    await expect(page.get_by_role("rowheader", name="Subject")).to_be_visible()
    await page.get_by_role("link", name="Source").click()
    await expect(page.get_by_text("Content-Type: multipart/mixed")).to_be_visible()
    await context.close()


async def test_the_pdf_is_downloaded_under_its_own_name(message, tmp_path: Path):
    async with message.expect_download() as waiting:
        await message.get_by_role("link", name="Download Kontoauszug März.pdf").click()
    download = await waiting.value
    await download.save_as(tmp_path / "statement.pdf")
    assert download.suggested_filename == "Kontoauszug März.pdf"
    assert (tmp_path / "statement.pdf").read_bytes() == PDF


async def test_a_letters_link_opens_beside_it(message, context, beacon):
    async with context.expect_page() as waiting:
        await message.frame_locator("iframe.body").get_by_role("link", name="Pay now").click()
    opened = await waiting.value
    await opened.wait_for_load_state()
    await expect(message.get_by_role("heading", level=1)).to_be_visible()
    assert beacon == ["/beacon?link"]


async def test_the_pages_follow_a_dark_desk(chromium, address):
    colours = {}
    for scheme in ("light", "dark"):
        context = await chromium.new_context(color_scheme=scheme)
        page = await context.new_page()
        await page.goto(address)
        colours[scheme] = await page.evaluate("getComputedStyle(document.body).backgroundColor")
        await context.close()
    assert colours["light"] != colours["dark"]


async def test_a_narrow_window_needs_no_sideways_scrolling(chromium, address):
    context = await chromium.new_context(viewport={"width": 390, "height": 800})
    page = await context.new_page()
    for path in ("/", f"/mailboxes/{CUSTOMER}"):
        await page.goto(f"{address}{path}")
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def post_office():
    """A whole sandbox in which the bank has written to its customer; gives it and the letter's page."""
    running = await serve(SandboxConfig(mailboxes=(SENDER, COLLEAGUE), limits="none", notice_delay_seconds=0))
    letter = EmailMessage(policy=SMTP)
    letter["From"], letter["To"], letter["Cc"] = f"Bank <{SENDER}>", CUSTOMER, COLLEAGUE
    letter["Subject"] = "Your statement for October"
    letter.set_content("Dear María, in plain words.\n")
    letter.add_alternative("<p>Dear <b>María</b></p>", subtype="html")
    transit = Transit(running.world, Quota(running.world.config, running.world.clock))
    sent = transit.submit(running.world.account(SENDER), Letter.read(letter.as_bytes()))
    (arrived,) = running.world.account(CUSTOMER).messages()
    yield running, f"{running.url}/mailboxes/{CUSTOMER}/messages/{arrived.id}", sent.thread_id
    await running.close()


async def test_a_person_answers_by_keyboard_alone_and_without_scripts(chromium, post_office):
    running, place, thread = post_office
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(place)
    await page.get_by_role("link", name="Answer").press("Enter")
    await page.get_by_role("radio", name=f"Reply to all: Bank, {COLLEAGUE}").press("Space")
    await page.keyboard.press("Tab")
    await page.keyboard.type("Thank you.")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_have_text("Sent. The copy below lies in Sent.")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Re: Your statement for October")
    await expect(page.frame_locator("iframe.body").get_by_text("Thank you.")).to_be_visible()
    await context.close()
    theirs = running.world.account(SENDER).thread(thread)
    assert [sorted(message.labels) for message in theirs] == [["SENT"], ["INBOX", "UNREAD"]]
    assert len(running.world.account(COLLEAGUE).messages()) == 2


async def test_an_answer_with_a_file_and_in_another_programs_manner(context, post_office, tmp_path: Path):
    running, place, _ = post_office
    (tmp_path / "Ausweis März.pdf").write_bytes(PDF)
    page = await context.new_page()
    await page.goto(place)
    await page.get_by_role("textbox", name="Text").fill("See the file.")
    await page.get_by_label("Attach").set_input_files(tmp_path / "Ausweis März.pdf")
    await page.get_by_label("Written with").select_option("Outlook")
    await page.get_by_role("button", name="Send answer").click()
    await expect(page.get_by_role("list", name="Attachments")).to_contain_text("Ausweis März.pdf")
    (answer, _) = running.world.account(SENDER).messages()
    assert [part.content for part in answer.parts().attachments()] == [PDF]
    assert "From: Bank <" in (answer.parts().text("text/plain") or "")


async def test_a_new_mail_names_what_is_wrong_and_then_goes(context, post_office):
    running, _, _ = post_office
    page = await context.new_page()
    await page.goto(f"{running.url}/mailboxes/{CUSTOMER}")
    await page.get_by_role("link", name="New mail").click()
    await page.get_by_label("To", exact=True).fill("nobody")
    await page.get_by_label("Subject").fill("A copy of October")
    await page.get_by_role("textbox", name="Text").fill("Please send me a copy.")
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("alert")).to_have_text("What stands in To is no address.")
    await page.get_by_label("To", exact=True).fill(COLLEAGUE)
    await page.get_by_role("button", name="Send").click()
    await expect(page.get_by_role("status")).to_be_visible()
    assert running.world.account(COLLEAGUE).messages()[0].subject == "A copy of October"


async def test_a_form_on_another_site_cannot_answer(context, post_office, address, beacon):
    running, place, _ = post_office
    page = await context.new_page()
    await page.goto(address)
    form = f"<form method=post action='{place}/reply'><input name=text value=x><button>Go</button></form>"
    await page.route("**/trap", lambda route: route.fulfill(body=form, content_type="text/html"))
    await page.goto(f"{address}/trap")
    await page.get_by_role("button", name="Go").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Not sent")
    assert len(running.world.account(SENDER).messages()) == 1


async def test_the_writing_pages_fit_a_phone(chromium, post_office):
    running, place, _ = post_office
    context = await chromium.new_context(viewport={"width": 390, "height": 800})
    page = await context.new_page()
    for path in (place, f"{running.url}/mailboxes/{CUSTOMER}/compose", f"{place}/reply"):
        await page.goto(path)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 390
        button = await page.get_by_role("button", name="Send").bounding_box()
        assert button is not None
        assert button["height"] >= 36
    await context.close()
