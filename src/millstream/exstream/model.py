"""What Exstream says, as values. Fields that its answers lack are None; words that we do not know are UNKNOWN.

Sources: the OpenAPI documents of the orchestration and design services (v1), and what real servers were seen to answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")


class _Word(StrEnum):
    """A word of Exstream's; what a later version says may be new to us."""

    @classmethod
    def _missing_(cls, value: object) -> _Word | None:
        if isinstance(value, str):
            for member in cls:
                if member.value.lower() == value.lower():
                    return member
        return cls["UNKNOWN"]


class JobStatus(_Word):
    """Of a job."""

    UNINITIALIZED = "uninitialized"
    WAITING = "waiting"
    STARTED = "started"
    HOLDING = "holding"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELED = "canceled"
    DELETED = "deleted"
    UNKNOWN = "unknown"


class FlowStatus(_Word):
    """Of a flow instance."""

    STARTED = "started"
    WAITING = "waiting"
    HOLDING = "holding"
    FINISHING = "finishing"
    COMPLETE = "complete"
    ERROR = "error"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class StepStatus(_Word):
    """Of a flow step."""

    CREATED = "created"
    WAITING = "waiting"
    HOLDING = "holding"
    STARTED = "started"
    EXECUTED = "executed"
    FILTERED = "filtered"
    COMPLETE = "complete"
    ERROR = "error"
    EXPIRED = "expired"
    CANCELED = "canceled"
    UNKNOWN = "unknown"


class StepType(_Word):
    """What a flow step does."""

    INPUT = "input"
    COMMUNICATION = "communication"
    OUTPUT = "output"
    DECIDER = "decider"
    PROCESSOR = "processor"
    AGGREGATOR = "aggregator"
    DELAY = "delay"
    HOLD = "hold"
    EXTERNAL_FLOW = "externalFlow"
    UNKNOWN = "unknown"


class ResourceState(_Word):
    """Where a resource stands in its approval."""

    DRAFT = "DRAFT"
    REVIEW = "REVIEW"
    APPROVED = "APPROVED"
    REJECTED = "REJECTED"
    UNKNOWN = "UNKNOWN"


class Workflow(_Word):
    """How a domain approves: without review, with it, or in levels."""

    SIMPLE = "SIMPLE"
    NORMAL = "NORMAL"
    ADVANCED = "ADVANCED"
    UNKNOWN = "UNKNOWN"


class Severity(_Word):
    """Of an engine message."""

    SEVERE = "S"
    ERROR = "E"
    WARNING = "W"
    INFORMATION = "I"
    UNKNOWN = "?"


class Action(StrEnum):
    """What can be asked of something that runs; the value is its path's last part."""

    STOP = "stop"
    RELEASE = "release"
    REPROCESS = "reprocessing"


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page of a list."""

    items: tuple[Item, ...]
    total: int | None = None
    """Of all pages, where the answer tells."""
    number: int | None = None
    """`currentPageNumber`, where the answer tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A run of one or more flows over one input."""

    id: str
    status: JobStatus
    domain: str = ""
    channel: str | None = None
    mode: str | None = None
    """BATCH or ONDEMAND."""
    flow_model_type: str | None = None
    msg: str | None = None
    external_id: str | None = None
    triggered_by: str | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowInstance:
    """One flow of a job."""

    id: str
    status: FlowStatus
    job_id: str | None = None
    domain: str = ""
    flow_model_id: str | None = None
    flow_model_name: str | None = None
    msg: str | None = None
    external_id: str | None = None
    input_retrievable: bool | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStep:
    """One step of a flow instance."""

    id: str
    status: StepStatus
    type: StepType
    flow_instance_id: str | None = None
    previous_id: str | None = None
    name: str | None = None
    display_name: str | None = None
    msg: str | None = None
    external_id: str | None = None
    delivery_file_retrievable: bool | None = None
    message_file_retrievable: bool | None = None
    queued_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Approval:
    """One approval that an ADVANCED workflow asks for."""

    role: str
    level: int
    approved: bool
    pending: bool


@dataclass(frozen=True, slots=True)
class ApprovalInfo:
    """Where a resource stands in an ADVANCED workflow."""

    state: str
    pending: bool
    approvals: tuple[Approval, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """One version of a resource: a communication, a template, a piece of content."""

    id: str
    name: str
    type: str
    state: ResourceState
    version: int | None = None
    description: str | None = None
    state_comment: str | None = None
    created_by: str | None = None
    created_at: datetime | None = None
    modified_by: str | None = None
    modified_at: datetime | None = None
    effective_from: datetime | None = None
    effective_until: datetime | None = None
    locked: bool = False
    locked_by: str | None = None
    approval: ApprovalInfo | None = None


@dataclass(frozen=True, slots=True)
class ApprovalRole:
    """Who approves at one level."""

    role: str
    level: int
    email: str | None = None


@dataclass(frozen=True, slots=True)
class ApprovalGroup:
    """Who approves resources of these types."""

    resource_types: tuple[str, ...]
    roles: tuple[ApprovalRole, ...]


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain and how it approves."""

    id: str
    workflow: Workflow
    production: bool = False
    restrict_approval: bool = False
    groups: tuple[ApprovalGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry of a resource's audit trail."""

    id: str
    operation: str | None
    state: str | None
    modified_by: str | None
    modified_at: datetime | None
    comment: str | None
    version: int | None = None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class BulkOutcome:
    """What became of a state change of many resources: `refused` is reason to resource ids."""

    changed: tuple[str, ...]
    refused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommunicationRef:
    """What `generate` needs to know of a communication."""

    communication_id: str
    name: str
    data_source: str
    """Sent as driverDataSource: the prodDsn of its driver."""
    queues: Mapping[str, str] = field(default_factory=dict)
    """Queue name to driver (PDF, HTML, Empower …)."""


@dataclass(frozen=True, slots=True)
class Generated:
    """One output of a composition."""

    content: bytes
    media_type: str
    queue: str | None = None
    file_name: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What a service says of itself."""

    service: str
    text: str
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """What an orchestration service can do."""

    base_subscription: bool
    """A base subscription has no view of running jobs."""
    assured_delivery: bool = False
    raw: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CurrentUser:
    """As whom we are known."""

    name: str
    tenant: str | None
    groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineMessage:
    """One line of an engine's message file."""

    code: str
    """EX and six digits."""
    severity: Severity
    text: str
    line: int
    at: datetime | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True)
class EngineCall:
    """One composition by an engine that runs as a web service (EWS)."""

    driver: bytes
    file_name: str
    """The driver's symbolic name, for example `DRIVER`."""
    encoding: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    file_pattern: str | None = None
    """Which files are returned, as a regular expression."""
    package: str | None = None
    include_header: bool = False
    include_messages: bool = True
    output: tuple[str, str] | None = None
    """Directory and file name, where the engine keeps its output."""


@dataclass(frozen=True, slots=True)
class EngineResult:
    """What such a composition gave."""

    files: tuple[tuple[str, bytes], ...]
    messages: str
    status: str
