"""Answer pages as reviewers, scanners and attackers meet them: real requests over the desk and a real database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from review_site import ANNA, BEN, CARL, LEGAL, Page, Person, Site, pdf, site

from millstream.audit.chain import verify
from millstream.review.model import Cancelled, Content, How, NewContent, Paper, Reassigned, State, Verdict
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


async def test_a_link_shows_the_question_and_a_form_answers_it(here: Site, person: Person) -> None:
    number, link = await asked(here)
    page = await person.get(link)
    assert page.status == 200
    for word in ("Letter of October", "Anna Ample", f"Review {number}", "C-1", "Ben Braun", "letter.pdf"):
        assert word in page.html
    assert (await here.review(number)).content.hash in page.html
    answered = await person.post(link, {**page.form, "verdict": "approve", "text": ""})
    assert answered.status == 303
    assert answered.headers["Location"] == f"./{link.rpartition('/')[2]}"
    after = await person.get(link)
    assert after.form == {}
    assert "You have answered: approved" in after.html
    [kept] = await answers_of(here)
    assert (kept["address"], kept["verdict"], kept["how"], kept["counted"]) == (ANNA, "approve", "page", True)
    assert (await verify(here.pool)).intact


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


async def test_both_buttons_pressed_count_once(here: Site, person: Person) -> None:
    number, link = await asked(here)
    form = (await person.get(link)).form
    chosen = ({"verdict": "approve"}, {"verdict": "reject", "text": "no"})
    pages = await asyncio.gather(*(person.post(link, {**form, **each}) for each in chosen))
    assert sorted(page.status for page in pages) == [303, 409]
    late = next(page for page in pages if page.status == 409)
    assert "did not count" in late.html
    assert [answer["counted"] for answer in await answers_of(here)].count(True) == 1
    twice = await person.post(link, [*form.items(), ("verdict", "approve"), ("verdict", "reject"), ("text", "both")])
    assert twice.status in {409, 422}
    assert (await here.review(number)).seats[0].version >= 1


async def test_a_replayed_form_is_told_who_decided_what_when(here: Site, person: Person) -> None:
    number, link = await asked(here)
    form = (await person.get(link)).form
    assert (await person.post(link, {**form, "verdict": "approve"})).status == 303
    await here.says(number, BEN, Verdict.APPROVE)
    replayed = await person.post(link, {**form, "verdict": "reject", "text": "changed my mind"})
    assert replayed.status == 409
    assert "Decided: approved by Ben Braun" in replayed.html
    assert re.search(r"20\d\d.*UTC", replayed.html)
    assert len(here.decisions) == 1
    last = (await answers_of(here))[-1]
    assert (last["counted"], last["why"], last["words"]) == (False, "decided", "changed my mind")


async def test_who_comes_after_the_decision_sees_it_and_no_form(here: Site, person: Person) -> None:
    number, _ = await asked(here)
    await here.says(number, ANNA, Verdict.REJECT, "the rate is <b>wrong</b>")
    page = await person.get(await here.link(number, CARL))
    assert page.status == 200
    assert page.form == {}
    assert "Decided: rejected by Anna Ample" in page.html
    assert "the rate is &lt;b&gt;wrong&lt;/b&gt;" in page.html


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


async def test_two_questions_in_two_windows_can_both_be_answered(here: Site, person: Person) -> None:
    one = await here.open(await here.letter("One"), ref="1")
    two = await here.open(await here.letter("Two"), ref="2")
    links = [await here.link(one, ANNA), await here.link(two, ANNA), await here.link(one, ANNA)]
    forms = [(await person.get(link)).form for link in links]
    for link, form in zip(links[:2], forms[:2], strict=True):
        assert (await person.post(link, {**form, "verdict": "approve"})).status == 303


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


@pytest.mark.parametrize("verdict", ["reject", "change"])
async def test_a_rejection_without_words_comes_back_with_what_was_chosen(
    here: Site, person: Person, verdict: str
) -> None:
    _, link = await asked(here)
    page = await person.answers(link, verdict, "   \r\n ")
    assert page.status == 422
    assert "Please write why" in page.html
    assert f'value="{verdict}" required checked' in page.html
    again = await person.post(link, {**page.form, "verdict": verdict, "text": "The date\r\nis wrong"})
    assert again.status == 303
    [kept] = await answers_of(here)
    assert (kept["verdict"], kept["words"]) == (verdict, "The date\nis wrong")


async def test_a_form_without_a_choice_or_with_too_many_words_comes_back(here: Site, person: Person) -> None:
    _, link = await asked(here)
    page = await person.answers(link, "", "<script>alert(1)</script>")
    assert page.status == 422
    assert "&lt;script&gt;alert(1)&lt;/script&gt;</textarea>" in page.html
    assert (await person.answers(link, "approve or else")).status == 422
    assert (await person.answers(link, "reject", "x" * 4001)).status == 422
    assert await answers_of(here) == []


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


async def test_documents_come_as_pdf_and_as_pictures(here: Site, person: Person) -> None:
    number = await here.open(await here.letter("First page", "Second page"))
    link = await here.link(number, ANNA)
    async with person.session.get(f"{link}/paper/1") as response:
        assert response.headers["Content-Type"] == "application/pdf"
        assert response.headers["Content-Disposition"] == "inline; filename*=UTF-8''letter.pdf"
        assert await response.read() == pdf("First page", "Second page")
    async with person.session.get(f"{link}/page/1/2.png") as response:
        assert response.headers["Content-Type"] == "image/png"
        assert (await response.read()).startswith(b"\x89PNG")
    page = await person.get(link)
    assert page.html.count('class="page"') == 2


async def test_a_document_that_is_lost_or_broken_leaves_the_page_whole(here: Site, person: Person) -> None:
    broken = await here.documents.put(b"%PDF-1.7 and no more")
    papers = (
        Paper("lost.pdf", "application/pdf", 9, "0" * 64),
        Paper("broken.pdf", "application/pdf", 20, broken.sha256),
        Paper("empty.txt", "text/plain", 0, "1" * 64),
    )
    number = await here.open(Content("b" * 64, papers))
    link = await here.link(number, ANNA)
    page = await person.get(link)
    assert page.status == 200
    assert "cannot be read now" in page.html
    assert "has no picture here" in page.html
    assert (await person.get(f"{link}/paper/1")).status == 503
    assert (await person.get(f"{link}/page/2/1.png")).status == 404
    assert page.form


async def test_new_content_takes_the_old_form_and_shows_what_changed(here: Site, person: Person) -> None:
    number = await here.open(await here.letter("Your rate is 2.5 %. It is good."))
    old = await here.link(number, ANNA)
    form = (await person.get(old)).form
    await here.apply(number, NewContent(await here.letter("Your rate is 3.5 %. It is good.")))
    late = await person.post(old, {**form, "verdict": "approve"})
    assert late.status == 409
    assert "what round 1 was about" in late.html
    assert "a mail of its own" in late.html
    assert late.form == {}
    new = await here.link(number, ANNA)
    assert new != old
    page = await person.get(new)
    assert "What changed since round 1" in page.html
    assert re.search(r"<del>[^<]*2\.5", page.html)
    assert re.search(r"<ins>[^<]*3\.5", page.html)
    async with person.session.get(f"{new}/change/1/1.png") as response:
        assert (await response.read()).startswith(b"\x89PNG")
    assert (await person.post(new, {**page.form, "verdict": "approve"})).status == 303
    assert [answer["why"] for answer in await answers_of(here)] == ["old_round", ""]


async def test_who_handed_a_question_on_answers_it_no_more(here: Site, person: Person) -> None:
    number, link = await asked(here)
    form = (await person.get(link)).form
    await here.apply(number, Reassigned(ANNA, LEGAL, ANNA))
    late = await person.post(link, {**form, "verdict": "approve"})
    assert late.status == 409
    assert f"It is now with {LEGAL}" in late.html
    assert (await person.get(f"{link}/paper/1")).status == 404
    assert "letter.pdf" not in late.html


async def test_a_question_taken_back_says_so(here: Site, person: Person) -> None:
    number, link = await asked(here)
    await here.apply(number, Cancelled("operator", "a mistake"))
    page = await person.get(link)
    assert "was taken back" in page.html
    assert page.form == {}


async def test_the_page_speaks_the_readers_language(here: Site, person: Person) -> None:
    number, _ = await asked(here)
    page = await person.get(await here.link(number, BEN))
    assert '<html lang="de">' in page.html
    assert "Bitte antworten Sie bis" in page.html
    missing = await person.get(f"{here.url}/review/x", **{"Accept-Language": "xx, fr-CA;q=0.8, en;q=0.1"})
    assert '<html lang="fr">' in missing.html


async def test_papers_of_policies_that_show_none_are_not_shown(pool: Pool, tmp_path: Path) -> None:
    async with site(pool, tmp_path, mail={"documents": "none"}) as here, Person(here.url) as person:
        number = await here.open(await here.letter())
        link = await here.link(number, ANNA)
        assert "letter.pdf" not in (await person.get(link)).html
        assert (await person.get(f"{link}/paper/1")).status == 404
        assert (await person.get(f"{link}/page/1/1.png")).status == 404


async def test_an_answer_by_page_names_the_delivery_that_carried_its_link(here: Site, person: Person) -> None:
    _, link = await asked(here)
    await person.answers(link, "approve")
    [row] = await here.rows("SELECT evidence, how FROM review_answer")
    assert row["evidence"]["delivery"] == link.rpartition("/")[2].partition(".")[0]
    assert row["how"] == How.PAGE


async def test_page_and_mail_in_the_same_second_count_once_each_person(here: Site, person: Person) -> None:
    for turn in range(8):
        number = await here.open(await here.letter(), ref=f"turn-{turn}")
        link = await here.link(number, ANNA)
        form = (await person.get(link)).form

        async def by_page(link: str = link, form: dict[str, str] = form) -> Page:
            return await person.post(link, {**form, "verdict": "approve"})

        page, mail = await asyncio.gather(by_page(), here.says(number, ANNA, Verdict.REJECT, "no"))
        assert (page.status == 303) == (mail.refusal is not None)
    rows = await here.rows("SELECT count(*) AS n FROM review_answer WHERE counted")
    assert rows[0]["n"] == 8
