"""The answer page in Chromium: by keyboard alone, on a phone, without scripts, and inside somebody else's page."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, BrowserContext, Page, expect

from millstream.review.model import NewContent, Verdict
from millstream.storage.pool import open_pool

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "web"))  # the same site that stands there

from review_site import ANNA, BEN, CARL, Provider, Site, provider, site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"width": 360, "height": 740}


@pytest_asyncio.fixture(loop_scope="session")
async def here(database_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    pool = await open_pool(database_url)
    async with site(pool, tmp_path) as one:
        yield one
    await pool.close()


@pytest_asyncio.fixture(loop_scope="session")
async def phone(chromium: Browser) -> AsyncIterator[Page]:
    """A phone whose owner lets no script run."""
    context = await chromium.new_context(viewport=PHONE, java_script_enabled=False, is_mobile=True, has_touch=True)
    context.set_default_timeout(15_000)
    yield await context.new_page()
    await context.close()


async def asked(here: Site, *pages: str) -> tuple[int, str]:
    number = await here.open(await here.letter(*pages))
    return number, await here.link(number, ANNA)


async def wide(page: Page) -> int:
    """How many pixels the page is wider than its window; scripts of ours run even where the page's may not."""
    box = await page.locator("html").evaluate("one => one.scrollWidth - one.clientWidth")
    return int(box)


async def test_a_question_is_answered_by_keyboard_alone(here: Site, context: BrowserContext) -> None:
    _, link = await asked(here)
    page = await context.new_page()
    await page.goto(link)
    radio = page.locator("input[type=radio]").first
    for _ in range(30):
        await page.keyboard.press("Tab")
        if await radio.evaluate("one => one === document.activeElement"):
            break
    else:
        pytest.fail("the answers cannot be reached by Tab")
    for _ in range(2):
        await page.keyboard.press("ArrowDown")
    await expect(page.get_by_label("Ask for changes")).to_be_checked()
    await page.keyboard.press("Tab")
    await page.keyboard.type("The date is wrong, <b>please</b> mend it")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("You have answered: changes asked for")
    await expect(page.locator("form")).to_have_count(0)
    assert "/review/" in page.url
    await page.reload()  # a page that came after a form can be loaded again
    [row] = await here.rows("SELECT verdict, words, counted FROM review_answer")
    assert row == {"verdict": "change", "words": "The date is wrong, <b>please</b> mend it", "counted": True}


async def test_a_phone_without_scripts_shows_and_answers_it(here: Site, phone: Page) -> None:
    number, link = await asked(here, "Dear customer, your rate is 2.5 %.", "Page two")
    await phone.goto(f"{link}?choose=approve")
    assert await wide(phone) <= 0
    await expect(phone.get_by_label("Approve")).to_be_checked()
    for control in await phone.locator("label.choice, button").all():
        box = await control.bounding_box()
        assert box is not None
        assert box["height"] >= 44  # a finger
    pictures = phone.locator("img.page")
    await pictures.first.scroll_into_view_if_needed()
    assert await pictures.first.evaluate("one => one.complete && one.naturalWidth > 500")
    await phone.get_by_role("button", name="Send the answer").tap()
    await expect(phone.get_by_role("status")).to_contain_text("approved")
    await here.says(number, BEN, Verdict.APPROVE)
    await phone.reload()
    await expect(phone.get_by_role("status")).to_contain_text("Decided: approved by Ben Braun")


async def test_an_answer_without_words_is_asked_for_them_and_nothing_typed_is_lost(here: Site, phone: Page) -> None:
    _, link = await asked(here)
    await phone.goto(link)
    await phone.get_by_label("Reject").check()
    await phone.get_by_role("button").tap()
    await expect(phone.get_by_role("alert")).to_contain_text("Please write why")
    await expect(phone.get_by_label("Reject")).to_be_checked()
    await phone.get_by_label("Your reason").fill("The rate is wrong")
    await phone.get_by_role("button").tap()
    await expect(phone.get_by_role("status")).to_contain_text("rejected")


async def test_going_back_and_sending_again_counts_nothing(here: Site, phone: Page) -> None:
    _, link = await asked(here)
    await phone.goto(f"{link}?choose=approve")
    await phone.get_by_role("button").tap()
    await expect(phone.get_by_role("status")).to_be_visible()
    await phone.go_back()
    if await phone.locator("form").count():  # a browser that kept the page, against what it was told
        await phone.get_by_label("Reject").check()
        await phone.get_by_label("Your reason").fill("no, wait")
        await phone.get_by_role("button").tap()
        await expect(phone.get_by_role("status")).to_contain_text("did not count")
    [row] = await here.rows("SELECT verdict FROM review_answer WHERE counted")
    assert row["verdict"] == "approve"


async def test_long_words_of_others_do_not_break_a_phone(here: Site, phone: Page) -> None:
    long = "W" * 300
    content = await here.letter("x", **{long: long, "customer": f"https://{'a' * 200}.example/"})
    number = await here.open(content, name=f"{long} <script>document.title = 'x'</script>")
    await phone.goto(await here.link(number, ANNA))
    assert await wide(phone) <= 0
    await here.says(number, CARL, Verdict.REJECT, long * 5)
    await phone.reload()
    assert await wide(phone) <= 0


async def test_another_site_can_neither_frame_nor_post_it(here: Site, context: BrowserContext) -> None:
    _, link = await asked(here)
    page = await context.new_page()
    await page.goto(link)
    fields = await page.locator("form input[type=hidden]").all()
    form = "".join([await field.evaluate("one => one.outerHTML") for field in fields])

    async def evil(_: web.Request) -> web.Response:
        body = (
            f'<iframe src="{link}"></iframe><form method="post" action="{link}">{form}'
            '<input name="verdict" value="approve"><button>Win a phone</button></form>'
        )
        return web.Response(text=body, content_type="text/html")

    app = web.Application()
    app.router.add_get("/", evil)
    async with TestServer(app, host="localhost") as server:
        await page.goto(str(server.make_url("/")))
        await expect(page.frame_locator("iframe").locator("form")).to_have_count(0)
        await page.get_by_role("button", name="Win a phone").click()
        await expect(page.get_by_role("heading")).to_have_text("The answer was not taken")
    assert await here.rows("SELECT 1 FROM review_answer") == []


async def test_what_changed_is_seen_and_old_links_take_nothing(here: Site, phone: Page) -> None:
    number, old = await asked(here, "Your rate is 2.5 %. We thank you.")
    await here.apply(number, NewContent(await here.letter("Your rate is 3.5 %. We thank you.")))
    await phone.goto(await here.link(number, ANNA))
    await expect(phone.get_by_role("heading", name="What changed since round 1")).to_be_visible()
    await expect(phone.locator("ins").first).to_contain_text("3.5")
    assert await wide(phone) <= 0
    await phone.goto(old)
    await expect(phone.locator("form")).to_have_count(0)
    await expect(phone.get_by_role("status")).to_contain_text("The content has changed since")


async def test_signing_in_leads_back_to_the_question(
    database_url: str, tmp_path: Path, context: BrowserContext
) -> None:
    pool = await open_pool(database_url)
    async with provider() as idp, site(pool, tmp_path, issuer=idp.url, rules={"sign_in": True}) as here:
        await _signs_in(here, idp, context)
    await pool.close()


async def _signs_in(here: Site, idp: Provider, context: BrowserContext) -> None:
    _, link = await asked(here)
    page = await context.new_page()
    await page.goto(link)
    await expect(page.locator("img, form")).to_have_count(0)
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.get_by_text(f"Signed in as {ANNA}")).to_be_visible()
    await page.get_by_label("Approve").check()
    await page.get_by_role("button").click()
    await expect(page.get_by_role("status")).to_contain_text("You have answered: approved")
    assert len(idp.asked) == 1
