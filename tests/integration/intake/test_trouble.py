"""What goes wrong at Exstream becomes events, each once, with customer, document type, error and source."""

import pytest
from exstream_site import customer
from pull_desk import PullDesk

SEVERE = {"customers": ["C-2"], "message": "EX003004S The package is broken"}
ERROR = {"customers": ["C-2"], "message": "EX004120E No address"}
WARNING = {"customers": ["C-2"], "message": "EX003111W Font replaced"}


async def looked(desk: PullDesk, **options) -> int:
    """Look for jobs, then for exceptions among them."""
    await desk.pull().look()
    return await desk.troubles(**options).look()


async def test_a_job_in_error_is_told_with_its_step_and_its_message(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1, 2, status="error", fail=SEVERE)
    await looked(pull_desk)
    kinds = [event["kind"] for event in await pull_desk.events()]
    assert {"exstream.job_failed", "exstream.step_failed", "exstream.message_raised"} <= set(kinds)
    for event in await pull_desk.events():
        assert event["subject"] == f"exstream:bank/{job}"
        assert event["payload"]["error"]
    [failed] = await pull_desk.events("exstream.job_failed")
    assert (failed["payload"]["status"], failed["payload"]["channel"]) == ("error", "statements")
    step = (await pull_desk.events("exstream.step_failed"))[0]["payload"]
    assert failed["payload"]["type"] == step["type"]
    assert all(job in event["payload"]["source"] for event in await pull_desk.events())
    assert (step["job"], bool(step["flow"]), bool(step["step"]), bool(step["type"])) == (job, True, True, True)
    assert (await pull_desk.jobs())[job] == "reported"


async def test_an_exception_is_told_once_however_often_it_is_seen(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1, 2, status="error", fail=SEVERE)
    troubles = pull_desk.troubles()
    await pull_desk.pull().look()
    first = await troubles.look()
    assert first > 0
    await pull_desk.rows("UPDATE exstream_job SET examined_at = NULL RETURNING 1")
    assert [await troubles.look() for _ in range(3)] == [0, 0, 0]
    assert len(await pull_desk.events()) == first


async def test_a_customer_that_was_left_out_of_a_good_job_is_told_with_code_and_name(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1, 2, 3, fail=ERROR)
    await looked(pull_desk)
    [message] = await pull_desk.events("exstream.message_raised")
    facts = message["payload"]
    assert (facts["code"], facts["severity"], facts["customer"], facts["job"]) == ("EX004120E", "E", "C-2", job)
    assert "No address" in facts["error"]
    [report] = await pull_desk.events("exstream.report_found")
    assert (report["payload"]["customer"], report["payload"]["error"]) == ("C-2", "failed")
    assert await pull_desk.events("exstream.job_failed") == []


@pytest.mark.parametrize(("threshold", "told"), [("S", 0), ("E", 0), ("W", 1)])
async def test_only_messages_from_the_threshold_on_are_exceptions(pull_desk: PullDesk, threshold, told) -> None:
    await pull_desk.finished(1, 2, fail=WARNING)
    await looked(pull_desk, message_threshold=threshold)
    assert len(await pull_desk.events("exstream.message_raised")) == told


async def test_a_step_that_fails_is_told_while_its_job_still_runs(pull_desk: PullDesk) -> None:
    await pull_desk.site.control("POST", "clock", {"rate": 0})
    await pull_desk.site.publish(customers_per_flow=1, seconds=600, fail={**SEVERE, "customers": ["C-1"]})
    job = await pull_desk.site.batch([customer(1), customer(2), customer(3)])
    await pull_desk.site.advance(250)

    async def told() -> list:
        await looked(pull_desk)
        return await pull_desk.events("exstream.step_failed")

    [event] = await pull_desk.eventually(told, within=20)
    assert event["payload"]["job"] == job
    assert (await pull_desk.site.job(job))["status"] == "started"


async def test_a_job_that_was_stopped_is_an_exception_only_where_that_is_set(pull_desk: PullDesk) -> None:
    await pull_desk.site.publish(hold=True)
    job = await pull_desk.site.batch([customer(1)])
    await pull_desk.site.act(f"jobs/{job}/stop")
    await pull_desk.eventually(lambda: pull_desk.site.is_over(job), within=20)
    await looked(pull_desk, failure_statuses=("error",))
    assert await pull_desk.events("exstream.job_failed") == []
    await pull_desk.rows("UPDATE exstream_job SET examined_at = NULL RETURNING 1")
    troubles = pull_desk.troubles(failure_statuses=("error", "canceled"))

    async def told() -> bool:  # once the first one's duty is over
        return await troubles.look() == 1

    await pull_desk.eventually(told)
    [event] = await pull_desk.events("exstream.job_failed")
    assert event["payload"]["status"] == "canceled"


async def test_jobs_of_other_channels_are_nobodys_exception_here(pull_desk: PullDesk) -> None:
    await pull_desk.finished(1, 2, status="error", fail=SEVERE)
    assert await looked(pull_desk, channels=("letters",)) == 0


async def test_very_many_messages_become_a_hundred_events_and_one_that_counts_the_rest(pull_desk: PullDesk) -> None:
    numbers = list(range(1, 131))
    fail = {**ERROR, "customers": [f"C-{number}" for number in numbers]}
    await pull_desk.finished(*numbers, fail=fail, customers_per_flow=200)
    await looked(pull_desk, report="")
    events = await pull_desk.events("exstream.message_raised")
    more = [event["payload"]["more"] for event in events if "more" in event["payload"]]
    assert (len(events), more) == (101, [30])


@pytest.mark.parametrize("method", ["steps.list", "flows.list", "steps.message_file", "steps.artifact"])
@pytest.mark.parametrize("kind", ["500_html", "reset", "429"])
async def test_a_bad_answer_delays_the_telling_and_loses_nothing(pull_desk: PullDesk, method, kind) -> None:
    await pull_desk.finished(1, 2, fail=ERROR)
    await pull_desk.pull().look()
    await pull_desk.site.fault("before", kind, method=method, times=2)
    troubles = pull_desk.troubles()
    for _ in range(6):
        await troubles.look()
    assert len(await pull_desk.events("exstream.message_raised")) == 1
    assert len(await pull_desk.events("exstream.report_found")) == 1


async def test_a_job_that_cannot_be_read_keeps_no_other_from_being_told(pull_desk: PullDesk) -> None:
    bad = await pull_desk.finished(1, 2, status="error", fail=SEVERE)
    await pull_desk.pull().look()
    good = await pull_desk.finished(2, 3, fail=ERROR)
    await pull_desk.pull().look()
    await pull_desk.site.fault("before", "500_html", method="steps.message_file", positions=[1])
    troubles = pull_desk.troubles()
    await troubles.look()
    told = {event["payload"]["job"] for event in await pull_desk.events("exstream.message_raised")}
    assert len(told & {good, bad}) == 1
    await pull_desk.rows("UPDATE exstream_job SET changed_at = now() - interval '3 days' RETURNING 1")
    await pull_desk.site.control("DELETE", "faults")
    await pull_desk.site.fault("before", "500_html", method="flows.list")
    await troubles.look()
    assert await pull_desk.rows("SELECT 1 FROM exstream_job WHERE examined_at IS NULL") == []


async def test_without_the_right_to_look_nothing_is_given_up(open_pull_desk) -> None:
    desk = await open_pull_desk()
    await desk.finished(1, 2, fail=ERROR)
    await desk.pull().look()
    await desk.site.fault("before", "forbidden", method="flows.list")
    troubles = desk.troubles()
    assert [await troubles.look() for _ in range(3)] == [0, 0, 0]
    await desk.site.control("DELETE", "faults")
    assert await troubles.look() == 2


async def test_what_was_wiped_before_it_was_read_stops_nothing(pull_desk: PullDesk) -> None:
    job = await pull_desk.finished(1, 2, fail=ERROR)
    await pull_desk.site.control("POST", f"jobs/{job}/expire")
    await looked(pull_desk)
    rows = await pull_desk.rows("SELECT examined_at FROM exstream_job")
    assert rows[0]["examined_at"] is not None
