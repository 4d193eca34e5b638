"""What can be wrong in the review room.

::

    ReviewError
    ├── UnknownReview     no review has the number
    ├── UnknownPolicy     no policy has the name
    ├── NotCounted        an answer, or another act, that does not count: decided before, not asked, an old round
    ├── BadDelegation     a delegation that cannot hold
    ├── BadPolicy         a policy file cannot be used; holds every problem that was found
    ├── BadRulePack       the same of a rule pack
    └── LinkRefused       a link or a form that is not one of ours, or is no longer good
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from millstream.review.model import Refusal


class ReviewError(Exception):
    """The top of the tree."""


class UnknownReview(ReviewError):
    """No review has this number."""


class UnknownPolicy(ReviewError):
    """No policy has this name."""


class NotCounted(ReviewError):
    """It does not count, and nothing changed; `refusal` says why."""

    def __init__(self, message: str, refusal: Refusal) -> None:
        """`message` is for people."""
        super().__init__(message)
        self.refusal = refusal


class BadDelegation(ReviewError):
    """A delegation that cannot hold; the message says why."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a file: where, what, and what to do."""

    file: str
    key: str
    """Dotted, as `policy.letters.stages[1].need`."""
    wrong: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place} {self.wrong}"


class BadPolicy(ReviewError):
    """Policies that cannot be used."""

    exit_code = 2

    def __init__(self, faults: Sequence[Fault]) -> None:
        """Say one line for each fault."""
        super().__init__("\n".join(map(str, faults)))
        self.faults = tuple(faults)


class BadRulePack(BadPolicy):
    """A rule pack that cannot be used."""


class LinkRefused(ReviewError):
    """It is not one of ours, or no longer good; `why` is a word for logs and never for whoever tried."""

    def __init__(self, why: str) -> None:
        """`why`: unknown, forged, cookie, origin, used."""
        super().__init__(why)
        self.why = why
