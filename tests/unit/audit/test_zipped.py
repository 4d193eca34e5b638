"""A zip file of which every byte is known: whatever else comes is told, and nothing unfolds."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.audit import zipped
from millstream.audit.errors import BadBundle
from millstream.audit.zipped import Packer

_FILES = {
    "README.txt": b"read me",
    "documents/1-01-a.pdf": b"",
    "mails/001-ask-anna@bank.example.eml": b"\x00" * 70_000,
}


def _packed() -> bytes:
    sink = io.BytesIO()
    packer = Packer(sink)
    for name, content in _FILES.items():
        packer.add(name, content)
    packer.close()
    return sink.getvalue()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bundle.zip"
    path.write_bytes(_packed())
    return path


def test_what_was_packed_is_read_back_here_and_by_everybody_else(file: Path) -> None:
    members = zipped.read(file)
    assert {each.path: zipped.content(file, each) for each in members} == _FILES
    assert all(each.whole for each in members)
    with zipfile.ZipFile(file) as everybody:
        assert everybody.testzip() is None
        assert {name: everybody.read(name) for name in everybody.namelist()} == _FILES


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/b/c", "ümlaut", "", ".hidden", "a b", "x" * 400])
def test_a_name_that_could_lead_elsewhere_is_never_packed(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a file of a bundle"):
        Packer(io.BytesIO()).add(name, b"")


def test_a_name_is_packed_once() -> None:
    packer = Packer(io.BytesIO())
    packer.add("a", b"1")
    with pytest.raises(ValueError, match="or is one already"):
        packer.add("a", b"2")


@pytest.mark.parametrize("level", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_file_that_was_packed_by_others_is_no_bundle(tmp_path: Path, level: int) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", level) as others:
        for name, content in _FILES.items():
            others.writestr(name, content)
    with pytest.raises(BadBundle, match=r"is compressed|from byte 0 on the file is not"):
        zipped.read(tmp_path / "x.zip")


def test_a_bomb_is_told_before_anything_unfolds(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("audit.json", b"0" * 50_000_000)
    assert (tmp_path / "x.zip").stat().st_size < 100_000
    with pytest.raises(BadBundle, match=r"audit.json is compressed, and nothing in a bundle is"):
        zipped.read(tmp_path / "x.zip")


@given(st.binary(max_size=300))
def test_rubbish_is_told_as_such(tmp_path_factory: pytest.TempPathFactory, rubbish: bytes) -> None:
    path = tmp_path_factory.mktemp("rubbish") / "x.zip"
    for content in (rubbish, b"PK\x03\x04" + rubbish, _packed()[:300] + rubbish):
        path.write_bytes(content)
        with pytest.raises(BadBundle, match=r"from byte|is compressed"):
            zipped.read(path)


def test_a_file_that_is_none_is_told(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere.zip"):
        with pytest.raises(BadBundle, match="cannot be read"):
            zipped.read(path)
