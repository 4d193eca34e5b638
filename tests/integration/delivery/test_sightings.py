"""What mailboxes tell about deliveries: marks, take-backs, and what a forged word does, which is nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sighting_desk import ANNA, S1, S2, Office

from millstream.delivery.sightings import KINDS

NAMES = [kind.removeprefix("sighting.") for kind in KINDS]
DEAD = {"status": "5.1.1", "address_is_bad": True, "diagnostic": "550 5.1.1 no such user", "recipient": ANNA}


@pytest.mark.parametrize("kind", ["bounced_hard", "bounced_soft", "delayed", "limit_notice"])
async def test_a_forged_word_changes_nothing(office: Office, kind: str) -> None:
    token = await office.accepted(thread_id="T")
    before = await office.everything()
    await office.tell(kind, token, proven=False, thread_id="T", **DEAD)
    await office.tell(kind, token, proven="yes", thread_id="T", **DEAD)
    assert await office.everything() == before
    assert await office.raised("delivery.bounced") == []


@pytest.mark.parametrize("kind", ["replied", "auto_replied"])
async def test_a_reply_is_marked_whoever_wrote_it(office: Office, kind: str) -> None:
    token = await office.accepted()
    await office.tell(kind, token, proven=False, reply="Thank you!")
    assert (await office.delivery(token))["sighted"] == [kind]


async def test_marks_are_another_axis_than_the_disposition(office: Office) -> None:
    token = await office.accepted()
    before = await office.delivery(token)
    for kind in NAMES:
        if kind != "limit_notice":
            await office.tell(kind, token)
            await office.tell(kind, token)
    after = await office.delivery(token)
    assert after.pop("sighted") == [kind for kind in NAMES if kind != "limit_notice"]
    before.pop("sighted")
    assert after == before
    trail = await office.trail(f"delivery:{token}")
    assert trail[1:] == [f"delivery.{kind}" for kind in NAMES if kind != "limit_notice"]


@pytest.mark.parametrize("kind", NAMES)
async def test_an_event_that_is_answered_twice_does_nothing_more(office: Office, kind: str) -> None:
    token = await office.accepted(thread_id="T")
    await office.tell(kind, token, thread_id="T", **DEAD)
    once = await office.everything()
    raised = await office.raised("delivery.bounced")
    await office.answer_again()
    assert await office.everything() == once
    assert await office.raised("delivery.bounced") == raised


async def test_events_about_nothing_of_ours_are_answered_and_change_nothing(office: Office) -> None:
    await office.accepted(thread_id="T")
    before = await office.everything()
    for kind in KINDS:
        await office.event(kind, "delivery:0000", {"proven": True, "mailbox": S1, "thread_id": "T"})
        await office.event(kind, "mailbox:s1@bank.example", {"proven": True})
        await office.event(kind, "delivery:", {})
    await office.event("sighting.request", "delivery:0000", {})
    await office.answer()
    assert await office.everything() == before
    assert await office.failing() == []
    assert await office.rows("SELECT id FROM event WHERE answered_at IS NULL") == []


async def test_a_payload_of_rubbish_is_put_off_and_harms_no_other(office: Office) -> None:
    token = await office.accepted()
    await office.event("sighting.bounced_hard", f"delivery:{token}", {"proven": True, "received_at": "yesterday"})
    await office.tell("replied", token)
    assert (await office.delivery(token))["sighted"] == ["replied"]
    assert len(await office.failing()) == 1


# Bounces


async def test_a_hard_bounce_of_a_dead_address_suppresses_it_in_its_stream(office: Office) -> None:
    token = await office.accepted(stream="invoices")
    await office.tell("bounced_hard", token, **DEAD)
    [entry] = await office.suppressions.list()
    assert (entry["stream"], entry["address"], entry["reason"]) == ("invoices", ANNA.lower(), "bounced_hard")
    assert entry["subject"] == f"delivery:{token}"
    assert "no such user" in entry["detail"]
    assert await office.trail(f"address:{ANNA.lower()}") == ["suppression.added"]


async def test_a_hard_bounce_tells_other_rooms_what_they_need(office: Office) -> None:
    token = await office.accepted()
    await office.tell("bounced_hard", token, remote_mta="mx.example.org", **DEAD)
    [told] = await office.raised("delivery.bounced")
    assert (
        told.items()
        >= {
            "delivery": token,
            "run": "october",
            "customer": "C-1",
            "type": "statement",
            "stream": "statements",
            "address": ANNA,
            "bounce": "hard",
            "status": "5.1.1",
            "remote_mta": "mx.example.org",
            "suppressed": True,
        }.items()
    )


async def test_a_message_that_was_refused_suppresses_no_address(office: Office) -> None:
    token = await office.accepted()
    await office.tell("bounced_hard", token, status="5.7.1", diagnostic="looks like spam")
    assert (await office.delivery(token))["sighted"] == ["bounced_hard"]
    assert await office.suppressed() == []
    [told] = await office.raised("delivery.bounced")
    assert told["suppressed"] is False


async def test_a_word_on_an_address_behind_ours_suppresses_not_ours(office: Office) -> None:
    token = await office.accepted()
    await office.tell("bounced_hard", token, **DEAD | {"recipient": "anna@elsewhere.example"})
    assert (await office.delivery(token))["sighted"] == ["bounced_hard"]
    assert await office.suppressed() == []


async def test_a_dead_address_is_suppressed_though_a_refusal_came_first(office: Office) -> None:
    token = await office.accepted()
    await office.tell("bounced_hard", token, status="5.7.1")
    await office.tell("bounced_hard", token, **DEAD)
    assert len(await office.suppressed()) == 1
    assert [told["suppressed"] for told in await office.raised("delivery.bounced")] == [False, True]


async def test_what_a_person_suppressed_stays_as_it_is(office: Office) -> None:
    await office.suppressions.add(ANNA, stream="statements", why="asked by phone", actor="ada")
    await office.tell("bounced_hard", await office.accepted(), **DEAD)
    assert await office.suppressed() == [("statements", ANNA.lower(), "person")]


async def test_soft_bounces_in_a_row_suppress_an_address(office: Office) -> None:
    for day in (3, 2):
        await office.tell("bounced_soft", await office.accepted(ago=timedelta(days=day)), status="4.2.2")
    assert await office.suppressed() == []
    assert await office.raised("delivery.bounced") == []
    await office.tell("bounced_soft", await office.accepted(), status="4.2.2")
    assert await office.suppressed() == [("statements", ANNA.lower(), "bounced_soft")]
    assert [told["suppressed"] for told in await office.raised("delivery.bounced")] == [True]


async def test_refusals_in_a_row_suppress_as_soft_bounces_do(office: Office) -> None:
    for day in (3, 2, 1):
        await office.tell("bounced_hard", await office.accepted(ago=timedelta(days=day)), status="5.7.1")
    assert await office.suppressed() == [("statements", ANNA.lower(), "bounced_hard")]


async def test_a_delivery_in_between_that_did_not_bounce_breaks_the_row(office: Office) -> None:
    for day in (5, 4):
        await office.tell("bounced_soft", await office.accepted(ago=timedelta(days=day)))
    await office.accepted(ago=timedelta(days=3))
    for day in (2, 1):
        await office.tell("bounced_soft", await office.accepted(ago=timedelta(days=day)))
    assert await office.suppressed() == []


async def test_a_delivery_after_the_last_bounce_does_not_break_the_row_yet(office: Office) -> None:
    """It may bounce still: servers try for days."""
    tokens = [await office.accepted(ago=timedelta(days=day)) for day in (4, 3, 2)]
    await office.accepted()
    for token in tokens:
        await office.tell("bounced_soft", token)
    assert len(await office.suppressed()) == 1


async def test_one_delivery_that_bounces_again_and_again_is_one_bounce(office: Office) -> None:
    token = await office.accepted()
    for _ in range(5):
        await office.tell("bounced_soft", token)
    assert await office.suppressed() == []


@pytest.mark.parametrize(
    ("columns", "facts"),
    [
        ({"stream": "invoices"}, {}),
        ({"address": "ben@example.org"}, {}),
        ({}, {"proven": False}),
        ({}, {"received_at": (datetime.now(UTC) - timedelta(days=31)).isoformat()}),
    ],
    ids=["another stream", "another address", "forged", "long ago"],
)
async def test_a_bounce_does_not_count_for_the_row(
    office: Office, columns: dict[str, Any], facts: dict[str, Any]
) -> None:
    for _ in range(2):
        await office.tell("bounced_soft", await office.accepted())
    await office.tell("bounced_soft", await office.accepted(**{"ago": timedelta(hours=2), **columns}), **facts)
    assert await office.suppressed() == []


async def test_bounces_before_a_person_forgave_them_do_not_count(office: Office) -> None:
    for _ in range(3):
        await office.tell("bounced_soft", await office.accepted(ago=timedelta(hours=1)))
    await office.suppressions.remove(ANNA, stream=None, why="the mailbox was full", actor="ada")
    for _ in range(2):
        await office.tell("bounced_soft", await office.accepted(ago=timedelta(minutes=5)))
        assert await office.suppressed() == []
    await office.tell("bounced_soft", await office.accepted(ago=timedelta(minutes=1)))
    assert len(await office.suppressed()) == 1


# The limit notice


async def test_a_limit_notice_takes_an_acceptance_back_and_parks_the_mailbox(office: Office) -> None:
    token = await office.accepted(thread_id="T", rfc822_id="x@mail.example")
    before = await office.delivery(token)
    await office.tell("limit_notice", token, thread_id="T", message_id="n-9")
    after = await office.delivery(token)
    assert (after["disposition"], after["reason"], after["version"]) == (
        "queued",
        "limit_notice",
        before["version"] + 1,
    )
    assert [after[name] for name in ("mailbox", "epoch", "thread_id", "message_id", "rfc822_id", "accepted_at")] == [
        None
    ] * 6
    assert S1 in after["detail"]
    [attempt] = await office.runs.attempts(after["id"])
    assert (attempt["kind"], attempt["outcome"], attempt["effect"], attempt["evidence"], attempt["number"]) == (
        ("notice", "limit_notice", "no", "n-9", after["version"])
    )
    [lane] = await office.rows("SELECT state, reason, until FROM lane WHERE mailbox = %(mailbox)s", mailbox=S1)
    assert (lane["state"], lane["reason"]) == ("parked", "limit_notice")
    assert timedelta(hours=23) < lane["until"] - datetime.now(UTC) <= timedelta(hours=24)
    assert (await office.trail(f"delivery:{token}"))[1:] == ["delivery.limit_notice", "delivery.queued"]
    assert await office.trail(f"lane:{S1}") == ["lane.parked"]


async def test_a_limit_notice_is_no_bounce(office: Office) -> None:
    for _ in range(4):
        token = await office.accepted(thread_id="T")
        await office.tell("limit_notice", token, thread_id="T", **DEAD)
    assert await office.suppressed() == []
    assert await office.raised("delivery.bounced") == []


async def test_a_second_notice_about_a_send_changes_nothing_more(office: Office) -> None:
    token = await office.accepted(thread_id="T")
    await office.tell("limit_notice", token, thread_id="T")
    await office.lanes.set_state(S1, "open", reason=None, actor="ada")
    once = await office.everything()
    await office.tell("limit_notice", token, thread_id="T")
    assert await office.everything() == once


@pytest.mark.parametrize(
    "columns",
    [
        {"mailbox": S2, "thread_id": "T"},
        {"thread_id": "another", "ago": timedelta(minutes=-5)},
        {"disposition": "drafted", "draft_id": "r-1", "message_id": None, "accepted_at": None, "thread_id": "T"},
        {"disposition": "failed", "reason": "gave_up", "mailbox": None, "epoch": None, "thread_id": "T"},
    ],
    ids=["sent by another mailbox", "accepted after the notice", "not sent", "failed"],
)
async def test_a_limit_notice_takes_nothing_back_that_it_is_not_about(office: Office, columns: dict[str, Any]) -> None:
    token = await office.accepted(**columns)
    before = await office.delivery(token)
    await office.tell("limit_notice", token, thread_id="T")
    after = await office.delivery(token)
    assert after.pop("sighted") == ["limit_notice"]
    before.pop("sighted")
    assert after == before
    assert [row["state"] for row in await office.lanes.lanes()] == ["open", "open"]
    assert await office.failing() == []


async def test_an_acceptance_before_the_notice_is_taken_back_without_its_thread(office: Office) -> None:
    token = await office.accepted(thread_id="another")
    await office.tell("limit_notice", token)
    assert (await office.delivery(token))["disposition"] == "queued"


@pytest.mark.parametrize("disposition", ["sending", "uncertain"])
async def test_a_notice_in_the_thread_of_a_send_under_way_settles_it(office: Office, disposition: str) -> None:
    token = await office.accepted(
        disposition=disposition,
        draft_id="r-1",
        message_id=None,
        accepted_at=None,
        thread_id="T",
        uncertain_since=datetime.now(UTC),
    )
    await office.tell("limit_notice", token, thread_id="T")
    after = await office.delivery(token)
    assert (after["disposition"], after["draft_id"], after["uncertain_since"]) == ("queued", None, None)


async def test_a_notice_waits_for_a_send_that_no_thread_names(office: Office) -> None:
    token = await office.accepted(
        disposition="sending", draft_id=None, message_id=None, accepted_at=None, thread_id=None
    )
    await office.tell("limit_notice", token, thread_id="T")
    assert (await office.delivery(token))["sighted"] == []
    [failure] = await office.failing()
    assert "not settled" in failure
    await office.rows(
        "UPDATE delivery SET disposition = 'accepted', message_id = 'm', thread_id = 'T', accepted_at = now() "
        "WHERE token = %(token)s RETURNING 1",
        token=token,
    )
    await office.rows("UPDATE event SET due_at = now() WHERE answered_at IS NULL RETURNING 1")
    await office.answer()
    assert (await office.delivery(token))["disposition"] == "queued"


@pytest.mark.parametrize(
    ("state", "reason", "until", "then"),
    [
        ("paused", "by ada", None, "by ada"),
        ("parked", "mail_sending", timedelta(days=3), "mail_sending"),
        ("parked", "token_dead", timedelta(minutes=10), "token_dead"),
        ("parked", "day_budget", None, "day_budget"),
        ("parked", "day_budget", timedelta(minutes=10), "limit_notice"),
        ("parked", "token_dead", timedelta(minutes=-10), "limit_notice"),
    ],
)
async def test_a_park_does_not_end_what_holds_longer(
    office: Office, state: str, reason: str, until: timedelta | None, then: str
) -> None:
    token = await office.accepted(thread_id="T")
    await office.rows(
        "UPDATE lane SET state = %(state)s, reason = %(reason)s, until = %(until)s WHERE mailbox = %(mailbox)s "
        "RETURNING 1",
        mailbox=S1,
        state=state,
        reason=reason,
        until=until and datetime.now(UTC) + until,
    )
    await office.tell("limit_notice", token, thread_id="T")
    [lane] = await office.rows("SELECT state, reason FROM lane WHERE mailbox = %(mailbox)s", mailbox=S1)
    assert (lane["state"], lane["reason"]) == (state, then)
    assert (await office.delivery(token))["disposition"] == "queued"


async def test_an_old_notice_takes_back_and_parks_no_more(office: Office) -> None:
    token = await office.accepted(thread_id="T", ago=timedelta(days=3))
    then = datetime.now(UTC) - timedelta(days=2)
    await office.tell("limit_notice", token, thread_id="T", received_at=then.isoformat())
    assert (await office.delivery(token))["disposition"] == "queued"
    assert [row["state"] for row in await office.lanes.lanes()] == ["open", "open"]
