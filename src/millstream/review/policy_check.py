"""What is wrong with a book of policies as a whole: names that mean nothing, and people that can never be enough."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from millstream.review import agenda
from millstream.review.errors import Fault
from millstream.review.people import People, circle
from millstream.review.policy import ALWAYS, Calendar, Policy, PolicyBook, PolicyFile, Site, Stage

_PATH = re.compile(r"[A-Za-z_][\w-]*(\.[A-Za-z_][\w-]*)*")
_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SAMPLE = datetime(2026, 1, 12, 6, 0, tzinfo=UTC)
"""A Monday morning on which lengths of time are compared."""
Found = Iterator[tuple[str, str]]
"""Key and what is wrong."""


def check(book: PolicyBook, site: Site, files: Sequence[tuple[str, PolicyFile]]) -> list[Fault]:
    """Every fault, file by file."""
    checker = _Checker(book, site)
    return [Fault(path, key, wrong) for path, file in files for key, wrong in checker.of(file)] + [
        Fault(files[0][0] if len(files) == 1 else "policies", key, wrong) for key, wrong in checker.over_all()
    ]


class _Checker:
    def __init__(self, book: PolicyBook, site: Site) -> None:
        self._book = book
        self._site = site
        self._people = People(book)
        self._usable = {name: each for name, each in book.calendars.items() if not list(_calendar(name, each))}

    def of(self, file: PolicyFile) -> Found:
        """What is wrong in one file."""
        for name, members in file.groups.items():
            yield from self._group(name, members)
        for name, calendar in file.calendars.items():
            yield from _calendar(name, calendar)
        yield from self._delegations(file)
        for name in file.policy:
            yield from self._policy(self._book.policies[name])

    def over_all(self) -> Found:
        """What is wrong between files: one address for two people, delegations in a circle."""
        owners: dict[str, str] = {}
        for name, person in self._book.people.items():
            words = [person.address, *person.aliases, *(f"{user.casefold()} in Exstream" for user in person.exstream)]
            for word in words:
                if owners.setdefault(word, name) != name:
                    yield f"people.{name}", f"is known by {word} as people.{owners[word]} is; one of them only can be"
        if problem := circle(self._people.delegated()):
            yield "delegations", f"cannot hold: {problem}"

    def _group(self, name: str, members: Sequence[str]) -> Found:
        key = f"groups.{name}"
        if name in self._book.people:
            yield key, "has the name of a person; give it another"
        yield from self._unknown(members, key)
        if _circular(self._book, name):
            yield key, "is a member of itself"
        elif not members:
            yield key, "has no members; name some, or take it out"

    def _delegations(self, file: PolicyFile) -> Found:
        for number, each in enumerate(file.delegations):
            key = f"delegations[{number}]"
            for field, name in (("from", each.from_), ("to", each.to)):
                if name in self._book.groups:
                    yield f"{key}.{field}", f"is the group {name!r}; a delegation is from one person to one person"
                else:
                    yield from self._unknown([name], f"{key}.{field}")
            if each.policy is not None and each.policy not in self._book.policies:
                yield f"{key}.policy", f"names the policy {each.policy!r}, and there is none"
            if each.until is not None and each.until < each.since:
                yield f"{key}.until", "is before since; the last day is the later one"

    def _policy(self, policy: Policy) -> Found:
        key = f"policy.{policy.name}"
        for part in (
            self._names(policy),
            self._stages(policy),
            self._four_eyes(policy),
            self._times(policy),
            self._ladder(policy),
            self._ways(policy),
            self._subject(policy),
        ):
            for place, wrong in part:
                yield f"{key}.{place}", wrong

    def _names(self, policy: Policy) -> Found:
        yield from self._unknown(policy.people.may_overrule, "people.may_overrule")
        yield from self._unknown(policy.people.may_reassign, "people.may_reassign")
        for number, stage in enumerate(policy.stages):
            yield from self._unknown(stage.ask, f"stages[{number}].ask")
        for number, rung in enumerate(policy.ladder):
            yield from self._unknown(rung.ask, f"ladder[{number}].ask")

    def _stages(self, policy: Policy) -> Found:
        for number, stage in enumerate(policy.stages):
            place, need, count = f"stages[{number}]", stage.need, self._count(stage.ask)
            if stage.exstream and policy.concerns not in {"resource", "flow_step"}:
                yield f"{place}.exstream", "is for resources and flow steps: nothing else has a domain in Exstream"
            if stage.exstream or not count or list(self._unknown(stage.ask, place)):
                continue  # not known before it is asked, or said elsewhere
            if need.of is not None and need.of != count:
                yield f"{place}.need", f"says of {need.of}, and it asks {count} people"
            elif need.kind == "some" and need.needed > count:
                yield f"{place}.need", f"wants {need.needed} to approve, and it asks {count} people"
            elif need.kind == "some" and need.needed == count and self._makers_in(policy, stage):
                told = f"wants all {count} of them, and one may have made what it is about and then may not answer"
                yield f"{place}.need", f"{told}: name one more, write all, or add a ladder"

    def _makers_in(self, policy: Policy, stage: Stage) -> bool:
        if policy.rules.own_work or policy.ladder or policy.concerns not in {"resource", "flow_step"}:
            return False
        asked = set(self._people.addresses(stage.ask))
        return any(person.address in asked and person.exstream for person in self._book.people.values())

    def _four_eyes(self, policy: Policy) -> Found:
        if not policy.rules.four_eyes or any(stage.exstream for stage in policy.stages):
            return
        asked = [set(self._people.addresses(stage.ask)) for stage in policy.stages]
        if len(set().union(*asked)) < 2:  # noqa: PLR2004  that is what it means
            yield "rules.four_eyes", "cannot be: it asks one person in all; name more"
            return
        for number, people in enumerate(asked):
            before = sum(
                min(_needed(stage, len(others)), len(others & people))
                for stage, others in zip(policy.stages[:number], asked[:number], strict=True)
            )
            need = policy.stages[number].need
            least = need.needed if need.kind == "some" else 1
            if len(people) - before < least:
                yield (
                    "rules.four_eyes",
                    f"can leave too few in stages[{number}]: who approves before is not asked again; name more there",
                )

    def _times(self, policy: Policy) -> Found:
        time = policy.time
        if time.calendar != ALWAYS and time.calendar not in self._book.calendars:
            yield "time.calendar", f"names the calendar {time.calendar!r}, and there is none"
        if time.deadline.amount <= 0:
            yield "time.deadline", "is no time at all"
            return
        if time.at_expiry == "release" and policy.gate == "compliance":
            yield "time.at_expiry", "may not release what compliance has not seen; write hold or reject"
        calendar = self._calendar_of(policy)
        try:
            deadline = agenda.after(calendar, _SAMPLE, time.deadline)
            for number, span in enumerate(time.reminders):
                place = f"time.reminders[{number}]"
                moment = agenda.after(calendar, deadline if span.amount < 0 else _SAMPLE, span)
                if span.amount > 0 and moment >= deadline:
                    yield place, f"comes at or after the deadline of {time.deadline}; choose a shorter one"
                elif moment <= _SAMPLE:
                    yield place, f"comes before the question, as the deadline is {time.deadline}; choose a shorter one"
        except agenda.NeverOpen as error:
            yield "time", f"cannot be kept: {error}"

    def _ladder(self, policy: Policy) -> Found:
        calendar, last = self._calendar_of(policy), _SAMPLE
        for number, rung in enumerate(policy.ladder):
            place = f"ladder[{number}]"
            if rung.after.amount <= 0:
                yield f"{place}.after", "is counted from the question on; write for example 8h"
                continue
            try:
                moment = agenda.after(calendar, _SAMPLE, rung.after)
                deadline = agenda.after(calendar, _SAMPLE, policy.time.deadline)
            except agenda.NeverOpen as error:
                yield f"{place}.after", f"cannot be kept: {error}"
                continue
            if moment < last:
                yield f"{place}.after", "is before the rung above it; put them in order"
            if moment >= deadline and policy.time.at_expiry != "hold":
                yield f"{place}.after", f"is never reached: the deadline of {policy.time.deadline} decides before"
            last = moment
            yield from self._takers(policy, number)

    def _takers(self, policy: Policy, number: int) -> Found:
        rung = policy.ladder[number]
        if not rung.takes_over:
            return
        wanted = max((stage.need.needed for stage in policy.stages if stage.need.kind == "some"), default=1)
        if policy.rules.four_eyes and len(policy.stages) == 1:
            wanted = max(wanted, 2)
        if 0 < self._count(rung.ask) < wanted:
            yield f"ladder[{number}].ask", f"takes over with fewer people than must approve ({wanted}); name more"

    def _ways(self, policy: Policy) -> Found:
        rules, site = policy.rules, self._site
        if rules.sign_in and not site.sign_in:
            yield "rules.sign_in", "needs [review] oidc_issuer, oidc_client_id and oidc_client_secret"
        if rules.sign_in and not site.pages:
            yield "rules.sign_in", "needs [review] base_url: answers by mail do not count then"
        if not rules.by_mail and not site.pages:
            yield "rules.by_mail", "is false, and there is no [review] base_url: nobody could answer"
        if rules.one_click and not site.markup:
            yield "rules.one_click", "needs [review] markup = true, or amp = true"
        if rules.one_click and rules.sign_in:
            yield "rules.one_click", "signs nobody in; take it out, or sign_in"
        if policy.mail.documents == "link" and not site.pages:
            yield "mail.documents", "is link, and there is no [review] base_url to link to; set it, or write attach"
        sensitive = policy.mail.sensitive
        if sensitive and sensitive.documents == "link" and not site.pages:
            yield "mail.sensitive.documents", "is link, and there is no [review] base_url to link to; set it"
        for number, language in enumerate(policy.mail.languages):
            if language not in site.languages:
                yield (
                    f"mail.languages[{number}]",
                    f"is {language!r}; answers are understood in {', '.join(site.languages)}",
                )

    def _subject(self, policy: Policy) -> Found:
        sampling = policy.sampling
        for number, condition in enumerate(sampling.when if sampling else ()):
            if condition.field is not None and not _PATH.fullmatch(condition.field):
                yield f"sampling.when[{number}].field", f"is {condition.field!r}, no path like data.amount_cents"
        if not isinstance(policy.rules.sign_in, bool) and not _PATH.fullmatch(policy.rules.sign_in.above.field):
            yield "rules.sign_in.above.field", "is no path like data.amount_cents"
        if policy.events and policy.concerns != "case":
            yield "events", 'are for policies with concerns = "case"'
        bundle = policy.mail.bundle
        if bundle and not 0 < bundle.within.amount * _SECONDS[bundle.within.unit] <= 7 * _SECONDS["d"]:
            yield "mail.bundle.within", f"is {bundle.within}; a case waits for others for seven days at most"
        if bundle and policy.concerns not in {"case", "communication"}:
            yield "mail.bundle", 'is for policies with concerns = "case" or "communication"'

    # Words

    def _unknown(self, names: Iterable[str], key: str) -> Found:
        for name in names:
            if name not in self._book.people and name not in self._book.groups and not _is_address(name):
                yield key, f"names {name!r}, which is no person, group or address; look for a slip of the pen"

    def _count(self, names: Iterable[str]) -> int:
        return len(self._people.addresses(names))

    def _calendar_of(self, policy: Policy) -> Calendar | None:
        return self._usable.get(policy.time.calendar)


def _calendar(name: str, calendar: Calendar) -> Found:
    key = f"calendars.{name}"
    if name == ALWAYS:
        yield key, "is there already: every hour of every day; give it another name"
    try:
        ZoneInfo(calendar.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield f"{key}.time_zone", f"is {calendar.time_zone!r}; write one as Europe/Berlin"
        return
    if not agenda.holidays_known(calendar.holidays):
        yield f"{key}.holidays", f"is {calendar.holidays!r}; write a country or its part, as DE or DE-HE, or nothing"
        return
    first = date(2026, 1, 1)
    if not any(agenda.open_on(calendar, first + timedelta(days=day)) for day in range(366)):
        yield f"{key}.hours", "leave no day of the year open; look at hours and days"


def _needed(stage: Stage, count: int) -> int:
    return count if stage.need.kind == "all" else stage.need.needed


def _circular(book: PolicyBook, name: str) -> bool:
    seen, left = set[str](), [name]
    while left:
        for member in book.groups.get(left.pop(), ()):
            if member == name:
                return True
            if member in book.groups and member not in seen:
                seen.add(member)
                left.append(member)
    return False


def _is_address(name: str) -> bool:
    local, _, host = name.strip().rpartition("@")
    return bool(local) and "." in host and " " not in name and "@" not in local
