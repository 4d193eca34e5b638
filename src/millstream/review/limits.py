"""Which values of a communication a policy goes by, and whether they ask for a sign-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from millstream.review.model import Content, Subject
from millstream.review.policy import Policy
from millstream.review.sampling import number_of, value_at

LARGEST: Final = "largest "
"""Before a field's name, among the facts of a run: its largest number in all communications of the run."""
_LONGEST: Final = 300


def needs_sign_in(policy: Policy, subject: Subject, content: Content) -> bool:
    """Whether the policy wants a sign-in for this one, so that a mail is no answer to it.

    With a limit: unless the field is known, and each place that knows it gives a number within the limit. Of a run
    the largest counts, and it is known where every communication has a number.
    """
    wanted = policy.rules.sign_in
    if isinstance(wanted, bool):
        return wanted
    field = wanted.above.field
    names = (field, field.removeprefix("data."), f"{LARGEST}{field}")
    told = [number_of(facts[name]) for facts in (subject.facts, content.facts) for name in names if name in facts]
    return not told or any(number is None or number > wanted.above.value for number in told)


def limited_field(policy: Policy) -> str | None:
    """The field whose number says whether a sign-in is needed; None where no number does."""
    rules = policy.rules.sign_in
    return None if isinstance(rules, bool) else rules.above.field


def named_values(policy: Policy, record: Mapping[str, Any]) -> dict[str, str]:
    """What a policy names of a record, by its path: it is kept with what waits, for the record itself is not."""
    limited = limited_field(policy)
    fields = [] if limited is None else [limited]
    if policy.sampling is not None:
        fields += [condition.field for condition in policy.sampling.when if condition.field is not None]
    found = {field: value_at(record, field) for field in fields}
    return {field: _said(value) for field, value in found.items() if isinstance(value, str | int | float)}


def _said(value: object) -> str:
    """In a form that the store takes; what had to be changed for that never reads as a number."""
    text = str(value).replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
