"""What is composed: on demand, by a named channel, or by an engine that runs as a web service."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

import orjson

from millstream.exstream.errors import ExstreamError, NotFound
from millstream.exstream.messages import read_messages
from millstream.exstream.model import EngineCall, Generated, Severity
from millstream.nextstep.errors import BadWish
from millstream.nextstep.model import Found, NextStep
from millstream.nextstep.verbs import MANY, Plain, Tools, given, wanted

STEP_HEADER: Final = "X-Millstream-Step"
_NOTED: Final = 5_000
"""Jobs of a channel that are noted before it is triggered."""


class NothingComposed(BadWish):
    """The engine gave no output; the text holds its messages."""


class DocumentsGone(BadWish):
    """What was to be composed is not in Empower any more."""


class Generate(Plain):
    """Compose one communication now."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Compose it, keep the outputs, and hand them in where that is asked for."""
        driver = await _driver(step, tools)
        server = tools.server
        communication, source = await _composed_by(step, tools)
        inputs = server.inputs(step.wish.domain or None)
        kind = given(step, "content_type", "application/json")
        if given(step, "empower", default=False):
            user = given(step, "empower_user", "") or None
            return {"document": await inputs.empower_document(communication, source, driver, kind, empower_user=user)}
        outputs = await inputs.generate(communication, source, driver, kind)
        if not outputs:
            raise NothingComposed(f"Exstream composed nothing of {step.wish.target}; has the driver a customer?")
        return await kept(step, outputs, tools, to="run")

    async def look(self, step: NextStep, tools: Tools) -> Found:  # noqa: ARG002  the protocol's shape
        """Nothing stays in Exstream, and what comes is taken in once for a step; a document for Empower does stay."""
        if given(step, "empower", default=False):
            return Found("unknown", "unseen", "whether a document was made in Empower cannot be seen from here")
        return Found("no", "repeatable", "a composition leaves nothing behind in Exstream")


class Fulfil(Plain):
    """Compose finished documents of Empower. They are deleted, where that is asked for, once their outputs are ours."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Compose them, keep the outputs, hand them in where that is asked for, and only then let them be deleted."""
        outputs = await _fulfilled(step, tools)
        result = await kept(step, outputs, tools, to="run")
        if given(step, "delete", default=False):
            result |= await _deleted(_fulfilled(step, tools, preserve=False))
        return result

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """Documents stay until their outputs are ours, and what comes is taken in once for a step.

        Raises:
            DocumentsGone: they are not there any more, and it may have been this step that had them deleted.
        """
        if given(step, "delete", default=False):
            try:
                await _fulfilled(step, tools)
            except NotFound as error:
                raise DocumentsGone(
                    f"{error}; they are deleted after their outputs were handed in, so look whether its run has them"
                ) from error
        return Found("no", "repeatable", "the documents are in Empower until their outputs are kept here")


class Trigger:
    """Start the flows of a named channel. It cannot be asked for twice on a guess."""

    most_calls = MANY

    async def before(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Which jobs the channel has already."""
        return {"jobs": sorted(await _jobs(step, tools, since=datetime.now(UTC)))[:_NOTED]}

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Post to it; our key goes along."""
        body = await _driver(step, tools)
        inputs = tools.server.inputs(step.wish.domain or None)
        headers = {str(name): str(value) for name, value in given(step, "headers", {}).items()}
        headers[STEP_HEADER] = quote(step.wish.key, safe=":/-_.@#")
        kind = given(step, "content_type", "application/json")
        if given(step, "mode", "batch") == "ondemand":
            outputs = await inputs.on_demand(step.wish.target, body, kind, headers)
            return await kept(step, outputs, tools, to="documents")
        flows = await inputs.batch(step.wish.target, body, kind, headers)
        return {
            "flows": [flow.id for flow in flows],
            "jobs": sorted({flow.job_id for flow in flows if flow.job_id is not None}),
        }

    async def look(self, step: NextStep, tools: Tools) -> Found:
        """A job that was not there before, and carries our key or is alone."""
        jobs = await _jobs(step, tools, since=step.begun_at or datetime.now(UTC))
        known = set(step.before.get("jobs", ()))
        fresh = {number: external for number, external in jobs.items() if number not in known}
        ours = [number for number, external in fresh.items() if external == step.wish.key]
        if len(ours) == 1 or len(fresh) == 1:
            job = (ours or list(fresh))[0]
            return Found(
                "yes", "job_found", f"job {job} of channel {step.wish.target} came after the call", {"jobs": [job]}
            )
        told = (
            f"{len(fresh)} jobs of channel {step.wish.target} came after the call"
            if fresh
            else (f"no job of channel {step.wish.target} came after the call, yet")
        )
        return Found("unknown", "jobs_found" if fresh else "no_job", told)


class ComposeByEngine(Plain):
    """Compose by an engine that runs as a web service."""

    async def call(self, step: NextStep, tools: Tools) -> Mapping[str, Any]:
        """Compose, keep the outputs and hand them in.

        Raises:
            NothingComposed: the engine answered without a file.
        """
        result = await tools.web_service.compose(
            EngineCall(
                driver=await _driver(step, tools),
                file_name=given(step, "driver_name", "DRIVER"),
                encoding=given(step, "encoding", "") or None,
                options=tuple((str(name), str(value)) for name, value in given(step, "options", {}).items()),
                file_pattern=given(step, "file_pattern", "") or None,
                package=step.wish.target,
            )
        )
        bad = [
            f"{message.code} {message.text}"
            for message in read_messages(result.messages.splitlines(), threshold=Severity.ERROR)
        ]
        outputs = [Generated(content, "", file_name=name) for name, content in result.files if content]
        if not outputs:
            raise NothingComposed(f"the engine gave no file ({result.status}): {'; '.join(bad[:5]) or 'no message'}")
        return {**await kept(step, outputs, tools, to="run"), "messages": bad[:20]}

    async def look(self, step: NextStep, tools: Tools) -> Found:  # noqa: ARG002  the protocol's shape
        """What comes is taken in once for each step."""
        return Found("no", "repeatable", "a composition by the engine leaves nothing behind that counts")


async def kept(step: NextStep, outputs: Sequence[Generated], tools: Tools, *, to: str) -> dict[str, Any]:
    """Outputs become documents, and where the step says so a consignment of ours."""
    rows = []
    for output in outputs:
        stored = await tools.documents.put(output.content)
        rows.append(
            {
                "sha256": stored.sha256,
                "size": stored.size,
                "media_type": output.media_type,
                "queue": output.queue,
                "name": output.file_name,
                "customer": output.customer,
            }
        )
    await tools.documents.flush()
    result: dict[str, Any] = {"outputs": rows}
    if given(step, "to", to) == "run":
        if tools.hand_in is None:
            raise BadWish(f"step {step.id}: nothing takes in what it composes; ask for it with to = documents")
        result.update(await tools.hand_in(step, outputs))
    return result


async def _composed_by(step: NextStep, tools: Tools) -> tuple[str, str]:
    """The communication's id and its data source; looked up where the wish names the communication alone."""
    communication, source = step.wish.target, given(step, "data_source", "")
    if source:
        return communication, source
    found = await tools.server.design(step.wish.domain or None).resolve(communication)
    return found.communication_id, found.data_source


async def _fulfilled(step: NextStep, tools: Tools, *, preserve: bool = True) -> Sequence[Generated]:
    documents = [str(number) for number in wanted(step, "documents", list)]
    communication, source = await _composed_by(step, tools)
    inputs = tools.server.inputs(step.wish.domain or None)
    return await inputs.fulfil(communication, source, documents, preserve=preserve)


async def _deleted(call: Awaitable[object]) -> dict[str, Any]:
    """Delete by the one call that deletes. That it failed is told and undoes nothing: the outputs are ours."""
    try:
        await call
    except ExstreamError as error:
        return {"deleted": False, "not_deleted": str(error)}
    return {"deleted": True}


async def _driver(step: NextStep, tools: Tools) -> bytes:
    if step.wish.content is not None:
        return await tools.documents.get(step.wish.content)
    driver = step.wish.arguments.get("driver")
    if isinstance(driver, str) and driver:
        return driver.encode()
    if isinstance(driver, dict | list) and driver:
        return orjson.dumps(driver)
    raise BadWish(f"step {step.id} ({step.wish.verb}) has no driver: neither content nor the argument 'driver'")


async def _jobs(step: NextStep, tools: Tools, *, since: datetime) -> dict[str, str | None]:
    """The channel's jobs since the day before: filters know days only, in the server's own zone."""
    runtime = tools.server.runtime(step.wish.domain or None)
    day = (since - timedelta(days=1)).date()
    return {
        job.id: job.external_id
        async for job in runtime.jobs(channel=step.wish.target, start_date_start=day)
        if job.channel in {None, step.wish.target}
    }
