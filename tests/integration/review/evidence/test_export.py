"""A review as a file: what is in it, that it proves itself, and that nothing can be changed in it unseen."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import orjson
import pikepdf
import pytest
from evidence_room import Room

from millstream.audit import bundle, chain
from millstream.audit.errors import BadBundle
from millstream.composer.pages import page_texts
from millstream.review.errors import UnknownReview


def _json(path: Path, name: str) -> dict[str, Any]:
    with zipfile.ZipFile(path) as packed:
        found: dict[str, Any] = orjson.loads(packed.read(name))
        return found


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_bundle_holds_what_was_shown_sent_and_said_and_proves_it(room: Room, tmp_path: Path) -> None:
    number = await room.whole()
    to = tmp_path / "bundle.zip"
    done = await room.export(number, to)
    with zipfile.ZipFile(to) as packed:
        assert packed.testzip() is None
        found = {name: packed.read(name) for name in packed.namelist() if name.startswith(("documents/", "mails/"))}
    kept = {name.split("-", 1)[1]: content for name, content in found.items() if name.startswith("mails/")}
    assert kept["answer-anna@bank.example.eml"].startswith(b"From: anna@bank.example")
    assert kept["ask-anna@bank.example.eml"].startswith(b"Subject: Please look")
    assert sorted(found)[:2] == ["documents/1-01-Fees-terms-2026.pdf", "documents/2-01-Fees-terms-2026.pdf"]
    report = bundle.check(to, head=done.hash)
    assert (report.problems, report.review, report.compared, report.hash) == ((), number, True, done.hash)
    assert report.entries == done.entries


async def test_what_is_proven_by_the_chain_from_when_it_happened_is_named(room: Room, tmp_path: Path) -> None:
    number = await room.whole()
    await room.export(number, tmp_path / "bundle.zip")
    told = _json(tmp_path / "bundle.zip", "manifest.json")
    proofs = {each["path"].split("/")[0]: sorted(each["proof"]) for each in told["files"]}
    assert proofs == {
        "README.txt": ["export"],
        "audit.json": ["blocks"],
        "documents": ["entry", "export"],
        "mails": ["entry", "export"],
        "record.pdf": ["export"],
        "review.json": ["export"],
    }


async def test_mails_that_are_not_there_are_named_with_the_reason(room: Room, tmp_path: Path) -> None:
    number = await room.whole()
    [lost] = await room.rows("SELECT sha256 FROM review_paper")
    tmp_path.joinpath("documents", lost["sha256"][:2], lost["sha256"]).unlink()
    done = await room.export(number, tmp_path / "bundle.zip")
    told = {each["what"].split(" (")[1]: each["why"] for each in done.missing}
    assert told["answer, anna@bank.example)"] == f"the document store has nothing under {lost['sha256']}"
    assert told["ask, ben@bank.example)"] == "it has not left yet"
    report = bundle.check(tmp_path / "bundle.zip")
    assert (report.problems, len(report.missing)) == ((), len(done.missing))


async def test_the_same_state_gives_the_same_bytes_and_every_export_is_recorded(room: Room, tmp_path: Path) -> None:
    number = await room.open()
    await room.export(number, tmp_path / "first.zip", actor="ann")
    await room.open(ref="other")  # what happens to others changes nothing
    await room.export(number, tmp_path / "second.zip", actor="bob")
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    entries = await chain.history(room.pool, f"review:{number}")
    assert [each["actor"] for each in entries if each["kind"] == "review.exported"] == ["ann", "bob"]
    await room.changed(number, "3")
    await room.export(number, tmp_path / "third.zip", actor="eve")
    third = _json(tmp_path / "third.zip", "audit.json")["entries"]
    assert [each["actor"] for each in third if each["kind"] == "review.exported"] == ["ann", "bob", "eve"]
    assert bundle.check(tmp_path / "third.zip").problems == ()
    assert (await chain.verify(room.pool)).intact


async def test_a_hash_of_another_history_is_not_found_in_a_bundle(room: Room, tmp_path: Path) -> None:
    number = await room.whole()
    await room.export(number, tmp_path / "bundle.zip")
    [problem] = bundle.check(tmp_path / "bundle.zip", head="ab" * 32).problems
    assert "another history" in problem


async def test_a_review_that_never_was_writes_no_file(room: Room, tmp_path: Path) -> None:
    with pytest.raises(UnknownReview, match="there is no review 7"):
        await room.export(7, tmp_path / "bundle.zip")
    assert not any("bundle" in name for name in _names(tmp_path))


async def test_a_file_that_is_there_is_left_alone(room: Room, tmp_path: Path) -> None:
    (tmp_path / "bundle.zip").write_text("mine")
    with pytest.raises(BadBundle, match="is there already"):
        await room.export(await room.open(), tmp_path / "bundle.zip")
    assert (tmp_path / "bundle.zip").read_text() == "mine"


async def test_a_review_that_nobody_has_answered_can_be_exported_too(room: Room, tmp_path: Path) -> None:
    number = await room.open()
    await room.export(number, tmp_path / "bundle.zip")
    assert bundle.check(tmp_path / "bundle.zip").problems == ()


async def test_the_record_is_an_archive_pdf_that_tells_the_decision(room: Room, tmp_path: Path) -> None:
    number = await room.whole()
    await room.export(number, tmp_path / "bundle.zip")
    with zipfile.ZipFile(tmp_path / "bundle.zip") as packed, packed.open("record.pdf") as raw:
        (tmp_path / "record.pdf").write_bytes(raw.read())
    text = " ".join(page_texts((tmp_path / "record.pdf").read_bytes()))
    for words in ("Record of review", "Changes asked for by mail", "Ben Beech", "fine with me", "Weir Lane 12, not 14"):
        assert words in text.replace("\u200b", "")
    with pikepdf.open(tmp_path / "record.pdf") as pdf, pdf.open_metadata() as metadata:
        assert metadata.pdfa_status == "2B"
