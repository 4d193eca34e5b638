"""A next step: one thing that Exstream is to do, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

Effect = Literal["no", "yes", "unknown"]

_FIRST_GAP: Final = 1.0
_LONGEST_GAP: Final = 600.0
_TELLING: Final = 1_000
_MOST_LOOKS: Final = 6
"""So often an unclear call is looked for, each time after twice as long, until a person must decide."""


class Verb(StrEnum):
    """What can be asked."""

    RELEASE_STEP = "release_step"
    RELEASE_FLOW = "release_flow"
    STOP_STEP = "stop_step"
    STOP_FLOW = "stop_flow"
    STOP_JOB = "stop_job"
    SET_STATE = "set_state"
    SET_STATES = "set_states"
    REPROCESS = "reprocess"
    GENERATE = "generate"
    FULFIL = "fulfil"
    TRIGGER = "trigger"
    DROP_FILE = "drop_file"
    COMPOSE_EWS = "compose_ews"
    CONTROL_FILE = "control_file"


class StepState(StrEnum):
    """How far a step has come. `doing` is durable before the call, so that a step found in it is looked at first."""

    DUE = "due"
    DOING = "doing"
    DONE = "done"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a room, or a person, asks for. The same key asks once."""

    key: str
    verb: Verb
    target: str
    """The step, flow, job, resource, channel or file."""
    subject: str
    """What it is about: delivery:<token>, run:<key>, review:<id>."""
    actor: str
    domain: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    content: str | None = None
    """SHA-256 hex of a driver in the document store."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try with its evidence: a call, a look at what a call did, or a person's word."""

    kind: Literal["call", "probe", "person"]
    outcome: str
    """A word: done, the error's name, holding, missing."""
    effect: Effect
    """Whether what was asked for has happened."""
    status: int | None = None
    evidence: str | None = None


@dataclass(frozen=True, slots=True)
class Move:
    """Where an attempt leads."""

    state: StepState
    attempt: Attempt
    due_in: float | None = None
    """Seconds until it is seen to again; None: nothing more happens by itself."""
    reason: str | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a look at Exstream tells about a call whose answer was lost."""

    effect: Effect
    outcome: str
    evidence: str = ""
    result: Mapping[str, Any] | None = None
    hopeless: bool = False
    """It did not happen and cannot happen any more."""


@dataclass(frozen=True, slots=True)
class StepRules:
    """How long is tried, and how long Exstream may take to show what a call did. Times are in seconds."""

    most_tries: int = 8
    settle: float = 5.0


@dataclass(frozen=True, slots=True)
class NextStep:
    """A step in this process's hands."""

    id: int
    wish: Wish
    state: StepState
    tries: int
    """Calls begun."""
    begun_at: datetime | None
    looks: int = 0
    """Looks since the last call that could not tell."""
    before: Mapping[str, Any] = field(default_factory=dict)
    """What stood at Exstream before the call, for the looks after it."""

    def done(self, attempt: Attempt, result: Mapping[str, Any] | None = None) -> Move:
        """It happened."""
        return Move(StepState.DONE, attempt, result=result)

    def failed(self, attempt: Attempt, result: Mapping[str, Any] | None = None) -> Move:
        """It did not happen, and trying again does not help."""
        return Move(StepState.FAILED, attempt, reason=_reason(attempt), result=result)

    def put_off(self, attempt: Attempt, rules: StepRules, *, at_least: float = 0.0) -> Move:
        """It did not happen, and may when it is tried again; after too many tries it has failed."""
        if self.tries >= rules.most_tries:
            return self.failed(attempt)
        return Move(StepState.DUE, attempt, due_in=max(at_least, _gap(self.tries)), reason=_reason(attempt))

    def unclear(self, attempt: Attempt, rules: StepRules) -> Move:
        """Nobody knows whether it happened: it is looked at before anything else."""
        return Move(StepState.DOING, attempt, due_in=rules.settle, reason=_reason(attempt))

    def found(self, seen: Found, rules: StepRules, *, most_calls: int) -> Move:
        """What a look leads to; `most_calls` is how often such a thing may be asked for at all."""
        attempt = Attempt("probe", seen.outcome, seen.effect, evidence=seen.evidence)
        if seen.effect == "yes":
            return self.done(attempt, seen.result)
        if seen.hopeless:
            return self.failed(attempt)
        if seen.effect == "unknown":
            if self.looks + 1 >= _MOST_LOOKS:
                return Move(StepState.UNCERTAIN, attempt, reason=_reason(attempt))
            return Move(StepState.DOING, attempt, due_in=rules.settle * 2**self.looks, reason=_reason(attempt))
        if self.tries >= min(most_calls, rules.most_tries):
            return Move(StepState.UNCERTAIN, attempt, reason=_reason(attempt))
        return Move(StepState.DUE, attempt, due_in=0.0, reason=_reason(attempt))


def _gap(tries: int) -> float:
    return float(min(_LONGEST_GAP, _FIRST_GAP * 4 ** max(0, tries - 1)))


def _reason(attempt: Attempt) -> str:
    return (attempt.evidence or attempt.outcome)[:_TELLING]
