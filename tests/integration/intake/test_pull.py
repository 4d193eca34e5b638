"""Finished jobs are found, fetched once, and become one run, whatever happens on the way."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest
from exstream_site import customer
from pull_desk import PullDesk

from millstream.intake.errors import UnknownJob

HERE = Path(__file__).parent


async def test_a_finished_job_becomes_a_run_with_html_as_body_and_pdf_attached(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1, 2, 3)
    assert await pull_desk.pull().round() == 1
    rows = await pull_desk.take()
    assert [row["run"] for row in rows] == [f"exstream/bank/{job}"] * 3
    assert {row["address"] for row in rows} == {f"customer-{number}@mail.example" for number in (1, 2, 3)}
    assert {row["disposition"] for row in rows} == {"queued"}
    for row in rows:
        assert "<html" in row["body_html"]
        assert [document["media_type"] for document in row["documents"]] == ["application/pdf"]
    source = rows[0]["source"]
    assert (source["x.ExstreamJob"], source["x.ExstreamDomain"]) == (job, "bank")
    assert await pull_desk.jobs() == {job: "fetched"}


async def test_a_job_is_fetched_once_however_often_it_is_looked_for(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1, 2)
    pull = pull_desk.pull()
    assert [await pull.round() for _ in range(3)] == [1, 0, 0]
    assert await pull_desk.pull().round() == 0, "and a new process knows that too"
    assert len(await pull_desk.take()) == 2
    assert len(await pull_desk.consignments.newest()) == 1


async def test_a_job_that_runs_is_fetched_when_it_has_ended(pull_desk: PullDesk) -> None:
    await pull_desk.site.publish(hold=True)
    job = await pull_desk.site.batch([customer(1)])
    pull = pull_desk.pull()
    assert await pull.round() == 0
    assert await pull_desk.jobs() == {job: "watched"}

    async def held() -> str | None:
        steps = await pull_desk.site.steps(job)
        return next((each["id"] for each in steps if each["status"] == "holding"), None)

    step = await pull_desk.eventually(held, within=20)
    await pull_desk.site.act(f"flow-steps/{step}/release")
    await pull_desk.eventually(lambda: pull_desk.site.is_over(job), within=20)
    assert await pull.round() == 1
    assert await pull_desk.jobs() == {job: "fetched"}


async def test_a_finished_flow_is_fetched_while_its_job_still_runs(pull_desk: PullDesk) -> None:
    await pull_desk.site.control("POST", "clock", {"rate": 0})
    await pull_desk.site.publish(customers_per_flow=2, seconds=600)
    job = await pull_desk.site.batch([customer(number) for number in range(1, 6)])
    await pull_desk.site.advance(250)
    pull = pull_desk.pull(per="flow")

    async def one_flow() -> bool:
        await pull.round()
        return "fetched" in (await pull_desk.jobs()).values()

    await pull_desk.eventually(one_flow, within=30)
    assert (await pull_desk.site.job(job))["status"] == "started"
    assert len(await pull_desk.take()) == 2
    await pull_desk.site.advance(600)
    await pull_desk.eventually(lambda: pull_desk.site.is_over(job), within=30)
    await pull.round()
    rows = await pull_desk.take()
    assert sorted(row["customer"] for row in rows) == [f"C-{number}" for number in range(1, 6)]
    assert {row["run"] for row in rows} == {f"exstream/bank/{job}"}
    assert await pull.round() == 0


@pytest.mark.parametrize("offsets", ["entities", "pages"])
async def test_many_jobs_are_found_whatever_an_offset_counts(open_pull_desk, offsets) -> None:
    desk = await open_pull_desk(offsets=offsets, most_page_size=3)
    jobs = [await desk.site.batch([customer(number)]) for number in range(1, 9)]
    for job in jobs:
        await desk.eventually(lambda job=job: desk.site.is_over(job), within=30)
    assert await desk.pull().round() == 8
    assert len(await desk.take()) == 8


@pytest.mark.parametrize("kind", ["duplicate_job_page", "empty_page", "page_index_offset", "ms_dates"])
async def test_odd_pages_double_and_lose_nothing(open_pull_desk, kind) -> None:
    desk = await open_pull_desk(most_page_size=2)
    for number in range(1, 6):
        await desk.finished(number)
    await desk.site.fault("odd", kind, method="jobs.list", times=2)
    pull = desk.pull()
    for _ in range(4):
        await pull.round()
    rows = await desk.take()
    assert sorted(row["customer"] for row in rows) == [f"C-{number}" for number in range(1, 6)]
    assert len(await desk.consignments.newest()) == 5


async def test_only_jobs_of_our_channels_are_fetched(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1)
    assert await pull_desk.pull(channels=("letters*",)).round() == 0
    assert await pull_desk.jobs() == {}
    ours = pull_desk.pull(channels=("letters*", "state*"))

    async def fetched() -> bool:  # once the first one's duty is over
        return await ours.round() == 1

    await pull_desk.eventually(fetched)


async def test_what_was_wiped_before_it_was_fetched_is_gone_and_a_person_learns_of_it(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1)
    await pull_desk.site.control("POST", f"jobs/{job}/expire")
    pull = pull_desk.pull()
    assert [await pull.round() for _ in range(2)] == [0, 0]
    assert await pull_desk.jobs() == {job: "gone"}
    [event] = await pull_desk.events("exstream.job_failed")
    assert event["subject"] == f"exstream:bank/{job}"
    assert "no more" in event["payload"]["error"] or "gone" in event["payload"]["error"]
    assert "regenerate" in event["payload"]["next"]
    flows = pull_desk.server.runtime().flow_instances(job_id=job)
    assert [event["payload"]["type"]] == [flow.flow_model_name async for flow in flows]
    assert job in event["payload"]["source"]


async def test_a_job_that_was_given_up_is_fetched_again_when_a_person_says_so(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1, 2)
    await pull_desk.site.fault("before", "forbidden", method="steps.delivery_file")
    pull = pull_desk.pull()
    await pull.round()
    assert await pull_desk.jobs() == {job: "reported"}
    with pytest.raises(UnknownJob, match="intake jobs"):
        await pull.jobs.again("another")
    await pull_desk.site.control("DELETE", "faults")
    assert await pull.round() == 0
    assert await pull.jobs.again(job) == [job]
    assert await pull.round() == 1
    assert len(await pull_desk.take()) == 2
    assert await pull_desk.jobs() == {job: "fetched"}
    with pytest.raises(UnknownJob):
        await pull.jobs.again(job)


async def test_a_job_without_retained_outputs_is_left_to_its_other_channels(pull_desk: PullDesk, tmp_path) -> None:
    job = await pull_desk.finished(1, channels=[{"type": "file", "directory": str(tmp_path / "out")}])
    await pull_desk.pull().round()
    assert (await pull_desk.jobs())[job] in {"ignored", "gone"}
    assert await pull_desk.consignments.newest() == []


async def test_a_job_that_runs_again_brings_only_what_is_new(pull_desk: PullDesk) -> None:
    fail = {"customers": ["C-2"], "message": "EX004120E No address", "mended_by_reprocessing": True}
    job = await pull_desk.finished(1, 2, fail=fail)
    pull = pull_desk.pull()
    assert await pull.round() == 1
    assert [row["customer"] for row in await pull_desk.take()] == ["C-1"]
    before = (await pull_desk.site.job(job))["endDate"]
    await pull_desk.site.advance(5)
    await pull_desk.site.act(f"jobs/{job}/reprocessing")

    async def again() -> bool:
        over = await pull_desk.site.is_over(job)
        return over is not None and over["endDate"] != before

    await pull_desk.eventually(again, within=30)
    assert await pull.round() == 1
    rows = await pull_desk.take()
    assert sorted(row["customer"] for row in rows) == ["C-1", "C-2"]
    assert len({row["run"] for row in rows}) == 1


@pytest.mark.parametrize(
    "method", ["jobs.list", "flows.list", "steps.list", "steps.delivery_file", "steps.customer_artifacts"]
)
@pytest.mark.parametrize("kind", ["500_json", "500_html", "500_empty", "unauthorized", "reset", "429"])
async def test_a_bad_answer_only_delays_a_fetch(pull_desk: PullDesk, method, kind) -> None:
    await pull_desk.finished(1, 2)
    await pull_desk.site.fault("before", kind, method=method, times=2)
    pull = pull_desk.pull()

    async def fetched() -> bool:
        await pull.round()
        await pull_desk.rows("UPDATE exstream_job SET due_at = now() WHERE due_at IS NOT NULL RETURNING 1")
        return "fetched" in (await pull_desk.jobs()).values()

    await pull_desk.eventually(fetched, within=20)
    rows = await pull_desk.take()
    assert sorted(row["customer"] for row in rows) == ["C-1", "C-2"]
    assert not list((pull_desk.folder / "spool" / "incoming").iterdir()), "nothing half is left behind"


async def test_while_otds_is_down_nothing_is_lost_and_nothing_fails(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1)
    pull = pull_desk.pull()
    await pull_desk.site.control("POST", "outage", {"seconds": 3600, "part": "otds"})
    assert [await pull.round() for _ in range(5)] == [0] * 5
    assert await pull_desk.events() == []
    pull_desk.site.running.world.otds_away_until = 0.0
    assert await pull.round() == 1


async def test_only_one_of_two_processes_fetches(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1)
    assert sorted(await asyncio.gather(pull_desk.pull().round(), pull_desk.pull().round())) == [0, 1]
    assert len(await pull_desk.take()) == 1


async def test_two_that_fetch_the_same_by_mishap_make_one_run(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1, 2)
    one, two = pull_desk.pull(), pull_desk.pull()

    async def always() -> bool:
        return True

    one.hold = two.hold = always
    await one.look()
    await asyncio.gather(one.fetch_due(), two.fetch_due())
    assert len(await pull_desk.consignments.newest()) == 1
    assert len(await pull_desk.take()) == 2


@pytest.mark.parametrize("method", ["steps.delivery_file", "steps.customer_artifacts"])
async def test_a_process_that_is_killed_while_it_fetches_leaves_one_run(
    pull_desk: PullDesk, database_url, method
) -> None:
    await pull_desk.finished(1, 2, 3)
    await pull_desk.site.fault(
        "before", "hang", method=method, delay=30, positions=[2] if "artifacts" in method else []
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "killed_pull.py"),
        database_url,
        json.dumps(pull_desk.site.running.doors),
        str(pull_desk.folder),
    )

    async def in_the_middle() -> bool:
        return (await pull_desk.site.control("GET", "state"))["calls"].get(method, 0) >= 1

    await pull_desk.eventually(in_the_middle, within=20)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    await pull_desk.site.control("DELETE", "faults")
    pull = pull_desk.pull()

    async def fetched() -> bool:
        await pull.round()
        return "fetched" in (await pull_desk.jobs()).values()

    await pull_desk.eventually(fetched, within=20)
    assert len(await pull_desk.consignments.newest()) == 1
    assert sorted(row["customer"] for row in await pull_desk.take()) == ["C-1", "C-2", "C-3"]
