"""What the outbox of reviews sends, as its readers find it."""

import asyncio
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
import typst
from letters_desk import ANNA, BASE, BEN, R1, LettersDesk, body

from millstream.review.model import Paper

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
