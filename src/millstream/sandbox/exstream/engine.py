"""The engine and the orchestration around it: a job's flows are composed, held and delivered, in the sandbox's time."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path

from millstream.log import get_logger
from millstream.sandbox.exstream import drivers, messages, tree
from millstream.sandbox.exstream.channels import Channels, NotDelivered
from millstream.sandbox.exstream.composing import Composed, NotComposed
from millstream.sandbox.exstream.errors import Conflict, DriverProblem, Wiped
from millstream.sandbox.exstream.flows import FlowModel
from millstream.sandbox.exstream.jobs import STEP_OVER, Customer, Decision, FlowInstance, Job, Made, Step
from millstream.sandbox.exstream.world import World, known_id, new_id

_log = get_logger(__name__)

REPROCESSED = frozenset({"complete", "error", "canceled"})


class Engine:
    """Starts jobs and acts on them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._channels = Channels(world)

    # Beginning

    async def start(self, model: FlowModel, body: bytes, headers: Mapping[str, str], *, mode: str, by: str) -> Job:
        """A new job over an input; it runs on by itself. A driver that cannot be read becomes a job in error."""
        world = self.world
        job = Job(
            id=new_id(), model=model, domain=model.domain, mode=mode, body=body,
            content_type=headers.get("Content-Type", ""), triggered_by=by, trace=new_id().replace("-", ""),
            snapshot=new_id(), started=world.clock.seconds(),
            external_id=headers.get(model.external_id_header) if model.external_id_header else None,
        )  # fmt: skip
        await self._split(job)
        world.jobs[job.id] = job
        for flow in job.flows:
            world.flow_instances[flow.id] = flow
        job.task = asyncio.create_task(self._run(job))
        return job

    async def _split(self, job: Job) -> None:
        problem, records = "", []
        try:
            records = await asyncio.to_thread(drivers.read, job.body, job.content_type)
        except DriverProblem as error:
            problem = str(error)
        self.world.customers += len(records)
        size = job.model.customers_per_flow
        for start in range(0, max(len(records), 1), size):
            part = records[start : start + size]
            customers = [Customer(at, start + at, record) for at, record in enumerate(part, 1)]
            flow = FlowInstance(
                id=new_id(), job=job, model_id=known_id(job.domain, "flowmodel", job.model.name),
                snapshot_id=job.snapshot, customers=customers,
            )  # fmt: skip
            job.flows.append(flow)
            self._lay_out(flow)
            if problem:
                self._fail(flow, flow.steps[0], f"{messages.UNREADABLE} {problem}")

    def _lay_out(self, flow: FlowInstance) -> None:
        """The steps of a flow instance: input, communication, a hold where there is one, an output for each channel."""
        model = flow.job.model
        plan: list[tuple[str, str, int | None]] = [("Input", "input", None), (model.name, "communication", None)]
        if model.hold:
            plan.append(("Hold", "hold", None))
        plan += [(f"Output {channel.type}", "output", at) for at, channel in enumerate(model.channels)]
        flow.steps = []
        for name, kind, at in plan:
            previous = flow.steps[-1] if flow.steps else None
            step = Step(
                id=new_id(), name=name, type=kind, flow=flow, previous=previous,
                queued=self.world.clock.seconds(), channel=at,
            )  # fmt: skip
            flow.steps.append(step)
            self.world.steps[step.id] = step

    # Running

    async def _run(self, job: Job) -> None:
        waiting: list[asyncio.Task[None]] = []
        todo = [flow for flow in job.flows if not flow.is_over]
        try:
            for at, flow in enumerate(todo, 1):
                if flow.is_over:
                    continue
                await self._compose(flow, due=job.started + job.model.seconds * at / len(todo))
                waiting.append(asyncio.create_task(self._finish(flow)))
            await asyncio.gather(*waiting)
            await self._channels.end(job)
        except NotDelivered as problem:
            last = job.flows[-1]
            self._fail(last, last.steps[-1], str(problem))
        except Exception as problem:  # noqa: BLE001  a job must end, whatever happens to it
            _log.exception("sandbox_job_broke", job=job.id)
            for flow in job.flows:
                if not flow.is_over:
                    self._fail(flow, flow.steps[-1], f"The sandbox broke: {problem}")
        finally:
            for task in waiting:
                task.cancel()
        self._end(job)
        _log.debug("sandbox_job_over", job=job.id, status=job.status)

    async def _compose(self, flow: FlowInstance, due: float) -> None:
        now = self.world.clock.seconds
        flow.status, flow.started = "started", now()
        source, communication = flow.steps[0], flow.steps[1]
        self._begin(source)
        self._complete(source)
        self._begin(communication)
        folder = tree.output_folder(self.world.folder, flow)
        work = [self._compose_one(flow, customer, folder) for customer in flow.customers]
        await asyncio.gather(*work)
        await self.world.until(due, lambda: flow.is_over)
        if flow.is_over:
            return
        stopped = next((one for one in flow.customers if one.status == "severe"), None)
        if stopped is not None:
            self._fail(flow, communication, flow.job.model.fail.message, customer=stopped.id)
            return
        left_out = [one for one in flow.customers if one.status == "failed"]
        flow.messages.append(messages.line(now(), f"{messages.DONE} {len(flow.customers) - len(left_out)} customers"))
        await asyncio.to_thread(self._write_run, flow, folder)
        if flow.is_over:  # stopped meanwhile
            return
        flow.folder = folder
        self._complete(communication)
        if left_out:
            communication.msg = (
                f"{len(left_out)} of {len(flow.customers)} customers were left out; see the message file"
            )

    async def _compose_one(self, flow: FlowInstance, customer: Customer, folder: Path) -> None:
        """One customer: the engine's message, or the files."""
        model, said = flow.job.model, flow.job.model.fail
        mended = said.mended_by_reprocessing and flow.job.tries > 0
        if said.concerns(customer.id) and not mended:
            flow.messages.append(messages.line(self.world.clock.seconds(), said.message, customer.id))
            if said.severity in "SE":
                customer.status = "severe" if said.severity == "S" else "failed"
                return
        loop, composing = asyncio.get_running_loop(), self.world.composing

        def work() -> Composed | None:
            if flow.is_over:
                return None
            composed = composing.compose(customer, model.template, model.outputs)
            customer.files = list(_written(composed, customer, folder, model))
            return composed

        try:
            composed = await loop.run_in_executor(composing.pool, work)
        except NotComposed as problem:
            customer.status = "failed"
            line = messages.line(self.world.clock.seconds(), f"{messages.WRONG_DATA} {problem}", customer.id)
            flow.messages.append(line)
            return
        if composed is not None:
            composing.count += 1
            customer.status, customer.subject, customer.text = "composed", composed.subject, composed.text

    def _write_run(self, flow: FlowInstance, folder: Path) -> None:
        tree.write(folder / tree.REPORT, tree.error_report(flow))
        tree.write(folder / tree.MESSAGES, "".join(f"{line}\n" for line in flow.messages).encode())
        tree.write(folder / tree.MANIFEST, tree.manifest(flow, folder))

    async def _finish(self, flow: FlowInstance) -> None:
        """What comes after composition: the hold, the channels."""
        for step in flow.steps[2:]:
            if flow.is_over:
                return
            if step.type == "hold":
                await self._hold(flow, step)
                continue
            flow.status = "finishing"
            self._begin(step)
            try:
                await self._channels.deliver(flow, step)
            except NotDelivered as problem:
                if not flow.is_over:
                    self._fail(flow, step, str(problem))
                return
            if step.status not in STEP_OVER:
                self._complete(step)
        if not flow.is_over:
            self._over(flow, "complete")

    async def _hold(self, flow: FlowInstance, step: Step) -> None:
        now = self.world.clock.seconds
        step.status, step.started = "holding", now()
        flow.status = "holding"
        flow.decided = asyncio.get_running_loop().create_future()
        seconds = flow.job.model.hold_seconds
        alarm = asyncio.create_task(self._expire(flow, now() + seconds)) if seconds is not None else None
        try:
            decision = await flow.decided
        finally:
            if alarm is not None:
                alarm.cancel()
        if flow.is_over:
            return
        if decision is Decision.RELEASE:
            flow.status = "started"
            self._complete(step)
        elif decision is Decision.EXPIRE:
            step.msg = "Nobody released the step in time"
            self._cancel(flow, expired=step)

    async def _expire(self, flow: FlowInstance, moment: float) -> None:
        await self.world.until(moment)
        if flow.decided is not None and not flow.decided.done():
            flow.decided.set_result(Decision.EXPIRE)

    # States

    def _begin(self, step: Step) -> None:
        step.status, step.started = "started", self.world.clock.seconds()

    def _complete(self, step: Step) -> None:
        step.status = "complete"
        step.executed = step.ended = self.world.clock.seconds()

    def _fail(self, flow: FlowInstance, step: Step, message: str, customer: str | None = None) -> None:
        about = f" (customer {customer})" if customer else ""
        step.status, step.ended, step.msg = "error", self.world.clock.seconds(), f"{message}{about}"
        flow.msg = step.msg
        if message.startswith(messages.UNREADABLE):
            flow.messages.append(messages.line(self.world.clock.seconds(), message))
        self._over(flow, "error")

    def _over(self, flow: FlowInstance, status: str) -> None:
        flow.status, flow.ended = status, self.world.clock.seconds()

    def _cancel(self, flow: FlowInstance, expired: Step | None = None) -> None:
        for step in flow.steps:
            if step.status not in STEP_OVER:
                step.status = "expired" if step is expired else "canceled"
                step.ended = self.world.clock.seconds()
        self._over(flow, "canceled")
        if flow.decided is not None and not flow.decided.done():
            flow.decided.set_result(Decision.STOP)

    def _end(self, job: Job) -> None:
        job.ended = self.world.clock.seconds()
        keep = next((one.seconds for one in job.model.channels if one.type == "retained"), None)
        job.expires = job.ended + (keep or self.world.config.retention_seconds)

    # Acting

    def stop_job(self, job: Job) -> None:
        """Cancel what of a job has not ended; raises `Conflict` when nothing is left to stop."""
        self._stop(job, job.flows)
        job.stopped = True

    def stop_flow(self, flow: FlowInstance) -> None:
        """Cancel a flow instance; raises `Conflict`."""
        self._stop(flow.job, [flow])

    def _stop(self, job: Job, flows: Iterable[FlowInstance]) -> None:
        running = [flow for flow in flows if not flow.is_over]
        if not running:
            raise Conflict(f"There is nothing to stop: job {job.id} is {job.status}")
        for flow in running:
            self._cancel(flow)
        self.world.moved()

    def release(self, flow: FlowInstance, step: Step | None = None) -> None:
        """Let a held flow go on; raises `Conflict` where it, or the step, does not hold."""
        held = flow.held
        if held is None or flow.decided is None or flow.decided.done() or step not in (None, held):
            what = f"Flow step {step.id} is {step.status}" if step else f"Flow instance {flow.id} is {flow.status}"
            raise Conflict(f"{what}, not holding")
        flow.status, held.status = "started", "started"
        flow.decided.set_result(Decision.RELEASE)

    async def reprocess(self, job: Job, *, current_model: bool) -> None:
        """Run again what of a job did not complete, or all of it where everything did.

        Raises:
            Conflict: the job still runs.
            Wiped: its input is gone.
        """
        if job.status not in REPROCESSED or (job.task is not None and not job.task.done()):
            raise Conflict(f"Job {job.id} is {job.status}; only a job that has ended can be reprocessed")
        if self.world.is_wiped(job):
            raise Wiped(f"The input of job {job.id} is not retained any more")
        if current_model:
            job.model = self.world.flow(job.domain, job.model.service)
        job.tries += 1
        job.stopped = False
        job.started, job.ended, job.expires = self.world.clock.seconds(), None, None
        again = [flow for flow in job.flows if flow.status != "complete"] or job.flows
        for flow in again:
            self._forget(flow)
        job.task = asyncio.create_task(self._run(job))

    def _forget(self, flow: FlowInstance) -> None:
        for step in flow.steps:
            self.world.steps.pop(step.id, None)
        unreadable = not flow.customers
        flow.status, flow.started, flow.ended, flow.msg = "waiting", None, None, None
        flow.folder, flow.decided, flow.messages = None, None, []
        for customer in flow.customers:
            customer.status, customer.files, customer.delivered = "waiting", [], []
        self._lay_out(flow)
        if unreadable:
            self._fail(flow, flow.steps[0], f"{messages.UNREADABLE} the driver cannot be read")


def _written(composed: Composed, customer: Customer, folder: Path, model: FlowModel) -> Iterable[Made]:
    """The pieces as files of the output folder."""
    extensions = {output.queue: output.extension for output in model.outputs}
    for piece in composed.pieces:
        ending = piece.name[piece.name.rfind(".") :] if extensions[piece.queue] else ""
        place = f"{piece.queue}/{customer.number:05}{ending}"
        tree.write(folder / place, piece.content)
        yield Made(piece.queue, piece.driver, piece.media_type, place, piece.name, piece.pages)
