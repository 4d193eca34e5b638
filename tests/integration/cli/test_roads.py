"""Roads on the command line: what is refused, what is told, and what is frozen into a run."""

import json
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from millstream.app.doctor_relay import examine_relay
from millstream.config import load
from millstream.gmail.errors import Call
from millstream.gmail.relay import Facts
from millstream.gmail.relay.errors import TlsMissing

RELAY = """
[relay]
host = "127.0.0.1"
port = 1
unclear = "hold"
users = { default = ["a@bank.example", "b@bank.example"] }
"""


@pytest.fixture
def relay(folder):
    """The installation with a relay for its first pool; gives a way to write more of it."""
    path = folder / "millstream.toml"
    without = path.read_text()

    def written(text: str = RELAY, before: str = "") -> None:
        path.write_text(before + without + text, encoding="utf-8")

    written()
    return written


def policy_of(call, key: str = "october"):
    return call("run", "show", key, "--json").json["policy"]


def test_a_relay_without_a_word_on_lost_replies_is_refused_with_both_ways_explained(call, relay, driver) -> None:
    relay(RELAY.replace('unclear = "hold"\n', ""))
    answered = call("run", "submit", driver(1))
    assert answered.code == 2
    assert '"hold" lets a person decide' in answered.err
    assert '"again" sends it again under the same Message-ID' in answered.err


@pytest.mark.parametrize(("word", "settled"), [(None, "hold"), ("hold", "hold"), ("again", "again")])
def test_what_follows_a_lost_reply_is_frozen_into_the_run_and_told(call, relay, driver, word, settled) -> None:
    said = ["--unclear", word] if word else []
    answered = call("run", "submit", driver(2), "--road", "relay", *said)
    assert answered.code == 0
    assert {"hold": "a person decides", "again": "sent again under the same Message-ID"}[settled] in answered.out
    assert policy_of(call) == {"road": "relay", "unclear": settled}
    relay(RELAY.replace('"hold"', '"again"'))
    assert policy_of(call)["unclear"] == settled
    shown = call("run", "show", "october")
    assert "either road: 2 queued" in shown.out
    assert call("run", "show", "october", "--json").json["roads"] == ["relay"]


def test_a_run_by_the_api_says_nothing_about_roads(call, relay, driver) -> None:
    told = call("run", "submit", driver(1), "--json").json
    assert "roads" not in told
    assert policy_of(call) == {}
    assert "lost reply" not in call("run", "show", "october").out


def test_the_setting_says_the_road_of_a_run_that_does_not(call, relay, driver) -> None:
    relay(RELAY + '[delivery]\nroad = "both"\n')
    told = call("run", "submit", driver(1), "--json").json
    assert (told["roads"], told["unclear"]) == (["api", "relay"], "hold")


@pytest.mark.parametrize("road", ["relay", "both", "auto", "relay_then_api"])
def test_a_road_without_a_relay_is_wrong_usage(call, driver, road) -> None:
    answered = call("run", "submit", driver(1), "--road", road)
    assert answered.code == 2
    assert "set relay.host" in answered.err
    assert call("run", "list").out.startswith("no runs yet")


def test_a_pool_without_users_of_the_relay_is_wrong_usage(call, relay, driver) -> None:
    answered = call("run", "submit", driver(1), "--road", "relay", "--pool", "bulk")
    assert answered.code == 2
    assert "no users of the relay" in answered.err


def test_rules_give_each_message_its_road(call, relay, driver, folder, database_url) -> None:
    relay(RELAY + '[delivery]\nroad = "auto"\n')
    whole = {"type": "t", "customer": {"id": "C"}, "subject": "s", "recipient": {"address": "x@example.com"}}
    lines = [
        {**whole, "key": "secret", "text": "t", "sensitivity": "confidential"},
        {**whole, "key": "large", "text": "t" * 500_000},
        {**whole, "key": "small", "text": "t"},
    ]
    assert call("run", "submit", driver(0, *map(json.dumps, lines))).code in {0, 1}
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT c.key, d.only_road, c.sensitivity FROM delivery d JOIN communication c ON c.id = d.communication_id"
        ).fetchall()
    assert {row[0]: row[1:] for row in rows} == {
        "secret": ("api", "confidential"),
        "large": ("relay", "normal"),
        "small": (None, "normal"),
    }


def test_what_was_sent_again_is_listed_one_by_one(call, relay, driver, database_url) -> None:
    call("run", "submit", driver(3), "--road", "relay", "--unclear", "again")
    with psycopg.connect(database_url) as connection:
        connection.execute("INSERT INTO lane (mailbox, pool) VALUES ('relay:a@bank.example', 'default')")
        connection.execute(
            "UPDATE delivery SET repeats = 1, only_road = 'relay', rfc822_id = 'm.1@bank.example',"
            " disposition = 'accepted', mailbox = 'relay:a@bank.example', epoch = 1, message_id = 'm.1@bank.example',"
            " accepted_at = now() WHERE address = 'customer-2@example.com'"
        )
        connection.execute(
            "INSERT INTO attempt (delivery_id, number, mailbox, epoch, kind, outcome, effect)"
            " SELECT id, 1, mailbox, 1, 'send', 'reply_lost', 'unknown' FROM delivery WHERE repeats > 0"
        )
    [again] = call("run", "show", "october", "--json").json["sent_again"]
    assert (again["address"], again["message_id"]) == ("customer-2@example.com", "m.1@bank.example")
    assert again["lost_at"] <= again["accepted_at"]
    shown = call("run", "show", "october").out
    assert "sent again after a lost reply" in shown
    assert "relay: 1 accepted" in shown


def test_a_plan_compares_the_roads_and_says_what_each_promises(call, relay) -> None:
    answered = call("run", "plan", "100000")
    assert answered.code == 0
    rows = [line.split()[0] for line in answered.out.splitlines() if line.strip()]
    assert {"api", "relay", "mix"} <= set(rows)
    assert "before the message's final dot" in answered.out
    assert "what follows a lost reply: after a lost reply a person decides" in answered.out
    told = call("run", "plan", "100000", "--road", "both", "--json").json
    assert told["mix"]["api"] + told["mix"]["relay"] == 100_000
    assert told["mix"]["finish"] <= min(told["api"]["finish"], told["relay"]["finish"])
    assert told["unclear"] == "hold"


def test_a_plan_supposes_users_of_the_relay_and_says_that_lost_replies_are_open(call) -> None:
    answered = call("run", "plan", "100000", "--relay-users", "10", "--road", "relay")
    assert answered.code == 0
    assert "relay.unclear must say it" in answered.out
    assert call("run", "plan", "10", "--road", "relay").code == 2
    free = call("run", "plan", "1000000", "--relay-users", "1", "--unregistered", "--road", "relay", "--json").json
    assert free["deciding"] in {"relay_recipients_per_period", "per_lane", "connections"}


def test_mailboxes_have_a_line_for_each_road(call, relay) -> None:
    listed = [row["mailbox"] for row in call("mailbox", "list", "--json").json]
    assert {"a@bank.example", "relay:a@bank.example", "relay:b@bank.example"} <= set(listed)
    assert call("mailbox", "pause", "relay:a@bank.example").code == 0
    states = {row["mailbox"]: row["state"] for row in call("mailbox", "list", "--json").json}
    assert (states["relay:a@bank.example"], states["a@bank.example"]) == ("paused", "open")


class Spoken:
    """A relay that says of itself what a test wants; it stands where the network would."""

    def __init__(self, facts: Facts | Exception) -> None:
        self._facts = facts

    async def probe(self) -> Facts:
        if isinstance(self._facts, Exception):
            raise self._facts
        return self._facts

    async def close(self) -> None:
        """There is nothing to close."""


def facts(**changes) -> Facts:
    whole = {
        "extensions": frozenset({"PIPELINING", "8BITMIME", "SIZE"}),
        "size": 35_882_577,
        "tls": "TLSv1.3",
        "certificate_until": datetime.now(UTC) + timedelta(days=60),
        "banner": "220 relay",
    }
    return Facts(**(whole | changes))


async def found(folder, said: Facts | Exception) -> dict[str, tuple[bool, str]]:
    settings = load(folder / "millstream.toml")
    return {each.check: (each.ok, each.detail) async for each in examine_relay(settings, lambda _: Spoken(said))}


async def test_the_doctor_says_what_is_decided_about_lost_replies_and_what_the_relay_can(relay, folder) -> None:
    told = await found(folder, facts())
    assert all(ok for ok, _ in told.values())
    assert told["relay unclear"][1].startswith("hold: after a lost reply a person decides")
    assert "TLSv1.3" in told["relay 127.0.0.1:1"][1]
    assert (folder / "data" / "relay.key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("said", "check", "word"),
    [
        (TlsMissing(Call("smtp.connect", "relay", write=True)), "relay 127.0.0.1:1", "STARTTLS"),
        (facts(certificate_until=datetime.now(UTC) + timedelta(days=3)), "relay certificate", "renewed"),
        (facts(extensions=frozenset({"8BITMIME"})), "relay extensions", "PIPELINING is missing"),
        (facts(size=1_000_000), "relay extensions", "1,000,000 bytes"),
    ],
)
async def test_the_doctor_says_what_is_wrong_with_a_relay(relay, folder, said, check, word) -> None:
    ok, detail = (await found(folder, said))[check]
    assert not ok
    assert word in detail


async def test_the_doctor_warns_of_a_greeting_that_google_refuses_and_of_one_day_for_all(relay, folder) -> None:
    relay(RELAY + 'helo = "localhost"\nbounce_address = "a@bank.example"\n')
    told = await found(folder, facts())
    assert not told["relay greeting"][0]
    assert "421" in told["relay greeting"][1]
    assert not told["relay days"][0]


def test_a_relay_that_cannot_be_reached_is_told_and_fails(call, relay) -> None:
    answered = call("relay", "check")
    assert answered.code == 1
    assert "BAD  relay 127.0.0.1:1" in answered.out


def test_without_a_relay_there_is_nothing_to_check(call) -> None:
    assert call("relay", "check").out.startswith("no relay is set")
    assert call("relay", "check", "--json").json == []
