"""A bundle in the hands of somebody who would like it to say something else."""

from __future__ import annotations

import copy
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from evidence_room import Room
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.audit import bundle
from millstream.audit.errors import BadBundle
from millstream.audit.zipped import Packer

Whole = tuple[Path, bytes]


@pytest.fixture
async def whole(room: Room, tmp_path: Path) -> Whole:
    """A bundle, and its bytes."""
    number = await room.whole()
    path = tmp_path / "bundle.zip"
    await room.export(number, path)
    with path.open("rb") as file:
        return path, file.read()


def _problems(path: Path) -> tuple[str, ...]:
    try:
        return bundle.check(path).problems
    except BadBundle as error:
        return (str(error),)


def _found(path: Path, content: bytes) -> bool:
    path.write_bytes(content)
    return bool(_problems(path))


def test_any_byte_that_is_changed_taken_away_or_put_in_is_found(whole: Whole) -> None:
    path, content = whole
    assert not _found(path, content)
    anywhere = st.integers(0, len(content) - 1)

    @settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(anywhere, st.integers(1, 255), st.sampled_from(["flip", "drop", "add"]))
    def found(at: int, by: int, how: str) -> None:
        changed = bytes([content[at] ^ by]) if how == "flip" else b"" if how == "drop" else bytes([content[at], by])
        assert _found(path, content[:at] + changed + content[at + 1 :])

    found()
    for at in range(0, len(content), 211):
        assert _found(path, content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]), at
    for at in range(len(content) - 900, len(content)):  # the directory at the end
        assert _found(path, content[:at] + bytes([content[at] ^ 128]) + content[at + 1 :]), at
    assert _found(path, content + b"\0")
    assert _found(path, b"\0" + content)
    assert _found(path, content + content)


def _files(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def _packed_again(path: Path, files: dict[str, Any]) -> tuple[str, ...]:
    """Pack files as an export does, with a manifest that fits; what is found wrong then."""
    written = {name: value if isinstance(value, bytes) else bundle.dumps(value) for name, value in files.items()}
    with path.open("wb") as sink:
        packer = Packer(sink)
        for name, content in written.items():
            if name != bundle.MANIFEST:
                packer.add(name, content)
        audit, review = orjson.loads(written[bundle.AUDIT]), orjson.loads(written[bundle.REVIEW])
        packer.add(bundle.MANIFEST, bundle.manifest(packer.members, audit, review))
        packer.close()
    return bundle.check(path).problems


def _documents(files: dict[str, Any]) -> None:
    files["documents/1-01-Fees-terms-2026.pdf"] += b" "


def _no_mail(files: dict[str, Any]) -> None:
    del files[next(name for name in files if name.startswith("mails/"))]


def _one_more(files: dict[str, Any]) -> None:
    files["documents/3-01-made-up.pdf"] = b"%PDF"


def _record(files: dict[str, Any]) -> None:
    files["record.pdf"] += b"%"


def _words(files: dict[str, Any]) -> None:
    files[bundle.REVIEW]["decisions"][1]["words"] = "never"


def _verdict(files: dict[str, Any]) -> None:
    files[bundle.REVIEW]["answers"][2]["verdict"] = "reject"


def _shown(files: dict[str, Any]) -> None:
    files[bundle.REVIEW]["rounds"][1]["hash"] = "3" * 64


def _without_entry(files: dict[str, Any]) -> None:
    files[bundle.AUDIT]["entries"].pop()


def _entry(files: dict[str, Any]) -> None:
    files[bundle.AUDIT]["entries"][3]["actor"] = "mallory"


def _order(files: dict[str, Any]) -> None:
    entries = files[bundle.AUDIT]["entries"]
    entries[1], entries[2] = entries[2], entries[1]


def _path(files: dict[str, Any]) -> None:
    files[bundle.AUDIT]["entries"][2]["path"][0] = "00" * 32


def _block(files: dict[str, Any]) -> None:
    files[bundle.AUDIT]["blocks"][0]["root"] = "00" * 32


def _other_review(files: dict[str, Any]) -> None:
    files[bundle.AUDIT]["review"] += 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_documents, "documents/1-01-Fees-terms-2026.pdf is not what review.json says"),
        (_no_mail, "is not what review.json says"),
        (_one_more, "documents/3-01-made-up.pdf is not named in review.json"),
        (_record, "the files are not those of the export that entry"),
        (_words, "no entry records the decision of round 2"),
        (_verdict, "no entry records the answer of ben@bank.example in round 2"),
        (_shown, "no entry names the content of round 2"),
        (_without_entry, "the last entry is not that of this export"),
        (_entry, "entry 4 is not what its hash is of"),
        (_order, "does not stand in the order of the chain"),
        (_path, "entry 3 does not lead to block 1"),
        (_block, "block 1 does not follow from the one before it"),
        (_other_review, "the last entry is not that of this export"),
    ],
)
def test_a_manifest_that_fits_again_hides_nothing(
    whole: Whole, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    path, _ = whole
    files = _files(path)
    for name in (bundle.AUDIT, bundle.REVIEW):
        files[name] = orjson.loads(files[name])
    assert _packed_again(path, copy.deepcopy(files)) == ()
    change(files)
    assert any(told in problem for problem in _packed_again(path, files))


@pytest.mark.parametrize("name", [bundle.AUDIT, bundle.REVIEW, bundle.MANIFEST])
@pytest.mark.parametrize(
    "rubbish", [b"", b"[]", b"{}", b"\xff", b"[" * 100_000, b'{"format": 1}', b'{"format": 1, "entries": {"a": []}}']
)
def test_rubbish_in_place_of_what_proves_is_told(whole: Whole, name: str, rubbish: bytes) -> None:
    path, _ = whole
    files = {**_files(path), name: rubbish}
    with path.open("wb") as sink:
        packer = Packer(sink)
        for each, content in files.items():
            packer.add(each, content)
        packer.close()
    assert any(name in problem or "not of the form" in problem for problem in _problems(path))
