"""Exstream's JSON as values. Shapes: the API descriptions of its services (v1) and what real servers were seen to say.

Unknown fields are ignored. A function here raises KeyError, TypeError or ValueError when a document lacks what makes it
this thing at all; the client turns that into ``Unreadable``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
import pybase64

from millstream.exstream import translate
from millstream.exstream.answer import Shape, read_answer, says_failure
from millstream.exstream.errors import Call
from millstream.exstream.model import (
    Approval,
    ApprovalGroup,
    ApprovalInfo,
    ApprovalRole,
    BulkOutcome,
    CurrentUser,
    Domain,
    FlowInstance,
    FlowStatus,
    FlowStep,
    Generated,
    HistoryEntry,
    Job,
    JobStatus,
    Page,
    Resource,
    ResourceState,
    ServiceConfig,
    StepStatus,
    StepType,
    Version,
    Workflow,
)
from millstream.exstream.transport import utc_now

Json = Mapping[str, Any]
_Item = TypeVar("_Item")

_SHOWN = 65_536
_LIST_NAMES = ("ExceptionResources", "Resources")


def envelope(call: Call, status: int, headers: Mapping[str, str], body: bytes | bytearray) -> Any:
    """The document of a success.

    Raises:
        SaidFailure, Unauthorized, …: it says that it failed.
        Unreadable: it is no JSON.
    """
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as exc:
        answer = read_answer(status, headers, body[:_SHOWN], utc_now())
        said = answer.text or "nothing at all"
        what = f"a page: {said}" if answer.shape is Shape.HTML else f"no JSON ({exc.msg}): {said}"
        raise translate.unreadable(call, status, what) from None
    if says_failure(document):
        raise translate.said_failure(call, read_answer(status, headers, body, utc_now()))
    return document


def data(document: Any) -> Any:
    """What an answer is about: its ``data``, or the whole where it has no envelope."""
    return document["data"] if isinstance(document, dict) and "data" in document else document


def moment(value: Any) -> datetime | None:
    """An instant: ISO 8601 with or without a zone (then UTC), or milliseconds, as number or text."""
    if value is None or value == "" or isinstance(value, bool):
        return None
    try:
        if isinstance(value, int | float) or value.strip().lstrip("-").isdecimal():
            return datetime.fromtimestamp(float(value) / 1000, UTC)
        read = datetime.fromisoformat(_with_colon(value.strip()))
    except (ValueError, OverflowError, OSError, AttributeError):
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)


def _with_colon(text: str) -> str:
    """Spring's own form ends in ``+0000``, and may have more than six digits of a second."""
    head, dot, tail = text.partition(".")
    if not dot:
        return text
    digits = len(tail) - len(tail.lstrip("0123456789"))
    return f"{head}.{tail[: min(digits, 6)]}{tail[digits:]}"


def page(document: Any, item: Callable[[Any], _Item]) -> Page[_Item]:
    """A page of a list, with what it tells of the others; a bare list is a page too."""
    entries = data(document)
    about = document.get("page") if isinstance(document, dict) else None
    about = about if isinstance(about, dict) else {}
    if not isinstance(entries, list) and entries is not None:
        raise TypeError("data is no list")
    return Page(
        tuple(item(entry) for entry in entries or ()),
        total=_number(about.get("totalElements")),
        number=_number(about.get("currentPageNumber")),
    )


def _course(entry: Json) -> dict[str, Any]:
    """What is told alike of everything that runs: a job, a flow of it, a step of that."""
    return {
        "id": _id(entry),
        "msg": _text(entry, "msg"),
        "external_id": _text(entry, "externalId"),
        "started_at": moment(entry.get("startDate")),
        "ended_at": moment(entry.get("endDate")),
        "expires_at": moment(entry.get("expirationDate")),
    }


def job(entry: Json) -> Job:
    """A job."""
    return Job(
        status=JobStatus(_text(entry, "status") or "unknown"),
        domain=_text(entry, "domainId") or "",
        channel=_text(entry, "channel"),
        mode=_text(entry, "mode"),
        flow_model_type=_text(entry, "flowModelType"),
        triggered_by=_text(entry, "triggeredBy"),
        **_course(entry),
    )


def flow_instance(entry: Json) -> FlowInstance:
    """A flow of a job."""
    return FlowInstance(
        status=FlowStatus(_text(entry, "status") or "unknown"),
        job_id=_text(entry, "jobId"),
        domain=_text(entry, "domainId") or "",
        flow_model_id=_text(entry, "flowModelId"),
        flow_model_name=_text(entry, "flowModelName"),
        input_retrievable=_flag(entry, "inputRetrievable"),
        **_course(entry),
    )


def flow_step(entry: Json) -> FlowStep:
    """A step of a flow."""
    return FlowStep(
        status=StepStatus(_text(entry, "status") or "unknown"),
        type=StepType(_text(entry, "stepType") or "unknown"),
        flow_instance_id=_text(entry, "flowInstanceId"),
        previous_id=_text(entry, "previousStepId"),
        name=_text(entry, "stepName"),
        display_name=_text(entry, "displayName"),
        delivery_file_retrievable=_flag(entry, "deliveryFileRetrievable"),
        message_file_retrievable=_flag(entry, "messageFileRetrievable"),
        queued_at=moment(entry.get("queueDate")),
        **_course(entry),
    )


def resource(entry: Json) -> Resource:
    """A version of a resource."""
    approval = entry.get("approvalInfo")
    return Resource(
        id=_id(entry),
        name=_text(entry, "name") or "",
        type=_text(entry, "type") or "",
        state=ResourceState(_text(entry, "state") or "unknown"),
        version=_number(entry.get("version")),
        description=_text(entry, "description"),
        state_comment=_text(entry, "stateComment"),
        created_by=_text(entry, "createdBy"),
        created_at=moment(entry.get("createdDate")),
        modified_by=_text(entry, "lastModifiedBy"),
        modified_at=moment(entry.get("lastModifiedDate")),
        effective_from=moment(entry.get("effectiveStart")),
        effective_until=moment(entry.get("effectiveEnd")),
        locked=_flag(entry, "locked") or False,
        locked_by=_text(entry, "lockedBy"),
        approval=_approval(approval) if isinstance(approval, dict) else None,
    )


def _approval(entry: Json) -> ApprovalInfo:
    approvals = tuple(
        Approval(
            role=_name(one.get("role")),
            level=_number(one.get("level")) or 0,
            approved=_flag(one, "approved") or False,
            pending=_flag(one, "pending") or False,
        )
        for one in _entries(entry.get("approvals"))
    )
    return ApprovalInfo(_text(entry, "state") or "", _flag(entry, "pending") or False, approvals)


def domain(entry: Json) -> Domain:
    """A domain, with its approval groups where they were asked for."""
    return Domain(
        id=_id(entry),
        workflow=Workflow(_text(entry, "workflow") or "unknown"),
        production=_flag(entry, "production") or False,
        restrict_approval=_flag(entry, "restrictApproval") or False,
        groups=tuple(_group(one) for one in _entries(entry.get("approvalGroups"))),
    )


def domains(entries: Any) -> tuple[Domain, ...]:
    """Domains, those within others too, each once."""
    found: dict[str, Domain] = {}
    waiting = list(_entries(entries))
    while waiting:
        entry = waiting.pop(0)
        one = domain(entry)
        if one.id not in found:
            found[one.id] = one
            waiting.extend(_entries(entry.get("children")))
    return tuple(found.values())


def _group(entry: Json) -> ApprovalGroup:
    roles = tuple(
        ApprovalRole(_name(one.get("role")), _number(one.get("level")) or 0, _text(one, "email"))
        for one in _entries(entry.get("approvalRoles"))
    )
    return ApprovalGroup(tuple(str(one) for one in entry.get("resourceTypes") or ()), roles)


def history(entry: Json) -> HistoryEntry:
    """An entry of a resource's audit trail."""
    return HistoryEntry(
        id=_id(entry),
        operation=_text(entry, "operation"),
        state=_text(entry, "state"),
        modified_by=_text(entry, "modifiedBy"),
        modified_at=moment(entry.get("modifiedDate")),
        comment=_text(entry, "auditedComment"),
        version=_number(entry.get("version")),
        revision=_number(entry.get("revision")),
    )


def bulk(document: Any) -> BulkOutcome:
    """What became of a change of many; each list but one names the reason of a refusal."""
    lists = data(document)
    changed: tuple[str, ...] = ()
    refused: dict[str, tuple[str, ...]] = {}
    for name, entries in lists.items():
        if not isinstance(entries, list):
            continue
        ids = tuple(_id(entry) if isinstance(entry, dict) else str(entry) for entry in entries)
        if name == "stateChangedResources":
            changed = ids
        elif ids:
            refused[_reason(name)] = ids
    return BulkOutcome(changed, refused)


def _reason(name: str) -> str:
    for ending in _LIST_NAMES:
        if name.endswith(ending):
            return name.removesuffix(ending)
    return name


def generated(document: Any) -> tuple[Generated, ...]:
    """The outputs of a composition. Raises ValueError where one is no base64."""
    entries = data(document)
    return tuple(_output(entry) for entry in ([entries] if isinstance(entries, dict) else entries))


def _output(entry: Json) -> Generated:
    context = entry.get("engineOutputContext")
    context = context if isinstance(context, dict) else {}
    return Generated(
        content=unpacked(entry["content"]),
        media_type=_text(entry, "mimeType") or "application/octet-stream",
        queue=_text(context, "queueName"),
        file_name=_text(context, "fileName"),
        customer=_text(context, "customerNumber"),
    )


def unpacked(text: Any) -> bytes:
    """Base64 as bytes, with line ends in it or not. Raises ValueError where it is none."""
    if not isinstance(text, str | bytes):
        raise TypeError("no base64")
    try:
        return pybase64.b64decode(text, validate=True)
    except ValueError:  # MIME's line ends, or no base64 at all
        packed = text.encode() if isinstance(text, str) else text
        return pybase64.b64decode(packed.translate(None, b" \t\r\n"), validate=True)


def version(document: Json, service: str) -> Version:
    """What a service says of itself."""
    text = _text(document, "versionString") or ".".join(
        str(document[part]) for part in ("major", "minor", "patch") if document.get(part) is not None
    )
    return Version(service=service, text=text or "unknown", details=document)


def config(document: Json) -> ServiceConfig:
    """What an orchestration service can do."""
    return ServiceConfig(
        base_subscription=_flag(document, "baseSubscription") or False,
        assured_delivery=_flag(document, "assuredDeliveryEnabled") or False,
        raw=document,
    )


def current_user(entry: Json) -> CurrentUser:
    """As whom we are known."""
    return CurrentUser(
        name=entry["name"],
        tenant=_text(entry, "tenantName"),
        groups=tuple(_name(one) for one in entry.get("groups") or ()),
        roles=tuple(_name(one) for one in entry.get("roles") or ()),
    )


def _id(entry: Json) -> str:
    found = entry["id"]
    if not isinstance(found, str | int) or isinstance(found, bool) or found == "":
        raise TypeError("no id")
    return str(found)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _text(entry: Json, name: str) -> str | None:
    value = entry.get(name)
    if value is None or isinstance(value, dict | list):
        return None
    return value.replace("\0", "") if isinstance(value, str) else str(value)  # no database keeps NUL in a text


def _name(value: Any) -> str:
    return str(value.get("name") or value.get("id") or "") if isinstance(value, dict) else str(value or "")


def _number(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _flag(entry: Json, name: str) -> bool | None:
    value = entry.get(name)
    if isinstance(value, str):
        return value.strip().lower() == "true"
    return value if isinstance(value, bool) else None
