"""Files for a watched directory: once, whole, and looked for after a crash."""

import pytest
from step_desk import StepDesk

from millstream.nextstep.model import Verb


@pytest.fixture
def watched(tmp_path):
    """The directory that Exstream watches."""
    folder = tmp_path / "watched"
    folder.mkdir()
    return folder


def names(folder) -> list[str]:
    """What lies in a folder."""
    return sorted(each.name for each in folder.iterdir())


async def half_done(desk: StepDesk, number: int) -> None:
    """As a process leaves a step that was killed after it began."""
    [step] = await desk.store.claim("dead", most=1, seconds=0)
    assert step.id == number
    assert await desk.store.begin("dead", step, {}) is not None


async def test_a_driver_is_dropped_under_a_name_of_its_step(desk: StepDesk, watched) -> None:
    number = await desk.ask(Verb.DROP_FILE, "reprint.xml", content=b"<customers/>")
    row = await desk.carry(number, await desk.carrier(drop_folder=watched))
    assert row["state"] == "done"
    assert names(watched) == [f"reprint.step-{number}.xml"]
    assert (watched / f"reprint.step-{number}.xml").read_bytes() == b"<customers/>"


async def test_a_control_file_says_what_the_engine_is_to_run(desk: StepDesk, watched) -> None:
    number = await desk.ask(
        Verb.CONTROL_FILE,
        "run.ctl",
        package="statements.pub",
        filemap={"DRIVER": "/data/driver.xml"},
        switches={"RUNMODE": "PRODUCTION", "TIMESTAMP_MESSAGES": None},
        customers=[2, 7, 14, 15, 16],
        run_date="2026-10-31",
    )
    row = await desk.carry(number, await desk.carrier(drop_folder=watched))
    assert row["state"] == "done", row["reason"]
    lines = (watched / f"run.step-{number}.ctl").read_text().split()
    assert set(lines) == {
        "-PACKAGEFILE=statements.pub",
        "-FILEMAP=DRIVER,/data/driver.xml",
        "-RUNMODE=PRODUCTION",
        "-TIMESTAMP_MESSAGES",
        "-CUSTOMERLIST=2,7,14-16",
        "-RUNDATE=10/31/2026",
    }


async def test_a_file_that_was_dropped_before_a_crash_is_not_dropped_again(desk: StepDesk, watched, tmp_path) -> None:
    number = await desk.ask(Verb.DROP_FILE, "reprint.xml", content=b"<customers/>")
    await half_done(desk, number)
    done = tmp_path / "taken"
    done.mkdir()
    (done / f"reprint.step-{number}.xml").write_bytes(b"<customers/>")
    row = await desk.carry(number, await desk.carrier(drop_folder=watched, drop_done_folder=done))
    assert row["state"] == "done"
    assert names(watched) == []


async def test_a_file_that_was_not_dropped_before_a_crash_is_dropped_then(desk: StepDesk, watched, tmp_path) -> None:
    number = await desk.ask(Verb.DROP_FILE, "reprint.xml", content=b"<customers/>")
    await half_done(desk, number)
    (tmp_path / "taken").mkdir()
    row = await desk.carry(number, await desk.carrier(drop_folder=watched, drop_done_folder=tmp_path / "taken"))
    assert row["state"] == "done"
    assert len(names(watched)) == 1


async def test_where_nobody_sees_what_was_taken_a_person_decides(desk: StepDesk, watched) -> None:
    number = await desk.ask(Verb.DROP_FILE, "reprint.xml", content=b"<customers/>")
    await half_done(desk, number)
    row = await desk.carry(number, await desk.carrier(drop_folder=watched))
    assert row["state"] == "uncertain"
    assert names(watched) == []


@pytest.mark.parametrize("name", ["../x.xml", "a/b.xml", "..", "x\n.xml/"])
async def test_a_name_that_leads_elsewhere_is_refused(desk: StepDesk, watched, name) -> None:
    row = await desk.carry(await desk.ask(Verb.DROP_FILE, name, content=b"x"), await desk.carrier(drop_folder=watched))
    assert row["state"] == "failed"
    assert names(watched) == []


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"package": "a\n-STOPERROR=NONE"},
        {"package": "p.pub", "customers": [0]},
        {"package": "p.pub", "customers": ["7"]},
        {"package": "p.pub", "run_date": "31.10.2026"},
        {"package": "p.pub", "switches": {"VARSET": "a\nb"}},
        {"package": "p.pub", "switches": []},
    ],
)
async def test_a_control_file_that_would_say_something_else_is_refused(desk: StepDesk, watched, arguments) -> None:
    row = await desk.carry(
        await desk.ask(Verb.CONTROL_FILE, "run.ctl", **arguments), await desk.carrier(drop_folder=watched)
    )
    assert row["state"] == "failed"
    assert names(watched) == []
