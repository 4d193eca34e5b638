"""What Exstream writes into the watched folder comes in, once, and each fault is told with file, line or customer."""

import asyncio

import pytest
from folder_stage import MANIFEST, customer, write


async def test_html_is_the_body_and_the_pdf_an_attachment(stage):
    stage.manifest([stage.customer(1), stage.customer(2)])
    await stage.take_in()
    first, second = await stage.rows()
    assert (first["customer"], first["address"], first["subject"]) == ("C-1", "c1@example.com", "Statement 1")
    assert first["recipient"] == {"address": "c1@example.com", "name": "Customer 1"}
    assert "<p>Dear customer 1,</p>" in first["body_html"]
    assert first["body_text"] == "Dear customer 1,\n"
    [document] = first["documents"]
    assert (document["name"], document["media_type"]) == ("statement.pdf", "application/pdf")
    assert await stage.services.documents.get(document["sha256"]) == stage.pdf
    assert first["source"]["x.CustomerEmail"] == "c1@example.com"
    assert second["customer"] == "C-2"
    [consignment] = await stage.consignments()
    assert (consignment["state"], consignment["run_key"], consignment["receipt"]["new"]) == ("taken", "job-1", 2)


async def test_what_was_taken_lies_in_done_with_all_its_folder(stage):
    stage.manifest([stage.customer(1)])
    write(stage.root / "job-1" / "report" / "Error_Report.txt", b"none")
    await stage.take_in()
    assert stage.tree() == [
        "done/job-1/_STDDELIVERYFILE.xml",
        "done/job-1/html/1",
        "done/job-1/print/1",
        "done/job-1/report/Error_Report.txt",
    ]
    [consignment] = await stage.consignments()
    assert (await stage.store.find(consignment["id"]))["tidied_at"] is not None


async def test_the_same_folder_once_more_changes_nothing(stage):
    for _ in range(2):
        stage.manifest([stage.customer(1)])
        await stage.take_in()
        stage.reopen()
    assert len(await stage.rows()) == 1
    assert len(await stage.consignments()) == 1
    assert [path for path in stage.tree() if path.endswith(MANIFEST)] == [
        "done/job-1.1/_STDDELIVERYFILE.xml",
        "done/job-1/_STDDELIVERYFILE.xml",
    ]


async def test_a_manifest_in_the_watched_folder_itself_goes_with_what_it_names(stage):
    entry = customer(1, {"CustomerId": "C-1", "CustomerEmail": "a@example.com"}, {"P": "print/1"})
    write(stage.root / "print/1", stage.pdf)
    write(stage.root / "print/other", b"not mine")
    stage.manifest([entry], job="")
    await stage.take_in()
    assert stage.tree() == [
        "done/_STDDELIVERYFILE.1/_STDDELIVERYFILE.xml",
        "done/_STDDELIVERYFILE.1/print/1",
        "print/other",
    ]
    assert len(await stage.rows()) == 1


async def test_beside_other_work_a_file_goes_alone(stage, record):
    stage.manifest([stage.customer(1)])
    await stage.look()
    await stage.taker.drain()
    (stage.root / "job-1" / "late.jsonl").write_bytes(b"")
    await stage.door.look()
    assert "job-1/late.jsonl" in stage.tree()
    assert "done/job-1/_STDDELIVERYFILE.1/_STDDELIVERYFILE.xml" in stage.tree()


async def test_with_leave_everything_stays(stage):
    stage.reopen(leave=True)
    stage.manifest([stage.customer(1)])
    await stage.take_in()
    assert stage.tree() == ["job-1/_STDDELIVERYFILE.xml", "job-1/html/1", "job-1/print/1"]
    stage.reopen()
    await stage.take_in()
    assert len(await stage.rows()) == 1


async def test_a_file_that_still_grows_is_not_taken(stage):
    path = stage.manifest([stage.customer(1)])
    assert await stage.door.look() == 0
    path.write_bytes(path.read_bytes() + b"<!-- more -->")
    stage.now += 2.5
    assert await stage.door.look() == 0
    stage.now += 2.5
    assert await stage.door.look() == 1


async def test_a_manifest_without_its_end_is_waited_for_and_then_told(stage):
    whole = stage.manifest([stage.customer(1), stage.customer(2)]).read_bytes()
    write(stage.root / "job-1" / MANIFEST, whole[: len(whole) // 2])
    assert await stage.look() == 0
    stage.now += 60
    assert await stage.door.look() == 1
    await stage.taker.drain()
    [failed] = await stage.consignments()
    assert failed["state"] == "failed"
    assert "ends in the middle" in failed["problem"]
    assert "_STDDELIVERYFILE.xml, line" in failed["problem"]
    await stage.door.look()
    assert "error/job-1/_STDDELIVERYFILE.xml" in stage.tree()
    assert "ends in the middle" in (stage.root / "error" / "job-1.problem.txt").read_text()
    assert [(event["kind"], event["payload"]["line"] > 1) for event in await stage.events()] == [
        ("intake.failed", True)
    ]
    write(stage.root / "job-1" / MANIFEST, whole)
    for number in (1, 2):
        stage.customer(number)
    await stage.take_in()
    assert len(await stage.rows()) == 2


async def test_a_manifest_that_grows_to_its_end_is_taken_whole(stage):
    path = stage.manifest([stage.customer(number) for number in range(5)])
    whole = path.read_bytes()
    write(path, whole[: len(whole) // 2])
    assert await stage.look() == 0
    write(path, whole)
    await stage.take_in()
    assert len(await stage.rows()) == 5


async def test_a_missing_file_is_waited_for_and_then_holds_its_customer(stage):
    stage.missing = 60.0
    stage.reopen()
    stage.manifest([stage.customer(1), stage.customer(2, write=False)])
    await stage.look()
    await stage.taker.take_due()
    await stage.taker.rest()
    [waiting] = await stage.consignments()
    assert waiting["state"] == "received"
    assert "customer C-2, line " in waiting["problem"]
    assert "html/2" in waiting["problem"]
    assert waiting["tries"] == 0
    stage.missing = 0.0
    stage.reopen()
    await asyncio.wait_for(_until_taken(stage), 10)
    first, second = await stage.rows()
    assert first["disposition"] == "queued"
    assert (second["disposition"], second["reason"]) == ("held", "missing_document")
    assert "C-2" in second["detail"]


async def _until_taken(stage) -> None:
    while (await stage.consignments())[0]["state"] != "taken":
        await stage.taker.take_due()
        await stage.taker.rest()


async def test_a_file_that_comes_late_is_taken(stage):
    stage.missing = 60.0
    stage.reopen()
    stage.manifest([stage.customer(1, write=False)])
    await stage.look()
    await stage.taker.take_due()
    await stage.taker.rest()
    stage.customer(1)
    await asyncio.wait_for(_until_taken(stage), 10)
    assert [row["disposition"] for row in await stage.rows()] == ["queued"]


async def test_a_pdf_without_its_end_is_waited_for(stage):
    stage.missing = 60.0
    stage.reopen()
    stage.manifest([stage.customer(1)])
    write(stage.root / "job-1/print/1", stage.pdf[: len(stage.pdf) // 2])
    await stage.look()
    await stage.taker.take_due()
    await stage.taker.rest()
    [waiting] = await stage.consignments()
    assert "has no end yet" in waiting["problem"]
    write(stage.root / "job-1/print/1", stage.pdf)
    await asyncio.wait_for(_until_taken(stage), 10)
    assert len((await stage.rows())[0]["documents"]) == 1


async def test_a_broken_pdf_holds_its_customer_alone(stage):
    stage.manifest([stage.customer(1), stage.customer(2)])
    write(stage.root / "job-1/print/1", b"%PDF-1.7 broken")
    await stage.take_in()
    assert [(row["disposition"], row["reason"]) for row in await stage.rows()] == [
        ("held", "unreadable_document"),
        ("queued", None),
    ]


async def test_the_same_customer_twice_is_one(stage):
    stage.manifest([stage.customer(1), stage.customer(1).replace('number="1"', 'number="2"')])
    await stage.take_in()
    assert len(await stage.rows()) == 1
    [consignment] = await stage.consignments()
    assert (consignment["receipt"]["new"], consignment["receipt"]["repeated"]) == (1, 1)


async def test_the_same_customer_with_other_content_is_a_conflict_that_names_both_lines(stage):
    stage.manifest([stage.customer(1), stage.customer(1, keys={"EmailSubject": "Another"})])
    await stage.take_in()
    assert [row["subject"] for row in await stage.rows()] == ["Statement 1"]
    [told] = await stage.events()
    assert told["payload"]["customer"] == "C-1"
    assert "line 3 has the same key with other content than line 13" in told["payload"]["error"]


@pytest.mark.parametrize(
    "path", ["../secret.pdf", "print/../../secret.pdf", "/etc/hostname", "/nowhere/at/all", "link.pdf", "up/secret.pdf"]
)
async def test_a_path_that_leads_out_holds_its_customer(stage, path):
    write(stage.root.parent / "secret.pdf", stage.pdf)
    (stage.root / "job-1").mkdir()
    (stage.root / "job-1/link.pdf").symlink_to("../../secret.pdf")
    (stage.root / "job-1/up").symlink_to("../..")
    stage.manifest([stage.customer(1, files={"Print": path})])
    await stage.take_in()
    [row] = await stage.rows()
    assert (row["disposition"], row["reason"]) == ("held", "bad_content")
    assert "leads out" in row["detail"]
    assert row["documents"] == []


async def test_another_jobs_folder_is_outside(stage):
    stage.customer(7, job="job-2")
    stage.manifest([stage.customer(1, files={"Print": "../job-2/print/7"})])
    await stage.take_in()
    assert [row["reason"] for row in await stage.rows()] == ["bad_content"]


async def test_paths_as_the_engine_sees_them_are_found(stage):
    files = {"Print": "/mnt/engine/job-1/print/1", "HTML": str(stage.root / "job-1" / "html" / "1")}
    stage.manifest([stage.customer(1, files=files)])
    await stage.take_in()
    [row] = await stage.rows()
    assert (row["disposition"], len(row["documents"])) == ("queued", 1)
    assert row["body_html"] is not None


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'<?xml version="1.0"?>\n<!DOCTYPE l [<!ENTITY a "b">]>\n<l>&a;</l>', "line 2: a document type declaration"),
        ("<o>\n<customer><key name='a'>\xe9</key></customer></o>".encode("latin-1"), "line 2: not well-formed"),
        (b"<o>" + b"<a>" * 100 + b"</a>" * 100 + b"</o>", "nested more than 64 deep"),
        (b"<o a='" + b"x" * 3_000_000 + b"'></o>", "line 1: a tag of more than"),
    ],
)
async def test_xml_that_is_not_read_goes_to_error_with_its_line(stage, content, words):
    write(stage.root / "job-1" / MANIFEST, content)
    await stage.take_in()
    [failed] = await stage.consignments()
    assert failed["state"] == "failed"
    assert words in failed["problem"]
    assert words in (stage.root / "error/job-1.problem.txt").read_text()


async def test_a_customer_without_an_address_is_held_and_the_others_come_in(stage):
    stage.manifest([stage.customer(1, keys={"CustomerEmail": ""}), stage.customer(2)])
    await stage.take_in()
    assert [(row["customer"], row["reason"]) for row in await stage.rows()] == [("C-1", "bad_recipient"), ("C-2", None)]


async def test_a_customer_without_any_output_is_rejected_by_name(stage):
    stage.manifest([stage.customer(1, files={}), stage.customer(2)])
    await stage.take_in()
    assert len(await stage.rows()) == 1
    [told] = await stage.events()
    assert (told["payload"]["customer"], told["payload"]["line"], told["payload"]["type"]) == ("C-1", 3, "statement")
    assert "none of its output files" in told["payload"]["error"]


async def test_empty_files_are_nothing(stage):
    write(stage.root / "job-1" / "empty", b"")
    stage.manifest([stage.customer(1, files={"Print": "print/1", "HTML": "html/1", "Other": "empty"})])
    await stage.take_in()
    [row] = await stage.rows()
    assert len(row["documents"]) == 1


async def test_what_a_person_puts_into_retry_is_taken_again(stage):
    stage.manifest([stage.customer(1)])
    await stage.look()
    [consignment] = await stage.store.claim("somebody", most=1, seconds=30)
    await stage.store.fail("somebody", consignment.id, "the template was broken")
    await stage.door.look()
    assert "error/job-1/_STDDELIVERYFILE.xml" in stage.tree()
    (stage.root / "retry").mkdir()
    (stage.root / "error/job-1").rename(stage.root / "retry/job-1")
    await stage.take_in()
    assert [row["customer"] for row in await stage.rows()] == ["C-1"]
    assert "done/job-1/_STDDELIVERYFILE.xml" in stage.tree()
    assert len(await stage.consignments()) == 1


async def test_a_driver_in_the_folder_is_taken(stage, record):
    import orjson  # noqa: PLC0415  this test alone writes one

    write(stage.root / "october.jsonl", orjson.dumps(record(1)) + b"\n")
    await stage.take_in()
    [consignment] = await stage.consignments()
    assert (consignment["run_key"], consignment["receipt"]["new"]) == ("october", 1)
    assert stage.tree() == ["done/october.jsonl"]


@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_a_sidecar_index_works_like_a_manifest(stage, kind):
    stage.customer(1)
    if kind == "csv":
        text = "CustomerId;CustomerEmail;EmailSubject;files\nC-1;a@example.com;Hello;html/1;\n".replace(
            "html/1;", '"html/1;print/1=a.pdf"'
        )
    else:
        files = '["html/1", {"path": "print/1", "name": "a.pdf"}]'
        names = '"CustomerId": "C-1", "CustomerEmail": "a@example.com", "EmailSubject": "Hello"'
        text = f'[{{{names}, "files": {files}}}]'
    write(stage.root / "job-1" / f"mine.index.{kind}", text.encode())
    await stage.take_in()
    [row] = await stage.rows()
    assert (row["customer"], row["subject"], [each["name"] for each in row["documents"]]) == ("C-1", "Hello", ["a.pdf"])


async def test_hidden_and_unfinished_names_are_passed_over(stage):
    for name in (f".{MANIFEST}", f"{MANIFEST}.tmp", "other.xml"):
        write(stage.root / "job-1" / name, b"<o/>")
    (stage.root / "job-1" / MANIFEST).symlink_to("other.xml")
    assert await stage.look() == 0


async def test_only_one_of_two_doors_watches(stage):
    stage.manifest([stage.customer(1)])
    other = type(stage)(stage.pool, stage.root, stage.services, stage.pdf)
    first = await asyncio.gather(stage.door.look(), other.door.look())
    stage.now = other.now = 2.5
    second = await asyncio.gather(stage.door.look(), other.door.look())
    await stage.taker.drain()
    assert sum(first) + sum(second) <= 1
    assert len(await stage.rows()) <= 1


async def test_a_folder_that_is_away_is_waited_for(stage):
    away = stage.root.rename(stage.root.with_name("away"))
    assert await stage.look() == 0
    away.rename(stage.root)
    stage.manifest([stage.customer(1)])
    await stage.take_in()
    assert len(await stage.rows()) == 1


async def test_a_name_that_is_no_utf8_is_passed_over_and_harms_no_other(stage):
    odd = stage.root / "bad-\udce9"
    odd.mkdir()
    write(odd / MANIFEST, b"<o></o>")
    stage.manifest([stage.customer(1)])
    await stage.take_in()
    assert len(await stage.rows()) == 1
