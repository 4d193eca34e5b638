"""Policy files: every fault is said at once, with its place and what to do; a right one loads as it is written."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from millstream.review.errors import BadPolicy
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, Site, understood_in
from millstream.review.policy_load import load

SITE = Site(pages=True, sign_in=True, markup=True, languages=("en", "de"))
BARE = Site(pages=False, sign_in=False, markup=False, languages=("en",))

PEOPLE = """
[people.anna]
address = "anna@bank.example"
exstream = ["aample"]
[people.ben]
address = "ben@bank.example"
[people.carl]
address = "carl@bank.example"
[groups]
approvers = ["anna", "ben", "carl"]
legal = ["legal@bank.example"]
[calendars.frankfurt]
time_zone = "Europe/Berlin"
hours = "09:00-17:30"
holidays = "DE-HE"
closed = [2026-12-24]
"""
POLICY = """
[policy.letters]
concerns = "communication"
[[policy.letters.stages]]
ask = ["approvers"]
need = "2 of 3"
[policy.letters.time]
calendar = "frankfurt"
deadline = "8h"
reminders = ["4h", "-1h"]
[[policy.letters.ladder]]
after = "8h"
ask = ["legal"]
"""


@pytest.fixture
def loaded(tmp_path: Path):
    def read(*texts: str, site: Site = SITE) -> PolicyBook:
        paths = []
        for number, text in enumerate(texts):
            paths.append(tmp_path / f"{number}.toml")
            paths[-1].write_text(text, "utf-8")
        return load(paths, site)

    return read


def faults(loaded, *texts: str, site: Site = SITE) -> dict[str, str]:
    with pytest.raises(BadPolicy) as refused:
        loaded(*texts, site=site)
    assert refused.value.exit_code == 2
    return {fault.key: fault.wrong for fault in refused.value.faults}


def test_a_right_file_loads_and_its_policy_survives_the_store(loaded):
    book = loaded(PEOPLE, POLICY)
    policy = book.policies["letters"]
    assert policy.name == "letters"
    assert str(policy.stages[0].need) == "2 of 3"
    assert Policy.model_validate(policy.model_dump(mode="json", by_alias=True)) == policy


def test_no_file_is_an_empty_book(loaded):
    assert loaded().policies == {}


@pytest.mark.parametrize(
    ("old", "new", "key", "wrong"),
    [
        ('"approvers"]', '"aprovers"]', "policy.letters.stages[0].ask", "slip of the pen"),
        ('["approvers"]', "[]", "policy.letters.stages[0]", "asks nobody"),
        ('"2 of 3"', '"2 of 4"', "policy.letters.stages[0].need", "says of 4, and it asks 3"),
        ('"2 of 3"', "5", "policy.letters.stages[0].need", "wants 5"),
        ('"2 of 3"', '"most"', "policy.letters.stages[0].need", "write any, all, 2, or 2 of 3"),
        ('"frankfurt"', '"berlin"', "policy.letters.time.calendar", "there is none"),
        ('deadline = "8h"', 'deadline = "soon"', "policy.letters.time.deadline", "no length of time"),
        ('deadline = "8h"', 'deadline = "0h"', "policy.letters.time.deadline", "no time at all"),
        ('deadline = "8h"', 'deadline = "99999999999d"', "policy.letters.time", "twenty years"),
        ('after = "8h"', 'after = "99999999999d"', "policy.letters.ladder[0].after", "twenty years"),
        ('deadline = "8h"\n', "", "policy.letters.time.deadline", "is missing"),
        ('"4h"', '"8h"', "policy.letters.time.reminders[0]", "at or after the deadline"),
        ('"-1h"', '"-9h"', "policy.letters.time.reminders[1]", "before the question"),
        ('after = "8h"', 'after = "-8h"', "policy.letters.ladder[0].after", "from the question on"),
        ('ask = ["legal"]', 'ask = ["nobody"]', "policy.letters.ladder[0].ask", "no person, group or address"),
        ('concerns = "communication"', 'concerns = "letter"', "policy.letters.concerns", "communication"),
        ('concerns = "communication"', 'concern = "run"', "policy.letters.concern", "no setting"),
    ],
)
def test_each_fault_of_a_policy_has_its_place(loaded, old, new, key, wrong):
    assert old in POLICY
    assert wrong in faults(loaded, PEOPLE, POLICY.replace(old, new))[key]


@pytest.mark.parametrize(
    ("more", "key", "wrong"),
    [
        ("[policy.letters.rules]\nsign_in = true", "rules.sign_in", "base_url"),
        ("[policy.letters.rules]\none_click = true", "rules.one_click", "markup"),
        ("[policy.letters.rules]\nby_mail = false", "rules.by_mail", "nobody could answer"),
        ('[policy.letters.mail]\nlanguages = ["de"]', "mail.languages[0]", "understood in en"),
        ('[policy.letters.mail]\ndocuments = "link"', "mail.documents", "base_url"),
        ('[policy.letters.mail]\nsensitive = { types = ["m"] }', "mail.sensitive.documents", "base_url"),
        ('[policy.letters.people]\nmay_overrule = ["boss"]', "people.may_overrule", "'boss'"),
        ('[policy.letters.sampling]\nwhen = [{ field = "data..x", above = 1 }]', "sampling.when[0].field", "no path"),
        ('[policy.letters.mail]\nbundle = { within = "8d" }', "mail.bundle.within", "seven days"),
        ("[policy.letters.sampling]\n", "sampling", "every or when"),
        ('[[policy.letters.ladder]]\nafter = "2h"\nask = ["legal"]', "ladder[1].after", "in order"),
        ('[[policy.letters.stages]]\nask = ["anna"]\nexstream = true', "stages[1].exstream", "resources"),
    ],
)
def test_what_the_settings_do_not_give_is_refused(loaded, more, key, wrong):
    assert wrong in faults(loaded, PEOPLE, f"{POLICY}\n{more}\n", site=BARE)[f"policy.letters.{key}"]


def test_compliance_never_releases_what_nobody_saw(loaded):
    wanted = POLICY.replace("[policy.letters]", '[policy.letters]\ngate = "compliance"')
    wanted = wanted.replace('deadline = "8h"', 'deadline = "8h"\nat_expiry = "release"')
    found = faults(loaded, PEOPLE, wanted)
    assert "compliance" in found["policy.letters.time.at_expiry"]
    assert "never reached" in found["policy.letters.ladder[0].after"]


@pytest.mark.parametrize(
    ("stages", "refused"),
    [
        ([["anna"]], True),
        ([["anna", "ben"]], False),
        ([["anna"], ["anna"]], True),
        ([["anna"], ["anna", "ben"]], False),
        ([["approvers"], ["legal"]], False),
    ],
)
def test_four_eyes_need_two_people_whoever_approves_first(loaded, stages, refused):
    text = '[policy.x]\nconcerns = "run"\ntime = { deadline = "1d" }\nrules = { four_eyes = true }\n'
    text += "".join(f"[[policy.x.stages]]\nask = {asked!r}\n" for asked in stages)
    if refused:
        assert "policy.x.rules.four_eyes" in faults(loaded, PEOPLE, text)
    else:
        assert loaded(PEOPLE, text).policies


def test_own_work_may_not_leave_too_few(loaded):
    text = '[policy.x]\nconcerns = "resource"\ntime = { deadline = "1d" }\n[[policy.x.stages]]\nask = ["anna", "ben"]\n'
    assert "may have made" in faults(loaded, PEOPLE, text + 'need = "2 of 2"')["policy.x.stages[0].need"]
    assert loaded(PEOPLE, text + 'need = "all"').policies


def test_who_takes_over_must_be_enough(loaded):
    text = POLICY.replace('after = "8h"', 'after = "8h"\ntakes_over = true')
    assert "fewer people" in faults(loaded, PEOPLE, text)["policy.letters.ladder[0].ask"]


@pytest.mark.parametrize(
    ("old", "new", "key", "wrong"),
    [
        ('"Europe/Berlin"', '"Europe/Frankfurt"', "calendars.frankfurt.time_zone", "Europe/Berlin"),
        ('"Europe/Berlin"', '"../../etc/passwd"', "calendars.frankfurt.time_zone", "write one"),
        ('"DE-HE"', '"DE-XX"', "calendars.frankfurt.holidays", "DE-HE"),
        ('"09:00-17:30"', '"17:30-09:00"', "calendars.frankfurt.hours", "no hours"),
        ('hours = "09:00-17:30"', "hours = {}", "calendars.frankfurt.hours", "no day of the year"),
        ("[calendars.frankfurt]", "[calendars.always]", "calendars.always", "another name"),
        ('["legal@bank.example"]', "[]", "groups.legal", "no members"),
        ('["legal@bank.example"]', '["legal"]', "groups.legal", "member of itself"),
        ('["legal@bank.example"]', '["legal@"]', "groups.legal", "slip of the pen"),
        ('legal = ["legal@bank.example"]', 'ben = ["x@bank.example"]', "groups.ben", "name of a person"),
        ('"ben@bank.example"', '"anna@bank.example"', "people.ben", "people.anna"),
        ('"ben@bank.example"', '"no address"', "people.ben.address", "no address"),
    ],
)
def test_people_groups_and_calendars_are_checked_too(loaded, old, new, key, wrong):
    assert old in PEOPLE
    assert wrong in faults(loaded, PEOPLE.replace(old, new), POLICY)[key]


def test_delegations_in_a_circle_at_one_time_are_refused(loaded):
    def text(second_since: str) -> str:
        return (
            PEOPLE + '[[delegations]]\nfrom = "anna"\nto = "ben"\nsince = 2026-12-01\nuntil = 2026-12-10\n'
            f'[[delegations]]\nfrom = "ben"\nto = "anna"\nsince = {second_since}\n'
        )

    assert "circle" in faults(loaded, text("2026-12-10"))["delegations"]
    assert len(loaded(text("2026-12-11")).delegations) == 2


def test_a_chain_of_delegations_is_not_endless(loaded):
    links = [(f"p{number}@bank.example", f"p{number + 1}@bank.example") for number in range(7)]
    text = "".join(f'[[delegations]]\nfrom = "{a}"\nto = "{b}"\nsince = 2026-12-01\n' for a, b in links)
    assert "in a row" in faults(loaded, text)["delegations"]


def test_a_delegation_is_from_one_person_to_one_person(loaded):
    text = '[[delegations]]\nfrom = "anna"\nto = "legal"\nsince = 2026-12-02\nuntil = 2026-12-01\npolicy = "x"\n'
    found = faults(loaded, PEOPLE + text)
    assert "group" in found["delegations[0].to"]
    assert "before since" in found["delegations[0].until"]
    assert "there is none" in found["delegations[0].policy"]


def test_a_delegation_for_ever_and_since_ever_holds(loaded):
    text = '[[delegations]]\nfrom = "anna"\nto = "ben"\nsince = 0001-01-01\nuntil = 9999-12-31\n'
    book = loaded(PEOPLE + text, POLICY)
    now = datetime(2026, 11, 23, tzinfo=UTC)
    found = People(book).stands_in(book.policies["letters"], "anna@bank.example", without=(), at=now)
    assert found is not None
    assert found.address == "ben@bank.example"


def test_one_name_in_two_files_is_refused(loaded):
    found = faults(loaded, PEOPLE + POLICY, POLICY)
    assert "another name" in found["policy.letters"]


@pytest.mark.parametrize("rubbish", ["[", "a = 1\na = 2", 'policy = "x"', "[policy]\nx = 1", "people = []", "\x00"])
def test_rubbish_is_refused_in_words(loaded, rubbish):
    assert faults(loaded, rubbish)


def test_what_cannot_be_read_is_said(tmp_path):
    (tmp_path / "latin.toml").write_bytes(b'x = "\xe9"')
    with pytest.raises(BadPolicy) as refused:
        load([tmp_path / "nowhere.toml", tmp_path / "latin.toml", tmp_path], SITE)
    assert [fault.wrong.split(":")[0] for fault in refused.value.faults] == [
        "cannot be read",
        "is not UTF-8; save it as such",
        "cannot be read",
    ]


def test_every_fault_is_said_at_once(loaded):
    found = faults(
        loaded, PEOPLE.replace("DE-HE", "XX"), POLICY.replace("2 of 3", "9"), site=replace(SITE, pages=False)
    )
    assert set(found) == {"calendars.frankfurt.holidays", "policy.letters.stages[0].need"}


def test_an_answer_to_several_is_read_in_the_languages_of_all() -> None:
    def policy(*languages: str) -> Policy:
        given = {"stages": [{"ask": ["a@bank.example"]}], "time": {"deadline": "1h"}, "mail": {"languages": languages}}
        return Policy.model_validate({"name": "letters", "concerns": "case", "gate": "compliance", **given})

    assert understood_in([policy("de", "en"), policy("fr", "en")], ["it"]) == ("de", "en", "fr")
    assert understood_in([policy("de"), policy()], ["it", "de"]) == ("de", "it")
    assert understood_in([], ["it"]) == ()
