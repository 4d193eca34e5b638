"""A message is mapped to its delivery by its strongest clue, and to none where no clue is strong enough."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sighting_desk import ANNA, S1, S2, Office, Said

from millstream.delivery.mapping import Found, find

BEN = "ben@example.org"


async def mapped(office: Office, said: Said, *, mailbox: str = S1, thread_id: str = "", **how: Any) -> Found | None:
    async with office.pool.connection() as conn:
        return await find(conn, mailbox=mailbox, thread_id=thread_id, clues=said, **{"at": datetime.now(UTC), **how})


@pytest.mark.parametrize("first", range(5))
async def test_clues_are_tried_in_the_order_of_their_strength(office: Office, first: int) -> None:
    """Five deliveries, each named by another clue of one message; the strongest that is left wins."""
    tokens = [
        await office.accepted("a@example.org", thread_id="T"),
        await office.accepted("b@example.org"),
        await office.accepted("c@example.org", rfc822_id="c1@mail.example"),
        await office.accepted("d@example.org"),
        await office.accepted("e@example.org", mailbox=S1 if first == 4 else S2),
    ]
    ways = ("thread", "header", "message_id", "reply_token", "recipient")
    said = Said(
        returned_token=tokens[1] if first <= 1 else None,
        original_message_ids=["<c1@mail.example>"] if first <= 2 else [],
        reply_token=tokens[3] if first <= 3 else None,
        recipients=["E@example.org"],
    )
    found = await mapped(office, said, thread_id="T" if first == 0 else "")
    assert found == Found(tokens[first], f"{'abcde'[first]}@example.org", ways[first])


async def test_a_thread_belongs_to_its_mailbox(office: Office) -> None:
    await office.accepted(thread_id="T", mailbox=S2)
    assert await mapped(office, Said(), thread_id="T") is None


async def test_in_a_thread_of_several_the_one_whose_address_failed_is_meant(office: Office) -> None:
    older = await office.accepted(ANNA, thread_id="T", ago=timedelta(hours=2))
    await office.accepted(BEN, thread_id="T")
    found = await mapped(office, Said(recipients=[ANNA.upper()]), thread_id="T")
    assert found is not None
    assert found.token == older


async def test_in_a_thread_of_several_the_newest_before_is_meant(office: Office) -> None:
    await office.accepted(ANNA, thread_id="T", ago=timedelta(hours=3))
    middle = await office.accepted(BEN, thread_id="T", ago=timedelta(hours=2))
    await office.accepted("cleo@example.org", thread_id="T", ago=timedelta(hours=1))
    found = await mapped(office, Said(), thread_id="T", at=datetime.now(UTC) - timedelta(hours=1.5))
    assert found is not None
    assert found.token == middle


async def test_a_thread_is_known_before_its_lane_could_write_the_acceptance(office: Office) -> None:
    token = await office.accepted(
        thread_id="T", disposition="sending", draft_id="r-1", message_id=None, accepted_at=None
    )
    assert await mapped(office, Said(), thread_id="T") == Found(token, ANNA, "thread")


async def test_a_message_without_a_thread_is_in_no_thread(office: Office) -> None:
    await office.accepted(thread_id="")
    assert await mapped(office, Said()) is None


@pytest.mark.parametrize("said", ["<x1@mail.example>", " x1@mail.example ", "x1@mail.example"])
async def test_a_message_id_is_known_with_and_without_brackets(office: Office, said: str) -> None:
    token = await office.accepted(rfc822_id="x1@mail.example")
    found = await mapped(office, Said(original_message_ids=["<other@mail.example>", said]), mailbox="desk@bank.example")
    assert found == Found(token, ANNA, "message_id")


async def test_a_token_that_was_never_ours_maps_to_nothing(office: Office) -> None:
    await office.accepted()
    stranger = Said(returned_token="0" * 20, reply_token="news", recipients=[ANNA])
    assert await mapped(office, stranger) is None


async def test_a_recipient_alone_is_believed_only_where_one_delivery_can_be_meant(office: Office) -> None:
    token = await office.accepted()
    assert await mapped(office, Said(recipients=[ANNA])) == Found(token, ANNA, "recipient")
    await office.accepted()
    assert await mapped(office, Said(recipients=[ANNA])) is None


async def test_several_recipients_with_a_delivery_each_are_ambiguous(office: Office) -> None:
    await office.accepted(ANNA)
    await office.accepted(BEN)
    assert await mapped(office, Said(recipients=[ANNA, BEN])) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"ago": timedelta(days=6)},
        {"ago": timedelta(hours=-1)},
        {"mailbox": S2},
        {"rfc822_id": "another@mail.example"},
    ],
    ids=["too old", "sent afterwards", "from another mailbox", "with another Message-ID"],
)
async def test_a_recipient_alone_is_not_believed_of_a_delivery(office: Office, columns: dict[str, Any]) -> None:
    await office.accepted(**columns)
    said = Said(recipients=[ANNA], original_message_ids=["this@mail.example"])
    assert await mapped(office, said) is None


async def test_a_recipient_counts_while_its_window_is_open(office: Office) -> None:
    token = await office.accepted(ago=timedelta(days=6))
    assert await mapped(office, Said(recipients=[ANNA]), window=timedelta(days=7)) == Found(token, ANNA, "recipient")


async def test_what_is_still_queued_is_meant_by_no_recipient(office: Office) -> None:
    await office.queued(ANNA)
    assert await mapped(office, Said(recipients=[ANNA])) is None


async def test_rubbish_maps_to_nothing_and_breaks_nothing(office: Office) -> None:
    await office.accepted()
    rubbish = "\x00'; DROP TABLE delivery; --\ud800"
    said = Said(rubbish, [rubbish, "", "<>", "< >"], rubbish, [rubbish, ""])
    assert await mapped(office, said, thread_id=rubbish) is None
    assert await mapped(office, Said(recipients=["x" * 10_000] * 1_000)) is None
