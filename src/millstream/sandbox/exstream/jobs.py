"""Jobs, flow instances, flow steps and customers: what runs, and how far it has come."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from millstream.sandbox.exstream.flows import FlowModel

OVER: Final = frozenset({"complete", "error", "canceled"})
STEP_OVER: Final = OVER | {"expired", "filtered"}


class Decision(StrEnum):
    """What became of a hold step."""

    RELEASE = "release"
    STOP = "stop"
    EXPIRE = "expire"


@dataclass(slots=True)
class Made:
    """One file of a customer: `place` is its path below the output folder, `name` what a reader would call it."""

    queue: str
    driver: str
    media_type: str
    place: str
    name: str
    pages: int = 0


@dataclass(slots=True)
class Customer:
    """One customer of a flow instance; `number` counts within the flow, `in_job` within the job. Both from 1."""

    number: int
    in_job: int
    record: dict[str, Any]
    status: str = "waiting"
    subject: str = ""
    text: str = ""
    files: list[Made] = field(default_factory=list)
    delivered: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        """The customer's own number or name."""
        return str(self.record.get("customer", {}).get("id") or self.number)

    @property
    def key(self) -> str:
        """The communication's key, else the customer's id."""
        return str(self.record.get("key") or self.id)

    @property
    def name(self) -> str:
        """The customer's name, else the recipient's."""
        return str(self.record.get("customer", {}).get("name") or self.recipient.get("name") or "")

    @property
    def recipient(self) -> dict[str, Any]:
        """`address` and `name`."""
        recipient: dict[str, Any] = self.record.get("recipient", {})
        return recipient

    @property
    def locale(self) -> str:
        """A language tag."""
        return str(self.record.get("locale") or "en-GB")

    @property
    def type(self) -> str:
        """The document type."""
        return str(self.record.get("type") or "document")


@dataclass(slots=True)
class Step:
    """One step of a flow instance. Times are seconds since 1970 by the sandbox's clock."""

    id: str
    name: str
    type: str
    flow: FlowInstance
    previous: Step | None
    queued: float
    channel: int | None = None
    status: str = "created"
    started: float | None = None
    executed: float | None = None
    ended: float | None = None
    msg: str | None = None

    @property
    def has_files(self) -> bool:
        """Whether delivery and message files belong to it."""
        return self.type in ("communication", "output")


@dataclass(slots=True)
class FlowInstance:
    """One flow of a job over some of its customers. `folder` is where its documents lie."""

    id: str
    job: Job
    model_id: str
    snapshot_id: str
    customers: list[Customer]
    steps: list[Step] = field(default_factory=list)
    status: str = "waiting"
    started: float | None = None
    ended: float | None = None
    msg: str | None = None
    folder: Path | None = None
    messages: list[str] = field(default_factory=list)
    decided: asyncio.Future[Decision] | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in OVER

    @property
    def held(self) -> Step | None:
        """The hold step it waits at."""
        return next((step for step in self.steps if step.type == "hold" and step.status == "holding"), None)


@dataclass(slots=True)
class Job:
    """One input and what was made of it."""

    id: str
    model: FlowModel
    domain: str
    mode: str
    body: bytes
    content_type: str
    triggered_by: str
    trace: str
    snapshot: str
    started: float
    flows: list[FlowInstance] = field(default_factory=list)
    ended: float | None = None
    expires: float | None = None
    external_id: str | None = None
    deleted: bool = False
    stopped: bool = False
    tries: int = 0
    task: asyncio.Task[None] | None = None

    @property
    def status(self) -> str:
        """Follows from its flow instances; a job that was stopped as a whole is canceled at once."""
        if self.deleted or self.stopped:
            return "deleted" if self.deleted else "canceled"
        states = {flow.status for flow in self.flows}
        if self.ended is None and states != {"canceled"}:
            at_rest = states <= OVER | {"holding"}
            return "waiting" if states == {"waiting"} else "holding" if at_rest and "holding" in states else "started"
        if "error" in states:
            return "error"
        return "canceled" if states == {"canceled"} else "complete"

    @property
    def msg(self) -> str:
        """What people read beside the job."""
        return next((flow.msg for flow in self.flows if flow.status == "error" and flow.msg), "Batch Job")

    @property
    def retained(self) -> bool:
        """Whether the runtime API may hand its files out."""
        return any(channel.type == "retained" for channel in self.model.channels)

    def customers(self) -> list[Customer]:
        """All of them, in the driver's order."""
        return [customer for flow in self.flows for customer in flow.customers]
