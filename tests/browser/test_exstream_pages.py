"""The Exstream sandbox's pages in a real browser: jobs and their documents, holds and approvals decided by a person."""

import asyncio

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from millstream.sandbox.exstream.config import SandboxConfig
from millstream.sandbox.exstream.flows import FlowModel
from millstream.sandbox.exstream.server import Running, serve

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

CUSTOMER = {
    "key": "2026-10/1",
    "type": "statement",
    "customer": {"id": "C-1", "name": "<b>Ada</b> Byron"},
    "recipient": {"address": "ada@mail.example", "name": "Ada Byron"},
    "data": {
        "customer": {"id": "C-1", "name": "Ada Byron", "address": ["1 High Street", "London"]},
        "account": {"number": "4000 1"},
        "statement": {"number": "1", "date": "2026-10-31", "from": "2026-10-01", "to": "2026-10-31"},
        "currency": "GBP",
        "previous_balance_cents": 100,
        "purchases": [],
        "payments": [],
        "collection_date": "2026-11-15",
    },
}


@pytest_asyncio.fixture(loop_scope="session")
async def sandbox():
    """A sandbox with one held document."""
    running = await serve(SandboxConfig(flows=(FlowModel(name="Letters", service="letters", hold=True),)))
    async with aiohttp.ClientSession() as session:
        form = {"grant_type": "client_credentials", "client_id": "millstream", "client_secret": "sandbox-secret"}
        async with session.post(running.doors["token_url"], data=form) as reply:
            bearer = {"Authorization": f"Bearer {(await reply.json())['access_token']}"}
        url = f"{running.doors['orchestration_url']}/api/v1/inputs/batch/bank/letters"
        async with session.post(url, json={"customers": [CUSTOMER]}, headers=bearer) as reply:
            assert reply.status == 200
    async with asyncio.timeout(20):
        while not running.world.state()["held"]:  # noqa: ASYNC110  the sandbox has no event for it
            await asyncio.sleep(0)
    yield running
    await running.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context, sandbox: Running) -> Page:
    """The first page."""
    page = await context.new_page()
    await page.goto(sandbox.url)
    return page


async def test_a_person_follows_a_job_to_its_documents(page: Page):
    await expect(page).to_have_title("Jobs · Exstream sandbox")
    await page.get_by_role("link", name="letters", exact=True).click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("holding")
    await expect(page.get_by_role("row", name="Hold")).to_contain_text("holding")
    await page.get_by_text("Customers and their documents").click()
    await expect(page.get_by_role("listitem").filter(has_text="<b>Ada</b> Byron")).to_be_visible()
    await page.get_by_role("link", name="Email of C-1").click()
    await expect(page.get_by_text("Ada Byron").first).to_be_visible()


async def test_a_person_releases_a_held_document(page: Page, sandbox: Running):
    await page.get_by_role("link", name="Held documents 1").click()
    await page.get_by_role("button", name="Release").click()
    await expect(page.get_by_role("status")).to_contain_text("Released")
    await expect(page.get_by_text("Nothing is held.")).to_be_visible()
    (job,) = sandbox.world.jobs.values()
    assert job.task is not None
    await job.task
    assert job.status == "complete"


async def test_a_person_stops_a_held_document(page: Page, sandbox: Running):
    await page.goto(f"{sandbox.url}/held")
    await page.get_by_role("button", name="Stop").click()
    await expect(page.get_by_role("status")).to_contain_text("Stopped")
    (job,) = sandbox.world.jobs.values()
    assert job.flows[0].status == "canceled"


async def test_a_person_approves_with_a_comment_and_is_told_what_cannot_be_approved(page: Page):
    await page.get_by_role("link", name="In review 4").click()
    await page.get_by_label("Comment on Interest notice").fill("Looks right")
    await page.get_by_role("button", name="Approve Interest notice").click()
    await expect(page.get_by_role("status")).to_contain_text("Approved")
    await expect(page.get_by_role("heading", name="Interest notice")).to_have_count(0)
    await page.get_by_role("button", name="Approve Annual letter").click()
    await expect(page.get_by_role("alert")).to_contain_text("children that are not approved: Privacy notice")
    await page.get_by_role("button", name="Reject Annual letter").click()
    await expect(page.get_by_role("status")).to_contain_text("Rejected")


async def test_nothing_is_wider_than_a_phone(page: Page, sandbox: Running):
    await page.set_viewport_size({"width": 360, "height": 700})
    (job,) = sandbox.world.jobs
    for path in ("/", f"/jobs/{job}", "/held", "/review"):
        await page.goto(f"{sandbox.url}{path}")
        assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), path


async def test_the_pages_work_without_javascript(chromium, sandbox: Running):
    context = await chromium.new_context(java_script_enabled=False)
    page = await context.new_page()
    await page.goto(f"{sandbox.url}/held")
    await page.get_by_role("button", name="Release").click()
    await expect(page.get_by_role("status")).to_contain_text("Released")
    await context.close()
