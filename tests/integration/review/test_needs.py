"""What a communication that people must see first is from its very first moment."""

from dataclasses import replace

import pytest

from millstream.communication.model import (
    Communication,
    Document,
    Finding,
    Inlined,
    LetterHints,
    Mode,
    Need,
    Policy,
    Recipient,
)
from millstream.communication.store import RunStore
from millstream.storage.pool import Pool

LETTER = Communication(
    key="letters/1",
    type="regulatory_letter",
    customer="C-1",
    recipient=Recipient("customer-1@mail.example", "Customer 1"),
    subject="Your terms change",
    text="Your terms change on 1 January.",
    html=None,
    locale="en-GB",
    stream="letters",
    source_hash="0" * 64,
)
FINDING = Finding("withdrawal clause", "letters-de", "document 'letter.pdf'", "the clause is missing")


@pytest.fixture
async def runs(pool: Pool) -> RunStore:
    return RunStore(pool)


async def _add(runs: RunStore, communication: Communication) -> None:
    run = await runs.open_run("letters", pool="default", mode=Mode.DRAFT, policy=Policy(), source="test")
    await runs.add(run, [communication])


async def test_what_needs_a_review_is_held_with_its_findings_in_one_moment(runs: RunStore, pool: Pool) -> None:
    paper = Document("letter.pdf", "application/pdf", 4, "1" * 64)
    needs = (Need("compliance", "compliance", (FINDING,), (paper,)), Need("business", "approval"))
    await _add(runs, replace(LETTER, needs=needs))
    [found] = await runs.search("letters/1")
    assert (found["disposition"], found["reason"]) == ("held", "review")
    assert "compliance, business" in found["detail"]
    async with pool.connection() as conn:
        holds = await (
            await conn.execute("SELECT policy, gate, findings, papers, state FROM hold ORDER BY id")
        ).fetchall()
    assert [(hold["policy"], hold["gate"], hold["state"]) for hold in holds] == [
        ("compliance", "compliance", "waiting"),
        ("business", "approval", "waiting"),
    ]
    assert Finding.from_json(holds[0]["findings"][0]) == FINDING
    assert holds[0]["papers"] == [paper.to_json()]


async def test_what_needs_nobody_is_queued_and_nothing_waits_for_it(runs: RunStore, pool: Pool) -> None:
    await _add(runs, LETTER)
    [found] = await runs.search("letters/1")
    assert found["disposition"] == "queued"
    async with pool.connection() as conn:
        assert await (await conn.execute("SELECT 1 FROM hold")).fetchone() is None
        row = await (await conn.execute("SELECT letter, replaces FROM communication")).fetchone()
    assert row == {"letter": None, "replaces": None}


async def test_a_letter_of_a_conversation_keeps_its_place_and_its_mailbox(runs: RunStore, pool: Pool) -> None:
    hints = LetterHints(
        inline=(Inlined("page", "page-1.png", "image/png", "2" * 64),),
        references=("<one@mail.example>",),
        thread_id="18f0",
        only_from="review@bank.example",
    )
    await _add(runs, replace(LETTER, letter=hints, replaces="letters/0"))
    async with pool.connection() as conn:
        row = await (
            await conn.execute("SELECT c.letter, c.replaces, d.only_from FROM communication c, delivery d")
        ).fetchone()
    assert row is not None
    assert LetterHints.from_json(row["letter"]) == hints
    assert (row["replaces"], row["only_from"]) == ("letters/0", "review@bank.example")


def test_a_picture_in_the_body_is_part_of_what_was_decided_on() -> None:
    pictured = replace(LETTER, letter=LetterHints(inline=(Inlined("page", "a.png", "image/png", "2" * 64),)))
    other = replace(LETTER, letter=LetterHints(inline=(Inlined("page", "a.png", "image/png", "3" * 64),)))
    threaded = replace(LETTER, letter=LetterHints(references=("<one@mail.example>",)))
    assert len({LETTER.content_hash, pictured.content_hash, other.content_hash}) == 3
    assert threaded.content_hash == LETTER.content_hash
