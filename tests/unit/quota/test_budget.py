"""Rolling budgets: what a mailbox has left, and when there will be more."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.quota import UNLIMITED, Budget, Rate

DAY = 86_400.0


def test_a_budget_comes_back_24_hours_after_it_was_spent():
    budget = Budget(Rate.parse("2_000/day"))
    assert budget.left(0.0) == 2_000
    budget.spend(0.0, 1_500)
    budget.spend(3_600.0, 500)
    assert budget.left(3_600.0) == 0
    assert budget.next_free(3_600.0) == DAY
    assert budget.next_free(3_600.0, 1_501) == DAY + 3_600.0
    assert budget.left(DAY - 1.0) == 0
    assert budget.left(DAY) == 1_500
    assert budget.next_free(DAY, 1_500) == DAY
    assert budget.left(DAY + 3_600.0) == 2_000


def test_more_than_the_whole_budget_is_never_free():
    assert Budget(Rate.parse("10/day")).next_free(0.0, 11) == float("inf")


def test_a_budget_may_be_overdrawn_and_then_has_nothing_left():
    budget = Budget(Rate.parse("10/day"))
    budget.spend(0.0, 25)
    assert budget.left(1.0) == 0
    assert budget.spent(1.0) == 25
    assert budget.next_free(1.0) == DAY


def test_a_warming_mailbox_gets_more_without_forgetting():
    budget = Budget(Rate.parse("500/day"))
    budget.spend(0.0, 500)
    budget.rate = Rate.parse("1_000/day")
    assert budget.left(DAY - 1) == 500


def test_what_had_no_effect_is_given_back():
    budget = Budget(Rate.parse("10/day"))
    budget.spend(0.0, 4)
    budget.spend(500.0, 4)
    budget.refund(5)
    assert budget.spent(501.0) == 3
    assert budget.next_free(501.0, 10) == DAY
    budget.refund(99)
    assert budget.left(501.0) == 10


def test_the_ledger_restores_a_budget_in_any_order():
    budget = Budget(Rate.parse("10/day"))
    budget.restore([(100.0, 2), (-DAY, 5), (50.0, 3)])
    assert budget.left(200.0) == 5


def test_without_a_limit_there_is_always_more():
    budget = Budget(None)
    budget.spend(0.0, 10**9)
    assert budget.left(0.0) == UNLIMITED
    assert budget.next_free(0.0, 10**12) == 0.0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.floats(0, 4_000), st.integers(1, 40)), max_size=120))
def test_a_budget_is_never_more_generous_than_an_exact_one_nor_a_minute_stricter(steps):
    budget, now, spends = Budget(Rate.parse("500/day")), 0.0, []
    for gap, amount in steps:
        now += gap
        exact = 500 - sum(count for time, count in spends if time > now - DAY)
        a_minute_ago = 500 - sum(count for time, count in spends if time > now - DAY - 60)
        assert max(0, a_minute_ago) <= budget.left(now) <= max(0, exact)
        free = budget.next_free(now, amount)
        assert (free == now) == (budget.left(now) >= amount)
        if free == now:
            budget.spend(now, amount)
            spends.append((now, amount))


def test_a_day_of_single_messages_is_remembered_in_minutes():
    budget = Budget(Rate.parse("1_000_000/day"))
    for second in range(0, 86_400 * 2, 5):
        budget.spend(float(second), 1)
    assert abs(budget.spent(86_400.0 * 2) - 17_280) <= 12
    assert len(budget._log) <= 1_442
