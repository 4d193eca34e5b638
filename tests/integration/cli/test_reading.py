"""What mailboxes told, on the command line."""

import asyncio
import json

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


def test_exceptions_are_listed_with_customer_type_error_and_source(call, told, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute(
            "INSERT INTO event (kind, subject, payload, at, due_at, answered_at) VALUES "
            "('intake.rejected', 'consignment:7', %s, now() - interval '2 days', NULL, now()), "
            "('exstream.job_failed', 'exstream:bank/j-1', %s, now(), NULL, now()), "
            "('step.done', 'run:x', '{}', now(), NULL, now())",
            (
                json.dumps({"customer": "C-1", "type": "letter", "error": "line 2: no key", "source": "http crm"}),
                json.dumps({"type": "statement", "error": "EX003004S", "source": "job j-1"}),
            ),
        )
    rows = call("event", "list", "--exceptions", "--json").json
    assert [(row["kind"], row["customer"], row["type"], row["error"], row["source"]) for row in rows] == [
        ("exstream.job_failed", None, "statement", "EX003004S", "job j-1"),
        ("intake.rejected", "C-1", "letter", "line 2: no key", "http crm"),
    ]
    assert [row["kind"] for row in call("event", "list", "--exceptions", "--days", "1", "--json").json] == [
        rows[0]["kind"]
    ]
    assert [row["kind"] for row in call("event", "list", "--kind", "step.", "--json").json] == ["step.done"]
    assert len(call("event", "list", "--all", "--json").json) == 4
    assert len(call("event", "list", "--all", "--most", "1", "--json").json) == 1
    assert [row["kind"] for row in call("event", "list", "--json").json] == ["a.b"]
    table = call("event", "list", "--exceptions").out
    assert "line 2: no key" in table
    assert call("event", "list", "--kind", "nothing.").out == "nothing of that kind happened\n"
    shown = call("event", "show", str(rows[1]["id"]), "--json").json
    assert (shown["subject"], shown["payload"]["customer"]) == ("consignment:7", "C-1")
    assert "line 2: no key" in call("event", "show", str(rows[1]["id"])).out
    assert call("event", "show", "999").code == 1


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
