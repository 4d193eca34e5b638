"""`millstream exstream`: ask Exstream how it stands, and have it do something."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from millstream.app.exstream import exstream
from millstream.cli import frame, work
from millstream.cli.exstream_ask import Asked, Asking, Domain, Outputs, ask
from millstream.cli.frame import Json
from millstream.cli.grouped import grouped
from millstream.exstream.client import Exstream
from millstream.exstream.messages import read_messages
from millstream.exstream.model import ResourceState, Severity
from millstream.nextstep.model import Verb

Answer = TypeVar("Answer")
Item = TypeVar("Item")
Most = Annotated[int, typer.Option(min=1, help="Rows at most.")]
_MOST_MESSAGES = 64 * 1024 * 1024


class Thing(StrEnum):
    """What can be released, stopped or looked into."""

    STEP = "step"
    FLOW = "flow"
    JOB = "job"


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """The options that say by which design a communication is composed."""

    data_source: Annotated[str, typer.Option(help="The driver's data source; found by itself otherwise.")] = ""
    domain: Domain = ""


def probe(*, json: Json = False) -> None:
    """Ask both services who they are, and what they can do."""

    async def asked(server: Exstream) -> dict[str, Any]:
        found = await server.probe()
        return {
            "orchestration": found.orchestration.text,
            "design": found.design.text,
            "base_subscription": found.config.base_subscription,
            "runtime_view": not found.config.base_subscription,
        }

    facts = _with_server(asked)
    if json:
        frame.answer_json(facts)
    else:
        frame.answer_fields(facts)


def jobs(
    *,
    status: Annotated[list[str] | None, typer.Option(help="Only jobs in this status; may be given again.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only jobs of this channel.")] = None,
    days: Annotated[float, typer.Option(min=0.0, max=36_500.0, help="How far back.")] = 2.0,
    most: Most = 50,
    domain: Domain = "",
    json: Json = False,
) -> None:
    """Jobs that began within the last days."""
    since = (datetime.now(UTC) - timedelta(days=days + 1)).date()

    async def asked(server: Exstream) -> list[Any]:
        found = server.runtime(domain or None).jobs(start_date_start=since, statuses=status or None, channel=channel)
        return await _first(found, most)

    rows = [asdict(job) for job in _with_server(asked)]
    columns = ("id", "channel", "mode", "status", "started_at", "ended_at", "triggered_by", "msg")
    frame.answer_rows(rows, columns, as_json=json, empty="no job began within that time")


def job(
    number: Annotated[str, typer.Argument(help="The job's id.")], *, domain: Domain = "", json: Json = False
) -> None:
    """One job with its flows and their steps."""

    async def asked(server: Exstream) -> dict[str, Any]:
        runtime = server.runtime(domain or None)
        found = asdict(await runtime.job(number))
        found["flows"] = []
        async for flow in runtime.flow_instances(job_id=number):
            steps = [asdict(step) async for step in runtime.flow_steps(flow_instance_id=flow.id, check_artifacts=True)]
            found["flows"].append({**asdict(flow), "steps": steps})
        return found

    whole = _with_server(asked)
    if json:
        frame.answer_json(whole)
        return
    flows = whole.pop("flows")
    frame.answer_fields(whole)
    frame.say("")
    rows = [
        {**step, "flow": flow["id"], "name": step["display_name"] or step["name"]}
        for flow in flows
        for step in flow["steps"]
    ]
    columns = ("flow", "id", "type", "name", "status", "delivery_file_retrievable", "msg")
    frame.answer_rows(rows, columns, as_json=False, empty="it has no steps")


def messages(
    step: Annotated[str, typer.Argument(help="The flow step's id.")],
    *,
    threshold: Annotated[Severity, typer.Option(help="From this severity on.")] = Severity.INFORMATION,
    domain: Domain = "",
    json: Json = False,
) -> None:
    """The engine's messages of a step."""

    async def asked(server: Exstream) -> str:
        file = io.BytesIO()
        await server.runtime(domain or None).message_file(step, file, most=_MOST_MESSAGES)
        return file.getvalue().decode("utf-8", "replace")

    text = _with_server(asked)
    rows = [asdict(each) for each in read_messages(text.splitlines(), threshold=threshold)]
    columns = ("line", "code", "severity", "customer", "text")
    frame.answer_rows(rows, columns, as_json=json, empty="no message of that severity")


def resources(
    *,
    state: Annotated[ResourceState, typer.Option(help="Which state.")] = ResourceState.REVIEW,
    kind: Annotated[list[str] | None, typer.Option("--type", help="Only this type; may be given again.")] = None,
    most: Most = 50,
    domain: Domain = "",
    json: Json = False,
) -> None:
    """Resources in a state of their approval, those in review unless another is named."""

    async def asked(server: Exstream) -> list[Any]:
        found = server.design(domain or None).resources(states=state, types=kind or None)
        return await _first(found, most)

    rows = [asdict(each) for each in _with_server(asked)]
    columns = ("id", "name", "type", "version", "state", "modified_by", "modified_at", "state_comment")
    frame.answer_rows(rows, columns, as_json=json, empty=f"no resource is in {state}")


def resolve(
    communication: Annotated[str, typer.Argument(help="Its id or its name.")],
    *,
    domain: Domain = "",
    json: Json = False,
) -> None:
    """What generating a communication needs: its id, its data source, its queues."""
    found = asdict(_with_server(lambda server: server.design(domain or None).resolve(communication)))
    if json:
        frame.answer_json(found)
    else:
        frame.answer_fields(found)


@grouped
def generate(
    communication: Annotated[str, typer.Argument(help="The communication's id or name.")],
    driver: Annotated[Path, typer.Argument(help="The driver: JSON, or XML where its name ends so.")],
    *,
    outputs: Outputs,
    design: Design,
    asking: Asking,
) -> None:
    """Have a communication composed now."""
    arguments = outputs.arguments(asking) | {"content_type": _kind(driver)}
    arguments |= {"data_source": design.data_source} if design.data_source else {}
    asked = Asked(verb=Verb.GENERATE, target=communication, domain=design.domain, arguments=arguments, driver=driver)
    ask(asked, asking, out=outputs.out)


@grouped
def fulfil(
    communication: Annotated[str, typer.Argument(help="The id or name of the communication that fulfils.")],
    documents: Annotated[list[str], typer.Argument(help="The document's id in Empower; several are taken together.")],
    *,
    outputs: Outputs,
    delete: Annotated[
        bool, typer.Option("--delete", help="Have the documents deleted in Empower once their outputs are kept here.")
    ] = False,
    design: Design,
    asking: Asking,
) -> None:
    """Have finished Empower documents composed now."""
    arguments = outputs.arguments(asking) | {"documents": documents, "delete": delete}
    arguments |= {"data_source": design.data_source} if design.data_source else {}
    asked = Asked(verb=Verb.FULFIL, target=communication, domain=design.domain, arguments=arguments)
    ask(asked, asking, out=outputs.out)


@grouped
def trigger(
    channel: Annotated[str, typer.Argument(help="The input channel's service name.")],
    driver: Annotated[Path, typer.Argument(help="What is posted: JSON, or XML where its name ends so.")],
    *,
    header: Annotated[
        list[str] | None, typer.Option(help="A further header, `Name: value`; may be given again.")
    ] = None,
    on_demand: Annotated[bool, typer.Option("--on-demand", help="Wait at Exstream for the flow's answer.")] = False,
    domain: Domain = "",
    asking: Asking,
) -> None:
    """Start the flows of a named channel."""
    headers = {}
    for each in header or []:
        name, colon, value = each.partition(":")
        if not colon or not name.strip():
            frame.fail(f"--header {each!r} is not `Name: value`", frame.WRONG)
        headers[name.strip()] = value.strip()
    arguments = {"mode": "ondemand" if on_demand else "batch", "headers": headers, "content_type": _kind(driver)}
    ask(Asked(verb=Verb.TRIGGER, target=channel, domain=domain, arguments=arguments, driver=driver), asking)


@grouped
def release(
    thing: Annotated[Thing, typer.Argument(help="step or flow.")],
    number: Annotated[str, typer.Argument(help="Its id.")],
    *,
    domain: Domain = "",
    asking: Asking,
) -> None:
    """Let a held step or flow go on."""
    verbs = {Thing.STEP: Verb.RELEASE_STEP, Thing.FLOW: Verb.RELEASE_FLOW}
    if thing not in verbs:
        frame.fail("a job is not released; name the step or the flow that is held", frame.WRONG)
    ask(Asked(verb=verbs[thing], target=number, domain=domain), asking)


@grouped
def stop(
    thing: Annotated[Thing, typer.Argument(help="step, flow or job.")],
    number: Annotated[str, typer.Argument(help="Its id.")],
    *,
    domain: Domain = "",
    asking: Asking,
) -> None:
    """Let a step, a flow or a job not go on."""
    verbs = {Thing.STEP: Verb.STOP_STEP, Thing.FLOW: Verb.STOP_FLOW, Thing.JOB: Verb.STOP_JOB}
    ask(Asked(verb=verbs[thing], target=number, domain=domain), asking)


@grouped
def reprocess(
    number: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    current_model: Annotated[bool, typer.Option("--current-model", help="By the flow model as it is now.")] = False,
    current_context: Annotated[bool, typer.Option("--current-context", help="In the context as it is now.")] = False,
    domain: Domain = "",
    asking: Asking,
) -> None:
    """Run a job again."""
    arguments = {"current_model": current_model, "current_context": current_context}
    ask(Asked(verb=Verb.REPROCESS, target=number, domain=domain, arguments=arguments), asking)


@grouped
def state(
    to: Annotated[ResourceState, typer.Argument(help="The state it shall have.")],
    ids: Annotated[list[str], typer.Argument(help="The resource's id; several are changed together.")],
    *,
    comment: Annotated[str, typer.Option(help="What stands in Exstream's audit trail; made of --as otherwise.")] = "",
    domain: Domain = "",
    asking: Asking,
) -> None:
    """Change a resource's state in its approval."""
    said = comment or f"{to} by {asking.actor} at {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    arguments: dict[str, Any] = {"state": str(to), "comment": said}
    if len(ids) == 1:
        asked = Asked(verb=Verb.SET_STATE, target=ids[0], domain=domain, arguments=arguments)
    else:
        asked = Asked(verb=Verb.SET_STATES, target=str(to), domain=domain, arguments={**arguments, "ids": ids})
    ask(asked, asking)


def _with_server(work_: Callable[[Exstream], Awaitable[Answer]]) -> Answer:
    async def opened() -> Answer:
        async with exstream(work.settings()) as server:
            return await work_(server)

    return work.run(opened, goes_on="nothing was changed")


async def _first(items: AsyncIterator[Item], most: int) -> list[Item]:
    found: list[Item] = []
    async for item in items:
        found.append(item)
        if len(found) >= most:
            break
    return found


def _kind(driver: Path) -> str:
    return "application/xml" if driver.suffix.lower() == ".xml" else "application/json"
