"""`run submit` from outside: what it says, what it returns, and that saying it twice changes nothing."""

import asyncio

from acceptance_stage import Stage, record


async def test_the_same_submit_again_changes_nothing_and_says_so(stage: Stage) -> None:
    driver = stage.driver(*(record(number) for number in range(20)))
    first = await stage.run("run", "submit", str(driver))
    second = await stage.run("run", "submit", str(driver))
    assert (first.code, second.code) == (0, 0)
    assert first.out.startswith("run october: 20 lines, 20 new (0 of them held), 0 unchanged")
    assert "nothing changed: everything was in already" in second.out
    assert await stage.rows("SELECT count(*) FROM delivery") == [{"count": 20}]


async def test_bad_lines_harm_only_themselves_and_are_named(stage: Stage) -> None:
    (stage.folder.parent / "secret.txt").write_text("not for customers", "utf-8")
    driver = stage.driver(
        record(1),
        b'{"key": "torn\n',
        record(3, recipient={"address": "not an address"}),
        record(4, documents=[{"path": "../secret.txt", "media_type": "text/plain"}]),
        record(1, text="Other words under the same key.\n"),
        record(6, subject="Statement\r\nBcc: everybody@example.org"),
        record(7, documents=[{"name": "a.pdf", "content": "JVBERi0xLjcKbm90IGEgcGRm"}]),
        record(8),
    )
    ended = await stage.run("run", "submit", str(driver))
    assert ended.code == 1
    assert "line 2: " in ended.out
    assert "line 5: " in ended.out
    assert "Traceback" not in ended.err
    found = await stage.rows(
        "SELECT c.key, d.disposition, d.reason, d.detail FROM delivery d "
        "JOIN communication c ON c.id = d.communication_id ORDER BY c.key"
    )
    reasons = {row["key"]: (row["disposition"], row["reason"]) for row in found}
    assert reasons["october/00001"] == reasons["october/00008"] == ("queued", None)
    assert reasons["october/00003"] == ("held", "bad_recipient")
    assert reasons["october/00004"] == ("held", "bad_content")
    assert reasons["october/00007"] == ("held", "unreadable_document")
    assert reasons.get("october/00006", ("held", "bad_content")) == ("held", "bad_content")
    [outside] = [row["detail"] for row in found if row["key"] == "october/00004"]
    assert "../secret.txt" in outside


async def test_exit_codes_tell_wrong_usage_from_work_that_failed(stage: Stage) -> None:
    driver = str(stage.driver(record(1)))
    missing, no_run, usage, mismatch = await asyncio.gather(
        stage.run("run", "submit", str(stage.folder / "nowhere.jsonl")),
        stage.run("run", "show", "nowhere"),
        stage.run("run", "submit", driver, "--mode", "pigeon"),
        stage.run("mailbox", "pause", "nobody@bank.example"),
    )
    assert [ended.code for ended in (missing, no_run, usage, mismatch)] == [2, 1, 2, 1]
    assert "nowhere.jsonl" in missing.err
    assert "millstream run list" in no_run.err
    assert "millstream mailbox list" in mismatch.err
    stage.config_file.write_text("folder = 7\n[delivery]\nconcurency = 4\n", "utf-8")
    wrong = await stage.run("run", "list")
    assert wrong.code == 2
    assert "concurrency" in wrong.err


async def test_a_run_is_not_submitted_with_other_terms(stage: Stage) -> None:
    driver = str(stage.driver(record(1)))
    assert (await stage.run("run", "submit", driver)).code == 0
    other, verified = await asyncio.gather(
        stage.run("run", "submit", driver, "--mode", "direct"), stage.run("audit", "verify", "--json")
    )
    assert other.code == 1
    assert "submit with the same, or under another run key" in other.err
    assert (verified.code, verified.json["intact"]) == (0, True)
