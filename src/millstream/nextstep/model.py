"""A next step: one thing that Exstream is to do, and how far it has come."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


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
class NextStep:
    """A step in this process's hands."""

    id: int
    wish: Wish
    state: StepState
    tries: int
    begun_at: datetime | None
