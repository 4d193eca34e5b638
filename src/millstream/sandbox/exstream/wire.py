"""Answers as Exstream writes them: envelopes, pages, dates, and the resources of the runtime."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from millstream.sandbox.exstream.errors import BadRequest
from millstream.sandbox.exstream.faults import Kind
from millstream.sandbox.exstream.jobs import FlowInstance, Job, Step

Entry = TypeVar("Entry")
Document = dict[str, Any]

MODEL_TYPE: Final = "COMMUNICATION"
_MOST_OFFSET: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Style:
    """How an answer is written, as settings and faults say."""

    milliseconds: bool = False
    odd: Kind | None = None

    def date(self, moment: float | None) -> Any:
        """A moment, or None."""
        if moment is None:
            return None
        if self.milliseconds or self.odd is Kind.MS_DATES:
            return int(moment * 1000)
        text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
        return text.replace("+00:00", "Z")

    def known(self, document: Document) -> Document:
        """The OpenAPI documents know no null; real servers write it."""
        if self.milliseconds or self.odd is Kind.MS_DATES:
            return document
        return {name: value for name, value in document.items() if value is not None}


def success(data: Any) -> Document:
    """A single answer."""
    return {"status": "success", "data": data}


def generic(message: str, details: str = "") -> Document:
    """An answer without data."""
    return {"status": "success", "message": message, "details": details}


def failure(message: str) -> Document:
    """A refusal in the same form, where the OpenAPI documents name it."""
    return generic(message) | {"status": "failure"}


@dataclass(frozen=True, slots=True)
class Paging:
    """Which page a call asks for, and how the server counts."""

    offset: int
    count: int
    by_pages: bool = False

    @classmethod
    def of(cls, query: Mapping[str, Any], size: int, most: int, *, by_pages: bool) -> "Paging":
        """From `offset` and `count`; raises `BadRequest` for what is no number."""
        return cls(_number(query, "offset", 0), min(_number(query, "count", size) or size, most), by_pages)

    def page(self, entries: Sequence[Entry], show: Callable[[Entry], Any], odd: Kind | None = None) -> Document:
        """The page and what is said of it."""
        start = self.offset * self.count if self.by_pages or odd is Kind.PAGE_INDEX_OFFSET else self.offset
        first = max(start - 1, 0) if odd is Kind.DUPLICATE_JOB_PAGE else start
        shown = entries[first : first + self.count] if odd is not Kind.EMPTY_PAGE else entries[:0]
        return {
            "status": "success",
            "data": [show(one) for one in shown],
            "page": {
                "pageSize": self.count,
                "pageOffset": self.offset,
                "totalElements": len(entries),
                "totalPages": -(-len(entries) // self.count),
                "currentPageNumber": start // self.count,
            },
        }


def _number(query: Mapping[str, Any], name: str, default: int) -> int:
    given = query.get(name)
    if given is None or given == "":
        return default
    text = str(given)
    if not (text.isascii() and text.isdecimal() and int(text) <= _MOST_OFFSET):
        raise BadRequest(f"Parameter {name} must be a whole number of 0 or more, not {text[:40]!r}")
    return int(text)


# The runtime's resources


def job_document(style: Style, job: Job) -> Document:
    """A job; `traceId` and `simulation` stand in no OpenAPI document and were seen."""
    return style.known(
        {
            "id": job.id,
            "domainId": job.domain,
            "channel": job.model.service,
            "mode": job.mode,
            "status": job.status,
            "flowModelType": MODEL_TYPE,
            "msg": job.msg,
            "externalId": job.external_id,
            "triggeredBy": job.triggered_by,
            "aggregatedFMCSnapshotId": job.snapshot,
            "startDate": style.date(job.started),
            "endDate": style.date(job.ended),
            "expirationDate": style.date(job.expires),
            "traceId": job.trace,
            "simulation": False,
        }
    )


def flow_document(style: Style, flow: FlowInstance, *, input_there: bool | None = None) -> Document:
    """A flow instance; `flowModelName` stands in no OpenAPI document and was seen."""
    job = flow.job
    return style.known(
        {
            "id": flow.id,
            "jobId": job.id,
            "flowModelId": flow.model_id,
            "flowModelSnapshotId": flow.snapshot_id,
            "domainId": job.domain,
            "status": flow.status,
            "startDate": style.date(flow.started if flow.started is not None else job.started),
            "endDate": style.date(flow.ended),
            "expirationDate": style.date(job.expires),
            "msg": flow.msg,
            "externalId": job.external_id,
            "flowModelType": MODEL_TYPE,
            "inputRetrievable": input_there,
            "executingLongRunningOp": False,
            "flowModelName": job.model.name,
        }
    )


def step_document(style: Style, step: Step, *, files_there: bool | None = None) -> Document:
    """A flow step; whether its files can be fetched is said only where that was asked for."""
    there = None if files_there is None else files_there and step.has_files
    return style.known(
        {
            "id": step.id,
            "previousStepId": step.previous.id if step.previous else None,
            "flowInstanceId": step.flow.id,
            "stepName": step.name.replace(" ", "_"),
            "displayName": step.name,
            "stepType": step.type,
            "status": step.status,
            "queueDate": style.date(step.queued),
            "startDate": style.date(step.started),
            "executeDate": style.date(step.executed),
            "endDate": style.date(step.ended),
            "expirationDate": style.date(step.flow.job.expires),
            "msg": step.msg,
            "externalId": step.flow.job.external_id,
            "deliveryFileRetrievable": there,
            "messageFileRetrievable": there,
        }
    )
