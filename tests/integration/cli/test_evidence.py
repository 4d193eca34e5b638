"""A review's evidence on the command line: written here, checked anywhere."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asked_review import asked_by

from millstream.review.policy import PolicyBook, PolicyFile

Call = Callable[..., Any]

_POLICY = {"concerns": "communication", "stages": [{"ask": ["anna@bank.example"], "need": "all"}]}


@pytest.fixture
def review(database_url: str) -> int:
    """A question that somebody is asked."""
    file = PolicyFile.model_validate({"policy": {"letters": {**_POLICY, "time": {"deadline": "8h"}}}})
    named = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return asked_by(PolicyBook(file.people, file.groups, file.calendars, file.delegations, named), database_url)


@pytest.fixture
def bundle(call: Call, review: int, tmp_path: Path) -> Path:
    """The evidence of a review, as a file."""
    path = tmp_path / "evidence.zip"
    done = call("review", "export", str(review), "--to", str(path), "--as", "auditor", "--json")
    assert done.code == 0, done.err
    assert (done.json["review"], done.json["file"]) == (review, str(path))
    assert "missing: mail 1" in done.err
    return path


def _elsewhere(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process without settings or database."""
    command = [sys.executable, "-m", "millstream", "audit", "verify", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, cwd="/")


def test_a_bundle_is_checked_where_nothing_of_the_house_is(call: Call, review: int, bundle: Path) -> None:
    kept = call("audit", "verify", "--json").json
    assert (kept["intact"], kept["block"]) == (True, 1)
    checked = _elsewhere(str(bundle), "--head", kept["block_hash"], "--json")
    assert checked.returncode == 0, checked.stderr
    told = json.loads(checked.stdout)
    assert (told["intact"], told["compared"], told["review"]) == (True, True, review)
    said = _elsewhere(str(bundle))
    assert f"review {review}: 5 files" in said.stdout
    assert "only a hash kept elsewhere proves" in said.stderr


def test_a_bundle_of_another_history_or_that_was_changed_is_told(bundle: Path) -> None:
    assert _elsewhere(str(bundle), "--head", "ab" * 32).returncode == 1
    bundle.write_bytes(bundle.read_bytes().replace(b"Letter of October", b"Letter of Octobex"))
    changed = _elsewhere(str(bundle))
    assert changed.returncode == 1
    assert "broken: review.json is not what was packed" in changed.stdout
    bundle.write_text("rubbish")
    assert json.loads(_elsewhere(str(bundle), "--json").stdout)["intact"] is False
    assert "cannot be read" in _elsewhere(str(bundle.with_name("nowhere.zip"))).stdout


def test_an_export_is_recorded_and_takes_no_file_s_place(call: Call, review: int, bundle: Path) -> None:
    entries = call("review", "show", str(review), "--json").json["audit"]
    assert (entries[-1]["kind"], entries[-1]["actor"]) == ("review.exported", "auditor")
    again = call("review", "export", str(review), "--to", str(bundle))
    assert (again.code, "is there already" in again.err) == (1, True)
    assert call("review", "export", "99", "--to", str(bundle.with_name("b.zip"))).code == 1
