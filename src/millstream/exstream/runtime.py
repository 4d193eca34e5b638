"""What runs: jobs, their flows and steps, what these made, and what can be done with them.

Paths and fields: the API description of the orchestration service (v1), prefix ``/api/v1/runtime/{domain}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import date
from types import MappingProxyType
from typing import Any, BinaryIO, NamedTuple, TypeVar

import orjson

from millstream.exstream import decode
from millstream.exstream.caller import Caller, Fits, Query, part
from millstream.exstream.errors import Call
from millstream.exstream.filters import FilterValue, body_of, keys, named, spell, words_of
from millstream.exstream.model import Action, FlowInstance, FlowStep, Job, Page
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.paging import Walked, walk
from millstream.exstream.transport import Fetched

_MIB = 2**20
_LARGE = 2 * 2**30
_Item = TypeVar("_Item")

_MOMENTS = ("startDateStart", "startDateEnd", "endDateStart", "endDateEnd", "expiringDateStart", "expiringDateEnd")
_JOB_KEYS = keys(
    *_MOMENTS, "ids", "channel", "externalId", "triggeredBy", "statuses", "mode", "aggregatedFMCSnapshotIds",
    "flowModelTypes",
)  # fmt: skip
_FLOW_KEYS = keys(
    *_MOMENTS, "ids", "flowModelId", "flowModelIds", "flowModelSnapshotIds", "jobId", "externalId", "statuses",
    "flowModelTypes", "executingLongRunningOp",
)  # fmt: skip
_STEP_KEYS = keys(
    *_MOMENTS, "queueDateStart", "queueDateEnd", "executeDateStart", "executeDateEnd", "ids", "stepName",
    "displayName", "externalId", "previousStepId", "flowInstanceId", "caseSensitive", "statuses", "stepTypes",
    "deliveryFileRetrievable",
)  # fmt: skip

# Looked at again on our side, as a server that does not know our spelling of the filter lists everything.
_ASKED_AGAIN: Mapping[str, Callable[[Any], str | None]] = MappingProxyType(
    {
        "ids": lambda one: one.id,
        "statuses": lambda one: one.status,
        "mode": lambda one: one.mode,
        "jobId": lambda one: one.job_id,
        "flowInstanceId": lambda one: one.flow_instance_id,
        "stepTypes": lambda one: one.type,
    }
)


class AssociatedJobs(NamedTuple):
    """A page of flow instances, and the jobs they belong to by id."""

    flow_instances: Page[FlowInstance]
    jobs: Mapping[str, Job]


class Runtime:
    """The running side of one domain. Every method raises an :class:`~millstream.exstream.errors.ExstreamError`.

    Filters are given as keywords, in the service's own spelling (``jobId``) or in ours (``job_id``); a key that the
    service does not know is a TypeError.
    """

    def __init__(self, domain: str, caller: Caller, options: ExstreamOptions) -> None:
        self.domain = domain
        self._caller = caller
        self._options = options
        self._root = f"api/v1/runtime/{part(domain)}"

    def jobs(
        self, *, fetch_deleted: bool = False, walked: Walked | None = None, **filters: FilterValue
    ) -> AsyncIterator[Job]:
        """Jobs, each once. Dates are whole days in the server's own zone: ask from the day before and compare."""
        query = [("fetchDeleted", "true")] if fetch_deleted else []
        return self._listed("jobs", decode.job, named(filters, _JOB_KEYS), query, walked)

    def flow_instances(self, *, walked: Walked | None = None, **filters: FilterValue) -> AsyncIterator[FlowInstance]:
        """Flows, each once; those of a job by ``job_id``."""
        return self._listed("flow-instances", decode.flow_instance, named(filters, _FLOW_KEYS), [], walked)

    def flow_steps(
        self, *, check_artifacts: bool = False, walked: Walked | None = None, **filters: FilterValue
    ) -> AsyncIterator[FlowStep]:
        """Steps, each once; those of a flow by ``flow_instance_id`` (the service has no filter by job).

        Only with ``check_artifacts`` the answer tells what is still retrievable.
        """
        query = [("checkArtifacts", "true")] if check_artifacts else []
        return self._listed("flow-steps", decode.flow_step, named(filters, _STEP_KEYS), query, walked)

    async def job(self, id: str) -> Job:  # noqa: A002  the service's own word
        """One job. Raises NotFound."""
        return await self._one("jobs", id, decode.job)

    async def flow_instance(self, id: str, *, check_artifacts: bool = True) -> FlowInstance:  # noqa: A002  as above
        """One flow. Raises NotFound."""
        query = [("checkArtifacts", "true")] if check_artifacts else []
        return await self._one("flow-instances", id, decode.flow_instance, query)

    async def flow_step(self, id: str, *, check_artifacts: bool = True) -> FlowStep:  # noqa: A002  as above
        """One step. Raises NotFound."""
        query = [("checkArtifacts", "true")] if check_artifacts else []
        return await self._one("flow-steps", id, decode.flow_step, query)

    async def counts(
        self,
        *,
        flow_model_ids: tuple[str, ...] = (),
        start: date | None = None,
        end: date | None = None,
        fill: bool = False,
    ) -> Mapping[str, Any]:
        """How many flows started when and stand where, as the service tells it (its shape is not documented)."""
        asked: dict[str, Any] = body_of({"startDateStart": start, "startDateEnd": end})
        if flow_model_ids:
            asked["flowModelIds"] = list(flow_model_ids)
        if fill:
            asked["fillMissingData"] = True
        body = orjson.dumps({"filter": asked})
        call = self._call("flow-instances.counts")
        return await self._caller.document(call, "POST", f"{self._root}/flow-instances/counts", _mapping, body=body)

    async def associated_jobs(
        self, *, offset: int = 0, count: int | None = None, **filters: FilterValue
    ) -> AssociatedJobs:
        """One page of flows together with their jobs."""
        asked = body_of(named(filters, _FLOW_KEYS))
        body = orjson.dumps({"offset": offset, "count": count or self._options.page_size, "filter": asked})
        call = self._call("flow-instances.associated-jobs")
        path = f"{self._root}/flow-instances/associated-jobs"
        return await self._caller.document(call, "POST", path, _associated, body=body)

    async def message_file(self, step_id: str, to: BinaryIO, *, most: int = 64 * _MIB) -> Fetched:
        """The engine's messages of a step, as text. Raises NotFound, Gone or TooLarge (above ``most`` bytes)."""
        return await self._file("message-file", f"flow-steps/{part(step_id)}/message-file", to, most, _no_page)

    async def delivery_file(self, step_id: str, to: BinaryIO, *, most: int = _LARGE) -> Fetched:
        """The manifest of what a step made (XML). Raises NotFound, Gone or TooLarge."""
        return await self._file("delivery-file", f"flow-steps/{part(step_id)}/delivery-file", to, most, _no_page)

    async def artifact(self, step_id: str, name: str, to: BinaryIO, *, most: int = _LARGE) -> Fetched:
        """A file that a step made, by its name. Raises NotFound, Gone or TooLarge."""
        path = f"flow-steps/{part(step_id)}/artifact/{part(name)}"
        return await self._file("artifact", path, to, most)

    async def customer_artifacts(
        self, step_id: str, customer: int | str, to: BinaryIO, *, most: int = 512 * _MIB
    ) -> Fetched:
        """All that a step made for one customer, by its number in the run, as a ZIP.

        Raises:
            NotFound, Gone, TooLarge: as :meth:`artifact`.
        """
        path = f"flow-steps/{part(step_id)}/customer-artifacts/{part(customer)}"
        return await self._file("customer-artifacts", path, to, most, _is_zip)

    async def input(self, flow_instance_id: str, to: BinaryIO, *, most: int = _LARGE) -> Fetched:
        """The data that a flow was started with. Raises NotFound, Gone or TooLarge."""
        path = f"flow-instances/{part(flow_instance_id)}/input"
        return await self._file("input", path, to, most, _no_page, [("download", "true")])

    async def outputs(self, step_id: str) -> Any:
        """What a step made, as JSON whose shape is not documented."""
        call = self._call("flow-steps.outputs")
        path = f"{self._root}/flow-steps/{part(step_id)}/delivery-file/outputs"
        return await self._caller.document(call, "GET", path, decode.data)

    def output_files(self, step_id: str, *, walked: Walked | None = None) -> AsyncIterator[str]:
        """The names of the files that a step made, each once."""
        path = f"flow-steps/{part(step_id)}/delivery-file/output-files"
        return self._walk("flow-steps.output-files", path, str, [], walked)

    async def stop_job(self, id: str) -> None:  # noqa: A002  the service's own word
        """Stop all of a job. Raises StateRefused where it has ended."""
        await self._act("jobs", id, Action.STOP)

    async def reprocess(self, id: str, *, current_model: bool = False, current_context: bool = False) -> None:  # noqa: A002  as above
        """Run a job again: with its flow as it was then, or as it is now."""
        query = [
            ("useCurrentFlowModel", "true" if current_model else "false"),
            ("useCurrentFlowContext", "true" if current_context else "false"),
        ]
        await self._act("jobs", id, Action.REPROCESS, query)

    async def stop_flow(self, id: str) -> None:  # noqa: A002  as above
        """Stop a flow; its held step is not carried out."""
        await self._act("flow-instances", id, Action.STOP)

    async def release_flow(self, id: str) -> None:  # noqa: A002  as above
        """Let a held flow go on."""
        await self._act("flow-instances", id, Action.RELEASE)

    async def stop_step(self, id: str) -> None:  # noqa: A002  as above
        """Stop a step."""
        await self._act("flow-steps", id, Action.STOP)

    async def release_step(self, id: str) -> None:  # noqa: A002  as above
        """Let a held step go on."""
        await self._act("flow-steps", id, Action.RELEASE)

    async def post_sort(  # noqa: PLR0913  the fields of the service's request
        self,
        flow_model_id: str,
        *,
        customers: str = "",
        queue: str | None = None,
        external_id: str | None = None,
        consolidate: bool | None = None,
        dry_run: bool = False,
        filters: Mapping[str, Any] | None = None,
    ) -> Mapping[str, Any]:
        """Sort what was made into one run; ``customers`` as in :func:`millstream.exstream.engine.customer_list`."""
        asked = {
            "flowModelId": flow_model_id,
            "customerList": customers or None,
            "postSortQueueName": queue,
            "externalId": external_id,
            "appConsolidation": consolidate,
            "dryRun": dry_run,
            "filter": dict(filters or {}) or None,
        }
        body = orjson.dumps({name: value for name, value in asked.items() if value is not None})
        call = self._call("jobs.post-sort", write=True)
        return await self._caller.document(call, "POST", f"{self._root}/jobs/post-sort", _mapping, body=body)

    def _call(self, operation: str, *, write: bool = False) -> Call:
        return Call(operation, self.domain, write)

    async def _one(self, kind: str, id: str, read: Callable[[Any], _Item], query: Query = ()) -> _Item:  # noqa: A002  as above
        call = self._call(f"{kind}.get")
        path = f"{self._root}/{kind}/{part(id)}"
        return await self._caller.document(call, "GET", path, lambda answer: read(decode.data(answer)), query=query)

    async def _act(self, kind: str, id: str, action: Action, query: Query = ()) -> None:  # noqa: A002  as above
        call = self._call(f"{kind}.{action}", write=True)
        await self._caller.act(call, f"{self._root}/{kind}/{part(id)}/{action}", query=query)

    async def _file(
        self, what: str, path: str, to: BinaryIO, most: int, fits: Fits | None = None, query: Query = ()
    ) -> Fetched:
        call = self._call(f"files.{what}")
        return await self._caller.fetch(call, f"{self._root}/{path}", to, most=most, query=query, fits=fits)

    async def _listed(
        self,
        kind: str,
        read: Callable[[Any], _Item],
        filters: Mapping[str, FilterValue],
        query: list[tuple[str, str]],
        walked: Walked | None,
    ) -> AsyncIterator[_Item]:
        asked = {key: words for key, value in filters.items() if key in _ASKED_AGAIN and (words := words_of(value))}
        spelt = spell(self._options.orchestration_filter, filters)
        async for item in self._walk(f"{kind}.list", kind, read, [*query, *spelt], walked):
            if all(_fits(_ASKED_AGAIN[key](item), words) for key, words in asked.items()):
                yield item

    def _walk(
        self,
        operation: str,
        path: str,
        read: Callable[[Any], _Item],
        query: list[tuple[str, str]],
        walked: Walked | None,
    ) -> AsyncIterator[_Item]:
        call = self._call(operation)

        async def fetch(offset: int, count: int) -> Page[_Item]:
            asked = [*query, ("offset", str(offset)), ("count", str(count))]
            return await self._caller.document(
                call, "GET", f"{self._root}/{path}", lambda answer: decode.page(answer, read), query=asked
            )

        return walk(fetch, page_size=self._options.page_size, paging=self._options.paging, walked=walked)


def _fits(value: str | None, words: frozenset[str]) -> bool:
    """Whether an entry is what was asked for; what it does not tell is believed."""
    return value is None or str(value).lower() in words


def _mapping(answer: Any) -> Mapping[str, Any]:
    found = decode.data(answer)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise TypeError("data is no object")
    return found


def _associated(answer: Any) -> AssociatedJobs:
    found = decode.data(answer)
    jobs = {key: decode.job(entry) for key, entry in (found.get("jobs") or {}).items()}
    return AssociatedJobs(decode.page(found["flowInstances"], decode.flow_instance), jobs)


def _no_page(head: bytes) -> bool:
    """Engines write text and XML here; what begins as HTML is a login page or a proxy's."""
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return not start.startswith((b"<!doctype html", b"<html"))


def _is_zip(head: bytes) -> bool:
    return head.startswith(b"PK")
