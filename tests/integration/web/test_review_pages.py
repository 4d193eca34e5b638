"""Answer pages as reviewers, scanners and attackers meet them: real requests over the desk and a real database."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from review_site import ANNA, BEN, CARL, LEGAL, Page, Person, Site, pdf, site

from hostile_pdf import pdf_of
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


async def test_a_forbidden_word_stands_out_on_the_page(here: Site, person: Person) -> None:
    found = {"rule": "promises", "place": "page 1", "text": "we offer a **guaranteed <b>** return", "severity": "error"}
    number = await here.open(replace(await here.letter(), findings=(found,)))
    page = await person.get(await here.link(number, ANNA))
    assert "we offer a <mark>guaranteed &lt;b&gt;</mark> return</q>" in page.html


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


async def test_two_questions_in_two_windows_can_both_be_answered(here: Site, person: Person) -> None:
    one = await here.open(await here.letter("One"), ref="1")
    two = await here.open(await here.letter("Two"), ref="2")
    links = [await here.link(one, ANNA), await here.link(two, ANNA), await here.link(one, ANNA)]
    forms = [(await person.get(link)).form for link in links]
    for link, form in zip(links[:2], forms[:2], strict=True):
        assert (await person.post(link, {**form, "verdict": "approve"})).status == 303


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


@pytest.mark.parametrize("blank", [0, 1], ids=["on its first page", "on its second page"])
async def test_a_hostile_document_leaves_the_page_whole(pool: Pool, tmp_path: Path, blank: int) -> None:
    async with site(pool, tmp_path / "here", patience=1.5) as here, Person(here.url) as person:
        hostile, usual = pdf_of("x", levels=12, before=blank), pdf("Dear customer")
        stored = [await here.documents.put(content) for content in (hostile, usual)]
        names = ("hostile.pdf", "usual.pdf")
        papers = tuple(
            Paper(name, "application/pdf", each.size, each.sha256) for name, each in zip(names, stored, strict=True)
        )
        number = await here.open(Content("b" * 64, papers))
        link = await here.link(number, ANNA)
        page = await person.get(link)
        assert page.status == 200
        async with person.session.get(f"{link}/page/1/{1 + blank}.png") as response:
            assert response.headers["Content-Type"] == "image/svg+xml"
            assert "has no picture here" in await response.text()
        async with person.session.get(f"{link}/page/2/1.png") as response:
            assert (await response.read()).startswith(b"\x89PNG")
        assert (await person.get(link)).html.count("has no picture here") == 1
        assert (await person.post(link, {**page.form, "verdict": "approve"})).status == 303


async def test_a_hostile_new_round_is_not_shown_as_if_all_text_were_gone(pool: Pool, tmp_path: Path) -> None:
    async with site(pool, tmp_path / "here", patience=1.5) as here, Person(here.url) as person:
        number = await here.open(await here.letter("Your rate is 2.5 %."))
        hostile = await here.documents.put(pdf_of("x", levels=12))
        paper = Paper("letter.pdf", "application/pdf", hostile.size, hostile.sha256)
        await here.apply(number, NewContent(Content("c" * 64, (paper,))))
        page = await person.get(await here.link(number, ANNA))
        assert page.status == 200
        assert "letter.pdf: The document cannot be read now" in page.html
        assert not re.search(r"<del>[^<]*rate", page.html)
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


async def bundled(here: Site, count: int = 3) -> tuple[list[int], str]:
    """Several questions in one mail; answers their numbers, and Anna's link."""
    numbers = [await here.open(await here.letter(f"Letter {n}"), ref=f"b{n}", name=f"Letter {n}") for n in range(count)]
    link = await here.link(numbers[0], ANNA)
    for place, number in enumerate(numbers[1:], 2):
        await here.rows(
            "INSERT INTO review_mail_case (mail_id, number, review_id, round, seat_id) "
            "SELECT c.mail_id, %s, s.review_id, s.round, s.id FROM review_seat s, review_mail_case c "
            "JOIN review_mail m ON m.id = c.mail_id "
            "WHERE c.review_id = %s AND m.address = s.address AND s.review_id = %s AND s.address = %s RETURNING 1",
            place,
            numbers[0],
            number,
            ANNA,
        )
    return numbers, link


async def test_a_mail_about_several_cases_is_answered_case_by_case(here: Site, person: Person) -> None:
    numbers, link = await bundled(here)
    page = await person.get(link)
    assert [f"?case={n}" in page.html for n in (1, 2, 3)] == [True] * 3
    one = await person.get(f"{link}?case=2")
    assert "Letter 1" in one.html
    answered = await person.post(f"{link}?case=2", {**one.form, "verdict": "reject", "text": "this one is wrong"})
    assert answered.headers["Location"].endswith("?case=2")
    other = await person.post(f"{link}?case=1", {**one.form, "verdict": "approve"})
    assert other.status == 403  # a form is for its own case
    states = [(await here.review(number)).state for number in numbers]
    assert states == [State.OPEN, State.REJECTED, State.OPEN]
    assert (await person.get(f"{link}?case=4")).status == 404
    assert (await person.get(f"{link}/paper/1")).status == 404
    assert (await person.get(f"{link}/paper/1?case=3")).status == 200


async def test_one_form_answers_all_open_cases_of_a_mail(here: Site, person: Person) -> None:
    numbers, link = await bundled(here)
    await here.says(numbers[1], ANNA)
    page = await person.get(link)
    assert "One answer for the 2 open cases" in page.html
    wordless = await person.post(link, {**page.form, "verdict": "reject"})
    assert wordless.status == 422
    done = await person.post(link, {**page.form, "verdict": "approve"})
    assert done.status == 303
    assert [answer["how"] for answer in await answers_of(here)] == ["mail", "page", "page"]
    again = await person.post(link, {**page.form, "verdict": "reject", "text": "no"})
    assert again.status == 409
    assert len(await answers_of(here)) == 3


async def test_one_form_for_all_answers_none_that_is_not_as_it_was_shown(here: Site, person: Person) -> None:
    numbers, link = await bundled(here)
    form = (await person.get(link)).form
    await here.apply(numbers[2], NewContent(await here.letter("Another letter")))
    assert (await person.post(link, {**form, "verdict": "approve"})).status == 409
    assert (await person.post(link, {"word": "A" * 22, "verdict": "approve"})).status == 409
    async with Person(here.url) as other:
        assert (await other.post(link, {**form, "verdict": "approve"})).status == 403
    assert await answers_of(here) == []
