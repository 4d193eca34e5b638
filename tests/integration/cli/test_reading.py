"""What mailboxes told, on the command line."""

import asyncio

import psycopg
import pytest


@pytest.fixture
def told(call, database_url: str) -> None:
    """A mailbox that told a bounce and holds a message that could not be read."""
    assert call("mailbox", "list").code == 0
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO sighting (mailbox, message_id, kind, sender, title, reply) "
            "VALUES ('a@bank.example', 'm1', 'request', 'anna@customer.test', 'A copy', 'Please send it again.')"
        )
        conn.execute(
            "INSERT INTO quarantine (mailbox, message_id, problem, size) "
            "VALUES ('a@bank.example', 'm2', 'it has no header fields', 12)"
        )
        conn.execute(
            "INSERT INTO event (kind, subject, due_at, failure, tries) VALUES ('a.b', 'x:1', NULL, 'ValueError: no', 8)"
        )


def test_the_list_tells_how_reading_goes(call, told) -> None:
    rows = {row["mailbox"]: row for row in call("mailbox", "list", "--json").json}
    assert rows["a@bank.example"]["quarantined"] == 1
    assert rows["a@bank.example"]["reading"]["phase"] == "new"
    assert rows["c@bank.example"]["roles"] == "sender"


def test_a_mailbox_is_shown_with_what_it_told(call, told) -> None:
    shown = call("mailbox", "show", "A@bank.example", "--json").json
    assert shown["told"] == {"request": 1}
    assert [each["reply"] for each in shown["sightings"]] == ["Please send it again."]
    assert call("mailbox", "show", "a@bank.example", "--kind", "replied", "--json").json["sightings"] == []
    assert "Please send it again." in call("mailbox", "show", "a@bank.example").out


def test_quarantine_is_listed_and_cleared_with_a_reason(call, told) -> None:
    [row] = call("mailbox", "quarantine", "--json").json
    assert (row["message_id"], row["problem"]) == ("m2", "it has no header fields")
    assert call("mailbox", "quarantine", "--clear", "m2").code == 2
    assert call("mailbox", "quarantine", "a@bank.example", "--clear", "m2", "--why", "answered by phone").code == 0
    assert call("mailbox", "quarantine").out == "nothing is in quarantine\n"
    again = call("mailbox", "quarantine", "a@bank.example", "--clear", "m2", "--why", "twice")
    assert again.code == 1


def test_a_mailbox_is_listed_anew(call, told) -> None:
    assert call("mailbox", "reread", "a@bank.example", "--days", "3", "--json").json["mailbox"] == "a@bank.example"
    wrong = call("mailbox", "reread", "nobody@bank.example")
    assert wrong.code == 1
    assert "`millstream mailbox list`" in wrong.err


def test_events_that_were_put_aside_are_listed_and_tried_again(call, told) -> None:
    [row] = call("event", "list", "--json").json
    assert (row["kind"], row["failure"]) == ("a.b", "ValueError: no")
    assert call("event", "retry", "--json").json == {"events": 1}
    assert call("event", "list").out == "no event was put aside\n"


def test_the_web_server_takes_no_push_that_nobody_vouches_for(call) -> None:
    answered = call("web", "--port", "0")
    assert answered.code == 2
    assert "push.audience" in answered.err


def test_push_settings_are_checked(start, folder) -> None:
    (folder / "wrong.toml").write_text('[push]\nsubscription = "projects/p/subscriptions/s"\n', encoding="utf-8")

    async def ended() -> tuple[int | None, bytes]:
        async with start("--config", str(folder / "wrong.toml"), "config", "show") as child:
            _, err = await asyncio.wait_for(child.communicate(), 30)
            return child.returncode, err

    code, err = asyncio.run(ended())
    assert code == 2
    assert b"subscription needs topic" in err
