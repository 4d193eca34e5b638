"""A watched folder into which somebody writes at the worst moment, or what leads elsewhere."""

import os

import pytest
from folder_stage import MANIFEST, write

BROKEN = b"<outputList><customer></outputList>"


@pytest.fixture
def all_taken(stage, eventually):
    """Large ones wait for a hand in turn."""

    async def none_waits():
        await stage.take_in()
        return not await stage.store.waiting()

    async def taken():
        await eventually(none_waits)
        await stage.door.look()

    return taken


async def test_a_manifest_that_is_replaced_before_it_is_read_is_told_and_the_new_one_comes_in(stage):
    stage.manifest([stage.customer(1)])
    await stage.look()
    stage.manifest([stage.customer(22)])
    await stage.taker.drain()
    await stage.take_in()
    first, second = await stage.consignments()
    assert (first["state"], second["state"]) == ("failed", "taken")
    assert "was replaced after it was received" in first["problem"]
    assert [row["customer"] for row in await stage.rows()] == ["C-22"]
    assert f"done/job-1/{MANIFEST}" in stage.tree()


async def test_a_manifest_that_is_replaced_after_it_was_taken_is_not_moved_unread(stage):
    stage.manifest([stage.customer(1)])
    await stage.look()
    await stage.taker.drain()
    stage.manifest([stage.customer(22)])
    await stage.door.tidy()
    assert f"job-1/{MANIFEST}" in stage.tree()
    await stage.take_in()
    assert [row["customer"] for row in await stage.rows()] == ["C-1", "C-22"]


@pytest.mark.parametrize("make", [lambda path, _: os.mkfifo(path), lambda path, goal: path.symlink_to(goal)])
async def test_what_is_no_file_any_more_is_not_read(stage, tmp_path, make):
    path = stage.manifest([stage.customer(1)])
    await stage.look()
    elsewhere = write(tmp_path / "elsewhere.xml", path.read_bytes())
    path.unlink()
    make(path, elsewhere)
    await stage.taker.drain()
    [row] = await stage.consignments()
    assert row["state"] == "failed"
    assert await stage.rows() == []


async def test_the_same_manifest_with_another_document_is_told_and_not_passed_over(stage):
    for content in (b"%PDF-1.4\none\n%%EOF\n", b"%PDF-1.4\ntwo\n%%EOF\n"):
        stage.manifest([stage.customer(1)])
        write(stage.root / "job-1/print/1", content)
        await stage.take_in()
    [row] = await stage.consignments()
    assert (row["receipt"]["new"], row["receipt"]["conflicts"]) == (1, 1)
    assert [event["kind"] for event in await stage.events()].count("intake.rejected") == 1
    assert len(await stage.rows()) == 1


async def test_the_same_any_number_of_times_finds_a_name(stage):
    for _ in range(4):
        stage.manifest([stage.customer(1)])
        await stage.take_in()
    found = [path for path in stage.tree() if path.endswith(MANIFEST)]
    assert found == [f"done/job-1{ending}/{MANIFEST}" for ending in (".1.2", ".1.3", ".1", "")]
    [row] = await stage.consignments()
    assert (row["receipt"]["new"], row["receipt"]["lines"]) == (1, 1)


async def test_the_same_failure_any_number_of_times_finds_a_name(stage):
    for _ in range(4):
        write(stage.root / "job-1" / MANIFEST, BROKEN)
        await stage.take_in()
    found = [path for path in stage.tree() if path.endswith(MANIFEST)]
    assert len(found) == 4
    assert all(path.startswith("error/") for path in found)


async def test_what_lies_behind_a_link_is_not_moved(stage, tmp_path):
    secret = write(tmp_path / "elsewhere/secret", b"%PDF-1.4\nx\n%%EOF\n")
    (stage.root / "link").symlink_to(secret.parent)
    stage.manifest([stage.customer(1, job=".", files={"Print": "link/secret"})], job=".")
    await stage.take_in()
    assert secret.exists()
    assert [(row["disposition"], row["reason"]) for row in await stage.rows()] == [("held", "bad_content")]


async def test_another_jobs_folder_and_files_are_not_moved_by_name(stage, all_taken):
    stage.manifest([stage.customer(2, job="job-2")], job="job-2")
    files = {"A": "job-2", "B": "job-2/print/2", "C": f"job-2/{MANIFEST}", "D": "done"}
    stage.manifest([stage.customer(1, job=".", files=files)], job=".")
    await all_taken()
    assert f"done/job-2/{MANIFEST}" in stage.tree()
    assert "done/job-2/print/2" in stage.tree()
    assert [row["state"] for row in await stage.consignments()] == ["taken", "taken"]
    assert MANIFEST not in stage.tree()


async def test_a_file_that_two_indexes_name_stays_until_the_second_is_taken(stage, all_taken):
    write(stage.root / "terms.pdf", stage.pdf)
    for number in (1, 2):
        line = f"C-{number};c{number}@example.com;Statement;terms.pdf"
        text = f"CustomerId;CustomerEmail;EmailSubject;files\n{line}\n"
        write(stage.root / f"{number}.index.csv", text.encode())
    await all_taken()
    assert [(row["disposition"], len(row["documents"])) for row in await stage.rows()] == [("queued", 1)] * 2
    assert [path for path in stage.tree() if path.endswith("terms.pdf")] == ["done/2.index.2/terms.pdf"]


@pytest.mark.parametrize("name", ["b.index.csv.part", f".{MANIFEST}.tmp", "b.jsonl~"])
async def test_what_is_being_written_beside_it_is_not_moved_along(stage, name):
    stage.manifest([stage.customer(1)])
    write(stage.root / "job-1" / name, b"half")
    await stage.take_in()
    assert f"job-1/{name}" in stage.tree()
    assert [row["state"] for row in await stage.consignments()] == ["taken"]
