"""Which policies concern something, and whether it is one of those they ask about. Pure.

`every` takes one in so many by a hash of what it is, so that the same ones are taken after a restart, and by every
process. A field that is there and cannot be read as the number a condition wants is asked about: closed when in doubt.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import sha256
from typing import Any, Final

from millstream.review.model import SubjectKind
from millstream.review.policy import Condition, Globs, Policy, PolicyBook

_GLOBS: Final = {
    "types": "type",
    "streams": "stream",
    "templates": "template",
    "runs": "run",
    "domains": "domain",
    "channels": "channel",
    "resource_types": "resource_type",
}


@dataclass(frozen=True, slots=True)
class Looked:
    """What is looked at, as far as it is known."""

    kind: SubjectKind
    key: str
    """What tells it from others of its place: a communication's key, an id with its version."""
    place: str = ""
    """The run's key, or Exstream's domain."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """type, stream, template, run, locale, domain, channel, resource_type, data …: what policies name and test."""
    template_since: date | None = None
    """Since when the template's version is in use; None: not known, which counts as new."""
    today: date | None = None


class Sampler:
    """The policies of a book, by what they concern."""

    def __init__(self, book: PolicyBook) -> None:
        self._by_kind: dict[str, list[Policy]] = defaultdict(list)
        for policy in book.policies.values():
            self._by_kind[policy.concerns].append(policy)

    def concerning(self, looked: Looked) -> tuple[Policy, ...]:
        """Those that are about it, whether or not it is taken as a sample."""
        return tuple(policy for policy in self._by_kind.get(looked.kind, ()) if concerns(policy, looked))

    def asking(self, looked: Looked) -> tuple[str, ...]:
        """The names of the policies by which people are asked about it."""
        return tuple(policy.name for policy in self.concerning(looked) if sampled(policy, looked))

    def for_event(self, kind: str) -> tuple[str, ...]:
        """The names of the policies that put events of a kind to people."""
        return tuple(
            each.name for each in self._by_kind.get("case", ()) if each.events and each.fits(each.events, kind)
        )


def concerns(policy: Policy, looked: Looked) -> bool:
    """Whether a policy is about it: each kind of name that the policy gives must fit."""
    if policy.concerns != looked.kind:
        return False
    for name, of in _GLOBS.items():
        globs: Globs = getattr(policy, name)
        value = looked.fields.get(of)
        if globs and not policy.fits(globs, None if value is None else str(value)):
            return False
    return True


def sampled(policy: Policy, looked: Looked) -> bool:
    """Whether a policy asks about it: all where it does not sample, else where one test takes it."""
    sampling = policy.sampling
    if sampling is None:
        return True
    if sampling.every is not None and nth(looked.place, looked.key, sampling.every):
        return True
    return any(holds(condition, looked) for condition in sampling.when)


def nth(place: str, key: str, every: int) -> bool:
    """Whether it is one in so many, by what it is."""
    digest = sha256(f"{place}\x1f{key}".encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8]) % every == 0


def holds(condition: Condition, looked: Looked) -> bool:
    """Whether all tests of a condition hold."""
    if condition.template_younger_days is not None:
        since, today = looked.template_since, looked.today
        if since is not None and today is not None and (today - since).days >= condition.template_younger_days:
            return False
    if condition.field is None:
        return True
    value = value_at(looked.fields, condition.field)
    if value is None:
        return False
    tests = [
        condition.above is None or _beyond(value, condition.above, sign=1),
        condition.below is None or _beyond(value, condition.below, sign=-1),
        condition.equals is None or _same(value, condition.equals),
        condition.in_ is None or any(_same(value, each) for each in condition.in_),
    ]
    return all(tests)


def value_at(fields: Mapping[str, Any], path: str) -> Any:
    """The value under a path; None where there is none."""
    value: Any = fields
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def number_of(value: Any) -> float | None:
    """A value as a number, also one written as text; None where it is none."""
    if isinstance(value, bool):
        return None
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return found if found == found else None  # noqa: PLR0124  nan is no number


def _beyond(value: Any, limit: float, *, sign: int) -> bool:
    number = number_of(value)
    return number is None or sign * number > sign * limit


def _same(value: Any, wanted: object) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return value is wanted
    if isinstance(wanted, str):
        return str(value) == wanted
    return number_of(value) == wanted
