"""What a decision asks Exstream for, and the audited comment that names who decided what on which content. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, Final

from millstream import harmless
from millstream.review.model import Decision, How, Review, Subject, SubjectKind, Verdict
from millstream.review.policy import Policy, StepAsked
from millstream.review.store import dumps

MOST_COMMENT: Final = 500
"""How long an audited comment may be is told nowhere; as `nextstep.resources` has it."""
_SUBJECT: Final = "review:"
_LONGEST_NAME: Final = 80
_LONGEST_HEAD: Final = 450
_MOST_LEVELS: Final = 9
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_WORDS = {Verdict.APPROVE: "Approved", Verdict.REJECT: "Rejected", Verdict.CHANGE: "Changes asked"}
_STATES = {Verdict.APPROVE: "APPROVED", Verdict.REJECT: "REJECTED"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepWish:
    """What Exstream is to do, as the room of next steps takes it (`nextstep.model.Wish`)."""

    key: str
    verb: str
    target: str
    subject: str
    actor: str
    domain: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)


def wishes_of(review: Review, decision: Decision, policy: Policy, *, named_only: bool = False) -> tuple[StepWish, ...]:
    """What Exstream is asked for; nothing where only deliveries are concerned.

    `named_only` leaves out the usual, because another review asks for it.
    """
    usual = () if named_only else _usual(review, decision, policy)
    named = {
        Verdict.APPROVE: policy.steps.on_approve,
        Verdict.REJECT: policy.steps.on_reject,
        Verdict.CHANGE: policy.steps.on_change,
    }[decision.verdict]
    if named is None:
        return usual
    if decision.verdict is not Verdict.APPROVE and review.subject.kind is not SubjectKind.RESOURCE:
        usual = ()
    return (*usual, _named(review, decision, named, key="named"))


def comment_of(review: Review, decision: Decision, *, level: str = "") -> str:
    """The audited comment: who decided what, when, by which mail, on which content; the words are cut, never that."""
    whole = _comment(review, decision, level, name=True)
    if len(whole) > _LONGEST_HEAD:
        whole = _comment(review, decision, level, name=False)
    words = harmless.line(decision.text)
    text = f"{whole}: {words}" if words else whole
    return text if len(text) <= MOST_COMMENT else f"{text[: MOST_COMMENT - 1]}…"


def _comment(review: Review, decision: Decision, level: str, *, name: bool) -> str:
    evidence = decision.evidence or _evidence(review, decision)
    message = evidence.get("message_id")
    how = {
        How.MAIL: f"by mail; Gmail message {message}" if message else "by mail",
        How.PAGE: "by page",
        How.ONE_CLICK: "by one click",
        How.COMMAND: f"by command of {evidence.get('actor', 'an operator')[:_LONGEST_NAME]}",
        How.POLICY: "by the policy, because the deadline passed",
        How.EXSTREAM: "in Exstream",
    }[decision.how]
    signed = evidence.get("signed_in")
    if signed and name:
        how = f"{how}, signed in as {signed[:_LONGEST_NAME]}"
    who = who_of(review, decision, name=name)
    told = f"{who} {how}; content {decision.hash}; review {review.id} round {decision.round}{level}"
    return " ".join(told.split())


def _evidence(review: Review, decision: Decision) -> Mapping[str, str]:
    """Of a decision that was read back: what the answer that made it is proven by."""
    for seat in review.seats:
        if seat.round == decision.round and seat.address == decision.by and seat.answered:
            return seat.answered.evidence
    return {}


def _usual(review: Review, decision: Decision, policy: Policy) -> tuple[StepWish, ...]:
    subject, verdict = review.subject, decision.verdict
    if subject.kind is SubjectKind.RESOURCE:
        state = _STATES.get(verdict, policy.steps.change_state)
        levels = _levels(subject) if verdict is Verdict.APPROVE else 1
        found = []
        for level in range(1, levels + 1):
            told = comment_of(review, decision, level=f" level {level} of {levels}" if levels > 1 else "")
            arguments = {"state": state, "comment": told}
            found.append(_wish(review, decision, "set_state", subject.ref, arguments, key=str(level)))
        return tuple(found)
    if subject.kind is SubjectKind.FLOW_STEP:
        verb = "release_step" if verdict is Verdict.APPROVE else "stop_step"
        return (_wish(review, decision, verb, subject.ref, {}),)
    return ()


def _levels(subject: Subject) -> int:
    given = subject.facts.get("levels", "")
    return min(max(int(given), 1), _MOST_LEVELS) if _NUMBER.fullmatch(given) else 1


def _named(review: Review, decision: Decision, asked: StepAsked, *, key: str) -> StepWish:
    facts = review.subject.facts
    places = {
        "stop_step": review.subject.ref,
        "stop_flow": facts.get("flow", ""),
        "stop_job": facts.get("job", ""),
        "reprocess": facts.get("job", ""),
        "trigger": facts.get("channel", ""),
    }
    arguments = dict(asked.arguments)
    if asked.verb in {"trigger", "generate", "drop_file"}:
        correction = {
            "review": review.id,
            "round": decision.round,
            "verdict": decision.verdict,
            "wish": decision.text,
            "by": decision.by,
            "subject": {"kind": review.subject.kind, "ref": review.subject.ref, "name": review.subject.name, **facts},
        }
        arguments.setdefault("driver", dumps(correction))
    return _wish(review, decision, asked.verb, asked.target or places.get(asked.verb, ""), arguments, key=key)


def _wish(
    review: Review, decision: Decision, verb: str, target: str, arguments: Mapping[str, Any], *, key: str = "1"
) -> StepWish:
    return StepWish(
        key=f"review:{review.id}:{decision.round}:{key}",
        verb=verb,
        target=target,
        subject=f"{_SUBJECT}{review.id}",
        actor=decision.by,
        domain=review.subject.domain,
        arguments=arguments,
    )


def prefix_of(review: Review) -> str:
    """What the keys of a round's wishes begin with."""
    return f"review:{review.id}:{review.round}:"


def who_of(review: Review, decision: Decision, *, name: bool = True) -> str:
    """Who decided what when."""
    called = next((seat.name for seat in review.seats if seat.address == decision.by and seat.name), "")
    person = f"{called[:_LONGEST_NAME]} <{decision.by}>" if called and name else decision.by
    return f"{_WORDS[decision.verdict]} by {person} at {decision.at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
