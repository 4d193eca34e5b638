"""What bounces and answers say of messages that left by the relay, and of those whose reply was lost there."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sighting_desk import ANNA, S1, Office, Said

from millstream.app.reading import Finder
from millstream.delivery.mapping import Found, find
from millstream.delivery.verp import Verp

VERP = Verp(b"a secret of thirty-two bytes ....")
LANE = f"relay:{S1}"
OURS = {"rfc822_id": "m.0123@bank.example", "mailbox": LANE, "thread_id": None, "message_id": None}


def tag(token: str, verp: Verp = VERP) -> str:
    return verp.sender_of("bounces@bank.example", token).partition("+")[2].partition("@")[0]


async def relay_lane(office: Office) -> None:
    await office.rows("INSERT INTO lane (mailbox, pool) VALUES (%(lane)s, 'default') RETURNING 1", lane=LANE)


async def unclear(office: Office, **columns: Any) -> str:
    """A delivery whose reply was lost an hour ago, and that a person is to decide on."""
    await relay_lane(office)
    since = datetime.now(UTC) - timedelta(hours=1)
    changes = {"disposition": "uncertain", "accepted_at": None, "uncertain_since": since, "due_at": None}
    return await office.accepted(**OURS | changes | columns)


async def found(office: Office, **clues: Any) -> Found | None:
    finder = Finder(office.pool, VERP)
    return await finder(mailbox="bounces@bank.example", thread_id="", clues=Tagged(**clues), at=datetime.now(UTC))


class Tagged(Said):
    """Clues with tags."""

    def __init__(self, *, tags: tuple[str, ...] = (), **clues: Any) -> None:
        super().__init__(**clues)
        object.__setattr__(self, "tags", tags)


async def test_a_signed_envelope_sender_is_the_strongest_clue(office: Office) -> None:
    meant, other = await office.accepted(ANNA), await office.accepted("ben@example.org", thread_id="T")
    async with office.pool.connection() as conn:
        said = Said(returned_token=other)
        got = await find(conn, mailbox=S1, thread_id="T", clues=said, at=datetime.now(UTC), envelope_token=meant)
    assert got == Found(meant, ANNA, "envelope")
    assert await found(office, tags=("news", tag(meant))) == Found(meant, ANNA, "envelope")


async def test_a_forged_envelope_sender_names_nothing(office: Office) -> None:
    token, other = await office.accepted(), await office.accepted("ben@example.org")
    mine, his = tag(token), tag(other)
    for forged in (
        tag(token, Verp(b"a secret of somebody else's making")),
        f"b-{token}-{his[-12:]}",
        f"b-{token}",
        token,
        f"{mine}x",
        mine.replace("b-", "c-"),
    ):
        assert await found(office, tags=(forged,)) is None
    assert await found(office, tags=(mine.upper(),)) == Found(token, ANNA, "envelope")


async def test_the_guess_by_recipient_knows_the_relay_lane_of_its_mailbox(office: Office) -> None:
    await relay_lane(office)
    token = await office.accepted(mailbox=LANE)
    async with office.pool.connection() as conn:
        got = await find(conn, mailbox=S1, thread_id="", clues=Said(recipients=[ANNA]), at=datetime.now(UTC))
    assert got == Found(token, ANNA, "recipient")


@pytest.mark.parametrize("kind", ["bounced_hard", "bounced_soft", "delayed", "replied", "auto_replied"])
@pytest.mark.parametrize("how", ["envelope", "header", "message_id", "reply_token"])
async def test_a_proven_word_settles_a_lost_reply_as_accepted(office: Office, kind: str, how: str) -> None:
    token = await unclear(office)
    await office.tell(kind, token, mapped_by=how)
    row = await office.delivery(token)
    assert (row["disposition"], row["message_id"], row["sighted"], row["reason"], row["due_at"]) == (
        "accepted", "m.0123@bank.example", [kind], None, None)  # fmt: skip
    assert row["accepted_at"] < datetime.now(UTC) - timedelta(minutes=59)
    assert await office.trail(f"delivery:{token}") == ["delivery.queued", f"delivery.{kind}", "delivery.accepted"]
    [attempt] = await office.rows("SELECT * FROM attempt")
    assert (attempt["mailbox"], attempt["kind"], attempt["outcome"], attempt["effect"]) == (
        LANE, "probe", "sighting", "yes")  # fmt: skip
    once = await office.everything()
    await office.answer_again()
    assert await office.everything() == once


async def test_a_bounce_that_settles_counts_for_its_run_as_any_other(office: Office) -> None:
    token = await unclear(office)
    dead = {"status": "5.1.1", "address_is_bad": True, "recipient": ANNA}
    await office.tell("bounced_hard", token, mapped_by="envelope", **dead)
    assert [entry[1] for entry in await office.suppressed()] == [ANNA.lower()]
    [raised] = await office.raised("delivery.bounced")
    assert raised["delivery"] == token


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("bounced_hard", {"proven": False, "mapped_by": "envelope"}),
        ("delayed", {"proven": False, "mapped_by": "header"}),
        ("replied", {"proven": False, "mapped_by": "reply_token"}),
        ("bounced_hard", {"proven": True, "mapped_by": "recipient"}),
        ("limit_notice", {"proven": True, "mapped_by": "thread"}),
    ],
)
async def test_what_is_not_proven_or_only_guessed_settles_nothing(
    office: Office, kind: str, facts: dict[str, Any]
) -> None:
    token = await unclear(office)
    await office.tell(kind, token, **facts)
    assert (await office.delivery(token))["disposition"] == "uncertain"


async def test_what_waits_to_be_sent_again_is_not_when_its_first_copy_bounces(office: Office) -> None:
    await relay_lane(office)
    token = await office.accepted(
        **OURS | {
            "disposition": "queued", "mailbox": None, "epoch": None, "accepted_at": None, "only_road": "relay",
            "repeats": 1, "due_at": datetime.now(UTC) + timedelta(minutes=1),
        }
    )  # fmt: skip
    await office.rows(
        "INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect) "
        "SELECT id, 0, %(lane)s, 7, 'send', 'reply_lost', 'unknown' FROM delivery WHERE token = %(token)s RETURNING 1",
        lane=LANE, token=token)  # fmt: skip
    await office.tell("bounced_soft", token, mapped_by="envelope")
    row = await office.delivery(token)
    assert (row["disposition"], row["mailbox"], row["epoch"], row["repeats"]) == ("accepted", LANE, 7, 1)


async def test_an_uncertain_delivery_of_the_api_is_left_to_its_own_evidence(office: Office) -> None:
    token = await office.accepted(
        disposition="uncertain", uncertain_since=datetime.now(UTC), accepted_at=None, message_id=None, rfc822_id="x@y"
    )
    await office.tell("bounced_hard", token, mapped_by="header")
    assert (await office.delivery(token))["disposition"] == "uncertain"
