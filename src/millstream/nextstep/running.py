"""What runs: release, stop, reprocess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from millstream.exstream.model import FlowInstance, FlowStep, Job, JobStatus
from millstream.nextstep.model import Found, NextStep, Verb
from millstream.nextstep.verbs import Plain, Tools, given

_STOPPED: Final = {"canceled", "deleted"}
_OVER: Final = {"complete", "error", "expired", "filtered", "executed"}
_RUNNING: Final = {JobStatus.UNINITIALIZED, JobStatus.WAITING, JobStatus.STARTED, JobStatus.HOLDING}


class Release(Plain):
    """Let something go on that is held."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Release it."""
        runtime = tools.server.runtime(step.wish.domain or None)
        if step.wish.verb is Verb.RELEASE_STEP:
            await runtime.release_step(step.wish.target)
        else:
            await runtime.release_flow(step.wish.target)
        return {}

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """What is held no more was released; what was stopped or has ended otherwise cannot be any more."""
        thing = await _thing(step, tools)
        status, told = str(thing.status), _told(step, thing)
        if status == "holding":
            return Found("no", status, told)
        if status in _STOPPED | {"expired"}:
            return Found("no", status, f"{told}: it cannot be released any more", hopeless=True)
        if status == "unknown":
            return Found("unknown", status, told)
        return Found("yes", status, told, {"status": status})


class Stop(Plain):
    """Let something not go on."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Stop it."""
        runtime = tools.server.runtime(step.wish.domain or None)
        stops = {
            Verb.STOP_STEP: runtime.stop_step,
            Verb.STOP_FLOW: runtime.stop_flow,
            Verb.STOP_JOB: runtime.stop_job,
        }
        await stops[step.wish.verb](step.wish.target)
        return {}

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """What is canceled was stopped; what has come to its end cannot be any more."""
        thing = await _thing(step, tools)
        status, told = str(thing.status), _told(step, thing)
        if status in _STOPPED:
            return Found("yes", status, told, {"status": status})
        if status in _OVER:
            return Found("no", status, f"{told}: it cannot be stopped any more", hopeless=True)
        if status == "unknown":
            return Found("unknown", status, told)
        return Found("no", status, told)


class Reprocess:
    """Run a job again. Twice would make everything twice, so a second call needs proof that the first did nothing."""

    most_calls = 2

    async def before(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """How the job stands now: what differs afterwards is ours, whatever the clocks say."""
        job = await tools.server.runtime(step.wish.domain or None).job(step.wish.target)
        return _standing(job)

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Reprocess it."""
        await tools.server.runtime(step.wish.domain or None).reprocess(
            step.wish.target,
            current_model=given(step, "current_model", default=False),
            current_context=given(step, "current_context", default=False),
        )
        return {}

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """It runs, or it began or ended anew."""
        job = await tools.server.runtime(step.wish.domain or None).job(step.wish.target)
        told = _told(step, job)
        if job.status in _RUNNING and str(job.status) != step.before.get("status"):
            return Found("yes", str(job.status), told, {"status": str(job.status)})
        now = _standing(job)
        if any(now[name] != step.before.get(name) for name in ("started_at", "ended_at")):
            return Found("yes", str(job.status), f"{told}, and has begun or ended anew", {"status": str(job.status)})
        return Found("no", str(job.status), f"{told}, as before the call")


async def _thing(step: NextStep, tools: Tools) -> Job | FlowInstance | FlowStep:
    runtime = tools.server.runtime(step.wish.domain or None)
    match step.wish.verb:
        case Verb.RELEASE_STEP | Verb.STOP_STEP:
            return await runtime.flow_step(step.wish.target, check_artifacts=False)
        case Verb.RELEASE_FLOW | Verb.STOP_FLOW:
            return await runtime.flow_instance(step.wish.target, check_artifacts=False)
        case _:
            return await runtime.job(step.wish.target)


def _told(step: NextStep, thing: Job | FlowInstance | FlowStep) -> str:
    more = f" ({thing.msg})" if thing.msg else ""
    return f"Exstream shows {step.wish.target} as {thing.status}{more}"


def _standing(job: Job) -> dict[str, str | None]:
    return {
        "status": str(job.status),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "ended_at": job.ended_at.isoformat() if job.ended_at else None,
    }
