"""What a person asks of Exstream on the command line is a step that a worker carries out."""

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from exstream_site import customer
from step_desk import client_of
from typer.testing import CliRunner

from millstream.cli.main import app

SANDBOX = "import typer; from millstream.cli.sandbox_exstream import exstream; typer.run(exstream)"
Call = Callable[..., Any]


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the time of a block."""
    given = {**os.environ, **environment}  # noqa: TID251  handed on, not read
    with subprocess.Popen([sys.executable, *arguments], stdout=subprocess.PIPE, env=given) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)


@pytest.fixture
def environment(tmp_path: Path, database_url: str) -> Iterator[dict[str, str]]:
    """An installation beside a sandbox of its own."""
    with running("-c", SANDBOX, "--port", "0", "--json") as sandbox:
        assert sandbox.stdout is not None
        doors = json.loads(sandbox.stdout.readline())
        (tmp_path / "millstream.toml").write_text(
            f'folder = "{tmp_path}"\n[gmail]\nauth = "static"\nstatic_token = "x"\n[mailbox]\nread = false\n'
            f'[exstream]\nmode = "local"\norchestration_url = "{doors["orchestration_url"]}"\n'
            f'design_url = "{doors["design_url"]}"\ndomain = "bank"\n'
            f'[exstream_tokens]\nlayout = "url"\nurl = "{doors["token_url"]}"\n'
            f'client_id = "{doors["client_id"]}"\nclient_secret = "{doors["client_secret"]}"\n',
            encoding="utf-8",
        )
        yield {
            "MILLSTREAM_CONFIG": str(tmp_path / "millstream.toml"),
            "MILLSTREAM_DATABASE__URL": database_url,
            "EWS_URL": doors["ews_url"],
            "DOORS": json.dumps(doors),
        }


@pytest.fixture
def call(environment: dict[str, str]) -> Iterator[Call]:
    """Call a command; with `--json` gives its answer, else its exit code and what it said."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def called(*arguments: str) -> Any:
        result = CliRunner().invoke(app, list(arguments), env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        if "--json" in arguments and result.exit_code == 0:
            return json.loads(result.stdout)
        return result.exit_code, result.stdout + result.stderr

    yield called
    root.handlers[:], root.level = handlers, level


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    """One customer's data."""
    (tmp_path / "driver.json").write_text(json.dumps(customer(7)), encoding="utf-8")
    return tmp_path / "driver.json"


def test_exstream_can_be_asked_how_it_stands(call: Call) -> None:
    assert call("exstream", "probe", "--json")["runtime_view"] is True
    assert {row["state"] for row in call("exstream", "resources", "--json")} == {"REVIEW"}
    assert call("exstream", "resolve", "Account statement", "--json")["data_source"] == "statement_driver"
    assert call("exstream", "jobs") == (0, "no job began within that time\n")
    code, said = call("exstream", "job", "5f0b9fb4-2a5c-4d5e-8c5b-0b6f6b1f4a11")
    assert (code, "no such thing" in said) == (1, True)


def test_what_is_asked_waits_for_a_worker_and_can_be_taken_back(call: Call) -> None:
    row = call("exstream", "stop", "job", "j-1", "--as", "anna", "--json")
    assert (row["state"], row["actor"], row["verb"]) == ("due", "anna", "stop_job")
    code, said = call("exstream", "stop", "job", "j-1", "--wait", "0.2")
    assert (code, "is a worker running?" in said) == (1, True)
    assert call("step", "cancel", str(row["id"]), "--why", "in error", "--json")["state"] == "cancelled"
    assert [each["state"] for each in call("step", "list", "--json")] == ["due", "cancelled"]
    shown = call("step", "show", str(row["id"]), "--json")
    assert [attempt["evidence"] for attempt in shown["attempts"]] == ["in error"]
    code, said = call("step", "settle", str(row["id"]), "--happened", "--why", "?")
    assert (code, "cancelled" in said) == (1, True)
    assert call("step", "show", "999")[0] == 1


def test_a_worker_carries_out_what_is_asked_and_the_command_waits_for_it(
    call: Call, environment, driver: Path, tmp_path
) -> None:
    with running("-m", "millstream", "worker", **environment):
        done = call("exstream", "trigger", "statements", str(driver), "--wait", "60", "--json")
        assert done["state"] == "done"
        assert call("exstream", "jobs", "--json")[0]["id"] == done["result"]["jobs"][0]
        code, said = call(
            "exstream", "generate", "Account statement", str(driver), "--wait", "60", "--out", str(tmp_path / "proof")
        )
        assert code == 0, said
        assert {each.suffix for each in (tmp_path / "proof").iterdir()} == {".pdf", ".html"}
        number = next(row["id"] for row in call("exstream", "resources", "--json") if row["name"] == "Interest notice")
        approved = call("exstream", "state", "APPROVED", number, "--as", "anna@example.com", "--wait", "60", "--json")
        assert approved["result"]["state"] == "APPROVED"
        assert "anna@example.com" in approved["result"]["comment"]
        code, said = call("exstream", "stop", "job", "nonsense", "--wait", "60")
        assert (code, "is failed" in said) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("exstream", "generate", "x", "missing.json"), "cannot be read"),
        (("exstream", "release", "job", "x"), "not released"),
        (("exstream", "generate", "x", "missing.json", "--out", "y"), "--wait"),
        (("exstream", "fulfil", "x", "1", "--out", "y"), "--wait"),
        (("exstream", "fulfil", "x", "1", "--run", "y", "--fact", "=x"), "Name=value"),
        (("exstream", "trigger", "x", "missing.json", "--header", "nonsense"), "Name: value"),
    ],
)
def test_wrong_usage_is_said_and_asks_nothing(call: Call, arguments, words) -> None:
    code, said = call(*arguments)
    assert (code, words in said) == (2, True), said
    assert call("step", "list") == (0, "nothing is asked of Exstream\n")


@pytest.mark.parametrize(
    ("mode", "arguments", "words"),
    [
        ("off", ("exstream", "probe"), "exstream.mode is off"),
        ("off", ("exstream", "jobs"), "exstream.mode is off"),
        ("off", ("exstream", "release", "step", "x"), "exstream.mode is off"),
        ("off", ("exstream", "state", "APPROVED", "x", "y"), "exstream.mode is off"),
        ("files", ("exstream", "reprocess", "x"), "exstream.mode is files"),
        ("files", ("exstream", "fulfil", "x", "1"), "exstream.mode is files"),
        ("local", ("exstream", "drop", "DRIVER"), "exstream.drop_folder is not set"),
        ("local", ("exstream", "control", "a.opt", "a.pub"), "exstream.drop_folder is not set"),
        ("local", ("exstream", "compose", "a.pub", "DRIVER"), "exstream.ews_url is not set"),
        ("nonsense", ("exstream", "probe"), "exstream.mode is wrong"),
        ("nonsense", ("exstream", "resolve", "x"), "exstream.mode is wrong"),
    ],
)
def test_what_no_worker_could_carry_out_is_wrong_usage_and_asks_nothing(
    call: Call, environment, driver: Path, mode: str, arguments, words: str
) -> None:
    environment["MILLSTREAM_EXSTREAM__MODE"] = mode
    code, said = call(*(str(driver) if each == "DRIVER" else each for each in arguments))
    assert (code, words in said) == (2, True), said
    assert "Traceback" not in said
    environment["MILLSTREAM_EXSTREAM__MODE"] = "local"
    assert call("step", "list") == (0, "nothing is asked of Exstream\n")


def test_a_setting_that_a_token_lacks_is_named_and_is_wrong_configuration(call: Call, environment) -> None:
    code, said = call("exstream", "probe")
    assert code == 0, said
    environment["MILLSTREAM_EXSTREAM_TOKENS__LAYOUT"] = "ot2"
    code, said = call("exstream", "probe")
    assert (code, "exstream_tokens.otds_url" in said) == (2, True), said


def test_a_span_of_more_days_than_a_calendar_has_is_wrong_usage(call: Call) -> None:
    assert call("exstream", "jobs", "--days", "1e9")[0] == 2


def test_files_for_an_engine_are_put_where_it_watches(call: Call, environment, driver: Path, tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    environment |= {"MILLSTREAM_EXSTREAM__MODE": "files", "MILLSTREAM_EXSTREAM__DROP_FOLDER": str(watched)}
    with running("-m", "millstream", "worker", **environment):
        dropped = call("exstream", "drop", str(driver), "--name", "october.json", "--wait", "60", "--json")
        asked = ("exstream", "control", "run.opt", "statements.pub", "--customer", "2", "--customer", "3")
        more = (
            "--customer",
            "4",
            "--run-date",
            "2026-10-31",
            "--file",
            "DRIVER=/in/october.json",
            "--switch",
            "OFFLINE",
        )
        control = call(*asked, *more, "--wait", "60", "--json")
    assert Path(dropped["result"]["file"]).read_bytes() == driver.read_bytes()
    assert Path(dropped["result"]["file"]).name == f"october.step-{dropped['id']}.json"
    assert Path(control["result"]["file"]).read_text("utf-8").splitlines() == [
        "-PACKAGEFILE=statements.pub", "-FILEMAP=DRIVER,/in/october.json", "-OFFLINE", "-CUSTOMERLIST=2-4",
        "-RUNDATE=10/31/2026",
    ]  # fmt: skip
    assert call("exstream", "drop", str(driver), "--name", "../x")[0] == 2
    assert call("exstream", "control", "../x", "statements.pub")[0] == 2


def test_an_engine_that_is_a_web_service_composes_and_its_outputs_come_in_as_a_run(
    call: Call, environment, driver: Path, tmp_path: Path
) -> None:
    environment["MILLSTREAM_EXSTREAM__EWS_URL"] = environment["EWS_URL"]
    asked = ("exstream", "compose", "statements.pub", str(driver), "--wait", "60")
    with running("-m", "millstream", "worker", **environment):
        code, said = call(*asked, "--out", str(tmp_path / "proof"))
        assert code == 0, said
        assert list((tmp_path / "proof").iterdir())
        row = call(*asked, "--run", "by-hand", "--fact", "CustomerEmail=ada@example.com", "--json")
        assert row["result"]["run"] == "by-hand"
        assert call("exstream", "compose", "x", str(driver), "--fact", "=x", "--run", "y")[0] == 2


def test_a_finished_letter_is_composed_comes_in_as_a_run_and_is_deleted(call: Call, environment, driver: Path) -> None:
    document = asyncio.run(finished_letter(json.loads(environment["DOORS"]), driver.read_bytes()))
    asked = ("exstream", "fulfil", "Account statement", document, "--wait", "60")
    with running("-m", "millstream", "worker", **environment):
        row = call(*asked, "--run", "letters", "--fact", "CustomerEmail=ada@example.com", "--delete", "--json")
        assert (row["result"]["run"], row["result"]["deleted"]) == ("letters", True)
        assert [each["run_key"] for each in call("intake", "list", "--json")] == ["letters"]
        code, said = call(*asked)
        assert (code, "not found" in said) == (1, True), said


async def finished_letter(doors: dict[str, str], content: bytes) -> str:
    """A document of Empower's; its id."""
    server = client_of(doors)
    try:
        found = await server.design(None).resolve("Account statement")
        user = "millstream@OAuthClients"
        return await server.inputs().empower_document(
            found.communication_id, found.data_source, content, empower_user=user
        )
    finally:
        await server.close()


def test_nothing_came_in_yet(call: Call) -> None:
    assert call("intake", "list") == (0, "nothing came in\n")
    assert call("intake", "show", "1")[0] == 1
    assert call("intake", "retry", "1")[0] == 1


def test_what_was_given_up_of_exstreams_jobs_is_shown_and_fetched_again(call: Call, environment) -> None:
    assert call("intake", "jobs") == (0, "no such job was seen\n")
    code, said = call("intake", "again", "j-1")
    assert (code, "intake_pull.on" in said) == (2, True)
    environment["MILLSTREAM_INTAKE_PULL__ON"] = "true"
    code, said = call("intake", "again", "j-1")
    assert (code, "nothing of job j-1" in said) == (1, True)
    with psycopg.connect(environment["MILLSTREAM_DATABASE__URL"], autocommit=True) as conn:
        conn.execute(
            "INSERT INTO exstream_job (domain, id, status, outcome, failure) VALUES "
            "('bank', 'j-1', 'complete', 'reported', 'away'), ('bank', 'j-2/f', 'complete', 'gone', 'wiped'), "
            "('bank', 'j-3', 'complete', 'fetched', NULL), ('other', 'j-1', 'complete', 'gone', 'wiped')"
        )
    assert {row["id"] for row in call("intake", "jobs", "--outcome", "gone", "--json")} == {"j-2/f"}
    assert call("intake", "again", "j-2", "--json") == {"units": ["j-2/f"]}
    assert call("intake", "again", "j-1", "--json") == {"units": ["j-1"]}
    assert call("intake", "again", "j-3")[0] == 1
    assert [row["outcome"] for row in call("intake", "jobs", "--domain", "other", "--json")] == ["gone"]
