"""What the outbox of reviews sends, as its readers find it."""

import asyncio
import signal
import sys
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import typst
from letters_desk import ANNA, BASE, BEN, R1, LettersDesk, body
from PIL import Image

from hostile_pdf import pdf_of
from millstream.review.model import Paper
from millstream.storage.errors import StoreAway

FINDING = {
    "rule": "withdrawal clause",
    "pack": "letters-de",
    "place": "document 'letter.pdf', page 1",
    "text": "the clause is missing",
    "severity": "error",
}


@pytest.fixture
def pdf(tmp_path: Path) -> Any:
    def make(text: str) -> bytes:
        source = tmp_path / "letter.typ"
        source.write_text(f"#set page(width: 105mm, height: 148mm)\n{text}", encoding="utf-8")
        return typst.compile(source)

    return make


async def _letter(desk: LettersDesk, content: bytes, name: str = "letter.pdf") -> Paper:
    return await desk.paper(name, content)


def _attached(message: EmailMessage) -> list[str]:
    return [str(part.get_filename()) for part in message.iter_attachments()]


async def test_a_question_arrives_once_with_all_there_is_to_decide_on(
    desk: LettersDesk, pdf: Any, eventually: Any
) -> None:
    content = pdf("The fee is 10 EUR.")
    review = await desk.open(
        await _letter(desk, content),
        facts={"customer": "C-17", "amount": "10.00 EUR"},
        findings=(FINDING,),
        locale="en-GB",
    )
    number = await desk.put("ask", review)
    async with desk.working():
        [message] = await eventually(lambda: desk.inbox(ANNA), within=15)
        mail = await eventually(lambda: _kept(desk, number), within=10)
    assert message["Subject"] == f"Review {review}: Letter 7"
    assert message["Reply-To"].addresses[0].addr_spec == f"review+{mail['token']}@bank.example"
    assert message["To"].addresses[0].display_name == "Anna Ample"
    assert message["Message-ID"].strip("<>") == mail["rfc822_id"] == mail["delivered_as"]
    for part in (body(message, "plain"), body(message, "html")):
        assert "Tuesday, 1 December 2026, 17:30 (CET)" in part
        for said in (
            "C-17",
            "10.00 EUR",
            "withdrawal clause",
            "the clause is missing",
            "Ben Ample has not answered yet",
        ):
            assert said in part
        assert f"{BASE}/review/{mail['token']}.sealed" in part
        assert "answer.invalid" not in part
    for choice in ("approve", "reject", "change"):
        assert f'href="{BASE}/review/{mail["token"]}.sealed?choose={choice}"' in body(message, "html")
    assert _attached(message) == ["letter.pdf"]
    [attachment] = message.iter_attachments()
    assert attachment.get_content() == content
    picture = next(part for part in message.walk() if part["Content-ID"])
    assert f"cid:{picture['Content-ID'].strip('<>')}" in body(message, "html")
    assert picture.get_content().startswith(b"\x89PNG")
    kept = await desk.documents.get(mail["raw"])
    assert mail["token"].encode() in kept


async def _kept(desk: LettersDesk, number: int) -> dict[str, Any] | None:
    mail = await desk.mail(number)
    return mail if mail["raw"] else None


async def test_what_follows_stays_in_one_thread_at_both_ends(desk: LettersDesk, eventually: Any) -> None:
    review = await desk.open(name="Terms 2027")
    await desk.put("ask", review)
    await desk.put("ask", review, BEN)
    last = await desk.put("remind", review, n=1)
    await desk.put("question", review, why="unclear", words="hmm, perhaps")
    told = await desk.put("tell", review, BEN, what="withdrawn")
    async with desk.working():
        anna = await eventually(lambda: _some(desk, ANNA, 3), within=25)
        ben = await eventually(lambda: _some(desk, BEN, 2), within=15)
    for box in (anna, ben):
        assert len({message["X-Thread"] for message in box}) == 1
        assert [message["Subject"] for message in box][1:] == [f"Re: Review {review}: Terms 2027"] * (len(box) - 1)
        assert box[-1]["References"].split() == [message["Message-ID"] for message in box[:-1]]
    ours = {(await desk.mail(number))["thread_id"] for number in (last, told)}
    assert len(ours) == 2  # one thread a person in our mailbox too
    threads = await desk.rows("SELECT address, count(DISTINCT thread_id) AS n FROM delivery GROUP BY address")
    assert {row["address"]: row["n"] for row in threads} == {ANNA: 1, BEN: 1}
    assert "hmm, perhaps" in body(anna[2], "plain")


async def _some(desk: LettersDesk, address: str, count: int) -> list[EmailMessage] | None:
    found = await desk.inbox(address)
    return found if len(found) >= count else None


async def test_a_question_waits_for_no_other_person(desk: LettersDesk, eventually: Any) -> None:
    """What one reader's thread waits for keeps nobody else waiting."""
    review = await desk.open()
    stuck = await desk.put("ask", review, due_in=3_600)
    await desk.put("remind", review, n=1)
    await desk.put("ask", review, BEN)
    async with desk.working():
        await eventually(lambda: _some(desk, BEN, 1), within=15)
    assert await desk.inbox(ANNA) == []
    assert (await desk.mail(stuck))["token"] is None


@pytest.mark.parametrize("point", ["before_mail", "after_mail_before_note"])
async def test_a_death_between_outbox_and_delivery_sends_once(
    desk: LettersDesk, database_url: str, tmp_path: Path, eventually: Any, point: str
) -> None:
    number = await desk.put("ask", await desk.open())
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("killed_mailing.py")),
        database_url,
        str(tmp_path / "documents"),
        f"{point}:1",
    )
    assert await process.wait() == -signal.SIGKILL
    assert (await desk.mail(number))["token"] is None
    async with desk.working():
        await eventually(lambda: _kept(desk, number), within=15)
    assert len(await desk.inbox(ANNA)) == 1
    assert await desk.rows("SELECT count(*) AS n FROM delivery") == [{"n": 1}]


async def test_what_follows_after_a_kill_stays_in_the_readers_thread(
    desk: LettersDesk, database_url: str, tmp_path: Path, eventually: Any
) -> None:
    """Whoever fetched the question's Message-ID is killed, and for a while nobody works."""
    review = await desk.open()
    number = await desk.put("ask", review)
    async with desk.working(papers=False):
        [question] = await eventually(lambda: _some(desk, ANNA, 1), within=15)
        await eventually(lambda: _left(desk, number), within=10)
    assert (await desk.mail(number))["rfc822_id"] is None
    slow = {"point": "odd", "kind": "slow", "method": "messages.get", "delay": 30}
    async with desk.session.post(f"{desk.running.url}/sandbox/v1/faults", json=slow) as reply:
        assert reply.status == 200, await reply.text()
    script = str(Path(__file__).with_name("killed_papers.py"))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script, database_url, str(tmp_path / "documents"), desk.running.url, R1)
    )
    await eventually(lambda: _taken_up(desk, number), within=20)
    process.kill()
    assert await process.wait() == -signal.SIGKILL
    async with desk.session.delete(f"{desk.running.url}/sandbox/v1/faults") as reply:
        reply.raise_for_status()
    await desk.rows("UPDATE delivery SET accepted_at = accepted_at - interval '45 seconds'")
    await desk.rows("UPDATE review_mail SET paper_due_at = paper_due_at - interval '45 seconds'")
    await desk.put("remind", review, n=1)
    async with desk.working():
        [_, reminder] = await eventually(lambda: _some(desk, ANNA, 2), within=30)
    assert reminder["References"] == question["Message-ID"]
    assert reminder["X-Thread"] == question["X-Thread"]


async def test_after_an_outage_of_hours_a_question_still_comes_before_its_reminder(
    desk: LettersDesk, eventually: Any
) -> None:
    review = await desk.open()
    await desk.put("ask", review)
    await desk.put("remind", review, n=1)
    await desk.rows("UPDATE review_mail SET created_at = created_at - interval '3 hours'")
    async with desk.working():
        [question, reminder] = await eventually(lambda: _some(desk, ANNA, 2), within=30)
    assert question["References"] is None
    assert reminder["References"] == question["Message-ID"]


async def _left(desk: LettersDesk, number: int) -> bool:
    return (await desk.mail(number))["disposition"] == "accepted"


async def _taken_up(desk: LettersDesk, number: int) -> bool:
    [row] = await desk.rows("SELECT paper_due_at > now() AS later FROM review_mail WHERE id = %(m)s", m=number)
    return bool(row["later"])


async def test_two_processes_send_each_mail_once(desk: LettersDesk) -> None:
    review = await desk.open()
    for number in range(20):
        await desk.rows(
            "INSERT INTO review_seat (review_id, round, stage, address) VALUES (%(r)s, 1, 0, %(a)s)",
            r=review,
            a=f"p{number}@bank.example",
        )
        await desk.put("ask", review, f"p{number}@bank.example")
    await asyncio.gather(*(desk.mailing().send_due() for _ in range(3)))
    rows = await desk.rows("SELECT address, count(*) AS n FROM delivery GROUP BY address")
    assert len(rows) == 20
    assert {row["n"] for row in rows} == {1}


async def test_what_was_settled_before_it_left_is_not_asked(desk: LettersDesk) -> None:
    review = await desk.open()
    ask, told = await desk.put("ask", review), await desk.put("tell", review, BEN, what="withdrawn")
    await desk.rows("UPDATE review_seat SET state = 'closed'")
    await desk.mailing().send_due()
    for number in (ask, told):
        mail = await desk.mail(number)
        assert (mail["token"], mail["due_at"]) == (None, None)
        assert mail["failure"].startswith("not sent")
    assert await desk.rows("SELECT 1 FROM delivery") == []


async def test_a_new_round_shows_what_changed_beside_each_other(desk: LettersDesk, pdf: Any, eventually: Any) -> None:
    review = await desk.open(await _letter(desk, pdf("The fee is 10 EUR.")), facts={"version": "1"})
    await desk.put("ask", review)
    new = pdf("The fee is 12 EUR.")
    async with desk.working():
        await eventually(lambda: _some(desk, ANNA, 1), within=15)
        await desk.again(review, 2, await _letter(desk, new), facts={"version": "2"})
        await desk.put("ask", review, replaces_round=1)
        [_, message] = await eventually(lambda: _some(desk, ANNA, 2), within=15)
    assert "Page 1: [- 10 -] [+ 12 +]" in body(message, "plain")
    assert "Version: 1 → 2" in body(message, "plain")
    assert ">12</ins>" in body(message, "html")
    picture = next(part for part in message.walk() if part["Content-ID"])
    assert picture["Content-ID"] == "<beside@millstream>"
    with Image.open(BytesIO(picture.get_content())) as beside:
        assert beside.width == 2 * 640 + 16
    assert _attached(message) == ["letter.pdf"]


@pytest.mark.parametrize("content", [b"%PDF-1.7 broken", b"no pdf at all"])
async def test_a_broken_document_is_asked_about_without_a_picture(
    desk: LettersDesk, eventually: Any, content: bytes
) -> None:
    review = await desk.open(await _letter(desk, content))
    await desk.put("ask", review)
    async with desk.working():
        [message] = await eventually(lambda: _some(desk, ANNA, 1), within=15)
    assert "There is no picture of letter.pdf" in body(message, "plain")
    assert _attached(message) == ["letter.pdf"]


async def test_a_hostile_document_is_asked_about_without_a_picture_and_looked_at_once(
    desk: LettersDesk, pdf: Any, eventually: Any
) -> None:
    hostile = await desk.open(await _letter(desk, pdf_of("x", levels=12)))
    for person in (ANNA, BEN):
        await desk.put("ask", hostile, person)
    usual = await desk.open(await _letter(desk, pdf("The fee is 10 EUR."), "usual.pdf"))
    await desk.put("ask", usual)
    async with desk.working():
        questions = await eventually(lambda: _some(desk, ANNA, 2), within=60)
        [other] = await eventually(lambda: _some(desk, BEN, 1), within=5)
    by_name = {_attached(message)[0]: message for message in questions}
    for message in (by_name["letter.pdf"], other):
        told = " ".join(body(message, "plain").split())
        assert "There is no picture of letter.pdf: the PDF cannot be read: it" in told  # takes too long, or too much
        assert "?choose=approve" in body(message, "html")
        assert not any(part["Content-ID"] for part in message.walk())
    assert any(part["Content-ID"] for part in by_name["usual.pdf"].walk())


async def test_large_and_sensitive_documents_are_linked(desk: LettersDesk, pdf: Any, eventually: Any) -> None:
    content = pdf("Diagnosis: healthy.")
    small = {"terms": {"mail": {"attach_below": "1 KB"}}}
    secret = {"terms": {"mail": {"sensitive": {"types": ["medical_*"]}}}, "facts": {"type": "medical_letter"}}
    for more in (small, secret):
        await desk.put("ask", await desk.open(await _letter(desk, content), **more))
    async with desk.working():
        large, sensitive = await eventually(lambda: _some(desk, ANNA, 2), within=20)
    if "medical" in large["Subject"]:
        large, sensitive = sensitive, large
    for message in (large, sensitive):
        assert _attached(message) == []
        assert "To be seen on the page: letter.pdf" in body(message, "plain")
    assert any(part["Content-ID"] for part in large.walk())
    assert not any(part["Content-ID"] for part in sensitive.walk())


async def test_cases_of_one_policy_go_to_a_person_in_one_mail(desk: LettersDesk, eventually: Any) -> None:
    terms = {"terms": {"mail": {"bundle": {"most": 3, "within": "10m"}}}}
    reviews = [await desk.open(name=f"Case {letter}", **terms) for letter in "ABCD"]
    numbers = [await desk.put("ask", review, due_in=0 if review == reviews[0] else 600) for review in reviews]
    await desk.put("ask", reviews[1], BEN, due_in=600)
    async with desk.working():
        [message] = await eventually(lambda: _some(desk, ANNA, 1), within=15)
        await desk.put("tell", reviews[1], what="withdrawn")
        [_, told] = await eventually(lambda: _some(desk, ANNA, 2), within=15)
    assert message["Subject"] == "Review of 3 cases: letters"
    for number, name in enumerate("ABC", 1):
        assert f"Case {number}: Case {name}" in body(message, "plain")
    rows = await desk.rows(
        "SELECT number, review_id FROM review_mail_case WHERE mail_id = %(m)s ORDER BY number", m=numbers[0]
    )
    assert [(row["number"], row["review_id"]) for row in rows] == [(1, reviews[0]), (2, reviews[1]), (3, reviews[2])]
    assert told["Subject"] == "Re: Review of 3 cases: letters"
    assert told["X-Thread"] == message["X-Thread"]
    waiting = [await desk.mail(number) for number in numbers]
    assert [mail["kind"] for mail in waiting] == ["bundle", "ask", "ask", "ask"]
    assert [mail["due_at"] is None for mail in waiting] == [True, True, True, False]
    assert await desk.inbox(BEN) == []


async def test_a_bundle_that_is_full_waits_no_longer(desk: LettersDesk) -> None:
    terms = {"terms": {"mail": {"bundle": {"most": 2, "within": "10m"}}}}
    reviews = [await desk.open(name=f"Case {letter}", **terms) for letter in "ABCDE"]
    numbers = [await desk.put("ask", reviews[0], due_in=600)]
    mailing = desk.mailing()
    await mailing.send_due()
    assert (await desk.mail(numbers[0]))["token"] is None
    numbers += [await desk.put("ask", review, due_in=600) for review in reviews[1:]]
    await mailing.send_due()
    mails = [await desk.mail(number) for number in numbers]
    assert sorted(mail["kind"] for mail in mails if mail["token"]) == ["bundle", "bundle"]
    assert [mail["due_at"] is None for mail in mails].count(False) == 1
    cases = await desk.rows("SELECT mail_id, count(*) AS n FROM review_mail_case GROUP BY 1 ORDER BY 2")
    assert [row["n"] for row in cases] == [1, 2, 2]


async def test_a_mail_that_cannot_be_written_is_put_aside_in_the_end(desk: LettersDesk) -> None:
    review = await desk.open()
    number = await desk.put("ask", review)
    await desk.rows("UPDATE review SET terms = '{}'")
    mailing = desk.mailing(most_tries=2)
    for _ in range(2):
        await mailing.send_due()
        await desk.rows("UPDATE review_mail SET due_at = now() WHERE due_at IS NOT NULL")
    mail = await desk.mail(number)
    assert (mail["tries"], mail["due_at"], mail["token"]) == (2, None, None)
    assert "ValidationError" in mail["failure"]
    [event] = await desk.rows("SELECT subject, payload FROM event WHERE kind = 'review.mail_lost'")
    assert event["subject"] == f"review:{review}"
    assert {name: event["payload"][name] for name in ("mail", "kind", "address", "round")} == {
        "mail": number,
        "kind": "ask",
        "address": ANNA,
        "round": 1,
    }


class Away:
    """A document store that cannot be reached, until it is back."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.away = True

    async def get(self, sha256: str) -> bytes:
        if self.away:
            raise StoreAway("the bucket cannot be reached")
        found: bytes = await self._store.get(sha256)
        return found

    async def put(self, content: bytes) -> Any:
        return await self._store.put(content)


async def test_an_outage_of_the_document_store_costs_no_question(desk: LettersDesk, pdf: Any) -> None:
    number = await desk.put("ask", await desk.open(await _letter(desk, pdf("Hello"))))
    store = desk.documents = Away(desk.documents)  # type: ignore[assignment]  # what the outbox needs of it
    mailing = desk.mailing(most_tries=2)
    for _ in range(5):
        await mailing.send_due()
        await desk.rows("UPDATE review_mail SET due_at = now() WHERE due_at IS NOT NULL")
    assert (await desk.mail(number))["due_at"] is not None
    store.away = False
    await mailing.send_due()
    assert (await desk.mail(number))["token"] is not None


async def test_what_was_sent_and_asked_stands_in_the_audit_chain(desk: LettersDesk, eventually: Any) -> None:
    review = await desk.open()
    number = await desk.put("ask", review)
    async with desk.working():
        mail = await eventually(lambda: _kept(desk, number), within=15)
    rows = await desk.rows("SELECT kind, payload FROM audit WHERE subject = %(s)s ORDER BY seq", s=f"review:{review}")
    assert [row["kind"] for row in rows] == ["review.mailed", "review.paper"]
    assert mail["token"] in rows[0]["payload"]
    assert mail["raw"] in rows[1]["payload"]
