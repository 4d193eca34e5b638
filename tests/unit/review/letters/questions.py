"""A question with its people, as mails speak of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from millstream.communication.model import ANSWER_LINK
from millstream.composer.mail import RenderedMail
from millstream.review import render
from millstream.review.asked import Case, Mail, Sitter
from millstream.review.model import Content, SeatState, Subject, SubjectKind, Verdict
from millstream.review.policy import Policy
from millstream.review.showing import Shown

LANGUAGES = ("en", "de", "fr", "es", "it", "nl")
AT = datetime(2026, 11, 26, 9, 12, tzinfo=UTC)
TERMS: dict[str, Any] = {
    "name": "letters",
    "concerns": "communication",
    "stages": [{"ask": ["anna@bank.example"]}],
    "time": {"deadline": "8h", "calendar": "frankfurt"},
}


def policy(**terms: Any) -> Policy:
    """A policy; tables are put in the place of its own."""
    return Policy.model_validate({**TERMS, **terms})


def sitter(number: int, name: str, state: str = "waiting", verdict: str | None = None) -> Sitter:
    """A person of the round."""
    return Sitter(
        id=number,
        address=f"{name.lower()}@bank.example",
        name=f"{name} Ample",
        state=SeatState(state),
        stage=0,
        rung=0,
        instead_of=None,
        asked_at=AT,
        verdict=Verdict(verdict) if verdict else None,
        at=AT if verdict else None,
    )


ANNA = sitter(1, "Anna")
CASE = Case(
    number=1,
    id=4711,
    round=1,
    policy=policy(),
    subject=Subject(SubjectKind.COMMUNICATION, "7", name="Terms 2027"),
    content=Content(
        hash="3f2a9c" + "0" * 58,
        facts={"customer": "C-4711-0017", "type": "regulatory_letter", "amount": "12,500.00 EUR"},
        findings=(
            {"rule": "withdrawal", "pack": "de", "place": "mail text", "text": "is missing", "severity": "error"},
        ),
    ),
    state="open",
    round_now=1,
    stage_now=0,
    deadline=datetime(2026, 12, 1, 16, 30, tzinfo=UTC),
    overdue=False,
    sitters=(ANNA, sitter(2, "Ben", "answered", "approve"), sitter(3, "Carl")),
    seat=ANNA,
)


def mail(kind: str = "ask", *cases: Case, locale: str = "en-GB", **facts: Any) -> Mail:
    """A mail about one case or several."""
    return Mail(9, kind, ANNA.address, "review:4711:anna@bank.example", AT, facts, 0, cases or (CASE,), "Anna", locale)


def written(told: Mail, *shown: Shown, pages: bool = True, subject: str | None = None) -> RenderedMail:
    """The mail as it is handed over."""
    return render.write(
        told,
        shown or [Shown()] * len(told.cases),
        offer=offer(pages=pages),
        zones=lambda _: ZoneInfo("Europe/Berlin"),
        subject=subject,
    )


def offer(*, pages: bool = True) -> render.Offer:
    """What answers are taken."""
    return render.Offer(pages=pages, languages=LANGUAGES)


__all__ = ["ANNA", "ANSWER_LINK", "AT", "CASE", "LANGUAGES", "mail", "offer", "policy", "replace", "sitter", "written"]
