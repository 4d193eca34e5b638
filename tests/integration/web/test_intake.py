"""The HTTP door as an output connector sees it: real requests, real stores, and a worker that takes what came."""

import asyncio
import base64
import contextlib
import hashlib
import json
import resource
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import aiohttp
import pikepdf
import pytest

from millstream.communication.store import RunStore
from millstream.intake.consignments import ConsignmentStore
from millstream.intake.errors import DocumentsFailed, LedgerFailed, SpoolFull
from millstream.intake.http import HttpDoor, HttpOptions
from millstream.intake.reception import Reception
from millstream.intake.sources import Sources
from millstream.intake.spool import Spool
from millstream.intake.submit import IntakeOptions, Services
from millstream.intake.taking import Taker, Tools
from millstream.storage.objects import open_store
from millstream.web import LOOPBACK, build, serve

TOKEN = "mill-pond-7"
LINES = "application/x-ndjson"


def record(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "key": f"2025-10/{number:04}",
        "type": "statement",
        "customer": {"id": f"C-{number}"},
        "recipient": {"address": f"c{number}@example.com"},
        "subject": f"Your statement {number}",
        "text": "Dear customer,\n",
        **changes,
    }


def lines(*records: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in records)


def pdf() -> bytes:
    with pikepdf.new() as document, BytesIO() as file:
        document.add_blank_page()
        document.save(file)
        return file.getvalue()


class Flaky(Reception):
    """A reception that can be told to fail."""

    error: Exception | None = None

    async def receive(self, offer, content=None):
        if self.error:
            raise self.error
        return await super().receive(offer, content)


@dataclass
class Site:
    url: str
    session: aiohttp.ClientSession
    reception: Flaky
    store: ConsignmentStore
    spool: Path
    taker: Taker
    taking: asyncio.Event
    pool: Any
    door: HttpDoor

    async def post(self, path: str, body: Any, token: str | None = TOKEN, **headers: str) -> tuple[int, Any, Any]:
        """Status, JSON and headers of a POST below /api/v1/."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            given["Authorization"] = f"Bearer {token}"
        async with self.session.post(f"{self.url}/api/v1/{path}", data=body, headers=given) as reply:
            return reply.status, await reply.json(), reply.headers

    async def get(self, path: str, token: str = TOKEN) -> tuple[int, Any]:
        async with self.session.get(f"{self.url}{path}", headers={"Authorization": f"Bearer {token}"}) as reply:
            return reply.status, await reply.json()

    async def rows(self) -> list[dict[str, Any]]:
        """Every communication, with its run's key."""
        async with self.pool.connection() as connection:
            found = await connection.execute(
                "SELECT c.*, d.disposition, d.detail, r.key AS run_key, r.pool, r.mode, r.policy FROM communication c "
                "JOIN delivery d ON d.communication_id = c.id JOIN run r ON r.id = c.run_id ORDER BY c.id"
            )
            return await found.fetchall()

    async def customers(self) -> list[str]:
        return [row["customer"] for row in await self.rows()]

    def spooled(self) -> list[str]:
        """Every file in the spool."""
        return sorted(str(path.relative_to(self.spool)) for path in self.spool.rglob("*") if path.is_file())


@contextlib.asynccontextmanager
async def opened(pool: Any, folder: Path, **changes: Any) -> AsyncIterator[Site]:
    documents = open_store(str(folder / "documents"))
    store = ConsignmentStore(pool, patience=10)
    reception = Flaky(store, documents)
    spool = Spool(folder / "spool")
    given = {"tokens": {"exstream": TOKEN, "other": "other-7"}, "wait_seconds": 10.0, **changes}
    door = HttpDoor(HttpOptions(**given), reception, spool, store)
    ledger = RunStore(pool)
    intake = IntakeOptions(most_bytes=30_000_000)
    taker = Taker(store, Tools(ledger, Services(ledger, documents), documents, Sources(), intake))
    taking = asyncio.Event()
    taking.set()

    async def take() -> None:
        while True:
            await taking.wait()
            await taker.take_due()
            await asyncio.sleep(0.01)

    async def reachable() -> bool:
        return True

    stopping = asyncio.Event()
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = build(reachable=reachable, intake=door)
    serving = asyncio.create_task(serve(app, LOOPBACK, 0, stopping, announce=listening.set_result))
    worker = asyncio.create_task(take())
    try:
        async with aiohttp.ClientSession() as session:
            url = await asyncio.wait_for(listening, 10)
            yield Site(url, session, reception, store, spool.root, taker, taking, pool, door)
    finally:
        worker.cancel()
        await asyncio.gather(worker, return_exceptions=True)
        await taker.close()
        stopping.set()
        await asyncio.wait_for(serving, 20)


@pytest.fixture
async def site(pool, tmp_path) -> AsyncIterator[Site]:
    async with opened(pool, tmp_path) as site:
        yield site


async def test_posted_lines_are_a_run(site) -> None:
    status, told, headers = await site.post("runs?run=october&pool=bulk&mode=direct", lines(record(1), record(2)),
                                            Content_Type=LINES)  # fmt: skip
    assert status == 201
    assert (told["state"], told["run"]) == ("taken", "october")
    assert (told["receipt"]["lines"], told["receipt"]["new"]) == (2, 2)
    assert await site.customers() == ["C-1", "C-2"]
    [first, _] = await site.rows()
    assert (first["run_key"], first["pool"], first["mode"]) == ("october", "bulk", "direct")
    assert await site.get(headers["Location"]) == (200, told)


@pytest.mark.parametrize(
    "body",
    [
        json.dumps([record(1), record(2)]),
        json.dumps([record(1), record(2)], indent=2),
        f"\ufeff {json.dumps(record(1), indent=1)}\r\n{json.dumps(record(2))}",
        json.dumps([record(1, text='quotes " and \\ and {[ and \n'), record(2)], ensure_ascii=True),
    ],
)
async def test_an_array_and_objects_one_after_the_other_are_runs_too(site, body) -> None:
    status, told, _ = await site.post("runs", body.encode(), Content_Type="application/json")
    assert (status, told["receipt"]["new"]) == (201, 2)
    assert await site.customers() == ["C-1", "C-2"]


async def test_a_broken_line_harms_only_itself(site) -> None:
    body = lines(record(1)) + b"{broken\n" + lines(record(2, recipient="x"), record(3))
    status, told, _ = await site.post("runs", body, Content_Type=LINES)
    assert status == 201
    assert (told["receipt"]["new"], told["receipt"]["rejected"]) == (2, 2)
    assert told["receipt"]["problems"][0].startswith("line 2: ")


@pytest.mark.parametrize(
    ("body", "kind", "line"),
    [
        (b"", LINES, None),
        (b" \n\n", LINES, None),
        (b"\n\nkey;address\n1;2\n", LINES, 3),
        (b"%PDF-1.7", "application/octet-stream", 1),
        (b"[]", "application/json", None),
        (b'[{"a": 1},\n{"b": 2}', "application/json", 2),
        (b'[{"a": 1}\n{"b": 2}]', "application/json", 2),
        (b'[{"a": 1},\n\n{"b" 2}]', "application/json", 3),
        (b'[{"a": 1},]', "application/json", 1),
        (b'[{"a": 1}]\n[{"b": 2}]', "application/json", 2),
        (b"[1, 2]", "application/json", 1),
        (b'[{"a": "' + b"\xff" + b'"}]', "application/json", 1),
        (b"[" + b'{"a":' * 2000, "application/json", 1),
        (b'{"a": [}', "application/json", None),
    ],
)
async def test_what_is_no_driver_is_told_with_its_line(site, body, kind, line) -> None:
    status, told, _ = await site.post("runs", body, Content_Type=kind)
    assert status == 400
    assert told["error"]
    assert told.get("line") == line or line is None
    assert site.spooled() == []
    assert await site.store.newest() == []


@pytest.mark.parametrize("path", ["runs", "communications"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "Bearer ", "Basic !!", "Digest x", "Bearer \xff"])
async def test_a_stranger_is_turned_away(site, path, authorization) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    async with site.session.post(f"{site.url}/api/v1/{path}", data=lines(record()), headers=headers) as reply:
        assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, 'Bearer realm="millstream"')
    assert await site.store.newest() == []


async def test_a_connector_that_knows_user_and_password_only_is_let_in(site) -> None:
    for user, status in (("exstream", 201), ("other", 401)):
        told = base64.b64encode(f"{user}:{TOKEN}".encode()).decode()
        async with site.session.post(
            f"{site.url}/api/v1/runs", data=lines(record()), headers={"Authorization": f"Basic {told}"}
        ) as reply:
            assert reply.status == status


async def test_the_standard_library_can_call_it(site) -> None:
    def call() -> tuple[int, Any]:
        request = urllib.request.Request(  # noqa: S310  the loopback
            f"{site.url}/api/v1/runs?run=october",
            lines(record()),
            {"Authorization": f"Bearer {TOKEN}", "Content-Type": LINES},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:  # noqa: S310  the loopback
            return reply.status, json.load(reply)

    status, told = await asyncio.to_thread(call)
    assert (status, told["receipt"]["new"]) == (201, 1)


async def test_the_same_again_gets_the_first_answer(site) -> None:
    first = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    again = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    assert (again[0], again[1]) == (first[0], first[1]) == (201, first[1])
    assert again[2]["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first[2]
    assert len(await site.rows()) == 1


async def test_without_a_key_the_body_is_the_key(site) -> None:
    first = await site.post("runs", lines(record()))
    again = await site.post("runs", lines(record()))
    other = await site.post("runs?run=other", lines(record()))
    assert again[1] == first[1]
    assert other[1]["consignment"] != first[1]["consignment"]


async def test_a_key_with_other_content_is_a_conflict_and_leaves_nothing(site) -> None:
    await site.post("runs", lines(record()), Idempotency_Key="a-1")
    before = site.spooled()
    for path, body in (
        ("runs", lines(record(2))),
        ("runs?run=x", lines(record())),
        ("communications", lines(record())),
    ):
        status, told, _ = await site.post(path, body, Idempotency_Key="a-1")
        assert (status, "Idempotency-Key" in told["error"]) == (409, True)
    assert site.spooled() == before
    assert len(await site.rows()) == 1


async def test_keys_are_each_callers_own(site) -> None:
    first = await site.post("runs", lines(record()), Idempotency_Key="a-1")
    second = await site.post("runs", lines(record(2)), token="other-7", Idempotency_Key="a-1")
    assert (first[0], second[0]) == (201, 201)
    assert (await site.get(second[2]["Location"]))[0] == 404
    assert (await site.get(second[2]["Location"], token="other-7"))[0] == 200


async def test_the_same_key_at_the_same_time_is_one_consignment(site) -> None:
    handed = [site.post("runs", lines(record()), Idempotency_Key="a-1") for _ in range(12)]
    answers = await asyncio.gather(*handed)
    assert {status for status, _, _ in answers} == {201}
    assert len({told["consignment"] for _, told, _ in answers}) == 1
    assert len(await site.rows()) == 1


async def test_what_is_not_taken_in_time_is_promised(site, eventually) -> None:
    site.taking.clear()
    status, told, headers = await site.post("runs?wait=0", lines(record()))
    assert (status, told["state"], told["receipt"]) == (202, "received", None)
    assert headers["Location"] == f"/api/v1/consignments/{told['consignment']}"
    async with asyncio.timeout(5):
        assert (await site.post("runs", lines(record()), Prefer="respond-async"))[0] == 202
    site.taking.set()

    async def taken() -> bool:
        return (await site.get(headers["Location"]))[1]["state"] == "taken"

    await eventually(taken, within=10)


async def test_what_cannot_be_taken_says_why(site) -> None:
    await site.post("runs?run=october&mode=draft", lines(record()))
    status, told, _ = await site.post("runs?run=october&mode=direct", lines(record(2)))
    assert status == 422
    assert (told["state"], "october" in told["error"]) == ("failed", True)


@pytest.mark.parametrize(
    "query",
    ["mode=slow", "bounce_limit=200%25", "pool=nobody", "password={x", "rum=october", "run=" + "x" * 201, "run=a%0Ab"],
)
async def test_a_wish_that_makes_no_sense_is_refused(pool, tmp_path, query) -> None:
    async with opened(pool, tmp_path, pools=frozenset({"default"})) as site:
        status, told, _ = await site.post(f"runs?{query}", lines(record()))
        assert (status, bool(told["error"])) == (400, True)
        assert await site.store.newest() == []


async def test_policy_comes_by_query_or_header(site) -> None:
    await site.post("runs?unsubscribe=mailto:stop@example.com&bounce_limit=5%25", lines(record()),
                    X_Millstream_Run="by-header")  # fmt: skip
    [row] = await site.rows()
    assert row["run_key"] == "by-header"
    assert row["policy"] == {"unsubscribe": "mailto:stop@example.com", "bounce_limit": 0.05}


@pytest.mark.parametrize(
    ("error", "words"),
    [(LedgerFailed("secret-host"), "kept"), (DocumentsFailed("secret-host"), "kept"), (SpoolFull("x"), "room")],
)
async def test_a_store_that_is_away_has_it_sent_again(site, error, words) -> None:
    site.reception.error = error
    for path in ("runs", "communications"):
        status, told, headers = await site.post(path, lines(record()), Idempotency_Key=path)
        assert (status, headers["Retry-After"]) == (503, "10")
        assert words in told["error"]
        assert "secret" not in told["error"]
    site.reception.error = None
    assert (await site.post("runs", lines(record()), Idempotency_Key="runs"))[0] == 201


async def test_a_spool_that_cannot_be_used_has_it_sent_again(site) -> None:
    site.spool.mkdir(exist_ok=True)
    (site.spool / "incoming").write_text("in the way")
    status, _, headers = await site.post("runs", lines(record()))
    assert (status, headers["Retry-After"]) == (503, "10")


async def test_too_much_is_not_read_to_its_end(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, most_bytes=100_000, most_record_bytes=50_000) as site:
        assert (await site.post("runs", lines(*(record(n) for n in range(1_000)))))[0] == 413  # its length is told

        async def endless() -> AsyncIterator[bytes]:
            for number in range(100_000):
                yield lines(record(number))

        for path in ("runs", "communications"):
            with contextlib.suppress(aiohttp.ClientOSError):  # it may hang up before all was sent
                assert (await site.post(path, endless()))[0] == 413
        assert site.spooled() == []
        assert await site.store.newest() == []


@pytest.mark.parametrize("kind", ["text/csv", "application/xml", "image/png"])
async def test_other_kinds_are_not_taken(site, kind) -> None:
    assert (await site.post("runs", b"x", Content_Type=kind))[0] == 415
    assert (await site.post("communications?recipient=a@example.com", b"x", Content_Type=kind))[0] == 415


async def test_an_upload_that_breaks_off_leaves_nothing(site, eventually) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    for path, kind in (("runs", LINES), ("runs", "multipart/form-data; boundary=b"), ("communications", LINES)):
        _, writer = await asyncio.open_connection(host, int(port))
        head = (
            f"POST /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: {kind}\r\n"
            "Content-Length: 5000000\r\n\r\n"
        )
        start = b'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\n' if "multipart" in kind else b""
        writer.write(head.encode() + start + lines(*(record(n) for n in range(9_000))))
        await writer.drain()
        if path == "runs":
            await eventually(site.spooled)
        writer.transport.abort()
        await eventually(lambda: site.spooled() == [])
    assert await site.store.newest() == []
    assert (await site.post("runs", lines(record())))[0] == 201


async def test_a_body_that_comes_too_slowly_is_given_up(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, read_seconds=0.2) as site:
        never = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield lines(record())
            await never.wait()

        with contextlib.suppress(aiohttp.ClientOSError):
            assert (await site.post("runs", slowly()))[0] == 408
        assert site.spooled() == []


def form(*parts: tuple[str, Any, str | None, str | None]) -> aiohttp.FormData:
    made = aiohttp.FormData()
    for name, content, file, kind in parts:
        made.add_field(name, content, filename=file, content_type=kind)
    return made


async def test_a_driver_comes_with_its_documents(site) -> None:
    body = form(
        ("driver", lines(record(1, documents=[{"path": "queue/ü 1.pdf"}]), record(2)), "x.jsonl", LINES),
        ("document", pdf(), "queue/ü 1.pdf", "application/pdf"),
    )
    status, told, _ = await site.post("runs?run=october", body)
    assert (status, told["receipt"]["new"], told["receipt"]["held"]) == (201, 2, 0)
    [first, _] = await site.rows()
    assert [document["name"] for document in first["documents"]] == ["ü 1.pdf"]


async def test_a_body_in_parts_sent_again_is_the_same_though_its_boundary_is_another(site) -> None:
    def body() -> aiohttp.FormData:
        return form(("driver", lines(record(1)), "d.jsonl", None), ("document", pdf_bytes, "a.pdf", "application/pdf"))

    pdf_bytes = pdf()
    first, again = await site.post("runs", body()), await site.post("runs", body())
    assert again[1]["consignment"] == first[1]["consignment"]


@pytest.mark.parametrize("name", ["../a.pdf", "/etc/a.pdf", "a/../../b.pdf", "..\\a.pdf", "a\x00b", "x" * 300, "a//b"])
async def test_a_part_whose_name_leads_out_is_refused(site, name) -> None:
    encoded = "".join(f"%{byte:02X}" for byte in name.encode())
    body = (
        f'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\n{json.dumps(record())}\r\n'
        f'--b\r\nContent-Disposition: form-data; name="d"; filename="{encoded}"\r\n\r\nx\r\n--b--\r\n'
    )
    status, told, _ = await site.post("runs", body.encode(), Content_Type="multipart/form-data; boundary=b")
    assert (status, "file" in told["error"]) == (400, True)
    assert site.spooled() == []


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"--b\r\n", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\n{}', "multipart/form-data; boundary=b"),
        (b"rubbish", "multipart/form-data; boundary=b"),
        (b"x", "multipart/form-data"),
        (b"x", "multipart/form-data; boundary=" + "x" * 300),
        (b'--b\r\nContent-Disposition: form-data; name="a"; filename="a"\r\n\r\nx\r\n--b--\r\n',
         "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\n{}\r\n' * 2 + b"--b--\r\n",
         "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="driver"\r\n\r\nrubbish\r\n--b--\r\n',
         "multipart/form-data; boundary=b"),
        (b"--b\r\n" + b"X-Many: 1\r\n" * 50 + b"\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
    ],
)  # fmt: skip
async def test_parts_that_make_no_run_are_refused(site, body, kind) -> None:
    status, told, _ = await site.post("runs", body, Content_Type=kind)
    assert (status, bool(told["error"])) == (400, True)
    assert site.spooled() == []


async def test_a_manifest_comes_with_its_files(site) -> None:
    site.taking.clear()
    body = form(
        ("manifest", b"<outputList/>", "out/_STDDELIVERYFILE.xml", "text/xml"),
        ("file", pdf(), "out/Print/1", "application/octet-stream"),
    )
    status, told, _ = await site.post("runs?wait=0", body)
    assert status == 202
    row = await site.store.find(told["consignment"])
    place = Path(row["place"].removeprefix("file:"))
    assert (row["kind"], place.name) == ("manifest", "_STDDELIVERYFILE.xml")
    assert [str(path).partition("/")[2].partition("/")[2] for path in site.spooled()] == [
        "out/Print/1",
        "out/_STDDELIVERYFILE.xml",
    ]


async def test_one_record_is_a_communication(site) -> None:
    status, told, _ = await site.post("communications", json.dumps(record(), indent=2).encode(),
                                      Content_Type="application/json")  # fmt: skip
    assert (status, told["receipt"]["new"]) == (201, 1)
    assert told["run"].startswith("http/exstream/20")
    assert site.spooled() == []


async def test_a_record_of_which_none_can_be_made_says_why(site) -> None:
    status, told, _ = await site.post("communications", json.dumps(record(colour="blue")).encode())
    assert (status, "colour" in told["error"]) == (422, True)
    assert (await site.post("communications", b"[]"))[0] == 400
    assert (await site.post("communications", b"{", Content_Type="application/json"))[1]["line"] == 1
    assert (await site.post("communications", json.dumps([record()]).encode(), Content_Type="application/json"))[
        0
    ] == 400


async def test_a_record_that_contradicts_an_earlier_one_is_a_conflict(site) -> None:
    await site.post("communications?run=october", json.dumps(record()).encode())
    status, told, _ = await site.post("communications?run=october", json.dumps(record(text="other")).encode())
    assert (status, told["receipt"]["conflicts"]) == (409, 1)


async def test_a_page_is_a_communication_with_what_query_and_headers_tell(site) -> None:
    page = "<html><head><meta charset='utf-8'></head><body><p>Grüezi</p></body></html>"
    status, _, _ = await site.post(
        "communications?recipient=a@example.com&type=notice&key=k-1",
        page.encode(),
        Content_Type="text/html; charset=utf-8",
        X_Exstream_Customer="C-17",
        X_Millstream_Subject="=?utf-8?q?Ihr_Brief_f=C3=BCr_M=C3=A4rz?=",
    )
    assert status == 201
    [row] = await site.rows()
    assert (row["key"], row["customer"], row["type"]) == ("k-1", "C-17", "notice")
    assert (row["subject"], row["body_text"].strip(), "<p>Grüezi</p>" in row["body_html"]) == (
        "Ihr Brief für März",
        "Grüezi",
        True,
    )
    assert row["recipient"]["address"] == "a@example.com"


async def test_a_pdf_is_a_communication_with_what_query_and_headers_tell(site) -> None:
    for kind in ("application/pdf", "application/octet-stream", "application/x-www-form-urlencoded"):
        status, told, _ = await site.post(
            "communications?customer=C-1&recipient-name=Ann", pdf(), Content_Type=kind, Idempotency_Key=kind,
            X_Millstream_Recipient="a@example.com", Content_Disposition="attachment; filename*=utf-8''a%C3%BC.pdf",
            X_Exstream_Text="Your letter is attached.",
        )  # fmt: skip
        assert (status, told["receipt"]["held"]) == (201, 0)
    rows = await site.rows()
    assert [document["name"] for row in rows for document in row["documents"]] == ["aü.pdf"] * 3
    assert {row["body_text"] for row in rows} == {"Your letter is attached."}


async def test_settings_say_what_the_caller_does_not(pool, tmp_path) -> None:
    async with opened(pool, tmp_path, subject="For ${Customer-Id}", text="See ${what}.", type="letter") as site:
        await site.post("communications?to=a@example.com&customer_id=7", pdf())
        [row] = await site.rows()
        assert (row["subject"], row["body_text"], row["type"]) == ("For 7", "See .", "letter")
        assert row["documents"][0]["name"] == "letter.pdf"


async def test_a_document_for_nobody_is_refused(site) -> None:
    for body in (pdf(), b"<html></html>", b""):
        status, told, _ = await site.post("communications", body, Content_Type="text/html")
        assert (status, bool(told["error"])) == (400, True)


async def test_a_record_comes_with_its_documents(site) -> None:
    told = record(documents=[{"path": "named.pdf", "name": "First.pdf"}])
    del told["text"]
    body = form(
        ("record", json.dumps(told), None, "application/json"),
        ("a", pdf(), "named.pdf", "application/pdf"),
        ("b", b"<p>Hello</p>", "page.html", "text/html"),
        ("c", b"a;b\n", "table.csv", "text/csv"),
    )
    status, answer, _ = await site.post("communications", body)
    assert (status, answer["receipt"]["held"]) == (201, 0)
    [row] = await site.rows()
    assert [document["name"] for document in row["documents"]] == ["First.pdf", "table.csv"]
    assert (row["body_html"], row["body_text"].strip()) == ("<p>Hello</p>", "Hello")


async def test_a_form_with_fields_is_a_communication(site) -> None:
    body = form(
        ("recipient", "a@example.com", None, None),
        ("customer", "C-9", None, None),
        ("subject", "Ihr Schreiben für März", None, None),
        ("document", pdf(), "a.pdf", "application/pdf"),
    )
    assert (await site.post("communications", body))[0] == 201
    [row] = await site.rows()
    assert (row["customer"], row["subject"]) == ("C-9", "Ihr Schreiben für März")


@pytest.mark.parametrize("number", ["0", "7", "99999999999999999999", "x", "-1", "1%00"])
async def test_a_consignment_that_is_not_there_is_not_found(site, number) -> None:
    assert (await site.get(f"/api/v1/consignments/{number}"))[0] == 404
    async with site.session.get(f"{site.url}/api/v1/consignments/{number}") as reply:
        assert reply.status == 401


async def test_the_push_address_is_not_there_where_nobody_is_believed(site) -> None:
    async with site.session.post(f"{site.url}/push/gmail") as reply:
        assert reply.status == 404
    assert await site.get("/healthz") == (200, {"status": "ok", "database": "reachable"})


async def test_a_caller_that_leaves_after_its_body_came_whole_finds_it_there(site, eventually) -> None:
    host, port = site.url.removeprefix("http://").split(":")
    site.taking.clear()
    body = lines(record())
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST /api/v1/runs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nIdempotency-Key: a-1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
    await eventually(site.store.newest)
    writer.transport.abort()
    site.taking.set()
    status, _, headers = await site.post("runs", body, Idempotency_Key="a-1")
    assert (status, headers["Idempotency-Replayed"]) == (201, "true")
    assert len(await site.rows()) == 1


async def test_many_at_a_time_each_have_their_answer(site) -> None:
    handed = [site.post("communications?run=one", json.dumps(record(n)).encode()) for n in range(200)]
    answers = await asyncio.gather(*handed)
    assert {status for status, _, _ in answers} == {201}
    assert sum(told["receipt"]["new"] for _, told, _ in answers) == 200
    assert len(await site.rows()) == 200


async def test_a_large_run_passes_at_flat_memory(site) -> None:
    site.taking.clear()
    one = lines(record(1, documents=[{"name": "a.pdf", "content": base64.b64encode(b"x" * 60_000).decode()}]))
    count = 1_000
    digest = hashlib.sha256()

    async def large() -> AsyncIterator[bytes]:
        for _ in range(count):
            digest.update(one)
            yield one

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status, told, _ = await site.post("runs?wait=0", large(), Content_Type=LINES)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert status == 202
    row = await site.store.find(told["consignment"])
    assert row["size"] == count * len(one)
    kept = await asyncio.to_thread(Path(row["place"].removeprefix("file:")).read_bytes)
    assert hashlib.sha256(kept).digest() == digest.digest()
    assert grown < 40, f"{grown:.0f} MiB for {row['size'] / 2**20:.0f} MiB"
