"""Documents by path come from the driver's folder and from nowhere else."""

import os
from pathlib import Path

import pytest

from millstream.intake.errors import Unfit
from millstream.intake.files import read_inside
from millstream.intake.inside import Inside


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A driver's folder, beside a file that is none of its business."""
    (tmp_path / "secret.pdf").write_bytes(b"secret")
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "a.pdf").write_bytes(b"mine")
    return folder


def read(folder: Path | None, path: str, most_bytes: int = 1000) -> bytes | Unfit:
    if folder is None:
        return read_inside(None, path, most_bytes=most_bytes)
    with Inside(folder) as inside:
        return read_inside(inside, path, most_bytes=most_bytes)


def refusal(folder: Path | None, path: str, most_bytes: int = 1000) -> Unfit:
    found = read(folder, path, most_bytes)
    assert isinstance(found, Unfit)
    return found


@pytest.mark.parametrize("path", ["sub/a.pdf", "./sub/../sub/a.pdf"])
def test_a_file_inside_is_read(folder, path):
    assert read(folder, path) == b"mine"


def test_an_absolute_path_that_stays_inside_is_read(folder):
    assert read(folder, str(folder / "sub" / "a.pdf")) == b"mine"


def test_a_link_that_stays_inside_is_followed(folder):
    (folder / "b.pdf").symlink_to("sub/a.pdf")
    assert read(folder, "b.pdf") == b"mine"


@pytest.mark.parametrize("path", ["../secret.pdf", "sub/../../secret.pdf", "/etc/passwd", "../in-other/a", "/nowhere"])
def test_a_path_that_leads_out_is_bad_content_whether_or_not_something_is_there(folder, path):
    found = refusal(folder, path)
    assert found.reason == "bad_content"
    assert "leads out of the driver's folder" in str(found)


def test_a_link_that_leads_out_is_bad_content(folder):
    (folder / "link.pdf").symlink_to("../secret.pdf")
    assert refusal(folder, "link.pdf").reason == "bad_content"


def test_a_linked_folder_that_leads_out_is_bad_content(folder):
    (folder / "up").symlink_to("..")
    assert refusal(folder, "up/secret.pdf").reason == "bad_content"


def test_a_folder_that_is_a_link_itself_is_fine(folder, tmp_path):
    (tmp_path / "other").symlink_to(folder)
    assert read(tmp_path / "other", "sub/a.pdf") == b"mine"


@pytest.mark.parametrize("path", ["no.pdf", "sub/a.pdf/b", "sub", ".", "x" * 300])
def test_what_is_no_file_there_is_a_missing_document(folder, path):
    assert refusal(folder, path).reason == "missing_document"


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe")
    assert refusal(folder, "pipe").reason == "missing_document"


def test_links_in_a_circle_lead_nowhere(folder):
    (folder / "a").symlink_to("b")
    (folder / "b").symlink_to("a")
    assert refusal(folder, "a").reason in {"bad_content", "missing_document"}


def test_a_path_with_nul_leads_nowhere(folder):
    assert refusal(folder, "a\x00.pdf").reason == "bad_content"


def test_a_file_beyond_the_limit_is_not_read_and_both_figures_are_told(folder):
    (folder / "big.pdf").write_bytes(b"x" * 2001)
    found = refusal(folder, "big.pdf", most_bytes=2000)
    assert found.reason == "too_large"
    assert "2,001" in str(found)
    assert "2,000" in str(found)


def test_a_way_in_without_a_folder_takes_no_paths():
    assert "has no folder" in str(refusal(None, "a.pdf"))
