"""When so many messages will be through: a day-by-day account of paces and budgets.

A day is 24 hours from the start, not a date: Gmail's budgets roll. A mailbox that spends its budget at some pace gets
it back at the same pace 24 hours later, so every day may repeat the day before. What a mailbox had sent before the
start is taken as sent just before it: the plan is then never too early.
"""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

DAY: Final = 86_400.0
LONGEST_DAYS: Final = 3_660
_FREE: Final = float("inf")

Kind = tuple[int | None, int]
"""A kind of sender: its age in days (None: warmed up), and the messages that it sent in the last 24 hours."""


class Senders(Protocol):
    """Who sends a run by one road, and every bound on them. Paces are messages a second, budgets messages a day."""

    @property
    def mailboxes(self) -> int:
        """How many there are."""

    @property
    def settling_days(self) -> int:
        """Days after which one day is like the other."""

    def members(self) -> Mapping[Kind, int]:
        """How many there are of each kind."""

    def mailbox_paces(self) -> Mapping[str, float]:
        """Of one of them, by the limit that allows no more."""

    def project_paces(self) -> Mapping[str, float]:
        """Of all together."""

    def mailbox_budgets(self, age: int | None, /) -> Mapping[str, int]:
        """Of one of an age in days."""

    def project_budgets(self) -> Mapping[str, int]:
        """Of all together."""

    def names(self) -> tuple[str, ...]:
        """The limits, in the order in which they are named when two would take equally long."""

    def value(self, name: str) -> str:
        """A limit as an operator writes it."""

    def sentence(self, name: str) -> str:
        """Why they are no faster: the named limit, and what they carry under it."""


@dataclass(frozen=True, slots=True)
class Day:
    """What one day of a plan carries; ``seconds`` is how far into the day its last message goes."""

    number: int
    messages: int
    seconds: float


def days(fleet: Senders, count: int, only: Container[str] | None = None) -> Iterator[Day]:
    """Plan ``count`` messages day by day, under all limits or only those named.

    Stops without having planned all of them after LONGEST_DAYS, or when a whole warmed-up day carries nothing.
    """
    left = count
    for number in range(LONGEST_DAYS):
        if left <= 0:
            return
        sent, seconds = _one_day(fleet, number, left, only)
        if sent == 0 and number > fleet.settling_days:
            return
        left -= sent
        yield Day(number, sent, seconds)


def _one_day(fleet: Senders, number: int, left: int, only: Container[str] | None) -> tuple[int, float]:
    """The messages of one day and the seconds they take: mailboxes leave as their budgets end."""
    budgets = sorted(_budgets(fleet, number, only).items())
    one = min(_named(fleet.mailbox_paces(), only), default=_FREE)
    together = min(_named(fleet.project_paces(), only), default=_FREE)
    allowed = min(left, *_named(_project_day(fleet, number), only), _FREE)
    working = sum(budget_count for _, budget_count in budgets)
    sent, seconds, level = 0.0, 0.0, 0.0
    for budget, mailboxes in budgets:
        pace = min(working * one, together)
        amount = min((budget - level) * working, allowed - sent)
        amount = min(amount, pace * (DAY - seconds)) if pace < _FREE else amount
        sent += amount
        seconds += amount / pace if pace < _FREE else 0.0
        if sent >= allowed or seconds >= DAY:
            break
        level = budget
        working -= mailboxes
    return min(left, int(sent + 1e-6)), min(seconds, DAY)


def _budgets(fleet: Senders, number: int, only: Container[str] | None) -> dict[float, int]:
    """How many mailboxes have which budget on this day."""
    budgets: dict[float, int] = {}
    for (age, spent), mailboxes in fleet.members().items():
        age_then = None if age is None else age + number
        budget = min(_named(fleet.mailbox_budgets(age_then), only), default=_FREE)
        if number == 0:
            budget = max(0.0, budget - spent)
        budgets[budget] = budgets.get(budget, 0) + mailboxes
    return budgets


def _project_day(fleet: Senders, number: int) -> dict[str, int]:
    spent = sum(spent * mailboxes for (_, spent), mailboxes in fleet.members().items()) if number == 0 else 0
    return {name: max(0, budget - spent) for name, budget in fleet.project_budgets().items()}


def _named(bounds: Mapping[str, float], only: Container[str] | None) -> list[float]:
    return [bound for name, bound in bounds.items() if only is None or name in only]
