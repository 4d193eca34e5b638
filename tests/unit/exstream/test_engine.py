from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.exstream.engine import ControlFile, customer_list, run_date
from millstream.exstream.errors import BadRequest, Call, NameTaken, NotWritable
from millstream.exstream.placing import place

CALL = Call("drop")


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def numbers_of(text: str) -> set[int]:
    """What an engine takes from a CUSTOMERLIST."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_a_list_of_customers_names_ranges() -> None:
    assert customer_list([16, 2, 7, 14, 15, 7]) == "2,7,14-16"
    assert customer_list([4, 5]) == "4,5"


@given(st.sets(st.integers(1, 400), min_size=1))
def test_an_engine_reads_from_a_list_of_customers_who_was_written(customers: set[int]) -> None:
    assert numbers_of(customer_list(customers)) == customers


@pytest.mark.parametrize("customers", [[], [0, 1], [-3]])
def test_a_list_of_nobody_is_refused_as_an_engine_would_run_all(customers: list[int]) -> None:
    with pytest.raises(BadRequest):
        customer_list(customers)


def test_a_run_date_is_month_day_year() -> None:
    assert run_date(date(2026, 3, 9)) == "03/09/2026"


def test_a_control_file_has_one_switch_on_a_line(tmp_path: Path) -> None:
    control = ControlFile(
        "statements.pub",
        filemap=(("DRIVER", "/in/a b.xml"),),
        switches=(("RUNMODE", "PRODUCTION"), ("CUSTOMERLIST", "2,7"), ("TIMESTAMP_MESSAGES", None)),
    )
    written = control.write(tmp_path, "run.ctl")
    assert written.read_text() == (
        "-PACKAGEFILE=statements.pub\n-FILEMAP=DRIVER,/in/a b.xml\n-RUNMODE=PRODUCTION\n-CUSTOMERLIST=2,7\n"
        "-TIMESTAMP_MESSAGES\n"
    )
    assert names_in(tmp_path) == ["run.ctl"]


@pytest.mark.parametrize("value", ["a\n-OUTPUTDIRECTORY=/etc", "a\r", "a\0b", "a\u2028b", "a\x85b"])
def test_a_value_that_would_be_another_switch_is_refused(value: str) -> None:
    with pytest.raises(BadRequest):
        ControlFile("x.pub", switches=(("VARSET", value),))
    with pytest.raises(BadRequest):
        ControlFile(value)
    with pytest.raises(BadRequest):
        ControlFile("x.pub", filemap=(("DRIVER", value),))


@pytest.mark.parametrize("name", ["", "RUN MODE", "X\nY", "A=B", "-X"])
def test_what_is_no_switch_is_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        ControlFile("x.pub", switches=((name, "1"),))


def test_a_file_that_an_earlier_try_placed_is_done(tmp_path: Path) -> None:
    first = place(tmp_path, "a.xml", b"<a/>", call=CALL)
    inode = first.stat().st_ino
    assert place(tmp_path, "a.xml", b"<a/>", call=CALL).stat().st_ino == inode


def test_another_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    place(tmp_path, "a.xml", b"<a/>", call=CALL)
    with pytest.raises(NameTaken) as caught:
        place(tmp_path, "a.xml", b"<b/>", call=CALL)
    assert (tmp_path / "a.xml").read_bytes() == b"<a/>"
    assert str(tmp_path / "a.xml") in str(caught.value)
    assert names_in(tmp_path) == ["a.xml"]


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "/etc/a", "a/b", "a\0b", "x" * 241])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadRequest):
        place(tmp_path, name, b"", call=CALL)
    assert names_in(tmp_path) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotWritable, match="missing"):
        place(tmp_path / "missing", "a", b"", call=CALL)


def test_what_a_killed_try_left_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / ".a.tmp").write_bytes(b"half")
    place(tmp_path, "a", b"whole", call=CALL)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"theirs")
    (tmp_path / ".b.tmp").symlink_to(elsewhere)
    place(tmp_path, "b", b"ours", call=CALL)
    assert names_in(tmp_path) == ["a", "b", "elsewhere"]
    assert [(tmp_path / name).read_bytes() for name in ("a", "b", "elsewhere")] == [b"whole", b"ours", b"theirs"]


def test_a_directory_of_that_name_is_another_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(NameTaken):
        place(tmp_path, "a", b"", call=CALL)
