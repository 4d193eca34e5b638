"""Lists, files and acts of what runs."""

import hashlib
import io
import json
import tracemalloc
import zipfile
from datetime import date

import pytest
from aiohttp import web
from exstream_server import Asked, FakeExstream, data, page, says

from millstream.exstream import Exstream, FilterStyle, Paging, Walked
from millstream.exstream.errors import (
    BadRequest,
    ConnectionLost,
    Effect,
    Gone,
    NoSpace,
    NotFound,
    NotWritable,
    SaidFailure,
    StateRefused,
    TooLarge,
    Unreadable,
)
from millstream.exstream.model import FlowStatus, JobStatus, StepType

ROOT = "/orchestration/api/v1/runtime/statements"
LOGIN = says(status=200, text="<!DOCTYPE html><html><body>Sign in</body></html>", content_type="text/html")


async def test_a_list_is_asked_for_in_the_joined_spelling(exstream: FakeExstream) -> None:
    async with exstream.client() as client:
        runtime = client.runtime()
        found = runtime.jobs(
            statuses=[JobStatus.COMPLETE, "error"],
            start_date_start=date(2026, 11, 24),
            fetch_deleted=True,
            channel=None,
        )
        assert [job async for job in found] == []
    asked = exstream.asked[0]
    assert (asked.method, asked.path) == ("GET", f"{ROOT}/jobs")
    assert asked.query == {
        "fetchDeleted": ["true"],
        "filter": ["statuses:complete,error;startDateStart:2026-11-24"],
        "offset": ["0"],
        "count": ["10"],
    }
    assert asked.headers["Authorization"] == "Bearer t"
    assert asked.headers["Accept"].startswith("application/json,")


async def test_a_list_is_asked_for_in_the_dotted_spelling(exstream: FakeExstream) -> None:
    async with exstream.client(orchestration_filter=FilterStyle.DOTTED) as client:
        assert [step async for step in client.runtime().flow_steps(flow_instance_id="f 1", check_artifacts=True)] == []
    assert exstream.asked[0].query == {
        "checkArtifacts": ["true"],
        "filter.flowInstanceId": ["f 1"],
        "offset": ["0"],
        "count": ["10"],
    }


async def test_a_server_that_does_not_understand_the_filter_does_not_flood_us(exstream: FakeExstream) -> None:
    exstream.at["/jobs"] = page([{"id": "1", "status": "started"}, {"id": "2", "status": "complete"}], 2)
    exstream.at["/flow-instances"] = page(
        [{"id": "1", "jobId": "a"}, {"id": "2", "jobId": "B", "status": "error"}, {"id": "3"}], 3
    )
    exstream.at["/flow-steps"] = page(
        [
            {"id": "1", "flowInstanceId": "x", "stepType": "hold"},
            {"id": "2", "flowInstanceId": "y", "stepType": "hold"},
        ],
        2,
    )
    async with exstream.client() as client:
        runtime = client.runtime()
        assert [job.id async for job in runtime.jobs(statuses="COMPLETE")] == ["2"]
        # A job that the answer does not tell is believed, and a status that it does not tell is none.
        assert [flow.id async for flow in runtime.flow_instances(jobId="b")] == ["2", "3"]
        assert [flow.id async for flow in runtime.flow_instances(statuses=FlowStatus.ERROR)] == ["2"]
        assert [one.id async for one in runtime.flow_steps(flow_instance_id="y", step_types=StepType.HOLD)] == ["2"]


async def test_a_filter_that_the_service_does_not_know_is_a_mistake(exstream: FakeExstream) -> None:
    async with exstream.client() as client:
        with pytest.raises(TypeError, match="no filter 'job_id'"):
            client.runtime().flow_steps(job_id="1")
    assert exstream.asked == []


@pytest.mark.parametrize("by_page", [True, False])
async def test_lists_are_walked_whatever_offset_counts(exstream: FakeExstream, by_page) -> None:
    jobs = [{"id": f"{number}"} for number in range(47)]

    def listed(asked: Asked) -> web.StreamResponse:
        offset = int(asked.query["offset"][0])
        start = offset * 10 if by_page else offset
        return page(jobs[start : start + 10], 47)(asked)

    exstream.at["/jobs"] = listed
    course = Walked()
    async with exstream.client() as client:
        found = [job.id async for job in client.runtime().jobs(walked=course)]
    assert found == [job["id"] for job in jobs]
    assert course.complete


async def test_a_set_way_of_paging_is_kept_to(exstream: FakeExstream) -> None:
    exstream.at["/jobs"] = [page([{"id": "1"}], 2), page([{"id": "2"}], 2)]
    async with exstream.client(paging=Paging.PAGES, page_size=1) as client:
        assert [job.id async for job in client.runtime().jobs()] == ["1", "2"]
    assert [asked.query["offset"][0] for asked in exstream.asked] == ["0", "1"]


async def test_names_of_output_files_are_walked_once_each(exstream: FakeExstream) -> None:
    exstream.at["/output-files"] = [page([f"a{n}" for n in range(10)], 12), page(["a9", "a10"], 12), page(["a11"], 12)]
    async with exstream.client() as client:
        assert [name async for name in client.runtime().output_files("s")] == [f"a{n}" for n in range(12)]
    assert exstream.asked[0].path == f"{ROOT}/flow-steps/s/delivery-file/output-files"


async def test_one_job_flow_and_step_are_read(exstream: FakeExstream) -> None:
    exstream.at |= {
        "/jobs/1": data({"id": "1", "status": "holding", "startDate": 1757401205639}),
        "/flow-instances/2": data({"id": "2", "jobId": "1", "inputRetrievable": False}),
        "/flow-steps/3": data({"id": "3", "deliveryFileRetrievable": True}),
        "/outputs": data([{"any": "thing"}]),
    }
    async with exstream.client() as client:
        runtime = client.runtime("other domain")
        assert (await runtime.job("1")).status is JobStatus.HOLDING
        assert (await runtime.flow_instance("2")).input_retrievable is False
        assert (await runtime.flow_step("3")).delivery_file_retrievable is True
        assert await runtime.outputs("3") == [{"any": "thing"}]
    assert exstream.asked[0].path == "/orchestration/api/v1/runtime/other%20domain/jobs/1"
    assert [asked.query for asked in exstream.asked] == [
        {},
        {"checkArtifacts": ["true"]},
        {"checkArtifacts": ["true"]},
        {},
    ]


@pytest.mark.parametrize("answer", [says({"status": "success", "data": {}}), says({}), says([]), says("words"), LOGIN])
async def test_an_answer_that_is_no_job_is_unreadable(exstream: FakeExstream, answer) -> None:
    exstream.at["/jobs/1"] = answer
    async with exstream.client() as client:
        with pytest.raises(Unreadable):
            await client.runtime().job("1")


@pytest.mark.parametrize("odd", ["", ".", ".."])
async def test_an_id_that_leads_to_another_address_is_never_asked_for(exstream: FakeExstream, odd: str) -> None:
    async with exstream.client() as client:
        with pytest.raises(BadRequest):
            await client.runtime().stop_job(odd)
    assert exstream.asked == []


async def test_an_id_stays_one_part_of_the_address(exstream: FakeExstream) -> None:
    async with exstream.client() as client:
        await client.runtime().stop_job("../flow-steps/1?x=#")
    assert exstream.asked[0].path == f"{ROOT}/jobs/..%2Fflow-steps%2F1%3Fx%3D%23/stop"


ACTS = {
    "stop_job": ("jobs/7/stop", {}),
    "reprocess": ("jobs/7/reprocessing", {"useCurrentFlowModel": ["false"], "useCurrentFlowContext": ["false"]}),
    "stop_flow": ("flow-instances/7/stop", {}),
    "release_flow": ("flow-instances/7/release", {}),
    "stop_step": ("flow-steps/7/stop", {}),
    "release_step": ("flow-steps/7/release", {}),
}


@pytest.mark.parametrize("name", ACTS)
@pytest.mark.parametrize(
    "answer", [says("done"), says(status=200), says(status=200, text="stopped"), data({"id": "7"})]
)
async def test_an_act_is_done_whatever_exstream_answers_to_it(exstream: FakeExstream, name: str, answer) -> None:
    exstream.usual = answer
    async with exstream.client() as client:
        await getattr(client.runtime(), name)("7")
    path, query = ACTS[name]
    asked = exstream.asked[0]
    assert (asked.method, asked.path, asked.query, asked.body) == ("POST", f"{ROOT}/{path}", query, b"")


@pytest.mark.parametrize(
    ("answer", "kind", "effect"),
    [
        (says({"message": "not holding"}, 409), StateRefused, Effect.NO),
        (says({"status": "failure", "message": "step is not holding"}), StateRefused, Effect.NO),
        (says({"status": "error", "message": "oops"}), SaidFailure, Effect.UNKNOWN),
        (says(status=404), NotFound, Effect.NO),
        (LOGIN, Unreadable, Effect.UNKNOWN),
    ],
)
async def test_an_act_that_was_not_done_is_told(exstream: FakeExstream, answer, kind, effect) -> None:
    exstream.usual = answer
    async with exstream.client() as client:
        with pytest.raises(kind) as caught:
            await client.runtime().release_step("7")
    assert caught.value.effect is effect
    assert len(exstream.asked) == 1


async def test_counts_post_sort_and_associated_jobs_send_their_bodies(exstream: FakeExstream) -> None:
    exstream.at |= {
        "/counts": data({"2026-11-25": {"complete": 3}}),
        "/post-sort": says({"status": "success", "message": "made"}, 201),
        "/associated-jobs": data(
            {
                "flowInstances": {"data": [{"id": "f", "jobId": "j"}], "page": {"totalElements": 9}},
                "jobs": {"j": {"id": "j"}},
            }
        ),
    }
    async with exstream.client() as client:
        runtime = client.runtime()
        assert await runtime.counts(flow_model_ids=("m",), start=date(2026, 11, 1)) == {"2026-11-25": {"complete": 3}}
        assert (await runtime.post_sort("m", customers="2,7"))["message"] == "made"
        both = await runtime.associated_jobs(statuses=["error"])
    assert (both.flow_instances.total, both.jobs["j"].id) == (9, "j")
    assert [json.loads(asked.body) for asked in exstream.asked] == [
        {"filter": {"startDateStart": "2026-11-01T00:00:00.000Z", "flowModelIds": ["m"]}},
        {"flowModelId": "m", "customerList": "2,7", "dryRun": False},
        {"offset": 0, "count": 10, "filter": {"statuses": ["error"]}},
    ]


async def test_a_large_file_is_written_as_it_comes_at_flat_memory(exstream: FakeExstream) -> None:
    block = bytes(range(256)) * 1024
    blocks = 400  # 100 MiB

    async def streamed(asked: Asked) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Disposition": 'attachment; filename="../PDFQ"'})
        answer.content_type = "application/pdf"
        await answer.prepare(asked.request)
        for _ in range(blocks):
            await answer.write(block)
        return answer

    class Digesting(io.RawIOBase):
        """Keeps nothing, as a file would."""

        def __init__(self) -> None:
            self.digest = hashlib.sha256()

        def write(self, piece) -> int:
            self.digest.update(piece)
            return len(piece)

    exstream.at["PDFQ"] = streamed
    to = Digesting()
    async with exstream.client() as client:
        tracemalloc.start()
        fetched = await client.runtime().artifact("s", "out/PDFQ", to)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (fetched.size, fetched.media_type, fetched.file_name) == (len(block) * blocks, "application/pdf", "PDFQ")
    assert to.digest.digest() == hashlib.sha256(block * blocks).digest()
    assert peak < 20 * 2**20
    assert exstream.asked[0].path == f"{ROOT}/flow-steps/s/artifact/out%2FPDFQ"


async def test_each_file_has_its_address(exstream: FakeExstream) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("PDFQ", b"%PDF-")
    exstream.at |= {
        "/message-file": says(status=200, body=b"EX004120E no driver\n"),
        "/delivery-file": says(status=200, body=b"<outputList/>", content_type="text/xml"),
        "/customer-artifacts/12": says(status=200, body=packed.getvalue()),
        "/input": says(status=200, body=b'{"customers": []}', content_type="application/json"),
    }
    async with exstream.client() as client:
        runtime, got = client.runtime(), {}
        for name, fetch in {
            "message": lambda to: runtime.message_file("s", to),
            "delivery": lambda to: runtime.delivery_file("s", to),
            "customer": lambda to: runtime.customer_artifacts("s", 12, to),
            "input": lambda to: runtime.input("f", to),
        }.items():
            to = io.BytesIO()
            fetched = await fetch(to)
            assert fetched.size == len(to.getvalue())
            got[name] = to.getvalue()
    assert (got["message"], got["delivery"]) == (b"EX004120E no driver\n", b"<outputList/>")
    assert (got["customer"], got["input"]) == (packed.getvalue(), b'{"customers": []}')
    assert exstream.asked[3].path == f"{ROOT}/flow-instances/f/input"
    assert exstream.asked[3].query == {"download": ["true"]}


async def fetched(
    exstream: FakeExstream, name: str, to: io.RawIOBase | io.BytesIO | None = None, **limits: int
) -> bytes:
    to = to or io.BytesIO()
    async with exstream.client() as client:
        runtime = client.runtime()
        match name:
            case "artifact":
                await runtime.artifact("s", "a", to, **limits)
            case "customer":
                await runtime.customer_artifacts("s", 1, to, **limits)
            case "delivery":
                await runtime.delivery_file("s", to, **limits)
    return to.getvalue()


FAILED = {"status": "error", "data": [{"errorMessage": "wiped", "statusCode": "500"}]}


@pytest.mark.parametrize(
    ("name", "answer", "kind"),
    [
        ("artifact", says(FAILED), SaidFailure),
        ("artifact", says({"message": "no such step"}, 404), NotFound),
        ("artifact", says(status=410), Gone),
        ("delivery", LOGIN, Unreadable),
        ("delivery", says(status=200, body=b"\xef\xbb\xbf \n<HTML>"), Unreadable),
        ("customer", LOGIN, Unreadable),
        ("customer", says(status=200, body=b"%PDF-1.7"), Unreadable),
    ],
)
async def test_what_is_no_file_is_not_written(exstream: FakeExstream, name: str, answer, kind) -> None:
    exstream.usual = answer
    to = io.BytesIO()
    with pytest.raises(kind):
        await fetched(exstream, name, to)
    assert to.getvalue() == b""


async def test_an_artifact_may_be_html_json_or_empty(exstream: FakeExstream) -> None:
    for body in (b"<html>letter</html>", b'{"status": "open", "data": []}', b'{"torn', b""):
        exstream.usual = says(status=200, body=body)
        assert await fetched(exstream, "artifact") == body


async def test_a_file_above_the_limit_is_refused_and_its_end_is_not_awaited(exstream: FakeExstream) -> None:
    async def endless(asked: Asked) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(asked.request)
        while True:
            await answer.write(b"x" * 65536)

    exstream.usual = endless
    with pytest.raises(TooLarge, match="1000000 bytes"):
        await fetched(exstream, "artifact", most=1_000_000)


async def test_a_file_that_breaks_off_is_an_error(exstream: FakeExstream) -> None:
    async def broken(asked: Asked) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Length": "1000000"})
        await answer.prepare(asked.request)
        await answer.write(b"x" * 200_000)
        asked.request.transport.abort()
        return answer

    exstream.usual = broken
    with pytest.raises(ConnectionLost):
        await fetched(exstream, "artifact")


@pytest.mark.parametrize(("number", "kind"), [(28, NoSpace), (122, NoSpace), (5, NotWritable)])
async def test_a_disk_that_takes_no_more_is_its_own_error(exstream: FakeExstream, number: int, kind) -> None:
    class Full(io.RawIOBase):
        def write(self, _piece) -> int:
            raise OSError(number, "the disk says no")

    exstream.usual = says(status=200, body=b"abc")
    async with exstream.client() as client:
        with pytest.raises(kind, match="the disk says no") as caught:
            await client.runtime().artifact("s", "a", Full())
    assert caught.value.effect is Effect.NO


async def test_a_token_that_ended_before_a_file_is_fetched_anew(exstream: FakeExstream) -> None:
    exstream.at |= {
        "/token": [says({"access_token": "old"}), says({"access_token": "new"})],
        "/artifact/a": lambda asked: web.Response(body=b"file") if asked.token == "new" else web.Response(status=401),
    }
    to = io.BytesIO()
    async with Exstream(exstream.options(), exstream.otds()) as client:
        await client.runtime().artifact("s", "a", to)
    assert to.getvalue() == b"file"
