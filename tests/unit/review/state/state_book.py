"""The people and the policy that these tests ask."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from millstream.review.model import Content, Subject, SubjectKind
from millstream.review.policy import Policy, PolicyBook, PolicyFile

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
"""A Monday."""
ANNA, BEN, CARL = "anna@bank.example", "ben@bank.example", "carl@bank.example"
LEGAL, RISK = "legal@bank.example", "risk@bank.example"
SUBJECT = Subject(SubjectKind.COMMUNICATION, "1", name="Letter")
CONTENT = Content("1" * 64, text="as it stands")


def book(policy: dict[str, Any] | None = None, **more: Any) -> PolicyBook:
    """A book with one policy `letters`: three people of whom two must approve within eight hours."""
    wanted: dict[str, Any] = {
        "concerns": "communication",
        "stages": [{"ask": ["approvers"], "need": "2 of 3"}],
        "time": {"deadline": "8h"},
    }
    wanted.update(policy or {})
    file = PolicyFile.model_validate(
        {
            "people": {
                "anna": {"address": ANNA, "name": "Anna Ample", "aliases": ["a.ample@bank.example"], "locale": "de"},
                "ben": {"address": BEN, "exstream": ["bbold"]},
                "carl": {"address": CARL},
            },
            "groups": {"approvers": ["anna", "ben", "carl"], "legal": [LEGAL], "risk": [RISK]},
            "policy": {"letters": wanted},
            **more,
        }
    )
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)


def policy_of(made: PolicyBook) -> Policy:
    """Its one policy."""
    return made.policies["letters"]
