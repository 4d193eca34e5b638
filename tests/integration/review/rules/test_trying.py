"""Rules are checked and tried by command before they hold anything, and the example's do what they say."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from test_gate import record
from typer.testing import CliRunner, Result

from millstream.cli import rules
from millstream.review.policy import Site
from millstream.review.policy_load import load
from millstream.review.rules.pack import load_packs

EXAMPLES = Path(__file__).parents[4] / "examples" / "reviews"
CLAUSE = "You may withdraw from this contract within 14 days without giving any reason."
BROKEN = '[pack]\nname = "p"\npolicy = "x"\n[[rule]]\nname = "a"\nkind = "magic"\n'


def command(*arguments: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("check")(rules.check)
    app.command("try")(rules.try_command)
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    path = tmp_path / "letters.jsonl"
    data: dict[str, Any] = {"amount_cents": 123456, "effective_on": "2027-01-01"}
    good = f"{CLAUSE} From 1 January 2027 you pay EUR 1,234.56."
    wrong = "A guaranteed return of EUR 99.00 from 2 January 2027."
    lines = [
        record(1, good, data=data),
        record(2, wrong, data=data),
        record(3, good, data=data, recipient={"address": "nobody"}),
        {"key": "letters/4"},
        record(5, wrong, type="statement"),
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_the_examples_fit_together() -> None:
    site = Site(pages=False, sign_in=False, markup=False, languages=("en", "de", "fr", "es", "it", "nl"))
    book = load([EXAMPLES / "policies.toml"], site)
    assert load_packs([EXAMPLES / "rules.toml"], book.policies).files


def test_a_good_pack_is_listed_and_a_broken_one_is_named(tmp_path: Path) -> None:
    listed = command("check", str(EXAMPLES / "rules.toml"), "--json")
    assert listed.exit_code == 0
    assert [row["rule"] for row in json.loads(listed.stdout)][:2] == ["withdrawal clause", "promises"]
    assert "withdrawal clause" in command("check", str(EXAMPLES / "rules.toml")).stdout
    broken = tmp_path / "rules.toml"
    broken.write_text(BROKEN, encoding="utf-8")
    refused = command("check", str(broken))
    assert refused.exit_code == 2
    assert "rule[1] 'a' has a kind that is none of" in refused.stderr
    assert command("check", str(tmp_path / "none.toml")).exit_code == 2


def test_a_driver_is_tried_line_by_line(driver: Path) -> None:
    tried = command("try", str(EXAMPLES / "rules.toml"), str(driver), "--json")
    assert tried.exit_code == 1
    found = {each["line"]: each for each in json.loads(tried.stdout)}
    assert {line: each["holds"] for line, each in found.items()} == {1: False, 2: True, 3: False, 4: False, 5: False}
    assert {finding["rule"] for finding in found[2]["findings"]} == {
        "withdrawal clause",
        "promises",
        "amounts",
        "effective date",
    }
    assert "nobody" in found[3]["problem"]
    assert found[4]["problem"]
    shown = command("try", str(EXAMPLES / "rules.toml"), str(driver))
    assert "line 2 letters/2: error: withdrawal clause, document 'letter.pdf'" in shown.stdout


def test_one_line_may_be_tried_alone(driver: Path) -> None:
    tried = command("try", str(EXAMPLES / "rules.toml"), str(driver), "--line", "1")
    assert (tried.exit_code, tried.stdout.strip()) == (0, "1 looked at, 0 would be held")
    assert command("try", str(EXAMPLES / "rules.toml"), str(driver), "--line", "9").exit_code == 1
    assert command("try", str(EXAMPLES / "rules.toml"), str(driver.parent / "none.jsonl")).exit_code == 1
