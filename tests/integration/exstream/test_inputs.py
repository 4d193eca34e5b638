"""Compositions on demand and named channels."""

import asyncio
import base64
import json

import pytest
from aiohttp import web
from exstream_server import Asked, FakeExstream, data, says

from millstream.exstream.errors import (
    BadRequest,
    Conflict,
    Effect,
    SaidFailure,
    ServerError,
    TimedOut,
    Unauthorized,
    Unreadable,
)
from millstream.exstream.model import FlowStatus, Generated

ROOT = "/orchestration/api/v1/inputs"
ID = "5f5c2b5e-7b7e-4b8e-9d53-1a2b3c4d5e6f"


def output(content: bytes, mime: str, queue: str) -> dict:
    context = {"queueName": queue, "fileName": queue, "customerNumber": 1}
    return {"content": base64.b64encode(content).decode(), "mimeType": mime, "engineOutputContext": context}


BOTH = data([output(b"%PDF-1.7", "application/pdf", "PDFQ"), output(b"<html>", "text/html", "HTML email Q")])


async def test_a_composition_gives_all_of_its_outputs(exstream: FakeExstream) -> None:
    exstream.at["/generate"] = BOTH
    async with exstream.client() as client:
        made = await client.inputs().generate(ID, "letters.dsn", b"<customer/>", "application/xml")
    assert made == (
        Generated(b"%PDF-1.7", "application/pdf", "PDFQ", "PDFQ", "1"),
        Generated(b"<html>", "text/html", "HTML email Q", "HTML email Q", "1"),
    )
    asked = exstream.asked[0]
    assert (asked.method, asked.path, asked.body) == ("POST", f"{ROOT}/ondemand/statements/generate", b"<customer/>")
    told = {
        name: asked.headers.get(name) for name in ("communicationId", "driverDataSource", "Content-Type", "empowerUser")
    }
    assert told == {
        "communicationId": ID,
        "driverDataSource": "letters.dsn",
        "Content-Type": "application/xml",
        "empowerUser": None,
    }


async def test_a_driver_of_many_megabytes_arrives_whole(exstream: FakeExstream) -> None:
    exstream.at["/generate"] = BOTH
    driver = b"[" + b"1," * 2_000_000 + b"1]"
    async with exstream.client() as client:
        await client.inputs().generate(ID, "d", driver)
    assert exstream.asked[0].body == driver


async def test_a_pdf_alone_is_given_as_it_is(exstream: FakeExstream) -> None:
    exstream.at["/generate"] = says(status=200, body=b"%PDF-1.7 ...", content_type="application/pdf")
    async with exstream.client() as client:
        assert await client.inputs().generate_pdf(ID, "d", b"{}") == b"%PDF-1.7 ..."
    assert exstream.asked[0].headers["Accept"] == "application/pdf"


FAILED = {"status": "error", "data": [{"errorMessage": "EX004120E no driver", "statusCode": "500"}]}
NO_RIGHT = {"status": "error", "data": [{"errorMessage": "may not import", "statusCode": "401"}]}


@pytest.mark.parametrize(
    ("answer", "kind", "text"),
    [
        (says(FAILED), SaidFailure, "EX004120E"),
        (says({"status": "success", "data": []}), Unreadable, "no output"),
        (says({"status": "success", "data": [{"content": "%%%"}]}), Unreadable, "lacks"),
        (says({"status": "success", "data": [{}]}), Unreadable, "content"),
        (says(status=200, text="<html>Sign in</html>", content_type="text/html"), Unreadable, "Sign in"),
        (says({"message": "boom"}, 500), ServerError, "boom"),
        (says({"message": "busy", "errorCode": 5}, 409), Conflict, "busy"),
    ],
)
async def test_a_composition_that_failed_says_why(exstream: FakeExstream, answer, kind, text: str) -> None:
    exstream.at["/generate"] = answer
    async with exstream.client() as client:
        with pytest.raises(kind, match=text) as caught:
            await client.inputs().generate(ID, "d", b"{}")
        with pytest.raises((kind, Unreadable)):
            await client.inputs().generate_pdf(ID, "d", b"{}")
    assert caught.value.effect is Effect.NO


async def test_an_empower_document_is_made_in_somebodys_name(exstream: FakeExstream) -> None:
    exstream.at["/generate"] = says({"documentId": "doc-1"})
    async with exstream.client(empower_user="svc@OAuthClients") as client:
        assert await client.inputs().empower_document(ID, "d", b"{}") == "doc-1"
    assert exstream.asked[0].headers["empowerUser"] == "svc@OAuthClients"
    async with exstream.client() as client:
        with pytest.raises(BadRequest, match="empower_user"):
            await client.inputs().empower_document(ID, "d", b"{}")
        exstream.at["/generate"] = says(NO_RIGHT)
        with pytest.raises(Unauthorized, match="may not import") as caught:
            await client.inputs().empower_document(ID, "d", b"{}", empower_user="x")
    assert not caught.value.temporary


@pytest.mark.parametrize("preserve", ["true", "false"])
async def test_finished_letters_are_fulfilled(exstream: FakeExstream, preserve: str) -> None:
    exstream.at["/fulfill"] = [BOTH, says(status=500)]
    async with exstream.client() as client:
        made = await client.inputs().fulfil(ID, "d", ["doc-1", "doc-2"], preserve=preserve == "true")
        with pytest.raises(ServerError) as caught:
            await client.inputs().fulfil(ID, "d", ["doc-1"], preserve=preserve == "true")
    assert len(made) == 2
    asked = exstream.asked[0]
    assert asked.path == f"{ROOT}/fulfillment/ondemand/statements/fulfill"
    assert (asked.headers["preserveDocuments"], json.loads(asked.body)) == (preserve, {"documents": ["doc-1", "doc-2"]})
    assert caught.value.effect is (Effect.NO if preserve == "true" else Effect.UNKNOWN)


STARTED = {"id": "f1", "jobId": "j1", "domainId": "statements", "status": "started", "startDate": 1757584405639,
           "endDate": None, "flowModelType": "COMMUNICATION", "executingLongRunningOp": False}  # fmt: skip


async def test_a_batch_starts_flows_and_carries_our_headers_and_cookie(exstream: FakeExstream) -> None:
    exstream.at["/batch/statements/monthly%20run"] = data([STARTED])
    async with exstream.client(headers={"X-Tenant": "bank", "X-Run": "0"}, csrf_token="abc") as client:
        flows = await client.inputs().batch("monthly run", b"<a/>", "application/xml", {"X-Run": "7"})
    assert [(flow.id, flow.job_id, flow.status) for flow in flows] == [("f1", "j1", FlowStatus.STARTED)]
    asked = exstream.asked[0]
    assert {name: asked.headers[name] for name in ("X-Tenant", "X-Run", "Cookie", "Content-Type")} == {
        "X-Tenant": "bank",
        "X-Run": "7",
        "Cookie": "csrfToken=abc",
        "Content-Type": "application/xml",
    }


@pytest.mark.parametrize(
    ("answer", "kind", "effect"),
    [
        (says(status=502, text="<html>Bad Gateway</html>", content_type="text/html"), ServerError, Effect.UNKNOWN),
        (says(status=200, text="ok"), Unreadable, Effect.UNKNOWN),
        (says({"status": "success", "data": [{"jobId": "1"}]}), Unreadable, Effect.UNKNOWN),
        (says(FAILED), SaidFailure, Effect.UNKNOWN),
        (says(status=302, headers={"Location": "/login"}), Unreadable, Effect.UNKNOWN),
        (says({"message": "no such service"}, 400), BadRequest, Effect.NO),
    ],
)
async def test_what_a_batch_did_is_unknown_unless_it_was_refused(exstream: FakeExstream, answer, kind, effect) -> None:
    exstream.usual = answer
    async with exstream.client() as client:
        with pytest.raises(kind) as caught:
            await client.inputs().batch("monthly", b"{}")
    assert caught.value.effect is effect
    assert len(exstream.asked) == 1


async def test_a_channel_on_demand_may_answer_in_an_envelope_or_with_a_body(exstream: FakeExstream) -> None:
    headers = {"Content-Type": "application/pdf", "Content-Disposition": "attachment; filename=letter.pdf"}
    pdf = says(status=200, body=b"%PDF-", headers=headers)
    own = says({"accepted": True})
    exstream.at["/ondemand/statements/letters"] = [BOTH, pdf, own, says(status=204), says(FAILED)]
    async with exstream.client() as client:
        inputs = client.inputs()
        assert len(await inputs.on_demand("letters", b"{}")) == 2
        assert await inputs.on_demand("letters", b"{}") == (Generated(b"%PDF-", "application/pdf", None, "letter.pdf"),)
        assert (await inputs.on_demand("letters", b"{}"))[0].content == b'{"accepted": true}'
        assert (await inputs.on_demand("letters", b"{}"))[0].content == b""
        with pytest.raises(SaidFailure):
            await inputs.on_demand("letters", b"{}")


async def test_a_composition_has_a_patience_of_its_own(exstream: FakeExstream) -> None:
    gate = asyncio.Event()

    async def late(_asked: Asked) -> web.StreamResponse:
        await gate.wait()
        return web.Response()

    exstream.at["/generate"] = late
    async with exstream.client(generate_seconds=0.2, call_seconds=30) as client:
        with pytest.raises(TimedOut) as caught:
            await client.inputs().generate(ID, "d", b"{}")
    gate.set()
    assert caught.value.effect is Effect.NO


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b"])
async def test_a_header_that_would_become_two_is_refused(exstream: FakeExstream, value: str) -> None:
    async with exstream.client() as client:
        with pytest.raises(BadRequest, match="control characters"):
            await client.inputs().generate(value, "d", b"{}")
    assert exstream.asked == []
