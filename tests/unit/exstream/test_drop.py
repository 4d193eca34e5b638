"""A file for a watched directory is there whole or not at all, once, and is found again."""

import pytest

from millstream.exstream.drop import drop, lies
from millstream.exstream.errors import BadRequest, Effect, NameTaken, NotWritable


def test_a_file_is_there_whole_and_nothing_beside_it(tmp_path) -> None:
    path = drop(tmp_path, "driver.xml", b"<customers/>")
    assert path.read_bytes() == b"<customers/>"
    assert [each.name for each in tmp_path.iterdir()] == ["driver.xml"]


def test_the_same_file_again_is_done_already(tmp_path) -> None:
    first = drop(tmp_path, "driver.xml", b"one")
    assert drop(tmp_path, "driver.xml", b"one") == first
    with pytest.raises(NameTaken):
        drop(tmp_path, "driver.xml", b"two")
    assert first.read_bytes() == b"one"


def test_what_a_killed_process_left_half_is_replaced(tmp_path) -> None:
    (tmp_path / ".driver.xml.tmp").write_bytes(b"<cust")
    assert drop(tmp_path, "driver.xml", b"whole").read_bytes() == b"whole"
    assert [each.name for each in tmp_path.iterdir()] == ["driver.xml"]


def test_a_folder_that_is_not_there_is_said_so_and_nothing_happened(tmp_path) -> None:
    with pytest.raises(NotWritable) as caught:
        drop(tmp_path / "gone", "driver.xml", b"x")
    assert caught.value.effect is Effect.NO
    assert "gone" in str(caught.value)


@pytest.mark.parametrize("name", ["../driver.xml", "", ".", "a/b.xml", "a\x00b"])
def test_no_name_leads_out_of_the_folder(tmp_path, name) -> None:
    inside = tmp_path / "in"
    inside.mkdir()
    with pytest.raises(BadRequest):
        drop(inside, name, b"x")
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_a_dropped_file_is_found_where_it_lies_or_where_it_was_taken_to(tmp_path) -> None:
    watched, done = tmp_path / "in", tmp_path / "done"
    watched.mkdir()
    path = drop(watched, "d.step-7.xml", b"x")
    assert lies(watched, done, "d.step-7.xml") == path
    path.unlink()
    assert lies(watched, done, "d.step-7.xml") is None
    assert lies(watched, None, "d.step-7.xml") is None
    done.mkdir()
    (done / "d.step-7.xml.20261125").write_bytes(b"x")
    assert lies(watched, done, "d.step-7.xml") == done / "d.step-7.xml.20261125"
