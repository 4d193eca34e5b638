"""The sandbox's pages in a real browser: reading a letter, opening its PDF, and a letter that would run a script."""

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
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.world import World

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SENDER, CUSTOMER = "statements@bank.example", "maria.nunez@mail.example"
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
