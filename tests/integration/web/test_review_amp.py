"""Answers given inside the mail: taken from Gmail alone, for our own mails, by a POST, once, for what was seen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from review_site import ANNA, BEN, CARL, Person, Site, site

from millstream.review.model import NewContent, State, Verdict
from millstream.storage.pool import Pool
from millstream.web import AmpDoor

SENDER = "reviews@bank.example"


@pytest.fixture
async def here(pool: Pool, tmp_path: Path) -> AsyncIterator[Site]:
    door = AmpDoor(frozenset({SENDER}))
    async with site(pool, tmp_path, amp=door, rules={"one_click": True, "reason_required": True}) as one:
        yield one


@pytest.fixture
async def gmail(here: Site) -> AsyncIterator[Person]:
    """Gmail's servers: no cookies."""
    async with Person(here.url) as one:
        yield one


V2 = {"AMP-Email-Sender": SENDER, "Origin": "", "Sec-Fetch-Site": ""}
V1 = {"Origin": "https://mail.google.com", "Sec-Fetch-Site": ""}


async def form_of(here: Site, number: int, verdict: str = "approve", text: str = "") -> dict[str, str]:
    review = await here.review(number)
    return {"choose": verdict, "text": text, "round": str(review.round), "hash": review.content.hash}


async def opened(here: Site) -> tuple[int, str]:
    number = await here.open(await here.letter())
    return number, await here.link(number, ANNA)


async def verdicts(here: Site, number: int) -> dict[str, Verdict]:
    review = await here.review(number)
    return {seat.address: seat.answered.verdict for seat in review.seats if seat.answered}


@pytest.mark.parametrize("kind", ["urlencoded", "multipart"])
async def test_a_form_in_the_mail_answers_once(here: Site, gmail: Person, kind: str) -> None:
    number, link = await opened(here)
    fields: Any = await form_of(here, number)
    if kind == "multipart":
        written = aiohttp.FormData(default_to_multipart=True)
        for name, value in fields.items():
            written.add_field(name, value)
        fields = written
    page = await gmail.post(f"{link}/amp", fields, headers=V2)
    assert page.status == 200
    assert page.headers["AMP-Email-Allow-Sender"] == SENDER
    assert "approved" in page.html
    assert await verdicts(here, number) == {ANNA: Verdict.APPROVE}
    again = await gmail.post(f"{link}/amp", await form_of(here, number, "reject", "no"), headers=V2)
    assert (again.status, again.headers["AMP-Email-Allow-Sender"]) == (409, SENDER)
    assert await verdicts(here, number) == {ANNA: Verdict.APPROVE}


async def test_gmails_older_way_of_asking_is_answered_with_its_headers(here: Site, gmail: Person) -> None:
    number, link = await opened(here)
    page = await gmail.post(f"{link}/amp?__amp_source_origin={SENDER}", await form_of(here, number), headers=V1)
    assert page.status == 200
    assert page.headers["Access-Control-Allow-Origin"] == "https://mail.google.com"
    assert page.headers["AMP-Access-Control-Allow-Source-Origin"] == SENDER
    assert page.headers["Access-Control-Expose-Headers"] == "AMP-Access-Control-Allow-Source-Origin"


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        ("", {"Origin": "", "Sec-Fetch-Site": ""}),
        ("", {"Origin": "https://mail.google.com"}),
        ("", {**V2, "AMP-Email-Sender": "other@bank.example"}),
        ("", {**V2, "AMP-Email-Sender": "*"}),
        (f"?__amp_source_origin={SENDER}", {"Origin": "https://evil.example"}),
        (f"?__amp_source_origin={SENDER}", {"Origin": ""}),
        ("?__amp_source_origin=evil@evil.example", {**V2, "Origin": "https://mail.google.com"}),
        ("?__amp_source_origin=evil@evil.example", V1),
    ],
)
async def test_who_does_not_come_from_a_mail_of_ours_decides_nothing(
    here: Site, gmail: Person, query: str, headers: dict[str, str]
) -> None:
    number, link = await opened(here)
    page = await gmail.post(f"{link}/amp{query}", await form_of(here, number), headers=headers)
    assert page.status == 403
    assert "Access-Control-Allow-Origin" not in page.headers
    assert "AMP-Email-Allow-Sender" not in page.headers
    assert await verdicts(here, number) == {}


@pytest.mark.parametrize("verb", ["GET", "HEAD", "OPTIONS", "PUT"])
async def test_nothing_but_a_post_is_taken(here: Site, gmail: Person, verb: str) -> None:
    number, link = await opened(here)
    fields = await form_of(here, number)
    page = await gmail.get(f"{link}/amp?choose=approve&round=1&hash={fields['hash']}", verb=verb, **V2)
    assert page.status == 405
    assert await verdicts(here, number) == {}


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"hash": "0" * 64}, 409),
        ({"hash": ""}, 409),
        ({"round": "2"}, 409),
        ({"choose": "maybe"}, 422),
        ({"choose": ""}, 422),
        ({"choose": "reject"}, 422),  # and no reason
        ({"text": "x" * 5_000}, 422),
    ],
)
async def test_a_form_for_something_else_or_without_an_answer_decides_nothing(
    here: Site, gmail: Person, change: dict[str, str], status: int
) -> None:
    number, link = await opened(here)
    page = await gmail.post(f"{link}/amp", {**await form_of(here, number), **change}, headers=V2)
    assert page.status == status
    assert page.headers["AMP-Email-Allow-Sender"] == SENDER
    assert await verdicts(here, number) == {}


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "application/json", 415),
        (b"x" * 70_000, "application/x-www-form-urlencoded", 413),
        (b"--x\r\nrubbish", "multipart/form-data; boundary=x", 409),
        (b"rubbish", "multipart/form-data", 422),
        (b"&".join(b"a%d=1" % n for n in range(99)), "application/x-www-form-urlencoded", 422),
        (b"\xff\x00=%zz", "application/x-www-form-urlencoded", 409),
        (b"", "application/x-www-form-urlencoded", 409),
    ],
)
async def test_rubbish_decides_nothing(here: Site, gmail: Person, body: bytes, kind: str, status: int) -> None:
    number, link = await opened(here)
    page = await gmail.post(f"{link}/amp", body, headers={**V2, "Content-Type": kind})
    assert page.status == status
    assert await verdicts(here, number) == {}


async def test_a_link_that_is_none_of_ours_is_not_known(here: Site, gmail: Person) -> None:
    number, link = await opened(here)
    page = await gmail.post(f"{link[:-3]}abc/amp", await form_of(here, number), headers=V2)
    assert page.status == 404


async def test_new_content_takes_no_answer_that_was_written_for_the_old(here: Site, gmail: Person) -> None:
    number, link = await opened(here)
    old = await form_of(here, number)
    await here.says(number, BEN, Verdict.CHANGE, "the rate")
    await here.apply(number, NewContent(await here.letter("A better rate.")))
    assert (await gmail.post(f"{link}/amp", old, headers=V2)).status == 409
    newer = await form_of(here, number)
    assert (await gmail.post(f"{link}/amp", newer, headers=V2)).status == 409


async def test_what_needs_a_sign_in_or_no_such_form_is_not_answered_in_a_mail(pool: Pool, tmp_path: Path) -> None:
    door = AmpDoor(frozenset({SENDER}))
    async with site(pool, tmp_path, amp=door) as one, Person(one.url) as gmail:
        number, link = await opened(one)
        assert (await gmail.post(f"{link}/amp", await form_of(one, number), headers=V2)).status == 404


async def test_without_amp_there_is_no_such_address(pool: Pool, tmp_path: Path) -> None:
    async with site(pool, tmp_path, rules={"one_click": True}) as one, Person(one.url) as gmail:
        number, link = await opened(one)
        assert (await gmail.post(f"{link}/amp", await form_of(one, number), headers=V2)).status == 404


async def test_two_at_once_count_once_and_the_quorum_is_reached_by_two_people(here: Site, gmail: Person) -> None:
    number, link = await opened(here)
    fields = await form_of(here, number)
    pages = await asyncio.gather(*(gmail.post(f"{link}/amp", fields, headers=V2) for _ in range(5)))
    assert sorted(page.status for page in pages) == [200, 409, 409, 409, 409]
    other = await here.link(number, CARL)
    assert (await gmail.post(f"{other}/amp", fields, headers=V2)).status == 200
    assert (await here.review(number)).state is State.APPROVED
