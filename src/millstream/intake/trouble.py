"""What went wrong at Exstream becomes events, each once: jobs and steps in failure, engine messages, error reports.

Whoever answers them (an incident) gets customer, document type, error and source as far as Exstream tells them.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from millstream.exstream.errors import ExstreamError, Forbidden, NotFound, TokenAway, TokenRefused, Unauthorized
from millstream.exstream.messages import PATTERN, read_messages
from millstream.exstream.model import FlowInstance, FlowStep, Severity, StepType
from millstream.intake.errors import IntakeError
from millstream.intake.pull.jobs import JobStore, Trouble, models
from millstream.log import get_logger

if TYPE_CHECKING:
    from millstream.exstream.runtime import Runtime

log = get_logger(__name__)

ReadReports = Callable[[Path], Iterable[tuple[str, str]]]
"""Reads from an engine's manifest which report files there are: logical name and path. Blocking."""

MOST: Final = 100
"""Messages, or lines of a report, that become events of their own; then one event tells how many more there are."""
_MOST_MESSAGES: Final = 64 * 1024 * 1024
_MOST_REPORT: Final = 64 * 1024 * 1024
_MOST_LINE: Final = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TroubleOptions:
    """What counts as an exception."""

    channels: tuple[str, ...] = ()
    failure_statuses: tuple[str, ...] = ("error", "canceled")
    step_failures: tuple[str, ...] = ("error", "expired")
    lookback_days: float = 2.0
    message_threshold: str = "E"
    message_pattern: str = PATTERN
    report: str = "*[Ee]rror*"
    report_separator: str = "|"
    report_customer: int = 0
    report_error: int = -1


@dataclass(slots=True)
class Troubles:
    """Looks for exceptions among the jobs that the door that fetches has seen.

    Args:
        runtime: Exstream's running jobs, of one domain.
        jobs: what we know of them; `Pull.look` fills it.
        reports: reads the report files that a manifest names.
        hold: keeps the duty; False where another process has it.
    """

    runtime: Runtime
    jobs: JobStore
    reports: ReadReports
    hold: Callable[[], Awaitable[bool]]
    options: TroubleOptions = field(default_factory=TroubleOptions)
    _away: bool = False

    async def look(self) -> int:
        """Tell what is new; answers how many events were written.

        Raises:
            DatabaseError: the database is away.
        """
        if not await self.hold():
            return 0
        told = 0
        try:
            told += await self.jobs.tell(await self._failing_steps())
            for row in await self.jobs.unexamined():
                if not await self.hold():
                    break
                told += await self._examined(row)
        except ExstreamError as error:
            if not self._away:
                log.warning("trouble.exstream_away", domain=self.jobs.domain, error=str(error))
            self._away = True
        else:
            self._away = False
        return told

    async def _examined(self, row: Mapping[str, Any]) -> int:
        """One job. What is wrong with it alone does not keep the others from being told of."""
        try:
            return await self._examine(row)
        except (TokenAway, TokenRefused, Unauthorized, Forbidden):
            raise  # not this job's fault: all wait
        except ExstreamError as error:
            old = row["changed_at"] < datetime.now(UTC) - timedelta(days=self.options.lookback_days)
            lost = old or not error.temporary
            log.warning("trouble.not_examined", job=row["id"], given_up=lost, error=str(error))
            if lost:
                await self.jobs.examined(row["id"], failed=row["status"] in self.options.failure_statuses)
                failed = row["status"] in self.options.failure_statuses
                return await self.jobs.tell([self._job(row, None)]) if failed else 0
            return 0

    async def _failing_steps(self) -> list[Trouble]:
        """Steps in failure, also of jobs that run still."""
        since = (datetime.now(UTC) - timedelta(days=self.options.lookback_days + 1)).date()
        steps = [
            step
            async for step in self.runtime.flow_steps(statuses=self.options.step_failures, start_date_start=since)
            if str(step.status) in self.options.step_failures
        ]
        known = await self.jobs.known("step", [step.id for step in steps])
        steps = [step for step in steps if (step.id, _digest(step)) not in known and step.flow_instance_id]
        troubles = []
        for step in steps:
            try:
                flow = await self.runtime.flow_instance(step.flow_instance_id or "", check_artifacts=False)
                job = await self.runtime.job(flow.job_id) if flow.job_id else None
            except NotFound:
                continue
            if job is None or self._ours(job.channel):
                troubles.append(self._step(flow, step, job.channel if job else None))
        return troubles

    async def _examine(self, row: Mapping[str, Any]) -> int:
        """One job that is at its end."""
        if not self._ours(row["channel"]):
            await self.jobs.examined(row["id"], failed=False)
            return 0
        failed = row["status"] in self.options.failure_statuses
        troubles: list[Trouble] = []
        flows: list[FlowInstance] = []
        try:
            async for flow in self.runtime.flow_instances(job_id=row["id"]):
                flows.append(flow)
                async for step in self.runtime.flow_steps(flow_instance_id=flow.id, check_artifacts=True):
                    troubles += await self._of_step(flow, step, row)
        except NotFound as error:
            log.info("trouble.job_gone", job=row["id"], error=str(error))
        if failed:
            troubles.insert(0, self._job(row, models(flows)))
        told = await self.jobs.tell(troubles)
        await self.jobs.examined(row["id"], failed=failed)
        return told

    async def _of_step(self, flow: FlowInstance, step: FlowStep, row: Mapping[str, Any]) -> list[Trouble]:
        troubles = []
        if str(step.status) in self.options.step_failures:
            troubles.append(self._step(flow, step, row["channel"]))
        # A step that composes, or failed, is asked also where it says that it has none: its word is about outputs too.
        composes = step.type is StepType.COMMUNICATION or bool(troubles)
        if step.message_file_retrievable or composes:
            troubles += await self._messages(flow, step)
        if step.delivery_file_retrievable and self.options.report:
            troubles += await self._reported(flow, step)
        return troubles

    async def _messages(self, flow: FlowInstance, step: FlowStep) -> list[Trouble]:
        with tempfile.TemporaryFile() as file:
            try:
                await self.runtime.message_file(step.id, file, most=_MOST_MESSAGES)
            except NotFound:
                return []
            file.seek(0)
            found = read_messages(
                _lines(file),
                pattern=self.options.message_pattern,
                threshold=Severity(self.options.message_threshold),
            )
            troubles = []
            for message in islice(found, MOST):
                facts = {
                    "code": message.code,
                    "severity": str(message.severity),
                    "text": message.text,
                    "error": f"{message.code} {message.text}",
                    "customer": message.customer,
                    "line": message.line,
                }
                troubles.append(self._of("message", "message_raised", flow, step, facts))
            more = sum(1 for _ in found)
        if more:
            text = f"{more} more messages reach the threshold"
            troubles.append(self._of("message", "message_raised", flow, step, {"more": more, "error": text}))
        return troubles

    async def _reported(self, flow: FlowInstance, step: FlowStep) -> list[Trouble]:
        troubles: list[Trouble] = []
        with tempfile.TemporaryDirectory(prefix="millstream-") as place:
            manifest = Path(place) / "manifest.xml"
            try:
                with manifest.open("wb") as out:
                    await self.runtime.delivery_file(step.id, out)
                names = [each for each in self.reports(manifest) if fnmatchcase(each[0], self.options.report)]
            except (NotFound, IntakeError) as error:
                log.info("trouble.no_reports", step=step.id, error=str(error))
                return []
        for name, path in names:
            troubles += await self._report(flow, step, name, path)
        return troubles

    async def _report(self, flow: FlowInstance, step: FlowStep, name: str, path: str) -> list[Trouble]:
        with tempfile.TemporaryFile() as file:
            for artifact in dict.fromkeys((path, path.replace("\\", "/").rpartition("/")[2], name)):
                file.seek(0)
                file.truncate()
                try:
                    await self.runtime.artifact(step.id, artifact, file, most=_MOST_REPORT)
                except NotFound:
                    continue
                break
            else:
                return [
                    self._of("report", "report_found", flow, step, {"report": name, "error": "it cannot be fetched"})
                ]
            file.seek(0)
            lines = (line for line in _lines(file) if line.strip())
            troubles = [
                self._of("report", "report_found", flow, step, {"report": name, **self._fields(line)})
                for line in islice(lines, MOST)
            ]
            more = sum(1 for _ in lines)
        if more:
            facts = {"report": name, "more": more, "error": f"{more} more customers stand in report {name}"}
            troubles.append(self._of("report", "report_found", flow, step, facts))
        return troubles

    def _fields(self, line: str) -> dict[str, Any]:
        fields = [each.strip() for each in line.split(self.options.report_separator)]
        whom, why = self.options.report_customer, self.options.report_error
        customer = fields[whom] if -len(fields) <= whom < len(fields) else None
        error = fields[why] if -len(fields) <= why < len(fields) and len(fields) > 1 else line.strip()
        return {"customer": customer, "error": error}

    def _job(self, row: Mapping[str, Any], kind: str | None) -> Trouble:
        """The job itself; of one without flows the channel is the nearest thing to a document type that is known."""
        facts = {
            "type": kind or row["channel"],
            "source": f"job {row['id']}",
            "job": row["id"],
            "channel": row["channel"],
            "status": row["status"],
            "msg": row["msg"],
            "error": row["msg"] or f"the job is in status {row['status']}",
            "started": row["started_at"],
            "ended": row["ended_at"],
        }
        digest = f"{row['status']} {row['ended_at']}"
        return Trouble("job", row["id"], digest, "exstream.job_failed", self._subject(row["id"]), _filled(facts))

    def _step(self, flow: FlowInstance, step: FlowStep, channel: str | None) -> Trouble:
        facts = {
            "status": str(step.status),
            "msg": step.msg,
            "error": step.msg or f"the step is in status {step.status}",
            "name": step.display_name or step.name,
            "step_type": str(step.type),
            "channel": channel,
        }
        return self._of("step", "step_failed", flow, step, facts, digest=_digest(step))

    def _of(
        self,
        what: str,
        kind: str,
        flow: FlowInstance,
        step: FlowStep,
        facts: Mapping[str, Any],
        *,
        digest: str | None = None,
    ) -> Trouble:
        job = flow.job_id or ""
        whole = {
            "job": job,
            "flow": flow.id,
            "step": step.id,
            "type": flow.flow_model_name or step.display_name or step.name,
            "source": f"job {job}, step {step.display_name or step.name or step.id}",
            **facts,
        }
        own = digest or hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()
        # Several steps of a flow may show the same message file (the sandbox's do): a message is the flow's.
        number = step.id if what == "step" else flow.id
        return Trouble(what, number, own, f"exstream.{kind}", self._subject(job), _filled(whole))

    def _ours(self, channel: str | None) -> bool:
        return not self.options.channels or any(fnmatchcase(channel or "", each) for each in self.options.channels)

    def _subject(self, job: str) -> str:
        return f"exstream:{self.jobs.domain}/{job}"


def _digest(step: FlowStep) -> str:
    return f"{step.status} {step.ended_at}"


def _filled(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value[:_MOST_LINE] if isinstance(value, str) else value
        for name, value in facts.items()
        if value not in (None, "")
    }


def _lines(file: IO[bytes]) -> Iterator[str]:
    """Lines of a file of unknown encoding; none is longer than is read of it."""
    while line := file.readline(_MOST_LINE):
        yield line.decode("utf-8", "replace")
