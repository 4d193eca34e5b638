"""The orchestration runtime: jobs, flow instances, flow steps, their files, and what can be asked of them."""

import asyncio
import io
import re
import zipfile
from typing import Any, Final

from millstream.sandbox.exstream import filters, tree, wire
from millstream.sandbox.exstream.engine import Engine
from millstream.sandbox.exstream.errors import BadRequest, Conflict, NotFound, Wiped
from millstream.sandbox.exstream.front import Answer, Call, Operation
from millstream.sandbox.exstream.jobs import FlowInstance, Job, Step
from millstream.sandbox.exstream.world import World, is_id

_PERIODS: Final = ("startDate", "endDate", "expiringDate")


def _keys(words: str, periods: tuple[str, ...] = _PERIODS) -> frozenset[str]:
    return frozenset(words.split()) | {f"{period}{end}" for period in periods for end in ("Start", "End")}


JOB_KEYS: Final = _keys(
    "ids channel externalId triggeredBy statuses mode domainId aggregatedFMCSnapshotIds flowModelTypes"
)
FLOW_KEYS: Final = _keys(
    "ids flowModelId flowModelIds flowModelSnapshotIds jobId externalId statuses flowModelTypes domainId "
    "executingLongRunningOp"
)
STEP_KEYS: Final = _keys(
    "ids stepName displayName externalId previousStepId flowInstanceId caseSensitive statuses stepTypes "
    "deliveryFileRetrievable",
    (*_PERIODS, "queueDate", "executeDate"),
)
COUNT_KEYS: Final = frozenset({"flowModelIds", "startDateStart", "startDateEnd", "fillMissingData"})
_STATES: Final = {
    "jobs": frozenset(["uninitialized", "waiting", "started", "holding", "complete", "error", "canceled", "deleted"]),
    "flows": frozenset(["started", "waiting", "holding", "finishing", "complete", "error", "canceled"]),
    "steps": frozenset(
        ["created", "waiting", "holding", "started", "executed", "filtered", "complete", "error", "expired", "canceled"]
    ),
}
_CUSTOMERS: Final = re.compile(r"\s*\d+(\s*-\s*\d+)?(\s*,\s*\d+(\s*-\s*\d+)?)*\s*")
_XML: Final = "application/xml"
_TEXT: Final = "text/plain; charset=utf-8"


class Runtime:
    """The handlers."""

    def __init__(self, world: World, engine: Engine) -> None:
        self._world = world
        self._engine = engine

    def operations(self) -> list[Operation]:
        """Every operation of the runtime."""
        base = "/orchestration/api/v1/runtime/{domain}"
        table = [
            ("jobs.list", "GET", "jobs", self.jobs),
            ("jobs.post_sort", "POST", "jobs/post-sort", self.post_sort),
            ("jobs.get", "GET", "jobs/{id}", self.job),
            ("jobs.stop", "POST", "jobs/{id}/stop", self.stop_job),
            ("jobs.reprocess", "POST", "jobs/{id}/reprocessing", self.reprocess),
            ("flows.list", "GET", "flow-instances", self.flows),
            ("flows.counts", "POST", "flow-instances/counts", self.counts),
            ("flows.associated_jobs", "POST", "flow-instances/associated-jobs", self.associated_jobs),
            ("flows.get", "GET", "flow-instances/{id}", self.flow),
            ("flows.input", "GET", "flow-instances/{id}/input", self.input),
            ("flows.stop", "POST", "flow-instances/{id}/stop", self.stop_flow),
            ("flows.release", "POST", "flow-instances/{id}/release", self.release_flow),
            ("steps.list", "GET", "flow-steps", self.steps),
            ("steps.get", "GET", "flow-steps/{id}", self.step),
            ("steps.message_file", "GET", "flow-steps/{id}/message-file", self.message_file),
            ("steps.delivery_file", "GET", "flow-steps/{id}/delivery-file", self.delivery_file),
            ("steps.outputs", "GET", "flow-steps/{id}/delivery-file/outputs", self.outputs),
            ("steps.output_files", "GET", "flow-steps/{id}/delivery-file/output-files", self.output_files),
            ("steps.artifact", "GET", "flow-steps/{id}/artifact/{artifact:.+}", self.artifact),
            ("steps.customer_artifacts", "GET", "flow-steps/{id}/customer-artifacts/{customer}", self.customer),
            ("steps.stop", "POST", "flow-steps/{id}/stop", self.stop_step),
            ("steps.release", "POST", "flow-steps/{id}/release", self.release_step),
        ]
        return [Operation(name, verb, f"{base}/{path}", handler, "MONITOR") for name, verb, path, handler in table]

    # Jobs

    async def jobs(self, call: Call) -> Answer:
        """Jobs, the newest first."""
        wanted = _checked(filters.read(call.query, JOB_KEYS), "jobs")
        deleted = call.flag("fetchDeleted")
        found = [
            job
            for job in reversed(self._world.jobs.values())
            if job.domain == call.domain and (deleted or not job.deleted) and _job_fits(job, wanted)
        ]
        return Answer(call.paging.page(found, lambda job: wire.job_document(call.style, job), call.style.odd))

    async def job(self, call: Call) -> Answer:
        """One job."""
        return Answer(wire.success(wire.job_document(call.style, self._job(call))))

    async def stop_job(self, call: Call) -> Answer:
        """Cancel a job."""
        self._engine.stop_job(self._job(call))
        return Answer("success")

    async def reprocess(self, call: Call) -> Answer:
        """Run a job again."""
        current = call.flag("useCurrentFlowModel")
        call.flag("useCurrentFlowContext")
        await self._engine.reprocess(self._job(call), current_model=current)
        return Answer("success")

    async def post_sort(self, call: Call) -> Answer:
        """A post-sort run over retained work. The order is checked and nothing sorted: there is no sorting index."""
        told = call.document
        if not is_id(str(told.get("flowModelId", ""))):
            return Answer(wire.failure("flowModelId is needed and must be a uuid"), status=400)
        customers = told.get("customerList")
        if customers is not None and not (isinstance(customers, str) and _CUSTOMERS.fullmatch(customers)):
            return Answer(wire.failure("customerList must be numbers and ranges such as 2,7,14-50"), status=400)
        if all(flow.model_id != told["flowModelId"] for flow in self._world.flow_instances.values()):
            return Answer(wire.failure("No sorting assets were found"), status=404)
        return Answer(wire.generic("Post-sort run was accepted"), status=201)

    # Flow instances

    async def flows(self, call: Call) -> Answer:
        """Flow instances, the newest job first."""
        found = self._found_flows(call, filters.read(call.query, FLOW_KEYS))
        return Answer(call.paging.page(found, lambda flow: wire.flow_document(call.style, flow), call.style.odd))

    async def flow(self, call: Call) -> Answer:
        """One flow instance."""
        flow = self._flow(call)
        there = not self._world.is_wiped(flow.job) if call.flag("checkArtifacts") else None
        return Answer(wire.success(wire.flow_document(call.style, flow, input_there=there)))

    async def input(self, call: Call) -> Answer:
        """The input as it came."""
        flow = self._flow(call)
        call.flag("download")
        if self._world.is_wiped(flow.job):
            raise Wiped(f"The input of flow instance {flow.id} is not retained any more")
        media_type = flow.job.content_type or "application/octet-stream"
        return Answer(content=flow.job.body, media_type=media_type, file_name="input")

    async def stop_flow(self, call: Call) -> Answer:
        """Cancel a flow instance."""
        self._engine.stop_flow(self._flow(call))
        return Answer("success")

    async def release_flow(self, call: Call) -> Answer:
        """Let a held flow instance go on."""
        self._engine.release(self._flow(call))
        return Answer("success")

    async def counts(self, call: Call) -> Answer:
        """Flow instances by day and status. The inner shape is not on record; this one is ours."""
        told = call.document.get("filter")
        wanted = filters.of_document(told, COUNT_KEYS)
        by_day: dict[str, dict[str, int]] = {}
        for flow in self._world.flow_instances.values():
            if flow.job.domain == call.domain and _flow_fits(flow, wanted):
                day = str(wire.Style().date(flow.job.started))[:10]
                states = by_day.setdefault(day, {})
                states[flow.status] = states.get(flow.status, 0) + 1
        return Answer(wire.success(by_day))

    async def associated_jobs(self, call: Call) -> Answer:
        """Flow instances by a filter in the body, and the jobs they belong to."""
        told, config = call.document, self._world.config
        wanted = filters.of_document(told.get("filter"), FLOW_KEYS)
        paging = wire.Paging.of(told, config.page_size, config.most_page_size, by_pages=config.offsets == "pages")
        found = self._found_flows(call, wanted)
        page = paging.page(found, lambda flow: wire.flow_document(call.style, flow), call.style.odd)
        ids = {entry["jobId"] for entry in page["data"]}
        jobs = {id_: wire.job_document(call.style, self._world.jobs[id_]) for id_ in ids}
        return Answer(wire.success({"flowInstances": page, "jobs": jobs}))

    def _found_flows(self, call: Call, wanted: filters.Filter) -> list[FlowInstance]:
        _checked(wanted, "flows")
        jobs = [job for job in reversed(self._world.jobs.values()) if job.domain == call.domain and not job.deleted]
        return [flow for job in jobs for flow in job.flows if _flow_fits(flow, wanted)]

    # Flow steps

    async def steps(self, call: Call) -> Answer:
        """Flow steps, in order within their flow instance."""
        wanted = _checked(filters.read(call.query, STEP_KEYS), "steps")
        check = call.flag("checkArtifacts")
        jobs = [job for job in reversed(self._world.jobs.values()) if job.domain == call.domain and not job.deleted]
        found = [step for job in jobs for flow in job.flows for step in flow.steps if self._step_fits(step, wanted)]

        def show(step: Step) -> Any:
            return wire.step_document(call.style, step, files_there=self._files_there(step) if check else None)

        return Answer(call.paging.page(found, show, call.style.odd))

    async def step(self, call: Call) -> Answer:
        """One flow step."""
        step = self._step(call)
        there = self._files_there(step) if call.flag("checkArtifacts") else None
        return Answer(wire.success(wire.step_document(call.style, step, files_there=there)))

    async def stop_step(self, call: Call) -> Answer:
        """Cancel a step, and with it its flow instance."""
        step = self._step(call)
        if step.status not in ("holding", "started", "waiting", "created"):
            raise Conflict(f"Flow step {step.id} is {step.status}; there is nothing to stop")
        self._engine.stop_flow(step.flow)
        return Answer("success")

    async def release_step(self, call: Call) -> Answer:
        """Let a hold step go on."""
        step = self._step(call)
        self._engine.release(step.flow, step)
        return Answer("success")

    # Files

    async def message_file(self, call: Call) -> Answer:
        """What the engine said; there as soon as it said something, also where the flow failed."""
        step = self._step(call)
        call.flag("download")
        if not step.flow.messages or self._world.is_wiped(step.flow.job):
            raise Wiped(f"Flow step {step.id} has no message file")
        text = "".join(f"{line}\n" for line in step.flow.messages)
        return Answer(content=text.encode(), media_type=_TEXT, file_name=tree.MESSAGES)

    async def delivery_file(self, call: Call) -> Answer:
        """The manifest."""
        call.flag("download")
        content = await self._content(self._with_files(call), tree.MANIFEST)
        return Answer(content=content, media_type=_XML, file_name=tree.MANIFEST)

    async def outputs(self, call: Call) -> Answer:
        """The outputs by customer. The shape is not on record; this one is ours."""
        flow = self._with_files(call).flow
        customers = [
            {
                "customer": one.number,
                "keys": dict(tree.keys(flow, one)),
                "outputs": [
                    {"queue": made.queue, "file": made.place, "mimeType": made.media_type} for made in one.files
                ],
            }
            for one in flow.customers
            if one.status == "composed"
        ]
        return Answer(wire.success({"customers": customers}))

    async def output_files(self, call: Call) -> Answer:
        """The files, by the names under which `artifact` has them."""
        step = self._with_files(call)
        places = [made.place for one in step.flow.customers for made in one.files]
        return Answer(call.paging.page([*places, tree.REPORT], lambda place: place, call.style.odd))

    async def artifact(self, call: Call) -> Answer:
        """One file by its name below the output folder."""
        step, name = self._with_files(call), call.path["artifact"]
        known = {made.place: made.media_type for one in step.flow.customers for made in one.files}
        known |= {tree.REPORT: _TEXT, tree.MESSAGES: _TEXT, tree.MANIFEST: _XML}
        if name not in known:
            raise NotFound(f"Flow step {step.id} has no artifact {name[:100]}")
        content = await self._content(step, name)
        return Answer(content=content, media_type=known[name], file_name=name.rpartition("/")[2])

    async def customer(self, call: Call) -> Answer:
        """All files of one customer, by its number in the run, as an archive."""
        step, number = self._with_files(call), call.path["customer"]
        files = next((one.files for one in step.flow.customers if str(one.number) == number), None)
        if not files:
            raise NotFound(f"Flow step {step.id} has no customer {number[:40]}")

        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for made in files:
                archive.writestr(zipfile.ZipInfo(made.place), await self._content(step, made.place))
        return Answer(content=target.getvalue(), media_type="application/zip", file_name=f"customer_{number}.zip")

    def _with_files(self, call: Call) -> Step:
        step = self._step(call)
        if not (step.has_files and self._files_there(step)):
            raise Wiped(f"The delivery file of flow step {step.id} cannot be retrieved")
        return step

    def _files_there(self, step: Step) -> bool:
        job = step.flow.job
        return job.retained and not self._world.is_wiped(job) and step.flow.folder is not None

    async def _content(self, step: Step, place: str) -> bytes:
        try:
            return await asyncio.to_thread(tree.content_of, step.flow, place)
        except FileNotFoundError:
            raise Wiped(f"{place} of flow step {step.id} cannot be retrieved") from None

    # Finding

    def _job(self, call: Call) -> Job:
        job = self._world.jobs.get(_id(call))
        if job is None or job.domain != call.domain:
            raise NotFound(f"Job {call.path['id']} was not found")
        return job

    def _flow(self, call: Call) -> FlowInstance:
        flow = self._world.flow_instances.get(_id(call))
        if flow is None or flow.job.domain != call.domain:
            raise NotFound(f"Flow instance {call.path['id']} was not found")
        return flow

    def _step(self, call: Call) -> Step:
        step = self._world.steps.get(_id(call))
        if step is None or step.flow.job.domain != call.domain:
            raise NotFound(f"Flow step {call.path['id']} was not found")
        return step

    def _step_fits(self, step: Step, wanted: filters.Filter) -> bool:
        words = {
            "ids": step.id, "flowInstanceId": step.flow.id, "statuses": step.status, "stepTypes": step.type,
            "stepName": step.name.replace(" ", "_"), "displayName": step.name,
            "externalId": step.flow.job.external_id, "previousStepId": step.previous.id if step.previous else None,
        }  # fmt: skip
        if "deliveryFileRetrievable" in wanted:
            words["deliveryFileRetrievable"] = str(step.has_files and self._files_there(step)).lower()
        dates = {
            "startDate": step.started, "endDate": step.ended, "queueDate": step.queued, "executeDate": step.executed,
            "expiringDate": step.flow.job.expires,
        }  # fmt: skip
        return filters.fits(wanted, words, dates)


def _id(call: Call) -> str:
    given = call.path["id"]
    if not is_id(given):
        raise BadRequest(f"Invalid UUID string: {given[:60]}")
    return given.lower()


def _checked(wanted: filters.Filter, what: str) -> filters.Filter:
    for status in wanted.get("statuses", ()):
        if status not in _STATES[what]:
            raise BadRequest(f"Status {status[:40]!r} is unknown; known are: {', '.join(sorted(_STATES[what]))}")
    return wanted


def _job_fits(job: Job, wanted: filters.Filter) -> bool:
    words = {
        "ids": job.id, "channel": job.model.service, "externalId": job.external_id, "triggeredBy": job.triggered_by,
        "statuses": job.status, "mode": job.mode, "domainId": job.domain, "aggregatedFMCSnapshotIds": job.snapshot,
        "flowModelTypes": wire.MODEL_TYPE,
    }  # fmt: skip
    dates = {"startDate": job.started, "endDate": job.ended, "expiringDate": job.expires}
    return filters.fits(wanted, words, dates)


def _flow_fits(flow: FlowInstance, wanted: filters.Filter) -> bool:
    words = {
        "ids": flow.id, "flowModelId": flow.model_id, "flowModelIds": flow.model_id, "jobId": flow.job.id,
        "flowModelSnapshotIds": flow.snapshot_id, "externalId": flow.job.external_id, "statuses": flow.status,
        "flowModelTypes": wire.MODEL_TYPE, "domainId": flow.job.domain, "executingLongRunningOp": "false",
    }  # fmt: skip
    dates = {"startDate": flow.started or flow.job.started, "endDate": flow.ended, "expiringDate": flow.job.expires}
    return filters.fits(wanted, words, dates)
