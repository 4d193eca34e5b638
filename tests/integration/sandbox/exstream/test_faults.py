"""Bad days: before the effect, after it, and answers that are valid but odd."""

import asyncio

import aiohttp
import orjson
import pytest
from exstream_site import CLIENT, Site, customer


async def _started(site: Site) -> int:
    return len((await site.control("GET", "jobs"))["jobs"])


@pytest.mark.parametrize(
    ("kind", "status", "shape"),
    [
        ("unauthorized", 401, "json"),
        ("forbidden", 403, "json"),
        ("conflict_409", 409, "json"),
        ("429", 429, "json"),
        ("500_json", 500, "json"),
        ("500_html", 500, "html"),
        ("500_empty", 500, "empty"),
    ],
)
async def test_a_call_that_is_refused_before_its_effect_has_none(
    site: Site, kind: str, status: int, shape: str
) -> None:
    await site.fault("before", kind, method="inputs.batch", times=1)
    path, body = "api/v1/inputs/batch/bank/statements", orjson.dumps(customer(1))
    said = await site.call("POST", path, data=body)
    assert said.status == status
    if shape == "json":
        assert said.document["status"] == status
    assert (b"<html>" in said.content, said.content == b"") == (shape == "html", shape == "empty")
    assert ("Retry-After" in said.headers) == (kind == "429")
    assert await _started(site) == 0
    assert (await site.call("POST", path, data=body)).status == 200


@pytest.mark.parametrize("kind", ["500_json", "500_html", "500_empty", "reset", "hang"])
async def test_after_the_effect_the_reply_is_lost_and_the_job_is_there(site: Site, kind: str) -> None:
    await site.fault("after", kind, method="inputs.batch", delay=0.1)
    given = {"data": orjson.dumps(customer(1))}
    if kind in ("reset", "hang"):
        with pytest.raises(aiohttp.ClientError):
            await site.call("POST", "api/v1/inputs/batch/bank/statements", **given)
    else:
        assert (await site.call("POST", "api/v1/inputs/batch/bank/statements", **given)).status == 500
    assert await _started(site) == 1


@pytest.mark.parametrize("kind", ["status_error_200", "html_200"])
async def test_a_200_that_is_no_success_did_nothing(site: Site, kind: str) -> None:
    await site.fault("odd", kind, method="inputs.batch")
    said = await site.call("POST", "api/v1/inputs/batch/bank/statements", data=orjson.dumps(customer(1)))
    assert said.status == 200
    if kind == "html_200":
        assert said.headers["Content-Type"].startswith("text/html")
    else:
        assert (said.document["status"], said.data[0]["statusCode"]) == ("error", "500")
    assert await _started(site) == 0


async def test_odd_pages_repeat_lose_and_shift_entries(site: Site, eventually) -> None:
    jobs = [await site.batch([customer(1)]) for _ in range(4)][::-1]
    for job in jobs:
        await eventually(lambda job=job: site.is_over(job), within=20)

    async def page(kind: str, offset: int) -> tuple[list[str], int]:
        await site.control("DELETE", "faults")
        await site.fault("odd", kind, method="jobs.list")
        said = (await site.runtime("jobs", offset=str(offset), count="2")).document
        return [job["id"] for job in said["data"]], said["page"]["totalElements"]

    assert await page("duplicate_job_page", 2) == (jobs[1:3], 4)
    assert await page("empty_page", 0) == ([], 4)
    assert await page("page_index_offset", 1) == (jobs[2:4], 4)
    assert await page("page_index_offset", 2) == ([], 4)


async def test_dates_can_turn_into_milliseconds(site: Site) -> None:
    job = await site.batch([customer(1)])
    assert isinstance((await site.job(job))["startDate"], str)
    await site.fault("odd", "ms_dates", method="jobs.*")
    assert isinstance((await site.job(job))["startDate"], int)


async def test_a_file_can_end_in_its_middle(site: Site, eventually) -> None:
    job = await site.batch([customer(1)])
    await eventually(lambda: site.is_over(job), within=20)
    step = (await site.steps(job))[1]["id"]
    whole = (await site.runtime(f"flow-steps/{step}/delivery-file")).content
    await site.fault("odd", "half_file", method="steps.delivery_file")
    assert (await site.runtime(f"flow-steps/{step}/delivery-file")).content == whole[: len(whole) // 2]


async def test_a_slow_answer_comes_late_and_whole(site: Site) -> None:
    await site.fault("odd", "slow", method="config", delay=0.3)
    began = asyncio.get_running_loop().time()
    assert (await site.call("GET", "api/v1/config")).status == 200
    assert asyncio.get_running_loop().time() - began >= 0.3


async def test_a_server_that_cannot_reach_otds_says_so_and_no_token_is_given(site: Site) -> None:
    await site.fault("before", "otds_down", method="jobs.list", times=1, delay=600)
    said = await site.runtime("jobs")
    assert (said.status, "HttpHostConnectException" in said.document["details"]) == (500, True)
    assert (await site.send("POST", site.running.doors["token_url"], data=CLIENT)).status == 503


async def test_the_token_endpoint_has_bad_days_too(site: Site) -> None:
    await site.fault("before", "500_html", method="otds.token", times=1)
    answers = [(await site.send("POST", site.running.doors["token_url"], data=CLIENT)).status for _ in range(2)]
    assert answers == [500, 200]


async def test_rules_match_by_domain_and_position_and_a_kind_has_its_points(open_site) -> None:
    site = await open_site(domains=[{"name": "bank"}, {"name": "shop"}])
    await site.fault("before", "forbidden", domain="shop", positions=[2])
    seen = [(await site.call("GET", f"api/v1/runtime/{name}/jobs")).status for name in ("shop", "bank", "shop", "shop")]
    assert seen == [200, 200, 403, 200]
    (rule,) = (await site.control("GET", "faults"))["faults"]
    assert (rule["matched"], rule["struck"]) == (3, 1)
    wrong = {"point": "after", "kind": "unauthorized"}
    said = await site.send("POST", f"{site.url}/sandbox/v1/faults", data=orjson.dumps(wrong))
    assert said.status == 400


async def test_an_outage_shuts_the_port_for_a_while(site: Site, eventually) -> None:
    await site.control("POST", "outage", {"seconds": 0.3})

    async def is_shut() -> bool:
        try:
            async with aiohttp.ClientSession() as fresh, fresh.get(f"{site.url}/sandbox/v1/state"):
                return False
        except aiohttp.ClientConnectorError:
            return True

    async def is_open() -> bool:
        return not await is_shut()

    await eventually(is_shut)
    await eventually(is_open)


async def test_a_reset_brings_everything_back_to_the_beginning(site: Site) -> None:
    await site.publish(service="more", hold=True)
    await site.batch([customer(1)], service="more")
    state = await site.control("POST", "reset")
    assert (state["jobs"], state["composed"], state["held"]) == ({}, 0, [])
    assert [flow["service"] for flow in (await site.control("GET", "flows"))["flows"]] == ["statements"]
    assert (await site.runtime("jobs")).status == 401


@pytest.mark.parametrize(
    "flow",
    [
        {"domain": "elsewhere"},
        {"fail": {"customers": ["1"], "message": "broken"}},
        {"outputs": [{"queue": "a"}, {"queue": "a"}]},
        {"outputs": [{"queue": "../out"}]},
        {"channels": [{"type": "fax"}]},
        {"service": "a/b"},
        {"colour": "red"},
    ],
)
async def test_a_flow_that_cannot_be_is_refused_with_what_is_wrong(site: Site, flow: dict) -> None:
    said = await site.send("POST", f"{site.url}/sandbox/v1/flows", data=orjson.dumps(flow))
    assert said.status == 400
    assert said.document["errors"]
