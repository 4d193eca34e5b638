"""`millstream communication`: find, show, settle."""

import psycopg
import pytest


@pytest.fixture
def submitted(call, driver) -> None:
    """A run of three."""
    assert call("run", "submit", driver(3)).code == 0


def _uncertain(database_url: str) -> str:
    """Make one delivery uncertain, as a lost reply and no evidence would; answers its token."""
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO lane (mailbox, pool) VALUES ('a@bank.example', 'default')")
        row = connection.execute(
            "UPDATE delivery SET disposition = 'uncertain', mailbox = 'a@bank.example', epoch = 1, draft_id = 'r-1', "
            "due_at = NULL, uncertain_since = now(), reason = 'no_evidence' "
            "WHERE id = (SELECT min(id) FROM delivery) RETURNING token"
        ).fetchone()
    assert row is not None
    return str(row[0])


def test_one_is_found_by_customer_address_and_key(call, submitted) -> None:
    for text in ("C-2", "customer-2@example.com", "2025-10/0002"):
        [found] = call("communication", "find", text, "--json").json
        assert found["key"] == "2025-10/0002"
    assert call("communication", "find", "C-2").out.splitlines()[0].split()[:3] == ["run", "key", "customer"]


def test_nothing_found_is_an_answer(call, submitted) -> None:
    answered = call("communication", "find", "C-99")
    assert (answered.code, answered.out) == (0, "nothing is known of 'C-99'\n")


def test_one_is_shown_with_its_attempts_and_its_trail(call, submitted) -> None:
    shown = call("communication", "show", "C-1")
    assert shown.code == 0
    assert "delivery.queued" in shown.out
    told = call("communication", "show", "C-1", "--json").json
    assert told.keys() >= {"key", "content_hash", "token", "disposition", "sighted", "attempts", "sightings", "audit"}
    assert [entry["kind"] for entry in told["audit"]] == ["delivery.queued"]
    assert (told["attempts"], told["sightings"], told["sighted"]) == ([], [], [])


def test_what_happened_to_one_is_told_in_the_order_of_time(call, submitted, database_url) -> None:
    [found] = call("communication", "find", "C-1", "--json").json
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO mailbox (address) VALUES ('a@bank.example')")
        connection.execute(
            "INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect, units, bytes, at) "
            "SELECT id, 1, 'a@bank.example', 1, 'send', 'ok', 'yes', 100, 2048, now() + interval '1 minute' "
            "FROM delivery WHERE token = %s",
            (found["token"],),
        )
        for minutes, kind, proven, report, reply in (
            (2, "bounced_hard", True, '[{"status": "5.1.1", "diagnostic": "550 no\\nsuch user"}]', None),
            (3, "replied", False, None, "Thank you. " * 100),
        ):
            connection.execute(
                "INSERT INTO sighting (mailbox, message_id, kind, subject, mapped_by, proven, report, reply, at, "
                "received_at) VALUES ('a@bank.example', %s, %s, %s, 'thread', %s, %s, %s, "
                "now() + make_interval(mins => %s), '2026-11-23 20:00:00+00')",
                (f"m-{minutes}", kind, f"delivery:{found['token']}", proven, report, reply, minutes),
            )
    told = call("communication", "show", "C-1", "--json").json
    assert [each["kind"] for each in told["sightings"]] == ["bounced_hard", "replied"]
    assert told["sightings"][0].keys() >= {
        "at",
        "received_at",
        "mapped_by",
        "proven",
        "report",
        "mailbox",
        "message_id",
    }
    shown = call("communication", "show", "C-1").out
    table = shown[shown.index("what") :].splitlines()[1:]
    assert [line[21:].split("  ")[0] for line in table] == [
        "delivery.queued",
        "send: ok",
        "sighted: bounced_hard",
        "sighted: replied",
    ]
    assert "5.1.1 550 no such user; received 2026-11-23 20:00:00; by thread; proven; message m-2" in table[2]
    assert "not proven" in table[3]
    assert len(table[3]) < 400


def test_showing_what_is_not_there_fails(call) -> None:
    answered = call("communication", "show", "C-99")
    assert answered.code == 1
    assert "nothing is known of 'C-99'" in answered.err


def test_showing_what_is_there_twice_asks_which(call, submitted, driver) -> None:
    call("run", "submit", driver(3), "--key", "another")
    answered = call("communication", "show", "C-1")
    assert answered.code == 2
    assert "add --run" in answered.err
    assert call("communication", "show", "C-1", "--run", "another").code == 0


@pytest.mark.parametrize(("option", "disposition"), [("--sent", "accepted"), ("--not-sent", "queued")])
def test_a_person_settles_what_evidence_could_not(call, submitted, database_url, option, disposition) -> None:
    token = _uncertain(database_url)
    settled = call("communication", "settle", token, option, "--why", "the customer called", "--as", "ada", "--json")
    assert settled.json == {"token": token, "disposition": disposition}
    trail = call("communication", "show", token, "--json").json["audit"]
    assert (trail[-1]["actor"], trail[-1]["kind"]) == ("ada", f"delivery.{disposition}")


def test_what_is_not_uncertain_cannot_be_settled(call, submitted) -> None:
    [found] = call("communication", "find", "C-1", "--json").json
    answered = call("communication", "settle", found["token"], "--sent", "--why", "x")
    assert answered.code == 1
    assert "no uncertain delivery has the token" in answered.err


def test_a_decision_without_a_reason_is_wrong_usage(call) -> None:
    assert call("communication", "settle", "token", "--sent").code == 2
    assert call("communication", "settle", "token", "--why", "x").code == 2
