"""Each rule of the machine, by what a person would see of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from state_book import ANNA, BEN, CARL, CONTENT, LEGAL, NOW, RISK, SUBJECT, book, policy_of

from millstream.review.machine import start, step
from millstream.review.model import (
    Answered,
    Ask,
    Climb,
    Consequence,
    Content,
    Decided,
    Due,
    Happening,
    How,
    NewContent,
    Overruled,
    Raise,
    Reassigned,
    Refusal,
    Remind,
    Review,
    SeatState,
    State,
    Tell,
    Undeliverable,
    Verdict,
)
from millstream.review.people import People
from millstream.review.policy import PolicyBook

OK, NO, CHANGE = Verdict.APPROVE, Verdict.REJECT, Verdict.CHANGE


class Case:
    """A review with its people; `tell` gives what followed, and a refusal's word."""

    def __init__(self, made: PolicyBook, author: Sequence[str] = (), now: datetime = NOW) -> None:
        self.who = People(made)
        self.policy = self.who.settled(policy_of(made), SUBJECT)
        self.now = now
        self.review, self.followed = start(self.policy, SUBJECT, CONTENT, who=self.who, author=author, now=now)

    def tell(self, happening: Happening) -> str:
        outcome = step(self.review, happening, self.policy, who=self.who, now=self.now)
        self.followed = ()
        if isinstance(outcome, Refusal):
            return outcome.why
        self.review, self.followed = outcome
        return str(self.review.state)

    def says(self, address: str, verdict: Verdict = OK, text: str = "as said", how: How = How.MAIL) -> str:
        review = self.review
        return self.tell(Answered(address, verdict, text, how, review.round, review.content.hash))

    def after(self, **length: float) -> str:
        self.now += timedelta(**length)
        return self.tell(Due())

    def of(self, kind: type[Consequence]) -> list[Any]:
        return [each for each in self.followed if isinstance(each, kind)]

    def asked(self) -> list[str]:
        return [each.seat.address for each in self.of(Ask)]


def waiting(review: Review) -> set[str]:
    return {seat.address for seat in review.waiting()}


@pytest.mark.parametrize(("need", "decides"), [("any", 1), ("1", 1), ("2 of 3", 2), ("all", 3), ("3", 3)])
def test_so_many_approve_as_the_policy_says(need: str, decides: int) -> None:
    for order in permutations([ANNA, BEN, CARL]):
        case = Case(book({"stages": [{"ask": ["approvers"], "need": need}]}))
        said = [case.says(address) for address in order[:decides]]
        assert said == ["open"] * (decides - 1) + ["approved"]


@pytest.mark.parametrize(("verdict", "state"), [(NO, "rejected"), (CHANGE, "changes")])
def test_one_veto_decides_and_everybody_else_hears_of_it(verdict: Verdict, state: str) -> None:
    case = Case(book())
    case.says(ANNA)
    assert case.says(BEN, verdict, "the address is wrong") == state
    assert {each.seat.address for each in case.of(Tell)} == {ANNA, CARL}
    assert case.review.agenda == ()
    assert case.says(CARL) == "decided"


@pytest.mark.parametrize(
    ("said", "state"),
    [
        ([NO, OK, OK], "approved"),
        ([NO, NO], "rejected"),
        ([CHANGE, CHANGE], "changes"),
        ([NO, CHANGE], "rejected"),  # a tie is a rejection
        ([OK, NO, CHANGE], "rejected"),
        ([OK, CHANGE, CHANGE], "changes"),
    ],
)
def test_without_a_veto_a_stage_fails_when_enough_approvals_can_no_longer_come(said: list[Verdict], state: str) -> None:
    case = Case(book({"rules": {"veto": False}}))
    words = [case.says(address, verdict) for address, verdict in zip([ANNA, BEN, CARL], said, strict=False)]
    assert words[-1] == state
    assert set(words[:-1]) == {"open"}


def test_stages_come_one_after_the_other_and_each_has_its_own_time() -> None:
    case = Case(book({"stages": [{"ask": ["approvers"]}, {"ask": ["legal"]}]}))
    assert case.says(LEGAL) == "not_asked"
    case.now += timedelta(hours=5)
    assert case.says(ANNA) == "open"
    assert case.asked() == [LEGAL]
    assert case.review.deadline == NOW + timedelta(hours=13)
    assert {(each.seat.address, each.what) for each in case.of(Tell)} == {(BEN, "withdrawn"), (CARL, "withdrawn")}
    assert case.says(BEN) == "other_stage"
    assert case.says(LEGAL) == "approved"


def test_with_four_eyes_who_approved_before_is_not_asked_again() -> None:
    two = {"stages": [{"ask": ["approvers"]}, {"ask": ["anna", "ben"]}], "rules": {"four_eyes": True}}
    case = Case(book(two))
    case.says(ANNA)
    assert case.asked() == [BEN]
    assert case.tell(Reassigned(BEN, ANNA, BEN)) == "not_allowed"


def test_with_four_eyes_one_stage_needs_two_people() -> None:
    case = Case(book({"stages": [{"ask": ["approvers"]}], "rules": {"four_eyes": True}}))
    assert case.says(ANNA) == "open"
    assert case.says(BEN) == "approved"


@pytest.mark.parametrize("author", [ANNA, "a.ample@bank.example", " ANNA@bank.example"])
def test_nobody_reviews_their_own_work(author: str) -> None:
    case = Case(book(), author=[author])
    assert waiting(case.review) == {BEN, CARL}
    assert case.says(ANNA) == "own_work"
    assert case.tell(Reassigned(BEN, ANNA, BEN)) == "own_work"
    assert waiting(Case(book({"rules": {"own_work": True}}), author=[author]).review) == {ANNA, BEN, CARL}


def test_nobody_overrules_their_own_work() -> None:
    case = Case(book({"people": {"may_overrule": ["ben"]}}), author=["BBold"])
    assert case.tell(Overruled(BEN, OK, "", How.COMMAND)) == "own_work"


def test_too_few_people_climb_at_once() -> None:
    made = book({"stages": [{"ask": ["ben"]}], "ladder": [{"after": "4h", "ask": ["legal"]}]})
    case = Case(made, author=["bbold"])
    assert [each.seat.address for each in case.of(Climb)] == [LEGAL]
    assert [(each.kind, each.facts["climbed"]) for each in case.of(Raise)] == [("no_quorum", True)]
    assert case.says(LEGAL) == "approved"


def test_nobody_at_all_is_an_incident_and_is_never_released() -> None:
    case = Case(book({"stages": [{"ask": ["ben"]}], "time": {"deadline": "1h", "at_expiry": "release"}}), author=[BEN])
    assert [(each.kind, each.facts["climbed"]) for each in case.of(Raise)] == [("no_quorum", False)]
    assert case.after(hours=2) == "open"
    assert case.review.overdue


def test_reminders_go_to_those_who_wait_and_missed_ones_come_as_one() -> None:
    case = Case(book({"time": {"deadline": "8h", "reminders": ["2h", "4h"]}}))
    case.says(ANNA)
    case.after(hours=5)
    assert [(each.seat.address, each.n) for each in case.of(Remind)] == [(BEN, 2), (CARL, 2)]
    assert case.after(hours=0.5) == "open"
    assert case.followed == ()


@pytest.mark.parametrize(("expiry", "state"), [("hold", "open"), ("reject", "rejected"), ("release", "approved")])
def test_the_deadline_does_what_the_policy_says(expiry: str, state: str) -> None:
    case = Case(book({"time": {"deadline": "8h", "reminders": ["7h"], "at_expiry": expiry}}))
    assert case.after(hours=9) == state
    if expiry == "hold":
        assert [each.kind for each in case.of(Raise)] == ["overdue"]
        assert case.review.agenda == ()
        case.says(ANNA)
        assert case.says(BEN) == "approved"
        assert case.review.decision is not None
        assert case.review.decision.late
    else:
        assert case.of(Remind) == []
        [decided] = case.of(Decided)
        assert (decided.decision.by, decided.decision.how, decided.decision.late) == ("policy", How.POLICY, False)
        assert case.says(ANNA) == "decided"


def test_a_rung_asks_those_above_and_their_answer_counts() -> None:
    case = Case(book({"ladder": [{"after": "4h", "ask": ["legal", "anna"]}]}))
    case.after(hours=4)
    assert [(each.seat.address, each.rung) for each in case.of(Climb)] == [(LEGAL, 1), (ANNA, 1)]
    case.says(LEGAL)
    assert case.says(ANNA) == "approved"


def test_a_rung_that_takes_over_closes_the_others_and_keeps_what_was_said() -> None:
    rung = {"after": "4h", "ask": ["legal", "risk"], "takes_over": True}
    case = Case(book({"stages": [{"ask": ["approvers"], "need": "all"}], "ladder": [rung]}))
    case.says(ANNA)
    case.after(hours=4)
    assert waiting(case.review) == {LEGAL, RISK}
    assert case.says(BEN) == "closed"
    assert case.says(LEGAL) == "open"
    assert case.says(RISK) == "approved"


def test_new_content_closes_the_round_and_asks_everybody_again() -> None:
    case = Case(book())
    case.says(ANNA)
    assert case.tell(NewContent(CONTENT)) == "open"
    assert case.followed == ()
    assert case.tell(NewContent(Content("2" * 64))) == "open"
    assert case.asked() == [ANNA, BEN, CARL]
    assert case.of(Tell) == []
    assert case.tell(Answered(BEN, OK, "", How.MAIL, 1, CONTENT.hash)) == "old_round"
    assert case.tell(Answered(BEN, OK, "", How.MAIL, 2, CONTENT.hash)) == "stale_hash"
    case.says(BEN)
    assert case.says(CARL) == "approved"
    assert case.tell(NewContent(Content("3" * 64))) == "decided"


def test_who_made_the_new_content_hears_that_they_are_asked_no_more() -> None:
    case = Case(book())
    case.tell(NewContent(Content("2" * 64), author=("bbold",)))
    assert case.asked() == [ANNA, CARL]
    assert [(each.seat.address, each.what) for each in case.of(Tell)] == [(BEN, "superseded")]


def test_only_those_with_the_right_overrule() -> None:
    case = Case(book({"people": {"may_overrule": ["risk"]}}))
    assert case.tell(Overruled(ANNA, OK, "", How.COMMAND)) == "not_allowed"
    assert case.tell(Overruled(RISK, NO, " ", How.COMMAND)) == "not_allowed"
    assert case.tell(Overruled(RISK, NO, "wrong customer", How.COMMAND)) == "rejected"
    assert {each.seat.address for each in case.of(Tell)} == {ANNA, BEN, CARL}


def test_a_decision_is_overruled_by_another_one_and_not_by_the_same() -> None:
    case = Case(book({"people": {"may_overrule": ["risk"]}}))
    case.says(ANNA, NO, "no")
    assert case.tell(Overruled(RISK, NO, "no, indeed", How.COMMAND)) == "decided"
    assert case.tell(Overruled(RISK, OK, "", How.COMMAND)) == "approved"
    assert case.tell(Overruled(RISK, OK, "", How.COMMAND)) == "decided"
    [decided] = [seat for seat in case.review.seats if seat.answered]
    assert (decided.address, case.review.round, case.review.decision and case.review.decision.round) == (ANNA, 2, 2)


def test_a_seat_is_handed_on_by_its_holder_or_by_who_may() -> None:
    case = Case(book({"people": {"may_reassign": ["risk"]}}))
    assert case.tell(Reassigned(ANNA, LEGAL, BEN)) == "not_allowed"
    assert case.tell(Reassigned(ANNA, "stranger@mail.example", ANNA)) == "not_allowed"
    assert case.tell(Reassigned(ANNA, BEN, ANNA)) == "not_allowed"
    assert case.tell(Reassigned("a.ample@bank.example", LEGAL, ANNA)) == "open"
    assert case.asked() == [LEGAL]
    assert case.says(ANNA) == "closed"
    assert case.tell(Reassigned(LEGAL, ANNA, RISK)) == "open"
    assert case.says(ANNA) == "open"
    assert case.tell(Reassigned(ANNA, LEGAL, ANNA)) == "answered"
    closed = Case(book({"people": {"delegate": False}}))
    assert closed.tell(Reassigned(ANNA, LEGAL, ANNA)) == "not_allowed"


def test_a_question_that_came_back_can_be_handed_on() -> None:
    case = Case(book({"people": {"may_reassign": ["risk"]}}))
    case.tell(Undeliverable(ANNA, "550"))
    assert case.says(ANNA) == "closed"
    assert case.tell(Undeliverable(ANNA, "550")) == "not_asked"
    assert case.tell(Reassigned(ANNA, LEGAL, RISK)) == "open"
    case.says(BEN)
    assert case.says(LEGAL) == "approved"


@pytest.mark.parametrize(
    ("rules", "how", "verdict", "text", "why"),
    [
        ({}, How.MAIL, NO, "  ", "not_allowed"),
        ({}, How.PAGE, CHANGE, "", "not_allowed"),
        ({"reason_required": False}, How.MAIL, NO, "", "rejected"),
        ({"by_mail": False}, How.MAIL, OK, "", "not_allowed"),
        ({}, How.ONE_CLICK, OK, "", "not_allowed"),
        ({"one_click": True}, How.ONE_CLICK, OK, "", "open"),
    ],
)
def test_an_answer_comes_the_way_the_policy_allows(
    rules: dict[str, Any], how: How, verdict: Verdict, text: str, why: str
) -> None:
    assert Case(book({"rules": rules})).says(ANNA, verdict, text, how) == why


def test_a_delegation_moves_the_question_when_it_begins() -> None:
    delegation = {"from": "anna", "to": LEGAL, "since": "2026-11-24", "until": "2026-11-24"}
    made = book({"time": {"deadline": "60h"}}, delegations=[delegation])
    case = Case(made)
    assert waiting(case.review) == {ANNA, BEN, CARL}
    case.after(hours=15)
    assert waiting(case.review) == {LEGAL, BEN, CARL}
    [legal] = [seat for seat in case.review.waiting() if seat.address == LEGAL]
    assert legal.instead_of == ANNA
    assert waiting(Case(made, now=NOW + timedelta(days=1)).review) == {LEGAL, BEN, CARL}
    assert waiting(Case(made, now=NOW + timedelta(days=2)).review) == {ANNA, BEN, CARL}


@pytest.mark.parametrize("author", [[], ["bbold"]])
def test_one_person_never_counts_for_two_and_makers_stand_in_for_nobody(author: list[str]) -> None:
    made = book({}, delegations=[{"from": "anna", "to": "ben", "since": "2026-11-01"}])
    assert ANNA in waiting(Case(made, author=author).review)


def test_chains_of_delegations_lead_to_their_end() -> None:
    links = [("anna", LEGAL), (LEGAL, RISK)]
    made = book({}, delegations=[{"from": a, "to": b, "since": "2026-11-01"} for a, b in links])
    case = Case(made)
    assert waiting(case.review) == {RISK, BEN, CARL}
    assert all(seat.state is SeatState.WAITING for seat in case.review.seats)


def test_what_is_at_its_end_takes_nothing_more() -> None:
    case = Case(book())
    case.says(ANNA, NO, "no")
    assert case.review.state is State.REJECTED
    assert case.after(days=30) == "rejected"
    assert case.followed == ()
    assert case.tell(Undeliverable(BEN, "550")) == "not_asked"
    assert case.tell(Reassigned(BEN, LEGAL, BEN)) == "decided"
