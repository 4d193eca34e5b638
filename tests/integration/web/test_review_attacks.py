"""Answer pages as scanners and attackers meet them: nothing but a form of ours, in its own browser, ever counts."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from review_site import ANNA, BEN, Person, Site, pdf, site

from millstream.review.model import Content, Paper, State
from millstream.storage.pool import Pool


@pytest.fixture
async def here(pool: Pool, tmp_path: Path) -> AsyncIterator[Site]:
    async with site(pool, tmp_path) as one:
        yield one


@pytest.fixture
async def person(here: Site) -> AsyncIterator[Person]:
    async with Person(here.url) as one:
        yield one


async def asked(here: Site, **facts: str) -> tuple[int, str]:
    number = await here.open(await here.letter(**facts))
    return number, await here.link(number, ANNA)


async def answers_of(here: Site) -> list[dict[str, Any]]:
    return await here.rows("SELECT address, verdict, words, how, counted, why FROM review_answer ORDER BY id")


async def test_a_scanner_that_fetches_everything_decides_nothing(here: Site) -> None:
    number, link = await asked(here)
    found, seen = {link, *(f"{link}?choose={verdict}" for verdict in ("approve", "reject", "change"))}, set()
    async with aiohttp.ClientSession() as scanner:
        while found - seen:
            url = min(found - seen)
            seen.add(url)
            for verb in ("HEAD", "GET", "OPTIONS", "PUT", "DELETE", "PATCH"):
                async with scanner.request(verb, url, allow_redirects=False) as response:
                    body = await response.text(errors="replace")
                    assert response.status < 500
            if verb == "PATCH" and "text/html" in response.headers.get("Content-Type", ""):
                continue
            async with scanner.get(url) as response:
                body = await response.text(errors="replace")
            places = re.findall(r'(?:href|src|action)="([^"]+)"', body) if "<html" in body else []
            found |= {str(aiohttp.client.URL(url).join(aiohttp.client.URL(place))) for place in places}
            found = {each for each in found if each.startswith(here.url)}
    assert any("/paper/1" in url for url in seen)
    assert any(url.endswith(".png") for url in seen)
    assert await answers_of(here) == []
    assert (await here.review(number)).state is State.OPEN


@pytest.mark.parametrize(
    "change",
    [
        {"word": ""},
        {"word": "A" * 22},
        {"word": None},
        {"hash": "0" * 64},
        {"version": "7"},
        {"version": "-1"},
        {"round": "2"},
        {"round": ""},
    ],
)
async def test_a_form_with_another_word_for_it_is_refused(
    here: Site, person: Person, change: dict[str, str | None]
) -> None:
    _, link = await asked(here)
    fields = {**(await person.get(link)).form, "verdict": "approve", **change}
    page = await person.post(link, {name: value for name, value in fields.items() if value is not None})
    assert page.status == 403
    assert "Nothing was changed" in page.html
    assert await answers_of(here) == []


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_a_form_from_another_site_is_refused(here: Site, person: Person, headers: dict[str, str]) -> None:
    _, link = await asked(here)
    fields = {**(await person.get(link)).form, "verdict": "approve"}
    assert (await person.post(link, fields, headers=headers)).status == 403
    assert await answers_of(here) == []
    assert (await person.post(link, fields)).status == 303


async def test_a_form_in_another_persons_browser_is_refused(here: Site, person: Person) -> None:
    number, link = await asked(here)
    form = (await person.get(link)).form
    async with Person(here.url) as other:
        assert (await other.post(link, {**form, "verdict": "approve"})).status == 403  # no cookie at all
        await other.get(await here.link(number, BEN))
        assert (await other.post(link, {**form, "verdict": "approve"})).status == 403  # a cookie of their own
    elsewhere = await here.link(number, BEN)
    assert (await person.post(elsewhere, {**form, "verdict": "approve"})).status == 403  # on another's link
    assert await answers_of(here) == []


async def test_a_link_that_is_not_ours_tells_nothing(here: Site, person: Person) -> None:
    _, link = await asked(here)
    good = link.rpartition("/")[2]
    token, _, signature = good.partition(".")
    wrong = [
        f"{token}.{'A' * 22}",
        token,
        f"{token}.",
        f"{'0' * 20}.{signature}",
        f"{token}.{signature[:-1]}",
        f"{token}.{signature}x",
        f"{token.upper()}.{signature}",
        "style.css.x",
        "%00",
        "x" * 5000,
    ]
    pages = [await person.get(f"{here.url}/review/{each}") for each in wrong]
    assert {page.status for page in pages} == {404}
    assert len({page.html for page in pages}) == 1
    # Signed well, but no mail of a review: the same page.
    unknown = await person.get(f"{here.url}/review/{here.links.of('0' * 20)}")
    assert (unknown.status, unknown.html) == (404, pages[0].html)
    for place in ("/paper/0", "/paper/2", "/paper/x", "/paper/-1", "/page/1/9.png", "/page/9/1.png", "/change/1/1.png"):
        assert (await person.get(f"{link}{place}")).status == 404
    assert (await person.get(f"{link}?case=2")).status == 404
    assert (await person.get(f"{link}?case=x")).status == 404
    assert "Letter of October" not in pages[0].html


async def test_a_body_of_any_size_is_bounded(here: Site, person: Person) -> None:
    _, link = await asked(here)
    form = (await person.get(link)).form
    assert (await person.post(link, {**form, "verdict": "reject", "text": "x" * 70_000})).status == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(1000):
            yield b"x" * 1024

    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await person.post(link, endless(), headers=kind)).status == 413
    assert (await person.post(link, b"{}", headers={"Content-Type": "application/json"})).status == 415
    assert (await person.post(link, b"x=1&" * 5000, headers=kind)).status == 403
    assert (await person.post(link, b"\xff\x00=%zz&word=%ff", headers=kind)).status == 403
    assert await answers_of(here) == []


async def test_pages_cannot_be_framed_scripted_or_kept(here: Site, person: Person) -> None:
    _, link = await asked(here)
    pages = [
        await person.get(link),
        await person.get(f"{here.url}/review/nothing"),
        await person.get(f"{link}/paper/1"),
        await person.get(f"{link}/page/1/1.png"),
        await person.post(link, {}),
    ]
    for page in pages:
        policy = page.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script-src" not in policy
        assert page.headers["X-Frame-Options"] == "DENY"
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert page.headers["Referrer-Policy"] in {"same-origin", "no-referrer"}
        assert len(page.headers.getall("Content-Security-Policy")) == 1
    assert "form-action 'self'" in pages[0].headers["Content-Security-Policy"]
    assert "<script" not in pages[0].html
    assert " style=" not in pages[0].html
    [cookie] = pages[0].headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Path=/review" in cookie


HOSTILE = "<img src=x onerror=alert(1)>'\"`{{7*7}}{% raise %}&amp;\u202egnp.exe\x00"


async def test_html_in_any_field_is_shown_as_text(here: Site, person: Person) -> None:
    content = pdf("x")
    stored = await here.documents.put(content)
    finding = {"rule": HOSTILE, "pack": HOSTILE, "place": HOSTILE, "text": HOSTILE, "severity": HOSTILE}
    hostile = Content(
        "a" * 64,
        (
            Paper(HOSTILE, "application/pdf", len(content), stored.sha256),
            Paper("../../x.html\r\nX-Evil: 1", "text/html", len(content), stored.sha256),
        ),
        {HOSTILE: HOSTILE},
        text=HOSTILE,
        findings=(finding,),
    )
    number = await here.open(hostile, name=HOSTILE)
    link = await here.link(number, ANNA)
    page = await person.get(f"{link}?choose={HOSTILE[:20]}")
    assert page.status == 200
    assert "<img src=x" not in page.html
    assert page.html.count("&lt;img src=x onerror=alert(1)&gt;") >= 8
    assert "49" not in re.sub(r"&#\d+;|[0-9a-f]{20,}", "", page.html.partition("<main>")[2].partition("<form")[0])
    saved = await person.get(f"{link}/paper/2")
    assert saved.headers["Content-Type"] == "application/octet-stream"
    assert saved.headers["Content-Disposition"].startswith("attachment")
    assert "X-Evil" not in saved.headers
    await person.answers(link, "reject", HOSTILE)
    decided = await person.get(await here.link(number, BEN))
    assert "<img src=x" not in decided.html
    assert "&lt;img src=x" in decided.html
