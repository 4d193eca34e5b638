"""Who the people of a policy are, as the machine asks for them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from millstream.review.policy import Calendar, Policy


@dataclass(frozen=True, slots=True)
class Asked:
    """Somebody who is to be asked."""

    address: str
    name: str = ""
    locale: str = "en"
    instead_of: str | None = None


class Panel(Protocol):
    """Who the people of a policy are at a time. Addresses are in lower case; a person's aliases are one person."""

    def stage(self, policy: Policy, n: int, *, without: Collection[str], at: datetime) -> tuple[Asked, ...]:
        """Who is asked in a stage, once each, delegations resolved; nobody of `without`."""

    def rung(self, policy: Policy, n: int, *, without: Collection[str], at: datetime) -> tuple[Asked, ...]:
        """Who is asked by the n-th rung of the ladder, from 1."""

    def stands_in(self, policy: Policy, address: str, *, without: Collection[str], at: datetime) -> Asked | None:
        """Who answers for somebody now; None: nobody does, or only people of `without`."""

    def changes(self, policy: Policy, addresses: Collection[str], *, after: datetime) -> tuple[datetime, ...]:
        """When delegations of these people begin."""

    def person(self, address: str) -> Asked | None:
        """Somebody the policies know, by any of their addresses."""

    def makers(self, author: Sequence[str]) -> frozenset[str]:
        """The addresses of those who made something, from addresses and names in Exstream."""

    def may_overrule(self, policy: Policy, address: str) -> bool:
        """Whether somebody may decide alone."""

    def may_reassign(self, policy: Policy, address: str) -> bool:
        """Whether somebody may hand on the questions of others."""

    def calendar(self, policy: Policy) -> Calendar | None:
        """Of its lengths of time; None: every hour counts."""
