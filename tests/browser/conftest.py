"""Debian's Chromium, driven by Playwright, with nothing loaded from elsewhere."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, async_playwright

QUIET = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-quic",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # tests run as root in containers, where Chromium's own sandbox does not start
)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """One browser for the run, for its start takes seconds; each test has windows of its own. Without
    Chromium the tests fail and say what to do.
    """
    path = shutil.which("chromium")
    if path is None:
        pytest.fail("Chromium is not installed. Run `make browser-deps`, or leave these tests out: -m 'not browser'.")
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def context(chromium: Browser) -> AsyncIterator[BrowserContext]:
    """A person's window of its own; scripts would run in it wherever a page allows them."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(15_000)
    yield context
    await context.close()
