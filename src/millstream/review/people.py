"""Who is asked: people, groups, delegations, Exstream's approval roles, and whose own work it is. Pure.

A delegation moves a question to whoever stands in, unless that person made what it is about or is asked anyway: one
person never counts for two, so whoever is away then stays asked, and the ladder goes on from there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final

from millstream.log import get_logger
from millstream.review.agenda import midnight
from millstream.review.model import Subject
from millstream.review.panel import Asked
from millstream.review.policy import ALWAYS, Calendar, Person, Policy, PolicyBook, Stage
from millstream.review.ports import Approvers

log = get_logger(__name__)

_LATEST: Final = date(9000, 1, 1)
"""A last day after it is as good as none."""
LONGEST_CHAIN: Final = 5
"""So many people in a row may pass a question on by delegations."""


@dataclass(frozen=True, slots=True)
class StandIn:
    """A delegation with instants: from `since` on, and before `until`."""

    address: str
    to: str
    since: datetime
    until: datetime | None = None
    policy: str | None = None

    def holds(self, policy: str, at: datetime) -> bool:
        """Whether it concerns a policy at a time."""
        return self.policy in {None, policy} and self.since <= at and (self.until is None or at < self.until)


class People:
    """The panel of a book of policies.

    Args:
        book: the policies with their people, checked.
        approvers: Exstream's approval roles of a domain; None: there are none.
        made: delegations beside those of the book, as made by command.
    """

    def __init__(self, book: PolicyBook, *, approvers: Approvers | None = None, made: Sequence[StandIn] = ()) -> None:
        self._book = book
        self._approvers = approvers
        self._index = _Index(book)
        self._made = _by_address(made)

    def with_made(self, made: Sequence[StandIn]) -> People:
        """The same people with the delegations as they stand in the store now."""
        other = object.__new__(People)
        other._book, other._approvers, other._index = self._book, self._approvers, self._index
        other._made = _by_address(made)
        return other

    def settled(self, policy: Policy, subject: Subject) -> Policy:
        """A policy with addresses in place of names, and Exstream's levels as stages: as it stands for one round."""
        rungs = [rung.model_copy(update={"ask": self.addresses(rung.ask) or rung.ask}) for rung in policy.ladder]
        rights = {name: self.addresses(getattr(policy.people, name)) for name in ("may_overrule", "may_reassign")}
        stages = tuple(each for stage in policy.stages for each in self._settle(stage, subject))
        people = policy.people.model_copy(update=rights)
        return policy.model_copy(update={"stages": stages, "ladder": tuple(rungs), "people": people})

    def addresses(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of people, groups and groups of groups, once each, in order."""
        return self._index.addresses(names)

    def delegated(self) -> list[StandIn]:
        """The delegations of the files, their days in UTC."""
        found = []
        for each in self._book.delegations:
            giver, taker = self.addresses([each.from_])[:1], self.addresses([each.to])[:1]
            if giver and taker:
                until = _end(None, each.until)
                found.append(StandIn(giver[0], taker[0], midnight(None, each.since), until, each.policy))
        return found

    # What the machine asks

    def stage(self, policy: Policy, n: int, *, without: Collection[str], at: datetime) -> tuple[Asked, ...]:
        """Who is asked in a stage, once each, delegations resolved; nobody of `without`."""
        return self._asked(policy, self.addresses(policy.stages[n].ask), without, at)

    def rung(self, policy: Policy, n: int, *, without: Collection[str], at: datetime) -> tuple[Asked, ...]:
        """Who is asked by the n-th rung of the ladder, from 1."""
        return self._asked(policy, self.addresses(policy.ladder[n - 1].ask), without, at)

    def stands_in(self, policy: Policy, address: str, *, without: Collection[str], at: datetime) -> Asked | None:
        """Who answers for somebody now; None: nobody does, or only people of `without`."""
        here, passed = address, {address}
        for _ in range(LONGEST_CHAIN):
            found = [each for each in self._stand_ins(policy, here) if each.holds(policy.name, at)]
            if not found:
                break
            # The narrower one first, then the one that began last.
            here = max(found, key=lambda each: (each.policy is not None, each.since)).to
            if here in passed:
                return None
            passed.add(here)
        if here == address or here in without:
            return None
        return replace(self._person(here), instead_of=address)

    def changes(self, policy: Policy, addresses: Collection[str], *, after: datetime) -> tuple[datetime, ...]:
        """When delegations of these people begin."""
        return tuple(
            sorted(
                each.since
                for address in addresses
                for each in self._stand_ins(policy, address)
                if each.policy in {None, policy.name} and each.since > after
            )
        )

    def person(self, address: str) -> Asked | None:
        """Somebody the policies know, by any of their addresses."""
        canonical = self._index.canonical(address)
        return self._person(canonical) if canonical in self._index.known else None

    def makers(self, author: Sequence[str]) -> frozenset[str]:
        """The addresses of those who made something, from addresses and names in Exstream."""
        return frozenset(
            self._index.exstream.get(each.strip().casefold()) or self._index.canonical(each) for each in author
        )

    def may_overrule(self, policy: Policy, address: str) -> bool:
        """Whether somebody may decide alone."""
        return self._index.canonical(address) in self.addresses(policy.people.may_overrule)

    def may_reassign(self, policy: Policy, address: str) -> bool:
        """Whether somebody may hand on the questions of others."""
        return self._index.canonical(address) in self.addresses(policy.people.may_reassign)

    def calendar(self, policy: Policy) -> Calendar | None:
        """Of its lengths of time; None: every hour counts, also where a file has lost the calendar since."""
        name = policy.time.calendar
        if name != ALWAYS and name not in self._book.calendars:
            log.warning("review.calendar_lost", policy=policy.name, calendar=name)
        return self._book.calendars.get(name)

    # How

    def _asked(
        self, policy: Policy, addresses: Sequence[str], without: Collection[str], at: datetime
    ) -> tuple[Asked, ...]:
        sitting = {address for address in addresses if address not in without}
        asked: list[Asked] = []
        for address in addresses:
            if address in without:
                continue
            instead = self.stands_in(policy, address, without={*without, *sitting}, at=at)
            asked.append(instead or self._person(address))
            if instead:
                sitting.add(instead.address)
        return tuple(asked)

    def _settle(self, stage: Stage, subject: Subject) -> Iterable[Stage]:
        named = self.addresses(stage.ask)
        kind = subject.facts.get("type", "")
        levels = self._approvers(subject.domain, kind) if stage.exstream and self._approvers else ()
        if not levels:
            return [stage.model_copy(update={"ask": named})]
        found = []
        for level in levels:
            users = (self._index.in_exstream(user) for user in level)
            asked = tuple(dict.fromkeys((*named, *(user for user in users if user))))
            # Stays marked where none of the users is known here: nobody is asked then, and the question climbs.
            found.append(stage.model_copy(update={"ask": asked, "exstream": not asked}))
        return found

    def _person(self, address: str) -> Asked:
        person = self._index.people.get(address)
        return Asked(address, person.name, person.locale) if person else Asked(address)

    def _stand_ins(self, policy: Policy, address: str) -> list[StandIn]:
        calendar = self._book.calendars.get(policy.time.calendar)
        found = list(self._made.get(address, ()))
        for each in self._book.delegations:
            if self._index.addresses([each.from_])[:1] != (address,):
                continue
            until = _end(calendar, each.until)
            [to] = self._index.addresses([each.to])[:1] or [address]
            found.append(StandIn(address, to, midnight(calendar, each.since), until, each.policy))
        return found


class _Index:
    """Names and addresses of a book, looked up quickly."""

    def __init__(self, book: PolicyBook) -> None:
        self._book = book
        self.people: Mapping[str, Person] = {person.address: person for person in book.people.values()}
        self._same = {alias: person.address for person in book.people.values() for alias in person.aliases}
        self.exstream = {name.casefold(): each.address for each in book.people.values() for name in each.exstream}
        named = {name for group in book.groups.values() for name in group}
        named |= {name for each in book.delegations for name in (each.from_, each.to)}
        for policy in book.policies.values():
            named.update(_named_by(policy))
        self.known = frozenset((*self.people, *self.addresses(sorted(named))))

    def canonical(self, address: str) -> str:
        lowered = address.strip().lower()
        return self._same.get(lowered, lowered)

    def in_exstream(self, user: str) -> str | None:
        """The address of somebody whom Exstream names, or has an address of; None: the policies do not know them."""
        address = self.canonical(user)
        return self.exstream.get(user.strip().casefold()) or (address if address in self.known else None)

    def addresses(self, names: Iterable[str]) -> tuple[str, ...]:
        """Of people, groups and groups of groups, once each, in order. A name that means nothing is left out."""
        found: dict[str, None] = {}
        self._collect(names, found, frozenset())
        return tuple(found)

    def _collect(self, names: Iterable[str], found: dict[str, None], within: frozenset[str]) -> None:
        for name in names:
            if name in self._book.people:
                found[self._book.people[name].address] = None
            elif name in self._book.groups and name not in within:
                self._collect(self._book.groups[name], found, within | {name})
            elif "@" in name:
                found[self.canonical(name)] = None


def _named_by(policy: Policy) -> set[str]:
    stages = {name for stage in policy.stages for name in stage.ask}
    rungs = {name for rung in policy.ladder for name in rung.ask}
    return stages | rungs | {*policy.people.may_overrule, *policy.people.may_reassign}


def _by_address(made: Sequence[StandIn]) -> dict[str, list[StandIn]]:
    found: dict[str, list[StandIn]] = defaultdict(list)
    for each in made:
        found[each.address].append(each)
    return dict(found)


def _end(calendar: Calendar | None, last: date | None) -> datetime | None:
    """The instant after the last day."""
    return None if last is None else midnight(calendar, min(last, _LATEST) + timedelta(days=1))


def stand_in_of(row: Mapping[str, Any]) -> StandIn:
    """A delegation as the store has it."""
    since, until = row["since"], row["until"]
    return StandIn(row["address"], row["to_address"], since, until, row["policy"])


def circle(links: Sequence[StandIn]) -> str | None:
    """What is wrong with who delegates to whom: at some time it leads in a circle, or over too many; else None."""
    nexts = _by_address(links)

    def walk(last: StandIn, passed: tuple[str, ...]) -> str | None:
        chain = (*passed, last.address, last.to)
        told = " → ".join(chain)
        if last.to in chain[:-1]:
            return f"delegations lead in a circle: {told}"
        if len(chain) - 1 > LONGEST_CHAIN:
            return f"more than {LONGEST_CHAIN} people in a row would pass questions on: {told}"
        for each in nexts.get(last.to, ()):
            both = _both(last, each)
            if both is not None and (problem := walk(both, chain[:-1])):
                return problem
        return None

    return next(filter(None, (walk(each, ()) for each in links)), None)


def _both(one: StandIn, next_one: StandIn) -> StandIn | None:
    """The second of two delegations while the first holds too; None where that is never."""
    if None not in {one.policy, next_one.policy} and one.policy != next_one.policy:
        return None
    ends = [each.until for each in (one, next_one) if each.until is not None]
    since, until = max(one.since, next_one.since), min(ends, default=None)
    if until is not None and until <= since:
        return None
    return replace(next_one, since=since, until=until, policy=one.policy or next_one.policy)
