"""What happens later by the sandbox's clock."""

from datetime import UTC, datetime

import pytest

from millstream.sandbox.gmail.agenda import Agenda
from millstream.sandbox.gmail.clock import Clock


@pytest.fixture
def clock():
    return Clock(start=datetime(2026, 11, 23, 9, tzinfo=UTC), rate=0.0)


def test_what_is_due_happens_in_order_when_the_clock_is_moved(clock):
    agenda, done = Agenda(clock), []
    for seconds in (30, 10, 20, 40):
        agenda.after(seconds, lambda seconds=seconds: done.append(seconds))
    agenda.catch_up()
    assert done == []
    clock.advance(30)
    agenda.catch_up()
    assert done == [10, 20, 30]
    assert len(agenda) == 1


def test_what_an_act_puts_on_the_agenda_is_looked_at_too(clock):
    agenda, done = Agenda(clock), []

    def act():
        done.append("first")
        agenda.after(5, lambda: done.append("second"))

    agenda.after(1, act)
    clock.advance(1)
    agenda.catch_up()
    clock.advance(5)
    agenda.catch_up()
    assert done == ["first", "second"]


def test_nothing_to_wait_for_happens_at_once_and_a_cleared_agenda_is_empty(clock):
    agenda, done = Agenda(clock), []
    agenda.after(0, lambda: done.append("now"))
    agenda.after(5, lambda: done.append("never"))
    agenda.clear()
    clock.advance(10)
    agenda.catch_up()
    assert done == ["now"]


async def test_a_running_clock_needs_nobody_to_look(eventually):
    clock = Clock(rate=1_000.0)
    agenda, done = Agenda(clock), []
    agenda.after(20, lambda: done.append("twenty seconds in twenty milliseconds"))
    await eventually(lambda: done)
    assert len(agenda) == 0
