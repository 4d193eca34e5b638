"""One customer's outputs from their ZIP: nothing leads out, nothing grows without bounds, every file finds its name."""

import io
import zipfile

import pytest
from lxml import etree

from millstream.intake.customer import OutputFile
from millstream.intake.errors import Unreadable
from millstream.intake.pull.unpacking import Unpacked, match, unpack
from millstream.intake.pull.writing import MANIFEST, ManifestWriter


def archive(**files: bytes) -> io.BytesIO:
    """A ZIP of these files; `__` stands for a slash and `_dot_` for a dot."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in files.items():
            zipped.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    out.seek(0)
    return out


def opened(file: io.BytesIO, root, **limits: int) -> list[Unpacked]:
    return unpack(file, root, "1/1", **{"most_entries": 3, "most_bytes": 1_000, **limits})


def test_every_file_comes_out_with_its_digest_and_empty_ones_do_not(tmp_path) -> None:
    found = opened(archive(Print__1_dot_pdf=b"%PDF-", Email__1=b"<html>", Empty__1=b""), tmp_path)
    assert [each.entry for each in found] == ["Print/1.pdf", "Email/1"]
    assert [(tmp_path / each.path).read_bytes() for each in found] == [b"%PDF-", b"<html>"]
    assert len({each.digest for each in found}) == 2


@pytest.mark.parametrize("name", ["../../evil", "/etc/evil", "..\\..\\evil", "a/../../evil", "....//evil"])
def test_no_name_leads_out_of_the_folder(tmp_path, name) -> None:
    root = tmp_path / "in" / "deep"
    root.mkdir(parents=True)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as zipped:
        zipped.writestr(name, b"x")
    [only] = opened(out, root)
    assert (root / only.path).resolve().is_relative_to(root)
    assert [each.name for each in tmp_path.iterdir()] == ["in"]


def test_more_files_or_bytes_than_are_allowed_are_refused(tmp_path) -> None:
    with pytest.raises(Unreadable, match="4 files"):
        opened(archive(a=b"1", b=b"2", c=b"3", d=b"4"), tmp_path)
    with pytest.raises(Unreadable, match="1001 bytes"):
        opened(archive(a=b"0" * 1001), tmp_path)


def test_a_size_that_lies_is_found_out(tmp_path) -> None:
    whole = bytearray(archive(a=b"0" * 5_000).getvalue())
    for at in range(len(whole) - 4):
        if whole[at : at + 4] == (5_000).to_bytes(4, "little"):
            whole[at : at + 4] = (500).to_bytes(4, "little")
    with pytest.raises(Unreadable):
        opened(io.BytesIO(bytes(whole)), tmp_path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK", b"no archive at all", pytest.param(archive(a=b"1" * 90).getvalue()[:60], id="an archive's beginning")],
)
def test_what_is_no_archive_is_said_to_be_none(tmp_path, content) -> None:
    with pytest.raises(Unreadable):
        opened(io.BytesIO(content), tmp_path)


def test_names_of_the_manifest_find_their_files_however_the_archive_nests_them() -> None:
    unpacked = [
        Unpacked("Email/1", "1/1-1", "a"),
        Unpacked("Print/1", "1/2-1", "b"),
        Unpacked("Extra/x.txt", "1/3-x", "c"),
    ]
    named = [OutputFile("/mnt/jobs/7/output/Print/1", "Print", "letter.pdf"), OutputFile("Email\\1", "Email")]
    assert match(named, unpacked) == [
        OutputFile("1/2-1", "Print", "letter.pdf"),
        OutputFile("1/1-1", "Email"),
        OutputFile("1/3-x", "Extra"),
    ]


def test_what_is_named_and_not_there_is_missed_by_whoever_reads_the_manifest() -> None:
    [missing] = match([OutputFile("Print/2.pdf", "Print")], [])
    assert missing == OutputFile("missing/2.pdf", "Print")


def test_a_manifest_is_written_as_xml_whatever_the_facts_hold(tmp_path) -> None:
    facts = {"Name": 'A & B <"x">', "Control": "a\x00b\x1fc", "Lines": "one\ntwo\ttab", 'odd"&<': "\ud800"}
    with ManifestWriter(tmp_path / MANIFEST) as writer:
        writer.write(7, facts, [OutputFile('1/a"&<.pdf', "Q&A")])
    [customer] = etree.parse(tmp_path / MANIFEST).getroot()
    assert customer.get("number") == "7"
    keys = {key.get("name"): key.text for key in customer.iter("key")}
    assert keys["Name"] == 'A & B <"x">'
    assert keys["Control"] == "a\ufffdb\ufffdc"
    assert keys["Lines"] == "one\ntwo\ttab"
    assert (customer.find("queue").get("name"), customer.find("queue/file").get("name")) == ("Q&A", '1/a"&<.pdf')
