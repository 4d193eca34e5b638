"""Lists of the runtime: filters in both spellings, pages, counts; what does not exist."""

from uuid import uuid4

import pytest
from exstream_site import Site, customer


async def _jobs(site: Site, eventually, number: int) -> list[str]:
    jobs = [await site.batch([customer(1)]) for _ in range(number)]
    for job in jobs:
        await eventually(lambda job=job: site.is_over(job), within=20)
    return jobs


@pytest.mark.parametrize("spelling", ["joined", "dotted"])
async def test_jobs_are_filtered_in_both_spellings(site: Site, eventually, spelling: str) -> None:
    await site.publish(service="other:one".replace(":", "-"), hold=True)
    (done,) = await _jobs(site, eventually, 1)
    held = await site.batch([customer(1)], service="other-one")
    day = (await site.job(done))["startDate"][:10]

    async def found(**keys: str) -> set[str]:
        if spelling == "joined":
            query = {"filter": ";".join(f"{key}:{value}" for key, value in keys.items())}
        else:
            query = {f"filter.{key}": value for key, value in keys.items()}
        return {job["id"] for job in (await site.runtime("jobs", **query)).data}

    assert await found(statuses="complete,error") == {done}
    assert await found(statuses="holding,started,waiting") == {held}
    assert await found(channel="other-one", mode="BATCH") == {held}
    assert await found(startDateStart=day, startDateEnd=day) == {done, held}
    assert await found(startDateEnd="2020-01-01") == set()
    assert await found(endDateStart=day) == {done}
    assert await found(ids=f"{done},{held}") == {done, held}


async def test_pages_hold_every_job_once_and_tell_the_total(site: Site, eventually) -> None:
    jobs = await _jobs(site, eventually, 3)
    first, second = [(await site.runtime("jobs", offset=offset, count="2")).document for offset in ("0", "2")]
    assert [job["id"] for job in first["data"] + second["data"]] == jobs[::-1]
    assert second["page"] == {
        "pageSize": 2,
        "pageOffset": 2,
        "totalElements": 3,
        "totalPages": 2,
        "currentPageNumber": 1,
    }


async def test_offsets_may_count_pages_instead_of_entries(open_site, eventually) -> None:
    site = await open_site(offsets="pages")
    jobs = await _jobs(site, eventually, 3)
    assert [job["id"] for job in (await site.runtime("jobs", offset="1", count="2")).data] == jobs[:1]


async def test_dates_may_be_milliseconds_with_null_for_what_is_not_known(open_site) -> None:
    site = await open_site(dates="milliseconds")
    await site.publish(hold=True)
    job = await site.job(await site.batch([customer(1)]))
    assert isinstance(job["startDate"], int)
    assert job["endDate"] is None


async def test_steps_and_flows_are_found_by_what_they_belong_to(site: Site, eventually) -> None:
    (job,) = await _jobs(site, eventually, 1)
    (flow,) = (await site.runtime("flow-instances", filter=f"jobId:{job};statuses:complete")).data
    steps = (await site.runtime("flow-steps", filter=f"flowInstanceId:{flow['id']};stepTypes:communication")).data
    assert [step["stepType"] for step in steps] == ["communication"]
    retrievable = await site.runtime("flow-steps", filter="deliveryFileRetrievable:true")
    assert {step["stepType"] for step in retrievable.data} == {"communication", "output"}


async def test_counts_and_associated_jobs_tell_of_the_same_flows(site: Site, eventually) -> None:
    (job,) = await _jobs(site, eventually, 1)
    counts = await site.call("POST", "api/v1/runtime/bank/flow-instances/counts", document={"filter": {}})
    ((day, states),) = counts.data.items()
    assert (len(day), states) == (10, {"complete": 1})
    query = {"offset": 0, "count": 10, "filter": {"statuses": ["complete"]}}
    both = await site.call("POST", "api/v1/runtime/bank/flow-instances/associated-jobs", document=query)
    assert both.data["flowInstances"]["page"]["totalElements"] == 1
    assert both.data["jobs"][job]["status"] == "complete"


async def test_a_post_sort_run_checks_its_order(site: Site, eventually) -> None:
    (job,) = await _jobs(site, eventually, 1)
    (flow,) = (await site.runtime("flow-instances", filter=f"jobId:{job}")).data
    path, model = "api/v1/runtime/bank/jobs/post-sort", flow["flowModelId"]
    answers = [
        (await site.call("POST", path, document=order)).status
        for order in (
            {"flowModelId": model, "customerList": "2,7,14-50"},
            {"flowModelId": model, "customerList": "two"},
            {},
            {"flowModelId": str(uuid4())},
        )
    ]
    assert answers == [201, 400, 400, 404]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("jobs/{id}", 404),
        ("jobs/no-uuid", 400),
        ("flow-instances/{id}", 404),
        ("flow-steps/{id}/delivery-file", 404),
        ("jobs?filter=colour:red", 400),
        ("jobs?filter=statuses:tired", 400),
        ("jobs?filter=statuses", 400),
        ("jobs?filter.startDateStart=yesterday", 400),
        ("jobs?offset=-1", 400),
        ("jobs?count=many", 400),
        ("jobs?fetchDeleted=perhaps", 400),
    ],
)
async def test_what_does_not_exist_or_does_not_fit_is_said_in_exstreams_error_body(
    site: Site, path: str, status: int
) -> None:
    said = await site.runtime(path.format(id=uuid4()))
    told = said.document
    assert (said.status, told["status"]) == (status, status)
    assert set(told) == {"timestamp", "status", "message", "error", "details", "path"}


async def test_another_domain_is_not_found(site: Site) -> None:
    assert (await site.call("GET", "api/v1/runtime/elsewhere/jobs")).status == 404
    assert (await site.call("POST", "api/v1/inputs/batch/bank/nothing", data=b"{}")).status == 404


async def test_a_channel_may_ask_for_the_csrf_cookie(open_site) -> None:
    site = await open_site(csrf_cookie=True)
    path = "api/v1/inputs/batch/bank/statements"
    assert (await site.call("POST", path, data=b"{}")).status == 403
    assert (await site.call("POST", path, data=b"{}", headers={"Cookie": "csrfToken=abc"})).status == 200


async def test_version_and_config_say_what_the_service_is(open_site) -> None:
    site = await open_site(base_subscription=True)
    assert (await site.call("GET", "api/v1/version")).document["details"]["appName"].startswith("exstream")
    assert (await site.call("GET", "api/v1/config")).document["baseSubscription"] is True
    assert (await site.call("GET", "design/api/v1/version")).document["clientVersion"]
