"""Jobs over time: composed in parts, held, released, stopped, failing, run again, wiped."""

import io
import re
import zipfile

import orjson
import pytest
from exstream_site import Site, customer
from lxml import etree


async def test_a_batch_job_composes_every_customer_and_its_files_can_be_fetched(site: Site, eventually) -> None:
    job = await site.batch([customer(1), customer(2)])
    over = await eventually(lambda: site.is_over(job), within=30)
    assert (over["status"], over["channel"], over["mode"], over["triggeredBy"]) == (
        "complete",
        "statements",
        "BATCH",
        "millstream",
    )
    source, communication, output = await site.steps(job)
    assert [step["stepType"] for step in (source, communication, output)] == ["input", "communication", "output"]
    step = f"flow-steps/{communication['id']}"
    manifest = etree.fromstring((await site.runtime(f"{step}/delivery-file", download="true")).content)
    assert (manifest.get("customersProcessed"), manifest.get("pagesProcessed")) == ("2", "2")
    keys = {key.get("name"): key.text for key in manifest.find("customer[@number='2']").iter("key")}
    assert keys["CustomerEmail"] == "customer-2@mail.example"
    assert (keys["CustomerId"], keys["CustomerName"], keys["DocumentType"], keys["Locale"]) == (
        "C-2",
        "Customer 2",
        "statement",
        "en-GB",
    )
    assert keys["EmailSubject"]
    assert re.fullmatch(r"\$\{#/queues/Print\}=.+\.pdf", keys["attachments"])
    place = manifest.find("customer[@number='2']/queue[@name='Print']/file").get("name")
    pdf = await site.runtime(f"{step}/artifact/{place}")
    assert (pdf.content[:5], pdf.headers["Content-Type"]) == (b"%PDF-", "application/pdf")
    archive = zipfile.ZipFile(io.BytesIO((await site.runtime(f"{step}/customer-artifacts/2")).content))
    assert sorted(archive.namelist()) == ["Email/00002.html", "Print/00002.pdf"]
    assert archive.read(place) == pdf.content
    listed = (await site.runtime(f"{step}/delivery-file/output-files")).data
    assert set(archive.namelist()) < set(listed)
    outputs = (await site.runtime(f"{step}/delivery-file/outputs")).data
    assert [one["file"] for one in outputs["customers"][1]["outputs"]] == ["Print/00002.pdf", "Email/00002.html"]
    given = await site.runtime(f"flow-instances/{communication['flowInstanceId']}/input", download="true")
    assert len(orjson.loads(given.content)["customers"]) == 2


async def test_a_large_job_is_split_so_that_a_finished_flow_can_be_fetched_while_it_runs(
    site: Site, eventually
) -> None:
    await site.control("POST", "clock", {"rate": 0})
    await site.publish(customers_per_flow=2, seconds=600)
    job = await site.batch([customer(number) for number in range(1, 6)])
    await site.advance(250)

    async def states() -> list[str]:
        return [one["status"] for one in (await site.runtime("flow-instances", filter=f"jobId:{job}")).data]

    async def first_is_done() -> bool:
        return await states() == ["complete", "started", "waiting"]

    await eventually(first_is_done, within=20)
    assert (await site.job(job))["status"] == "started"
    first = (await site.steps(job))[1]
    assert (await site.runtime(f"flow-steps/{first['id']}/customer-artifacts/1")).status == 200
    await site.advance(600)
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    rows = (await site.control("GET", f"jobs/{job}/customers"))["customers"]
    assert [(row["in_job"], row["number"], row["customer"]) for row in rows][-2:] == [(4, 2, "C-4"), (5, 1, "C-5")]
    assert {row["status"] for row in rows} == {"composed"}


async def _held(site: Site, job: str) -> dict | None:
    step = next((step for step in await site.steps(job) if step["stepType"] == "hold"), None)
    return step if step and step["status"] == "holding" else None


async def test_a_held_flow_goes_on_when_its_step_is_released(site: Site, eventually) -> None:
    await site.publish(hold=True)
    job = await site.batch([customer(1)])
    step = await eventually(lambda: _held(site, job), within=20)
    assert (await site.job(job))["status"] == "holding"
    assert (await site.control("GET", "state"))["held"][0]["step"] == step["id"]
    assert (await site.act(f"flow-steps/{step['id']}/release")).status == 200
    assert (await eventually(lambda: site.is_over(job)))["status"] == "complete"
    again = await site.act(f"flow-steps/{step['id']}/release")
    assert (again.status, again.document["status"]) == (409, 409)


async def test_a_held_flow_that_is_stopped_delivers_nothing(site: Site, eventually, tmp_path) -> None:
    await site.publish(hold=True, channels=[{"type": "file", "directory": str(tmp_path)}])
    job = await site.batch([customer(1)])
    step = await eventually(lambda: _held(site, job), within=20)
    assert (await site.act(f"flow-instances/{step['flowInstanceId']}/stop")).status == 200
    assert (await eventually(lambda: site.is_over(job)))["status"] == "canceled"
    assert [one["status"] for one in await site.steps(job)][2:] == ["canceled", "canceled"]
    assert list(tmp_path.iterdir()) == []


async def test_a_hold_that_nobody_releases_in_time_expires(site: Site, eventually) -> None:
    await site.control("POST", "clock", {"rate": 0})
    await site.publish(hold=True, hold_seconds=3600)
    job = await site.batch([customer(1)])
    await eventually(lambda: _held(site, job), within=20)
    await site.advance(3601)
    assert (await eventually(lambda: site.is_over(job)))["status"] == "canceled"
    assert [one["status"] for one in await site.steps(job)][2] == "expired"


async def test_a_running_job_can_be_stopped(site: Site, eventually) -> None:
    await site.publish(seconds=3600)
    job = await site.batch([customer(1)])
    assert (await site.act(f"jobs/{job}/stop")).status == 200
    assert (await site.job(job))["status"] == "canceled"
    await eventually(lambda: site.is_over(job))
    assert {one["status"] for one in await site.steps(job)} <= {"complete", "canceled"}
    assert (await site.act(f"jobs/{job}/stop")).status == 409


async def test_an_error_leaves_the_customer_out_and_the_message_file_tells_it(site: Site, eventually) -> None:
    await site.publish(fail={"customers": ["C-2"], "message": "EX004120E No address"})
    job = await site.batch([customer(1), customer(2), customer(3)])
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    step = (await site.steps(job))[1]
    text = (await site.runtime(f"flow-steps/{step['id']}/message-file")).content.decode()
    assert re.search(r"^\d\d/\d\d/\d{4} \d\d:\d\d:\d\d EX004120E Customer C-2: No address$", text, re.MULTILINE)
    assert step["msg"].startswith("1 of 3 customers")
    manifest = etree.fromstring((await site.runtime(f"flow-steps/{step['id']}/delivery-file")).content)
    assert [one.get("number") for one in manifest.iter("customer")] == ["1", "3"]
    report = (await site.runtime(f"flow-steps/{step['id']}/artifact/{manifest.find('reportFile').get('name')}")).content
    assert report == b"C-2|Customer 2|failed\n"


async def test_data_that_the_composer_refuses_become_an_engine_message(site: Site, eventually) -> None:
    broken = customer(2)
    del broken["data"]["currency"]
    job = await site.batch([customer(1), broken])
    await eventually(lambda: site.is_over(job), within=20)
    step = (await site.steps(job))[1]
    text = (await site.runtime(f"flow-steps/{step['id']}/message-file")).content.decode()
    assert re.search(r"EX\d{6}E Customer C-2: .*currency", text)


async def test_a_severe_message_ends_the_job_and_a_reprocessing_finds_the_cause_mended(site: Site, eventually) -> None:
    await site.publish(fail={"customers": ["C-1"], "message": "EX009999S Disk full"})
    job = await site.batch([customer(1)])
    over = await eventually(lambda: site.is_over(job), within=20)
    assert (over["status"], over["msg"]) == ("error", "EX009999S Disk full (customer C-1)")
    step = next(one for one in await site.steps(job) if one["status"] == "error")
    assert (step["stepType"], step["msg"]) == ("communication", over["msg"])
    assert b"EX009999S" in (await site.runtime(f"flow-steps/{step['id']}/message-file")).content
    assert (await site.act(f"jobs/{job}/reprocessing", useCurrentFlowModel="false")).status == 200
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"


async def test_a_cause_that_stays_is_mended_by_the_current_flow_model(site: Site, eventually) -> None:
    await site.publish(fail={"customers": ["*"], "message": "EX009999S Broken", "mended_by_reprocessing": False})
    job = await site.batch([customer(1)])
    await eventually(lambda: site.is_over(job), within=20)
    await site.act(f"jobs/{job}/reprocessing")
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "error"
    await site.publish()
    await site.act(f"jobs/{job}/reprocessing", useCurrentFlowModel="true")
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"text"', b"\xff\xfe", b'{"customers": 7}', b'{"customers": [7]}', b"<customers/>"]
)
async def test_a_driver_that_cannot_be_read_becomes_a_job_in_error(site: Site, eventually, body: bytes) -> None:
    job = await site.batch(body, content_type="application/octet-stream")
    over = await eventually(lambda: site.is_over(job))
    assert over["status"] == "error"
    assert re.match(r"EX\d{6}S the driver|EX\d{6}S no element|EX\d{6}S customer", over["msg"])
    step = (await site.steps(job))[0]
    assert (step["stepType"], step["status"]) == ("input", "error")
    assert over["msg"].encode() in (await site.runtime(f"flow-steps/{step['id']}/message-file")).content


async def test_files_are_gone_when_their_time_is_over(site: Site, eventually) -> None:
    job = await site.batch([customer(1)])
    await eventually(lambda: site.is_over(job), within=20)
    step = (await site.steps(job))[1]["id"]
    before = (await site.runtime(f"flow-steps/{step}", checkArtifacts="true")).data
    await site.control("POST", f"jobs/{job}/expire")
    after = (await site.runtime(f"flow-steps/{step}", checkArtifacts="true")).data
    assert (before["deliveryFileRetrievable"], after["deliveryFileRetrievable"]) == (True, False)
    flow = (await site.runtime(f"flow-instances/{after['flowInstanceId']}", checkArtifacts="true")).data
    assert flow["inputRetrievable"] is False
    for path in ("delivery-file", "message-file", "customer-artifacts/1"):
        assert (await site.runtime(f"flow-steps/{step}/{path}")).status == 404
    assert (await site.act(f"jobs/{job}/reprocessing")).status == 404
    unchecked = (await site.runtime(f"flow-steps/{step}")).data
    assert "deliveryFileRetrievable" not in unchecked


async def test_a_release_that_is_stopped_at_once_stays_stopped(site: Site, eventually) -> None:
    await site.publish(hold=True)
    job = await site.batch([customer(1)])
    step = await eventually(lambda: _held(site, job), within=20)
    flow = site.running.world.flow_instances[step["flowInstanceId"]]
    site.running.engine.release(flow)
    site.running.engine.stop_flow(flow)
    assert (await eventually(lambda: site.is_over(job)))["status"] == "canceled"


async def test_a_job_takes_its_external_id_from_the_header_that_the_flow_names(site: Site) -> None:
    await site.publish(external_id_header="X-Millstream-Step")
    headers = {"X-Millstream-Step": "step-17"}
    said = await site.call("POST", "api/v1/inputs/batch/bank/statements", document=customer(1), headers=headers)
    (found,) = (await site.runtime("jobs", filter="externalId:step-17")).data
    assert found["id"] == said.data[0]["jobId"]
    assert (await site.runtime("jobs", filter="externalId:step-18")).data == []


@pytest.mark.parametrize(
    "strange",
    [
        {"locale": 7},
        {"locale": "no such locale"},
        {"template": "../../etc"},
        {"key": "line\nbreak", "type": ["list"]},
        {"data": {"customer": {"id": "1"}}},
        {"customer": {"id": "\ud7ff", "name": None}},
    ],
)
async def test_a_strange_customer_harms_nobody_else(site: Site, eventually, strange: dict) -> None:
    job = await site.batch([customer(1, **strange), customer(2)])
    assert (await eventually(lambda: site.is_over(job), within=20))["status"] == "complete"
    rows = (await site.control("GET", f"jobs/{job}/customers"))["customers"]
    assert rows[1]["status"] == "composed"
    assert rows[0]["status"] in ("composed", "failed")
