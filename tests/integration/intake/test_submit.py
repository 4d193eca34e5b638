"""A submit brings a driver into the ledger: each line once, whatever happens, and a bad one harms only itself."""

import asyncio
import base64
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pikepdf
import pytest

from millstream.communication.model import RunState
from millstream.intake.batch import BatchSize
from millstream.intake.driver import Driver
from millstream.intake.errors import BadPasswordRule, ComposerFailed, RunClosed, UnreadableDriver
from millstream.intake.submit import IntakeOptions, submit


async def test_every_line_becomes_a_queued_delivery_in_order(desk, record):
    receipt = await desk.submit(*map(record, range(11)))
    assert (receipt.lines, receipt.new, receipt.held, receipt.unchanged) == (11, 11, 0, 0)
    rows = await desk.rows()
    assert [row["key"] for row in rows] == [f"2025-10/{number:04}" for number in range(11)]
    assert {row["disposition"] for row in rows} == {"queued"}


async def test_a_second_submit_changes_nothing_and_says_so(desk, record):
    driver = desk.driver(*map(record, range(11)))
    await desk.hand_in(driver)
    before = await desk.rows()
    receipt = await desk.hand_in(driver)
    assert (receipt.lines, receipt.new, receipt.unchanged, receipt.repeated) == (11, 0, 11, 0)
    assert await desk.rows() == before


async def test_bad_lines_harm_only_themselves_and_are_kept_once_with_their_number(desk, record):
    nobody = record(3, recipient={"address": "nobody"})
    driver = desk.driver(record(1), b"{broken\n", record(2), b'{"key": "x"}\n', nobody)
    first = await desk.hand_in(driver)
    second = await desk.hand_in(driver)
    assert (first.lines, first.new, first.held, first.rejected) == (5, 3, 1, 2)
    assert (second.lines, second.new, second.unchanged, second.rejected) == (5, 0, 3, 2)
    assert [(row["line"], row["key"]) for row in await desk.ledger.rejects(desk.run)] == [(2, None), (4, "x")]
    assert first.problems[0].startswith("line 2: the line is not valid JSON")


async def test_what_is_held_tells_a_person_why(desk, record):
    receipt = await desk.submit(
        record(1, recipient={"address": "nobody"}),
        record(2, subject="x\r\nBcc: y@example.com"),
        record(3, documents=[{"path": "../../secret.pdf"}]),
        record(4, documents=[{"path": "none.pdf"}]),
        record(5, documents=[{"name": "a.pdf", "content": base64.b64encode(b"no pdf").decode()}]),
        record(6, text="x" * 2_000_000),
        record(7, text="a\x00b"),
    )
    assert (receipt.new, receipt.held) == (7, 7)
    waiting = await desk.ledger.waiting(desk.run)
    assert [row["customer"] for row in waiting] == [f"C-{number}" for number in range(1, 8)]
    assert all(row["detail"].startswith(f"Customer {row['customer']}: ") for row in waiting)


@pytest.mark.parametrize("gap", [0, 9])
async def test_a_key_twice_in_a_file_is_one_communication(desk, record, gap):
    between = [record(number) for number in range(10, 10 + gap)]
    receipt = await desk.submit(record(1), *between, record(1), *between, record(1, subject="Another"))
    assert receipt.new == 1 + gap
    assert (receipt.unchanged, receipt.repeated) == (1 + gap, 1 + gap)
    assert receipt.conflicts == 1
    assert receipt.lines == receipt.new + receipt.unchanged + receipt.conflicts
    assert f"line 1 has the same key with other content than line {3 + 2 * gap}" in receipt.problems[0]
    assert (await desk.rows())[0]["subject"] == "Your statement 1"


async def test_a_key_that_is_in_with_other_content_is_a_conflict_and_stays(desk, record):
    await desk.submit(record(1), record(2))
    receipt = await desk.submit(record(1, text="New text"), record(2))
    assert (receipt.new, receipt.unchanged, receipt.conflicts) == (0, 1, 1)
    assert "the run already has this key" in receipt.problems[0]
    assert {row["body_text"] for row in await desk.rows()} == {"Dear customer,\n"}
    assert [row["key"] for row in await desk.ledger.rejects(desk.run)] == ["2025-10/0001"]


async def test_another_content_of_a_file_is_another_communication(desk, record, pdf):
    driver = desk.driver(record(1, documents=[{"path": "a.pdf"}]))
    (driver.folder / "a.pdf").write_bytes(pdf)
    await desk.hand_in(driver)
    assert (await desk.hand_in(driver)).unchanged == 1
    (driver.folder / "a.pdf").write_bytes(pdf + b"\n% changed\n")
    assert (await desk.hand_in(driver)).conflicts == 1


async def test_documents_lie_in_the_store_under_their_hash(desk, record, pdf):
    content = base64.b64encode(pdf).decode()
    driver = desk.driver(record(1, documents=[{"path": "a.pdf"}, {"name": "b.pdf", "content": content}]))
    (driver.folder / "a.pdf").write_bytes(pdf)
    await desk.hand_in(driver)
    stored = (await desk.rows())[0]["documents"]
    assert [(each["name"], each["size"]) for each in stored] == [("a.pdf", len(pdf)), ("b.pdf", len(pdf))]
    assert [await desk.documents.get(each["sha256"], check=True) for each in stored] == [pdf, pdf]


async def test_a_run_with_a_password_rule_stores_protected_pdfs_and_holds_what_gets_no_password(desk, record, pdf):
    await desk.open_run("protected", password="{customer.birth_date:%d%m%Y}")
    content = [{"name": "a.pdf", "content": base64.b64encode(pdf).decode()}]
    ada = {"id": "C-1", "birth_date": "1980-03-09"}
    driver = desk.driver(record(1, customer=ada, documents=content), record(2, documents=content))
    await desk.hand_in(driver)
    first, second = await desk.rows()
    assert (first["disposition"], second["disposition"], second["reason"]) == ("queued", "held", "bad_data")
    stored = await desk.documents.get(first["documents"][0]["sha256"])
    with pikepdf.open(BytesIO(stored), password="09031980") as document:
        assert document.encryption.bits == 256
    # The protected bytes differ each time; what was handed in does not.
    assert (await desk.hand_in(driver)).unchanged == 2


async def test_a_rule_that_cannot_be_read_stops_before_the_first_line(desk, record):
    await desk.open_run("bad", password="{customer")
    with pytest.raises(BadPasswordRule):
        await desk.submit(record(1))
    assert await desk.rows() == []


async def test_a_cancelled_run_takes_nothing_in(desk, record):
    desk.run = await desk.ledger.change_state(desk.run.key, RunState.CANCELLED, actor="test")
    with pytest.raises(RunClosed, match="october"):
        await desk.submit(record(1))


async def test_progress_tells_the_receipt_after_each_commit(desk, record):
    heard = []
    driver = desk.driver(*map(record, range(10)))
    receipt = await submit(driver, desk.run, desk.services, heard.append, options=desk.options)
    assert [each.new for each in heard] == [4, 8, 10]
    assert heard[-1] == receipt


async def test_a_batch_ends_with_its_bytes(desk, record):
    heard = []
    options = IntakeOptions(most_bytes=1_000_000, batch=BatchSize(bytes=50_000))
    driver = desk.driver(*(record(number, text="x" * 40_000) for number in range(6)))
    await submit(driver, desk.run, desk.services, heard.append, options=options)
    assert [each.new for each in heard] == [2, 4, 6]


async def test_a_driver_that_cannot_be_read_stops_the_submit(desk, tmp_path: Path):
    with pytest.raises(UnreadableDriver):
        await desk.hand_in(Driver(tmp_path / "none.jsonl"))


async def test_what_is_to_be_composed_needs_a_composer(desk, record):
    with pytest.raises(ComposerFailed, match="no composer"):
        await desk.submit(record(1, subject=None, text=None, template="statement", data={}))


async def test_two_submits_of_one_file_at_once_bring_each_line_in_once(desk, record):
    driver = desk.driver(*map(record, range(40)))
    desk.options = replace(desk.options, batch=BatchSize(records=7))
    one, other = await asyncio.gather(desk.hand_in(driver), desk.hand_in(driver))
    assert one.new + other.new == 40
    assert one.unchanged + other.unchanged == 40
    assert len(await desk.rows()) == 40


async def test_a_copy_is_a_delivery_of_its_own(desk, record):
    receipt = await desk.submit(
        record(
            cc=[
                {"address": "Agent@example.net", "name": "The Agent"},
                {"address": "agent@example.net"},
                {"address": "c1@example.com"},
            ]
        )
    )
    assert (receipt.lines, receipt.new, receipt.held) == (1, 1, 0)
    async with desk.pool.connection() as connection:
        rows = await (await connection.execute("SELECT address FROM delivery ORDER BY id")).fetchall()
    assert [row["address"] for row in rows] == ["c1@example.com", "Agent@example.net"]
    [first, _] = await desk.rows()
    assert first["copies"] == [{"address": "Agent@example.net", "name": "The Agent"}]


async def test_a_copy_to_no_address_holds_the_whole_communication(desk, record):
    receipt = await desk.submit(record(cc=[{"address": "nobody"}]))
    assert (receipt.new, receipt.held) == (1, 1)
    [row] = await desk.rows()
    assert row["reason"] == "bad_recipient"
    assert "nobody" in row["detail"]


async def test_html_in_a_file_is_the_body_and_gives_the_text(desk, record):
    page = "<html><head><meta charset=windows-1252></head><body><p>Gr\xfc\xdfe</p></body></html>"
    (desk.folder / "in" / "page").write_bytes(page.encode("cp1252"))
    await desk.submit(record(text=None, html_path="page"))
    [row] = await desk.rows()
    assert row["body_html"] == page
    assert row["body_text"] == "Gr\xfc\xdfe\n"


async def test_another_html_file_is_other_content(desk, record):
    path = desk.folder / "in" / "page"
    path.write_bytes(b"<p>one</p>")
    await desk.submit(record(text=None, html_path="page"))
    path.write_bytes(b"<p>two</p>")
    receipt = await desk.submit(record(text=None, html_path="page"))
    assert receipt.conflicts == 1


async def test_an_html_file_that_is_missing_is_a_hold(desk, record):
    await desk.submit(record(text=None, html_path="none.html"))
    [row] = await desk.rows()
    assert (row["disposition"], row["reason"]) == ("held", "missing_document")
