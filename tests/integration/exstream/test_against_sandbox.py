"""The client against the sandbox: the two agree on tokens, paths, shapes, refusals and faults."""

import io
import zipfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest

from millstream.exstream import (
    TOKEN_URLS,
    BasicAuth,
    EngineCall,
    EngineService,
    Exstream,
    ExstreamOptions,
    FilterStyle,
    OtdsOptions,
    OtdsTokens,
    Walked,
    errors,
    token_url,
)
from millstream.exstream.errors import Effect
from millstream.exstream.model import FlowInstance, FlowStep, Job, JobStatus, ResourceState, StepStatus, StepType
from millstream.sandbox.exstream import config, server

SECRET = {"client_id": "millstream", "client_secret": "sandbox-secret"}


class Site:
    """A running sandbox and a client of it."""

    def __init__(self, running: Any, session: aiohttp.ClientSession, **changes: Any) -> None:
        self.doors = running.doors
        self.session = session
        usual = {"orchestration_url": self.doors["orchestration_url"], "design_url": self.doors["design_url"]}
        waits = {"connect_seconds": 2.0, "call_seconds": 20.0, "generate_seconds": 20.0}
        self.options = ExstreamOptions(domain=self.doors["domain"], page_size=3, **{**usual, **waits, **changes})
        self.tokens = OtdsTokens(OtdsOptions(url=self.doors["token_url"], **SECRET), self.options)
        self.client = Exstream(self.options, self.tokens)

    async def control(self, path: str, **document: Any) -> None:
        async with self.session.post(f"{self.doors['url']}/sandbox/v1/{path}", json=document) as reply:
            assert reply.status == 200, await reply.text()

    async def batch(self, *customers: int, service: str = "statements") -> FlowInstance:
        body = orjson.dumps({"customers": [customer(number) for number in customers]})
        return (await self.client.inputs().batch(service, body))[0]

    async def job_over(self, id_: str | None) -> Job | None:
        job = await self.client.runtime().job(id_ or "")
        return job if job.status in {JobStatus.COMPLETE, JobStatus.ERROR} else None

    async def held(self, flow: FlowInstance) -> list[FlowStep]:
        found = self.client.runtime().flow_steps(flow_instance_id=flow.id, statuses="holding")
        return [one async for one in found]


def customer(number: int) -> dict[str, Any]:
    name = f"Customer {number}"
    return {
        "key": f"2026-10/{number}",
        "type": "statement",
        "locale": "en-GB",
        "customer": {"id": f"C-{number}", "name": name},
        "recipient": {"address": f"c{number}@mail.example", "name": name},
        "data": {
            "customer": {"id": f"C-{number}", "name": name, "address": ["1 High Street"]},
            "account": {"number": f"4000 {number}"},
            "statement": {"number": f"{number}", "date": "2026-10-31", "from": "2026-10-01", "to": "2026-10-31"},
            "currency": "GBP",
            "previous_balance_cents": 0,
            "purchases": [],
            "payments": [],
            "collection_date": "2026-11-15",
        },
    }


@pytest.fixture
async def open_site(tmp_path) -> AsyncIterator[Any]:
    opened: list[Any] = []
    session = aiohttp.ClientSession()

    async def start(settings: dict[str, Any] | None = None, **changes: Any) -> Site:
        running = await server.serve(config.SandboxConfig(work_folder=str(tmp_path), **(settings or {})))
        site = Site(running, session, **changes)
        opened.append((site, running))
        return site

    yield start
    for site, running in opened:
        await site.client.close()
        await running.close()
    await session.close()


@pytest.mark.parametrize("layout", list(TOKEN_URLS))
@pytest.mark.parametrize("body", ["form", "json"])
@pytest.mark.parametrize("client_auth", ["body", "basic"])
async def test_every_layout_and_way_to_ask_gives_a_token(open_site, layout, body, client_auth) -> None:
    site = await open_site()
    url = token_url(layout, otds_url=f"{site.doors['url']}/otds", tenant="bank", url=site.doors["token_url"])
    if layout == "public_cloud":
        url = f"{site.doors['url']}{url.removeprefix('https://us.api.opentext.com')}"
    tokens = OtdsTokens(OtdsOptions(url=url, body=body, client_auth=client_auth, **SECRET), site.options)
    assert await tokens.token("orchestration")
    await tokens.close()


async def test_an_installation_is_probed_and_knows_us(open_site) -> None:
    client = (await open_site()).client
    probe = await client.probe()
    assert (probe.orchestration.text, probe.config.base_subscription) == ("24.4.0", False)
    assert (await client.design().current_user()).name == "millstream"
    assert "bank" in [domain.id for domain in await client.design().domains()]


async def test_a_communication_is_resolved_and_generated(open_site) -> None:
    client = (await open_site()).client
    ref = await client.design().resolve("Account statement")
    driver = orjson.dumps(customer(1))
    made = await client.inputs().generate(ref.communication_id, ref.data_source, driver)
    assert {one.queue: one.media_type for one in made} == {"Print": "application/pdf", "Email": "text/html"}
    assert (await client.inputs().generate_pdf(ref.communication_id, ref.data_source, driver)).startswith(b"%PDF-")
    with pytest.raises(errors.Refused, match="C-1") as caught:
        await client.inputs().generate(ref.communication_id, ref.data_source, orjson.dumps(customer(1) | {"data": {}}))
    assert caught.value.effect is Effect.NO


@pytest.mark.parametrize("style", list(FilterStyle))
@pytest.mark.parametrize("settings", [{}, {"offsets": "pages", "dates": "milliseconds"}])
async def test_what_a_batch_made_is_found_and_fetched(open_site, eventually, style, settings) -> None:
    site = await open_site(settings, orchestration_filter=style)
    flow = await site.batch(1, 2)
    runtime = site.client.runtime()
    job = await eventually(lambda: site.job_over(flow.job_id), within=30)
    assert (job.status, job.channel, job.mode) == (JobStatus.COMPLETE, "statements", "BATCH")
    assert job.started_at is not None
    assert job.ended_at is not None
    assert [one.id async for one in runtime.flow_instances(job_id=job.id)] == [flow.id]
    steps = [one async for one in runtime.flow_steps(flow_instance_id=flow.id, check_artifacts=True)]
    step = next(one for one in steps if one.type is StepType.COMMUNICATION)
    assert step.delivery_file_retrievable
    names = [name async for name in runtime.output_files(step.id)]
    assert len(names) == len(set(names)) == 5
    to = io.BytesIO()
    await runtime.artifact(step.id, next(name for name in names if name.startswith("Print/")), to)
    assert to.getvalue().startswith(b"%PDF-")
    to = io.BytesIO()
    await runtime.customer_artifacts(step.id, 2, to)
    assert sorted(zipfile.ZipFile(to).namelist()) == ["Email/00002.html", "Print/00002.pdf"]
    to = io.BytesIO()
    await runtime.delivery_file(step.id, to)
    assert b"C-2" in to.getvalue()
    to = io.BytesIO()
    await runtime.message_file(step.id, to)
    assert b"EX" in to.getvalue()
    to = io.BytesIO()
    await runtime.input(flow.id, to)
    assert len(orjson.loads(to.getvalue())["customers"]) == 2
    assert (await runtime.associated_jobs(job_id=job.id)).jobs[job.id].id == job.id


async def test_what_was_wiped_is_gone(open_site, eventually) -> None:
    site = await open_site()
    flow = await site.batch(1)
    await eventually(lambda: site.job_over(flow.job_id), within=30)
    await site.control(f"jobs/{flow.job_id}/expire")
    runtime = site.client.runtime()
    steps = [one async for one in runtime.flow_steps(flow_instance_id=flow.id, check_artifacts=True)]
    assert {one.delivery_file_retrievable for one in steps} == {False}
    with pytest.raises(errors.NotFound):
        await runtime.customer_artifacts(steps[1].id, 1, io.BytesIO())


async def test_a_held_step_is_released_once(open_site, eventually) -> None:
    site = await open_site()
    await site.control("flows", name="Held", service="held", template="statement", hold=True, seconds=0)
    flow = await site.batch(1, service="held")
    runtime = site.client.runtime()
    held = await eventually(lambda: site.held(flow), within=30)
    await runtime.release_step(held[0].id)
    assert (await runtime.flow_step(held[0].id)).status is StepStatus.COMPLETE
    with pytest.raises(errors.StateRefused) as caught:
        await runtime.release_step(held[0].id)
    assert caught.value.effect is Effect.NO


async def test_a_resource_is_approved_with_a_comment_and_bulk_tells_each_reason(open_site) -> None:
    design = (await open_site()).client.design()
    waiting = {one.name: one async for one in design.review()}
    changed = await design.set_state(waiting["Interest notice"].id, ResourceState.APPROVED, "by anna@bank.example")
    assert changed.state is ResourceState.APPROVED
    entry = next(one for one in await design.history(changed.id) if one.state == "APPROVED")
    assert entry.comment == "by anna@bank.example"
    outcome = await design.set_states([one.id for one in waiting.values()], ResourceState.REJECTED, "no")
    assert outcome.refused["invalidStateForUpdate"] == (changed.id,)
    with pytest.raises(errors.StateRefused):
        await design.set_state(changed.id, ResourceState.REJECTED, "no")


FAULTS = [
    ("before", "forbidden", errors.Forbidden, Effect.NO),
    ("before", "conflict_409", errors.StateRefused, Effect.NO),
    ("before", "429", errors.Limited, Effect.NO),
    ("before", "500_json", errors.ServerError, Effect.UNKNOWN),
    ("after", "500_html", errors.ServerError, Effect.UNKNOWN),
    ("after", "500_empty", errors.ServerError, Effect.UNKNOWN),
    ("after", "reset", errors.ConnectionLost, Effect.UNKNOWN),
    ("odd", "status_error_200", errors.SaidFailure, Effect.UNKNOWN),
    ("odd", "html_200", errors.Unreadable, Effect.UNKNOWN),
]


@pytest.mark.parametrize(("point", "kind", "error", "effect"), FAULTS)
async def test_each_fault_is_told_with_its_effect(open_site, eventually, point, kind, error, effect) -> None:
    site = await open_site()
    flow = await site.batch(1)
    await site.control("faults", point=point, kind=kind, method="jobs.reprocess", times=1)
    await eventually(lambda: site.job_over(flow.job_id), within=30)
    with pytest.raises(error) as caught:
        await site.client.runtime().reprocess(flow.job_id)
    assert caught.value.effect is effect


@pytest.mark.parametrize("kind", ["unauthorized", "duplicate_job_page", "empty_page", "page_index_offset", "ms_dates"])
@pytest.mark.parametrize("settings", [{}, {"offsets": "pages"}])
async def test_no_oddness_of_a_list_loses_a_job(open_site, kind, settings) -> None:
    site = await open_site(settings)
    jobs = {(await site.batch()).job_id for _ in range(10)}
    point = "before" if kind == "unauthorized" else "odd"
    await site.control("faults", point=point, kind=kind, method="jobs.list", positions=[2])
    walked = Walked()
    found = [job.id async for job in site.client.runtime().jobs(channel="statements", walked=walked)]
    assert len(found) == 10
    assert set(found) == jobs
    assert walked.complete


async def test_otds_that_is_away_is_temporary_and_known_tokens_go_on(open_site) -> None:
    site = await open_site()
    token = await site.tokens.token("orchestration")
    await site.control("outage", seconds=60, part="otds")
    await site.client.version()
    site.tokens.invalidate("orchestration", token)
    with pytest.raises(errors.TokenAway) as caught:
        await site.client.runtime().stop_job("00000000-0000-0000-0000-000000000000")
    assert (caught.value.temporary, caught.value.effect) == (True, Effect.NO)


async def test_an_engine_composes_by_soap(open_site) -> None:
    site = await open_site({"ews_user": "svc", "ews_password": "hush"})
    asked = EngineCall(driver=orjson.dumps({"customers": [customer(1)]}), file_name="DRIVER", file_pattern=".*pdf")
    async with EngineService(site.doors["ews_url"], BasicAuth("svc", "hush"), site.options) as engine:
        result = await engine.compose(asked)
    assert [content[:5] for _, content in result.files] == [b"%PDF-"]
    assert "EX" in result.messages
    async with EngineService(site.doors["ews_url"], BasicAuth("svc", "wrong"), site.options) as engine:
        with pytest.raises(errors.EngineFault, match="login was not accepted"):
            await engine.compose(asked)
