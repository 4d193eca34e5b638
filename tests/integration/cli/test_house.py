"""Configuration, database, audit chain, worker and sandbox on the command line."""

import asyncio
import json
import signal
import socket

import psycopg


def test_settings_are_shown_with_their_origin_and_never_a_secret(call, folder) -> None:
    for arguments in (("config", "show"), ("config", "show", "--json")):
        answered = call(*arguments)
        assert answered.code == 0
        assert "mill-pond-7" not in answered.out + answered.err
    rows = {row["key"]: row for row in call("config", "show", "--json").json}
    assert rows["gmail.static_token"]["value"] == "**********"
    assert rows["gmail.auth"] == {"key": "gmail.auth", "value": "static", "origin": str(folder / "millstream.toml")}
    assert rows["database.url"]["origin"] == "MILLSTREAM_DATABASE__URL"


def test_a_wrong_setting_is_named_with_what_to_do(call, folder) -> None:
    (folder / "millstream.toml").write_text('[sender]\nname = "x"\n', encoding="utf-8")
    for arguments in (("config", "show"), ("run", "list")):
        answered = call(*arguments)
        assert answered.code == 2
        assert "Did you mean senders" in answered.err


def test_a_configuration_file_that_is_not_there_is_wrong_usage(call) -> None:
    answered = call("--config", "nowhere.toml", "run", "list")
    assert answered.code == 2
    assert "millstream config init" in answered.err


def test_a_sample_is_written_once_and_can_be_used(call, folder) -> None:
    path = folder / "sample.toml"
    assert call("config", "init", str(path), "--json").json == {"file": str(path)}
    assert call("--config", str(path), "config", "show").code == 0
    again = call("config", "init", str(path))
    assert again.code == 2
    assert "--force" in again.err
    assert call("config", "init", str(path), "--force").code == 0


def test_a_sample_that_cannot_be_written_is_wrong_usage(call, folder) -> None:
    answered = call("config", "init", str(folder / "no" / "folder" / "millstream.toml"))
    assert answered.code == 2
    assert "cannot write" in answered.err


def test_the_reference_is_printed_as_it_stands_in_the_docs(call) -> None:
    assert call("config", "reference").out.startswith("# Configuration\n")
    assert call("config", "reference", "--json").json["markdown"].startswith("# Configuration\n")


def test_the_schema_is_brought_up_to_date_once(call, environment, empty_database_url) -> None:
    environment["MILLSTREAM_DATABASE__URL"] = empty_database_url
    assert call("db", "migrate", "--json").json["applied"][0].startswith("0001_")
    assert call("db", "migrate").out == "nothing to do, the database is up to date\n"


def test_a_database_that_refuses_is_a_failure_with_its_reason(call, environment) -> None:
    environment["MILLSTREAM_DATABASE__URL"] += "_that_is_not_there"
    answered = call("run", "list")
    assert answered.code == 1
    assert answered.err.startswith("error: ")


def test_the_chain_is_proven_and_a_forged_entry_is_found(call, driver, database_url) -> None:
    call("run", "submit", driver(3))
    proven = call("audit", "verify", "--json")
    assert proven.json.keys() == {*("entries", "head", "broken_at", "block", "block_hash", "broken_block", "intact")}
    assert (proven.code, proven.json["intact"], proven.json["entries"]) == (0, True, 3)
    assert call("audit", "verify", "--head", proven.json["head"]).code == 0
    assert call("audit", "verify", "--head", "00" * 32).code == 1
    with psycopg.connect(database_url) as connection:
        connection.execute("ALTER TABLE audit DISABLE TRIGGER audit_append_only")
        connection.execute("UPDATE audit SET actor = 'nobody' WHERE seq = 2")
    forged = call("audit", "verify")
    assert forged.code == 1
    assert "entry 2" in forged.out


async def test_a_worker_ends_in_order_when_it_is_asked_to(start, folder) -> None:
    (folder / "alone.toml").write_text('[gmail]\nauth = "static"\nstatic_token = "x"\n', encoding="utf-8")
    async with start("--config", str(folder / "alone.toml"), "worker", "--json") as child:
        said = await asyncio.wait_for(child.stderr.readuntil(b"worker.started"), 30)
        child.send_signal(signal.SIGTERM)
        out, _ = await asyncio.wait_for(child.communicate(), 30)
    assert b"no sender mailboxes are set" in said
    assert child.returncode == 0
    assert json.loads(out) == {"stopped": "in order"}


async def test_a_sandbox_says_where_it_is_and_ends_with_ctrl_c(start) -> None:
    async with start("sandbox", "gmail", "--mailbox", "a@bank.example") as child:
        line = await asyncio.wait_for(child.stdout.readline(), 30)
        child.send_signal(signal.SIGINT)
        await asyncio.wait_for(child.communicate(), 30)
    assert line.startswith(b"Gmail sandbox: http://127.0.0.1:")
    assert child.returncode == 0


def test_a_port_that_is_taken_is_told(call) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answered = call("sandbox", "gmail", "--port", str(taken.getsockname()[1]))
    assert answered.code == 1
    assert "choose another port" in answered.err


def test_a_sandbox_with_wrong_settings_does_not_start(call, folder) -> None:
    (folder / "sandbox.toml").write_text("mailbox = 7\n", encoding="utf-8")
    assert call("sandbox", "gmail", "--settings", str(folder / "sandbox.toml")).code == 2
    assert call("sandbox", "gmail", "--settings", str(folder / "nowhere.toml")).code == 2
