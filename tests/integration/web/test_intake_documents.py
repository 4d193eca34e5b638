"""Documents at the HTTP door: beside a driver, with a record, and by themselves."""

import asyncio
import base64
import gzip
import hashlib
import json
import resource
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from http_site import LINES, TOKEN, Site, form, lines, opened, pdf, record


@pytest.fixture
async def site(pool, tmp_path) -> AsyncIterator[Site]:
    async with opened(pool, tmp_path) as site:
        yield site


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


MANIFEST = b"""<?xml version="1.0" encoding="UTF-8"?>
<outputList customersProcessed="1">
  <customer number="1">
    <key name="CustomerId">C-1</key><key name="CustomerEmail">c1@example.com</key><key name="EmailSubject">Hello</key>
    <queue name="Print"><file name="Print/1"/></queue>
    <queue name="Mail"><file name="Mail/1"/></queue>
  </customer>
</outputList>"""


async def test_a_manifest_comes_with_its_files(site) -> None:
    body = form(
        ("file", pdf(), "Print/1", "application/octet-stream"),
        ("manifest", MANIFEST, "out/_STDDELIVERYFILE.xml", "text/xml"),
        ("file", b"<html><body><p>Good day</p></body></html>", "Mail/1", "application/octet-stream"),
    )
    status, told, _ = await site.post("runs?run=job-1", body)
    assert (status, told["receipt"]["new"], told["receipt"]["held"]) == (201, 1, 0)
    row = await site.store.find(told["consignment"])
    assert (row["kind"], Path(row["place"]).name) == ("manifest", "_STDDELIVERYFILE.xml")
    [made] = await site.rows()
    assert (made["customer"], made["subject"], len(made["documents"])) == ("C-1", "Hello", 1)
    assert "<p>Good day</p>" in made["body_html"]


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


async def test_a_record_that_names_files_which_did_not_come_says_so(site) -> None:
    for told in (record(documents=[{"path": "a.pdf"}]), record(html_path="a.html", text=None)):
        whole = {name: value for name, value in told.items() if value is not None}
        status, answer, _ = await site.post("communications", json.dumps(whole).encode())
        assert (status, "part" in answer["error"]) == (422, True)


async def test_a_packed_body_is_not_taken(site) -> None:
    status, answer, _ = await site.post("runs", b"\x1f\x8b", Content_Encoding="gzip")
    assert (status, "gzip" in answer["error"]) == (415, True)


async def test_a_page_is_read_in_the_character_set_that_it_names(site) -> None:
    page = '<html><head><meta charset="iso-8859-2"></head><body>Łódź</body></html>'.encode("iso-8859-2")
    assert (await site.post("communications?recipient=a@example.com", page, Content_Type="text/html"))[0] == 201
    [row] = await site.rows()
    assert row["body_text"].strip() == "Łódź"


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


@pytest.mark.parametrize("path", ["runs", "communications?recipient=a@example.com"])
@pytest.mark.parametrize("kind", ["text/html", LINES])
async def test_a_packed_body_is_not_taken_as_what_it_is_not(site, path, kind) -> None:
    status, told, _ = await site.post(path, gzip.compress(b"<p>x</p>"), Content_Type=kind, Content_Encoding="gzip")
    assert (status, "gzip" in told["error"]) == (415, True)
    assert await site.rows() == []


@pytest.mark.parametrize(
    "fields",
    [
        [("record", json.dumps(record(1)), None, None), ("record", json.dumps(record(2)), None, None)],
        [("recipient", "a@example.com", None, None), ("recipient", "b@example.com", None, None)],
        [
            ("recipient", "a@example.com", None, None),
            ("customer", "1", None, None),
            ("Customer", "2", None, None),
            ("text", "x", None, None),
        ],
    ],
)
async def test_of_two_that_contradict_none_is_lost_in_silence(site, fields) -> None:
    status, told, _ = await site.post("communications", form(*fields, ("document", pdf(), "a.pdf", "application/pdf")))
    assert status == 400
    assert "more than on" in told["error"]
    assert await site.rows() == []


async def test_a_query_that_names_two_recipients_is_refused(site) -> None:
    path = "communications?recipient=a@example.com&recipient=b@example.com"
    status, _, _ = await site.post(path, b"<p>x</p>", Content_Type="text/html")
    assert status == 400
    assert await site.rows() == []


@pytest.mark.parametrize("names", [("d", "d/1.pdf"), ("d/1.pdf", "d")])
async def test_a_file_that_is_also_a_folder_is_refused_for_good(site, names) -> None:
    body = form(
        ("driver", json.dumps(record()), "driver.jsonl", None),
        *(("document", pdf(), name, "application/pdf") for name in names),
    )
    status, told, _ = await site.post("runs", body)
    assert (status, "file and a folder" in told["error"]) == (400, True)
