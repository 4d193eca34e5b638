"""`millstream run`: what it answers, and what it says about wrong usage."""

import asyncio
import json
import signal

import psycopg
import pytest
from psycopg.rows import scalar_row

from stuck_at import stuck_at


def test_a_driver_comes_in_as_a_run(call, driver) -> None:
    answered = call("run", "submit", driver(3))
    assert answered.code == 0
    assert "run october: 3 lines, 3 new (0 of them held), 0 unchanged, 0 rejected" in answered.out


def test_a_submit_answers_with_a_receipt(call, driver) -> None:
    receipt = call("run", "submit", driver(2), "--key", "2025-10", "--json").json
    counts = {name: value for name, value in receipt.items() if name != "seconds"}
    assert counts == {
        "run": "2025-10",
        "lines": 2,
        "new": 2,
        "unchanged": 0,
        "held": 0,
        "suppressed": 0,
        "rejected": 0,
        "conflicts": 0,
        "repeated": 0,
        "composed": 0,
        "problems": [],
    }


def test_a_second_submit_changes_nothing_and_says_so(call, driver) -> None:
    file = driver(3)
    call("run", "submit", file)
    again = call("run", "submit", file)
    assert again.code == 0
    assert "nothing changed: everything was in already" in again.out


def test_a_broken_line_is_named_and_the_others_are_in(call, driver) -> None:
    answered = call("run", "submit", driver(2, '{"key": "broken"'))
    assert answered.code == 1
    assert "2 new" in answered.out
    assert "line 3: " in answered.out


def test_a_driver_that_is_not_there_is_wrong_usage(call) -> None:
    answered = call("run", "submit", "nowhere.jsonl")
    assert answered.code == 2
    assert "'nowhere.jsonl' does not exist" in answered.err


def test_a_pool_without_mailboxes_is_wrong_usage(call, driver) -> None:
    answered = call("run", "submit", driver(1), "--pool", "blk")
    assert answered.code == 2
    assert "pool 'blk' has no mailboxes; senders.pools has default, bulk" in answered.err
    assert call("run", "list").out.startswith("no runs yet")


def test_a_password_rule_that_cannot_be_understood_is_wrong_usage(call, driver) -> None:
    assert call("run", "submit", driver(1), "--password", "{nobody.knows}").code == 2


def test_a_listing_is_a_table_for_people_and_json_for_pipes(call, driver) -> None:
    call("run", "submit", driver(2))
    head, row = call("run", "list").out.splitlines()
    assert head.split()[:5] == ["key", "state", "pool", "mode", "deliveries"]
    assert row.split()[:5] == ["october", "open", "default", "draft", "2"]
    [listed] = call("run", "list", "--json").json
    assert listed.keys() >= {"key", "state", "pool", "mode", "deliveries", "accepted", "held", "failed", "uncertain"}
    assert listed["deliveries"] == 2


def test_a_run_is_shown_with_what_waits_for_a_person(call, driver) -> None:
    held = {"key": "h", "type": "t", "customer": {"id": "C-9"}, "recipient": {"address": "nobody"}}
    call("run", "submit", driver(1, json.dumps({**held, "subject": "s", "text": "t"}), "no json"))
    shown = call("run", "show", "october")
    assert shown.code == 0
    assert "waiting for a person:" in shown.out
    assert "bad_recipient" in shown.out
    assert "lines put aside:" in shown.out
    told = call("run", "show", "october", "--json").json
    assert told["counts"] == {"held": 1, "queued": 1}
    assert [(each["key"], each["reason"]) for each in told["waiting"]] == [("h", "bad_recipient")]
    assert [each["line"] for each in told["rejects"]] == [3]


@pytest.mark.parametrize(("word", "share"), [("5%", 0.05), ("0.2", 0.2), ("none", 1.0), (" 7.5 % ", 0.075)])
def test_a_run_has_a_bounce_limit_of_its_own(call, driver, word, share) -> None:
    assert call("run", "submit", driver(1), "--bounce-limit", word).code == 0
    assert call("run", "show", "october", "--json").json["policy"] == {"bounce_limit": pytest.approx(share)}


@pytest.mark.parametrize("word", ["a few", "120%", "-1", "", "nan"])
def test_a_bounce_limit_that_is_no_share_is_wrong_usage(call, driver, word) -> None:
    answered = call("run", "submit", driver(1), "--bounce-limit", word)
    assert answered.code == 2
    assert "5%, 0.05 or none" in answered.err
    assert call("run", "list").out.startswith("no runs yet")


def test_a_run_that_paused_itself_says_why_and_what_was_sighted(call, driver, database_url) -> None:
    call("run", "submit", driver(3))
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE run SET state = 'paused', reason = '2 of 3 accepted deliveries bounced'")
        connection.execute("UPDATE delivery SET sighted = '{bounced_hard,replied}' WHERE id <> 1")
        connection.execute("UPDATE delivery SET sighted = '{bounced_soft,delayed}' WHERE id = 1")
    told = call("run", "show", "october", "--json").json
    assert (told["state"], told["reason"]) == ("paused", "2 of 3 accepted deliveries bounced")
    assert told["sighted"] == {"bounced_hard": 2, "bounced_soft": 1, "delayed": 1, "replied": 2}
    shown = call("run", "show", "october").out
    assert "2 of 3 accepted deliveries bounced" in shown
    assert "bounced hard" in shown
    [listed] = call("run", "list", "--json").json
    assert (listed["reason"], listed["bounced"]) == (told["reason"], 3)
    assert "2 of 3 accepted deliveries bounced" in call("run", "list").out
    call("run", "resume", "october")
    assert call("run", "show", "october", "--json").json["reason"] is None


@pytest.mark.parametrize("command", ["show", "pause", "resume", "cancel"])
def test_a_run_that_is_not_there_is_told_where_to_look(call, command) -> None:
    answered = call("run", command, "nothing")
    assert answered.code == 1
    assert answered.out == ""
    assert "`millstream run list`" in answered.err


def test_a_run_is_paused_resumed_and_cancelled_for_good(call, driver) -> None:
    call("run", "submit", driver(1))
    assert call("run", "pause", "october", "--as", "ada").out == "run october is paused\n"
    assert call("run", "resume", "october", "--json").json == {"run": "october", "state": "open"}
    assert call("run", "cancel", "october", "--json").json == {"run": "october", "state": "cancelled"}
    answered = call("run", "resume", "october")
    assert answered.code == 1
    assert "submit it under a new key" in answered.err


def test_a_retry_says_how_many_it_queued(call, driver) -> None:
    call("run", "submit", driver(1))
    assert call("run", "retry", "october", "--reason", "gave_up", "--json").json == {"run": "october", "queued": 0}
    assert call("run", "retry", "october").code == 2


def test_a_plan_names_the_limit_that_decides(call) -> None:
    answered = call("run", "plan", "1000000", "--mailboxes", "100")
    assert answered.code == 0
    assert answered.out.startswith("1,000,000 communications are done ")
    assert "deciding: " in answered.out
    assert "messages_per_day" in answered.out


def test_a_plan_as_json_has_figures_and_days(call) -> None:
    told = call("run", "plan", "3000", "--json").json
    assert told.keys() >= {"count", "start", "finish", "deciding", "sentence", "figures", "days"}
    assert (told["road"], told["relay"], told["mix"], told["unclear"]) == ("api", None, None, None)
    assert told["api"]["finish"] == told["finish"]
    assert told["figures"][0].keys() == {"name", "value", "per_second", "per_day", "alone"}
    assert sum(day["messages"] for day in told["days"]) == 3000


def test_a_plan_for_a_pool_without_mailboxes_says_what_to_do(call) -> None:
    answered = call("run", "plan", "10", "--pool", "none")
    assert answered.code == 2
    assert "--mailboxes" in answered.err


async def _rows(url: str) -> int:
    async with await psycopg.AsyncConnection.connect(url, row_factory=scalar_row) as connection:
        cursor = await connection.execute("SELECT count(*) FROM communication")
        return int(await cursor.fetchone())


async def test_an_interrupted_submit_says_how_to_go_on(start, driver, database_url, eventually) -> None:
    async with (
        stuck_at(database_url, "2025-10/3000") as it_waits,
        start("run", "submit", driver(6_000)) as child,
    ):
        await eventually(it_waits, within=30)
        child.send_signal(signal.SIGINT)
        out, err = await asyncio.wait_for(child.communicate(), 30)
    assert child.returncode == 1
    assert out == b""
    assert b"interrupted; what was committed stays, and the same submit again brings the rest" in err
    assert 0 < await _rows(database_url) < 3_000
