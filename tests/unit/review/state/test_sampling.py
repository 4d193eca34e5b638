"""Which things people are asked about: the same ones whenever it is looked, and rather one too many."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_book import book

from millstream.review.model import SubjectKind
from millstream.review.policy import Condition
from millstream.review.sampling import Looked, Sampler, holds, nth, number_of, value_at

LETTER = {"type": "letter_de", "stream": "letters", "run": "2026-11", "locale": "de-DE", "data": {"amount_cents": 100}}


def looked(key: str = "1", **fields: Any) -> Looked:
    return Looked(SubjectKind.COMMUNICATION, key, "2026-11", {**LETTER, **fields})


@pytest.mark.parametrize(
    ("policy", "asks"),
    [
        ({}, True),
        ({"types": ["letter_*"]}, True),
        ({"types": ["invoice", "letter"]}, False),
        ({"types": ["letter_*"], "streams": ["statements"]}, False),
        ({"runs": ["2026-*"]}, True),
        ({"templates": ["*"]}, True),
        ({"templates": ["a*"]}, False),  # it has none
        ({"concerns": "run"}, False),
    ],
)
def test_a_policy_concerns_what_fits_all_its_names(policy: dict[str, Any], asks: object) -> None:
    assert bool(Sampler(book(policy)).asking(looked())) is asks


def test_one_in_so_many_is_the_same_one_again_and_about_so_many() -> None:
    sampler = Sampler(book({"sampling": {"every": 50}}))
    taken = [number for number in range(20_000) if sampler.asking(looked(str(number)))]
    assert taken == [number for number in range(20_000) if nth("2026-11", str(number), 50)]
    assert 300 < len(taken) < 500
    assert all(nth("any", str(number), 1) for number in range(50))
    assert len(sampler.concerning(looked("0"))) == 1


@pytest.mark.parametrize(
    ("condition", "value", "held"),
    [
        ({"above": 100}, 101, True),
        ({"above": 100}, 100, False),
        ({"above": 100}, "100.5", True),
        ({"above": 100}, None, False),
        ({"above": 100}, "1.000,00", True),  # no number where one is wanted: people look
        ({"below": 100}, "??", True),
        ({"below": 0}, -1, True),
        ({"above": 1, "below": 3}, 2, True),
        ({"above": 1, "below": 3}, 4, False),
        ({"equals": "DE"}, "DE", True),
        ({"equals": "DE"}, "de", False),
        ({"equals": 5}, "5", True),
        ({"equals": True}, True, True),
        ({"equals": True}, 1, False),
        ({"equals": 1}, True, False),
        ({"in": ["a", 2]}, 2.0, True),
        ({"in": ["a", 2]}, "b", False),
    ],
)
def test_a_condition_tests_a_field(condition: dict[str, Any], value: object, held: object) -> None:
    wanted = Condition.model_validate({"field": "data.x", **condition})
    assert holds(wanted, looked(data={"x": value})) is held


@pytest.mark.parametrize(
    ("since", "held"),
    [(date(2026, 11, 20), True), (date(2026, 11, 9), False), (date(2026, 11, 10), True), (None, True)],
)
def test_a_young_template_is_looked_at_and_one_of_unknown_age_too(since: date | None, held: object) -> None:
    condition = Condition.model_validate({"template_younger_days": 14})
    assert holds(condition, Looked(SubjectKind.RUN, "1", template_since=since, today=date(2026, 11, 23))) is held


def test_events_go_to_the_policies_that_name_them() -> None:
    sampler = Sampler(book({"concerns": "case", "events": ["exstream.*"]}))
    assert sampler.for_event("exstream.step_failed") == ("letters",)
    assert sampler.for_event("intake.rejected") == ()
    assert Sampler(book({"concerns": "case"})).for_event("exstream.step_failed") == ()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_no_record_breaks_a_condition(value: object) -> None:
    condition = Condition.model_validate({"field": "data.x", "above": 1, "in": ["a", 2.0]})
    assert holds(condition, looked(data={"x": value})) in {True, False}
    assert holds(condition, looked(data=value)) in {True, False}


def test_paths_lead_into_records_and_nowhere_else() -> None:
    assert value_at({"a": {"b": 1}}, "a.b") == 1
    assert value_at({"a": [1]}, "a.0") is None
    assert [number_of(value) for value in ("1e3", True, "nan", "", 10**400, [])] == [
        1000.0,
        None,
        None,
        None,
        None,
        None,
    ]
