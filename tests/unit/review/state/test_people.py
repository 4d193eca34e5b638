"""Who is asked: names become addresses for one round, and Exstream's levels become stages."""

from __future__ import annotations

from datetime import timedelta

import pytest
from state_book import ANNA, BEN, CARL, CONTENT, LEGAL, NOW, RISK, book, policy_of

from millstream.review.machine import start
from millstream.review.model import Raise, Subject, SubjectKind
from millstream.review.people import People, StandIn
from millstream.review.policy import Policy

TEMPLATE = Subject(SubjectKind.RESOURCE, "r1", domain="bank", name="Letter head")


def levels(domain: str, _kind: str) -> list[list[str]]:
    return {"bank": [["BBOLD"], ["nobody", "aample"]], "empty": []}.get(domain, [])


def test_exstreams_levels_are_stages_of_people_we_know():
    wanted = {"concerns": "resource", "stages": [{"exstream": True, "need": "all"}, {"ask": ["legal"]}]}
    people = {"anna": {"address": ANNA, "exstream": ["aample"]}, "ben": {"address": BEN, "exstream": ["bbold"]}}
    who = People(book(wanted, people=people, groups={"legal": [LEGAL]}), approvers=levels)
    settled = who.settled(policy_of(book(wanted)), TEMPLATE)
    assert [stage.ask for stage in settled.stages] == [(BEN,), (ANNA,), (LEGAL,)]
    assert Policy.model_validate(settled.model_dump(mode="json", by_alias=True)) == settled
    assert who.settled(settled, TEMPLATE) == settled


def test_a_domain_without_approvers_asks_nobody_and_says_so():
    wanted = {"concerns": "resource", "stages": [{"exstream": True}]}
    who = People(book(wanted), approvers=levels)
    settled = who.settled(policy_of(book(wanted)), Subject(SubjectKind.RESOURCE, "r1", domain="other"))
    assert Policy.model_validate(settled.model_dump(mode="json", by_alias=True)) == settled
    review, follows = start(settled, TEMPLATE, CONTENT, who=who, now=NOW)
    assert review.seats == ()
    assert [each.kind for each in follows if isinstance(each, Raise)] == ["no_quorum"]


def test_a_round_keeps_its_people_when_the_file_changes():
    first = People(book())
    settled = first.settled(policy_of(book()), TEMPLATE)
    later = People(book(groups={"approvers": ["carl"], "legal": [LEGAL], "risk": [RISK]}))
    review, _ = start(settled, TEMPLATE, CONTENT, who=later, now=NOW)
    assert [seat.address for seat in review.seats] == [ANNA, BEN, CARL]


def test_groups_of_groups_name_everybody_once():
    groups = {"approvers": ["all", "anna"], "all": ["ben", "approvers", "Anna@Bank.example"], "legal": [], "risk": []}
    assert People(book(groups=groups)).addresses(["approvers"]) == (BEN, ANNA)


@pytest.mark.parametrize("name", ["a.ample@bank.example", "ANNA@BANK.EXAMPLE ", ANNA])
def test_a_person_is_known_by_any_of_their_addresses(name: str):
    person = People(book()).person(name)
    assert person is not None
    assert (person.address, person.name, person.locale) == (ANNA, "Anna Ample", "de")


def test_strangers_are_nobody():
    assert People(book()).person("stranger@mail.example") is None
    assert People(book()).person("") is None


def test_makers_are_known_by_their_names_in_exstream():
    assert People(book()).makers(["BBold", "A.Ample@bank.example", "unknown"]) == {BEN, ANNA, "unknown"}


def test_the_narrower_delegation_goes_before_the_wider_and_the_later_before_the_earlier():
    policy = policy_of(book())

    def to(*made: StandIn) -> str | None:
        found = People(book(), made=made).stands_in(policy, ANNA, without=(), at=NOW)
        return found.address if found else None

    day = timedelta(days=1)
    old, new = StandIn(ANNA, LEGAL, NOW - 2 * day), StandIn(ANNA, RISK, NOW - day)
    assert to(old, new) == to(new, old) == RISK
    assert to(old, new, StandIn(ANNA, CARL, NOW - 3 * day, policy="letters")) == CARL
    assert to(old, StandIn(ANNA, CARL, NOW - day, policy="others")) == LEGAL
    assert to(StandIn(ANNA, LEGAL, NOW, NOW + day)) == LEGAL
    assert to(StandIn(ANNA, LEGAL, NOW - day, NOW)) is None


def test_a_circle_that_slipped_in_moves_nothing():
    made = [StandIn(ANNA, LEGAL, NOW), StandIn(LEGAL, RISK, NOW), StandIn(RISK, ANNA, NOW)]
    assert People(book(), made=made).stands_in(policy_of(book()), ANNA, without=(), at=NOW) is None
