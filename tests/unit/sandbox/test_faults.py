from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from millstream.sandbox.gmail.faults import FaultRule, Faults, Kind, Point

CALLS = list(product(("drafts.create", "drafts.send"), ("a@x.example", "b@x.example"), range(20)))


def rules(*documents):
    return [FaultRule.model_validate(document) for document in documents]


def struck(faults, calls):
    return {call for call in calls if faults.strike(Point.BEFORE, call[0], call[1])}


@given(st.permutations(CALLS), st.integers())
def test_a_seed_strikes_the_same_calls_however_they_interleave(order, seed):
    """Within one method and mailbox the how-manieth call decides, so the numbers are given out in order."""
    rule = {"point": "before", "kind": "500", "probability": 0.3, "seed": seed}
    straight, mixed = Faults(1), Faults(2)
    straight.add(rules(rule))
    mixed.add(rules(rule))
    counted = {}

    def numbered(call):
        counted[call[:2]] = counted.get(call[:2], -1) + 1
        return (*call[:2], counted[call[:2]])

    assert struck(straight, CALLS) == {
        numbered_call
        for call in order
        if (numbered_call := numbered(call)) and mixed.strike(Point.BEFORE, call[0], call[1])
    }


def test_a_probability_is_kept_about():
    faults = Faults(3)
    faults.add(rules({"point": "before", "kind": "500", "probability": 0.02}))
    hits = sum(faults.strike(Point.BEFORE, "drafts.send", f"s{n % 40}@x.example") is not None for n in range(10_000))
    assert 140 <= hits <= 260


def test_positions_count_the_calls_a_rule_matches():
    faults = Faults(1)
    faults.add(rules({"point": "before", "kind": "500", "positions": [2, 4], "method": "drafts.*"}))
    hits = [bool(faults.strike(Point.BEFORE, method, "a@x")) for method in ("drafts.get", "messages.get") * 4]
    assert hits == [False, False, True, False, False, False, True, False]


def test_times_bound_a_rule():
    faults = Faults(1)
    faults.add(rules({"point": "before", "kind": "500", "times": 2}))
    assert [bool(faults.strike(Point.BEFORE, "x", "a")) for _ in range(4)] == [True, True, False, False]


def test_the_first_rule_that_strikes_wins_and_the_others_count_on():
    faults = Faults(1)
    faults.add(rules({"point": "before", "kind": "500"}, {"point": "before", "kind": "503", "positions": [2]}))
    assert faults.strike(Point.BEFORE, "x", "a").kind is Kind.INTERNAL_500
    first, second = faults.rules()
    assert (first["struck"], second["matched"], second["struck"]) == (1, 1, 0)


def test_points_are_apart():
    faults = Faults(1)
    faults.add(rules({"point": "after", "kind": "reset"}))
    assert faults.strike(Point.BEFORE, "x", "a") is None
    assert faults.strike(Point.AFTER, "x", "a").kind is Kind.RESET
    faults.clear()
    assert faults.strike(Point.AFTER, "x", "a") is None


@pytest.mark.parametrize(
    "document",
    [
        {"point": "after", "kind": "rate_limited"},
        {"point": "odd", "kind": "500"},
        {"point": "before", "kind": "slow"},
        {"point": "before", "kind": "500", "probability": 2},
        {"point": "before", "kind": "unheard_of"},
    ],
)
def test_rules_without_sense_are_refused(document):
    with pytest.raises(ValidationError):
        FaultRule.model_validate(document)
