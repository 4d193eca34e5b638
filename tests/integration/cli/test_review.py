"""`millstream review` as people call it: lists, answers, what is refused, delegations, and policies."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from asked_review import asked_by

from millstream.review.policy import Site as PolicySite
from millstream.review.policy_load import load

Call = Callable[..., Any]

ANNA, BEN, LEGAL = "anna@bank.example", "ben@bank.example", "legal@bank.example"
POLICIES = """
[people.anna]
address = "anna@bank.example"
name = "Anna Ample"
[people.ben]
address = "ben@bank.example"
[people.carl]
address = "carl@bank.example"
[groups]
approvers = ["anna", "ben", "carl"]
legal = ["legal@bank.example"]
[calendars.frankfurt]
time_zone = "Europe/Berlin"
[[delegations]]
from = "carl"
to = "ben"
since = 2030-01-01
[policy.letters]
concerns = "communication"
[[policy.letters.stages]]
ask = ["approvers"]
need = "all"
[policy.letters.time]
calendar = "frankfurt"
deadline = "8h"
[policy.letters.people]
may_overrule = ["legal"]
may_reassign = ["legal"]
"""


@pytest.fixture
def policies(folder: Path) -> Path:
    path = folder / "letters.toml"
    path.write_text(POLICIES, encoding="utf-8")
    settings = folder / "millstream.toml"
    more = f'review = ["r@bank.example"], bulk = ["c@bank.example"] }}\n[review]\npolicies = ["{path}"]\n'
    settings.write_text(settings.read_text("utf-8").replace('bulk = ["c@bank.example"] }\n', more), encoding="utf-8")
    return path


@pytest.fixture
def review(policies: Path, database_url: str) -> int:
    """A question that all three are asked."""
    site = PolicySite(pages=False, sign_in=False, markup=False, languages=("en",))
    return asked_by(load([policies], site), database_url)


def test_what_people_are_asked_is_listed_and_shown(call: Call, review: int) -> None:
    [row] = call("review", "list", "--json").json
    assert (row["id"], row["policy"], row["state"], row["name"]) == (review, "letters", "open", "Letter of October")
    assert row["waiting"] == [ANNA, BEN, "carl@bank.example"]
    assert "Letter of October" in call("review", "list").out
    assert call("review", "list", "--mine", "nobody@bank.example", "--json").json == []
    assert call("review", "list", "--overdue").out.strip() == "nobody is asked anything"
    whole = call("review", "show", str(review), "--json").json
    assert [seat["address"] for seat in whole["seats"]] == row["waiting"]
    assert [entry["kind"] for entry in whole["audit"]][:2] == ["review.opened", "review.asked"]
    shown = call("review", "show", str(review)).out
    for word in ("SEATS", "MAILS", "RECORD", "review.opened"):
        assert word in shown


def test_an_answer_counts_once(call: Call, review: int) -> None:
    done = call("review", "answer", str(review), "approve", "--as", ANNA, "--json")
    assert done.code == 0
    assert (done.json["state"], done.json["waiting"]) == ("open", [BEN, "carl@bank.example"])
    again = call("review", "answer", str(review), "reject", "--as", ANNA, "--text", "no")
    assert again.code == 1
    assert "has answered already" in again.err
    whole = call("review", "show", str(review), "--json").json
    assert [(answer["counted"], answer["how"], answer["why"]) for answer in whole["answers"]] == [
        (True, "command", ""),
        (False, "command", "answered"),
    ]


def test_a_rejection_decides_and_needs_words(call: Call, review: int) -> None:
    wordless = call("review", "answer", str(review), "reject", "--as", BEN)
    assert wordless.code == 1
    assert "this is needed: a reason" in wordless.err
    done = call("review", "answer", str(review), "reject", "--as", BEN, "--text", "the rate is wrong")
    assert (done.code, done.out.strip()) == (0, f"review {review} is rejected")
    late = call("review", "answer", str(review), "approve", "--as", ANNA)
    assert late.code == 1
    assert f"reject by {BEN} at " in late.err


def test_who_is_not_asked_cannot_answer(call: Call, review: int) -> None:
    refused = call("review", "answer", str(review), "approve", "--as", "mallory@evil.example")
    assert refused.code == 1
    assert "is not asked" in refused.err


def test_only_those_whom_the_policy_names_overrule(call: Call, review: int) -> None:
    assert call("review", "overrule", str(review), "approve", "--as", ANNA).code == 1
    done = call(
        "review", "overrule", str(review), "approve", "--as", LEGAL, "--text", "agreed with the board", "--json"
    )
    assert done.json["decision"]["by"] == LEGAL


def test_a_question_is_handed_on(call: Call, review: int) -> None:
    assert call("review", "assign", str(review), "--from", ANNA, "--to", LEGAL, "--as", BEN).code == 1
    done = call("review", "assign", str(review), "--from", ANNA, "--to", LEGAL, "--json")
    assert LEGAL in done.json["waiting"]
    assert ANNA not in done.json["waiting"]


def test_a_question_is_taken_back(call: Call, review: int) -> None:
    done = call("review", "cancel", str(review), "--why", "a mistake", "--as", "ops")
    assert (done.code, done.out.strip()) == (
        0,
        f"review {review} is cancelled; what it holds stays held until `millstream review overrule {review}`",
    )
    assert call("review", "answer", str(review), "approve", "--as", ANNA).code == 1


def test_a_delegation_holds_from_day_to_day_where_people_work(call: Call, policies: Path) -> None:
    days = ("--since", "2030-12-20", "--until", "2030-12-24")
    made = call("review", "delegate", ANNA, BEN, *days, "--policy", "letters", "--json").json
    assert (made["since"], made["until"]) == ("2030-12-19T23:00:00Z", "2030-12-24T23:00:00Z")
    listed = call("review", "delegations", "--json").json
    assert [(row["address"], row["to_address"], row["actor"]) for row in listed] == [
        (ANNA, BEN, "operator"),
        ("carl", "ben", "policy file"),
    ]
    assert "policy file" in call("review", "delegations").out
    circle = call("review", "delegate", BEN, ANNA)
    assert circle.code == 1
    assert call("review", "delegate", ANNA, "stranger@evil.example").code == 1
    assert call("review", "delegate", ANNA, BEN, "--since", "yesterday").code == 2
    assert call("review", "undelegate", str(made["delegation"])).code == 0
    assert call("review", "undelegate", str(made["delegation"])).code == 1


def test_a_question_of_somebody_who_is_away_moves(call: Call, review: int) -> None:
    assert call("review", "delegate", ANNA, LEGAL).code == 0
    [row] = call("review", "list", "--json").json
    assert row["due_at"] is not None


def test_policies_are_checked_before_they_count(call: Call, policies: Path, folder: Path) -> None:
    good = call("review", "policy", "check")
    assert (good.code, good.out.strip()) == (0, "good: 1 policies, 3 people, 2 groups")
    bad = folder / "bad.toml"
    bad.write_text('[policy.x]\nconcerns = "communication"\n[policy.x.time]\ndeadline = "soon"\n', encoding="utf-8")
    found = call("review", "policy", "check", str(bad))
    assert found.code == 2
    assert "soon" in found.err
    told = call("review", "policy", "check", str(bad), "--json")
    assert (told.code, told.json["good"]) == (2, False)
    assert any("deadline" in fault["key"] for fault in told.json["faults"])
    assert call("review", "policy", "check", str(folder / "missing.toml")).code == 2


def test_policies_are_shown(call: Call, policies: Path) -> None:
    [row] = call("review", "policy", "show", "--json").json
    assert (row["name"], row["need"], row["deadline"]) == ("letters", "all", "8h")
    assert call("review", "policy", "show", "letters", "--json").json["rules"]["veto"] is True
    assert call("review", "policy", "show", "letters").code == 0
    unknown = call("review", "policy", "show", "nothing")
    assert unknown.code == 1
    assert "there are: letters" in unknown.err


def test_without_policies_there_is_nothing_to_review(call: Call) -> None:
    assert call("review", "list").out.strip() == "nobody is asked anything"
    assert call("review", "policy", "show").out.startswith("no policy is set")
    missing = call("review", "show", "7")
    assert missing.code == 1
    assert "there is no review 7" in missing.err
    assert call("review", "answer", "7", "approve", "--as", ANNA).code == 1
    assert call("review", "answer", "7", "maybe", "--as", ANNA).code == 2


def test_a_mail_says_what_it_would_say_now(call: Call, review: int) -> None:
    whole = call("review", "show", str(review), "--json").json
    [number, *_] = [mail["id"] for mail in whole["mails"]]
    told = call("review", "mail", str(number), "--json")
    assert told.code == 0
    assert "Letter of October" in told.json["text"]
    assert call("review", "mail", str(number), "--part", "html").out.lstrip().startswith("<!doctype html>")
    assert call("review", "mail", "99").code == 1


def test_the_web_server_starts_for_reviewers_alone(start: Callable[..., Any], policies: Path) -> None:
    async def looked() -> tuple[int, str, int]:
        base = {"MILLSTREAM_REVIEW__BASE_URL": "https://reviews.bank.example"}
        async with start("web", "--port", "0", "--json", **base) as child:
            line = await asyncio.wait_for(child.stdout.readline(), 60)
            url = json.loads(line)["url"]
            async with aiohttp.ClientSession() as person, person.get(f"{url}/review/{'0' * 20}.{'A' * 22}") as page:
                told = page.status, await page.text()
            child.send_signal(signal.SIGTERM)
            return *told, await asyncio.wait_for(child.wait(), 60)

    status, page, code = asyncio.run(looked())
    assert (status, code) == (404, 0)
    assert "There is nothing here" in page


def test_the_web_server_names_what_reviewers_need(call: Call, policies: Path) -> None:
    answered = call("web", "--port", "0")
    assert answered.code == 2
    assert "review.base_url" in answered.err
