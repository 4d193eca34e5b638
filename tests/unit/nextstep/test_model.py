"""Where an attempt leads: never a second call on a guess, never a loop without an end."""

from dataclasses import replace

import pytest

from millstream.nextstep.model import Attempt, Found, NextStep, StepRules, StepState, Verb, Wish

RULES = StepRules(most_tries=3, settle=2.0)
WISH = Wish(key="k", verb=Verb.RELEASE_STEP, target="s", subject="run:october", actor="lane")
STEP = NextStep(1, WISH, StepState.DOING, 1, None)
AWAY = Attempt("call", "TokenAway", "no", evidence="OTDS is away")


def test_gaps_grow_to_ten_minutes_and_then_a_step_has_failed() -> None:
    rules = StepRules(most_tries=8)
    gaps = [replace(STEP, tries=tries).put_off(AWAY, rules).due_in for tries in range(1, 9)]
    assert gaps == [1, 4, 16, 64, 256, 600, 600, None]
    assert replace(STEP, tries=8).put_off(AWAY, rules).state is StepState.FAILED


def test_exstreams_own_wish_to_wait_longer_is_kept() -> None:
    assert STEP.put_off(AWAY, RULES, at_least=90.0).due_in == 90.0


def test_what_is_unclear_stays_in_hand_and_is_looked_at_soon() -> None:
    move = STEP.unclear(Attempt("call", "TimedOut", "unknown"), RULES)
    assert (move.state, move.due_in) == (StepState.DOING, 2.0)


def test_looks_that_cannot_tell_grow_apart_and_end_with_a_person() -> None:
    moves = [replace(STEP, looks=looks).found(Found("unknown", "away"), RULES, most_calls=99) for looks in range(6)]
    assert [move.due_in for move in moves] == [2, 4, 8, 16, 32, None]
    assert moves[-1].state is StepState.UNCERTAIN
    assert moves[-1].reason


@pytest.mark.parametrize(
    ("tries", "most_calls", "state"),
    [(1, 99, StepState.DUE), (3, 99, StepState.UNCERTAIN), (1, 2, StepState.DUE), (2, 2, StepState.UNCERTAIN)],
)
def test_what_did_not_happen_is_asked_again_so_often_as_it_may_be(tries, most_calls, state) -> None:
    move = replace(STEP, tries=tries).found(Found("no", "holding", "it is held"), RULES, most_calls=most_calls)
    assert move.state is state


def test_what_happened_is_done_and_what_cannot_happen_any_more_has_failed() -> None:
    assert STEP.found(Found("yes", "released", result={"a": 1}), RULES, most_calls=1).result == {"a": 1}
    assert STEP.found(Found("no", "canceled", hopeless=True), RULES, most_calls=9).state is StepState.FAILED


def test_a_reason_fits_its_column() -> None:
    assert len(STEP.failed(Attempt("call", "x", "no", evidence="y" * 5_000)).reason) == 1_000
