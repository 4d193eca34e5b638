"""What of a watched folder may be a consignment, and whether it is whole."""

import os
import time

import pytest

from millstream.intake.consignment import Kind
from millstream.intake.folder.looking import Candidate, Tree, is_closed
from millstream.intake.folder.options import FolderOptions

MANIFEST = "_STDDELIVERYFILE.xml"


def write(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def found(tree: Tree, root) -> list[str]:
    return sorted(str(each.path.relative_to(root)) for each in tree.candidates())


def test_manifests_indexes_and_drivers_are_found_at_any_depth_but_not_in_done_and_error(tmp_path):
    for name in (
        MANIFEST,
        f"a/b/{MANIFEST}",
        "a/x.index.csv",
        "a/y.jsonl",
        f"done/a/{MANIFEST}",
        f"error/{MANIFEST}",
        f"retry/a/{MANIFEST}",
        f".hidden/{MANIFEST}",
        "a/print/1",
        "a/.y.jsonl",
        "a/z.jsonl.tmp",
    ):
        write(tmp_path / name)
    tree = Tree(FolderOptions(path=tmp_path))
    assert found(tree, tmp_path) == sorted(
        [MANIFEST, f"a/b/{MANIFEST}", "a/x.index.csv", "a/y.jsonl", f"retry/a/{MANIFEST}"]
    )
    assert found(Tree(FolderOptions(path=tmp_path, depth=1)), tmp_path) == [MANIFEST, "a/x.index.csv", "a/y.jsonl"]


def test_what_comes_and_goes_is_noticed_also_in_folders_that_are_known(tmp_path):
    tree = Tree(FolderOptions(path=tmp_path))
    write(tmp_path / "a" / "other")
    long_ago = time.time() - 100
    os.utime(tmp_path / "a", (long_ago, long_ago))
    assert found(tree, tmp_path) == []
    assert found(tree, tmp_path) == []
    path = write(tmp_path / "a" / MANIFEST, b"one")
    [first] = tree.candidates()
    write(path, b"another")
    [second] = tree.candidates()
    assert first.sight != second.sight
    path.unlink()
    assert found(tree, tmp_path) == []


def test_a_link_is_no_candidate(tmp_path):
    write(tmp_path / "real" / "x.xml")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / MANIFEST).symlink_to("../real/x.xml")
    (tmp_path / "loop").symlink_to(".")
    assert found(Tree(FolderOptions(path=tmp_path)), tmp_path) == []


def test_empty_folders_are_removed_when_nobody_writes_into_them_any_more(tmp_path):
    for name in ("old/older", "fresh", "retry"):
        (tmp_path / name).mkdir(parents=True)
    long_ago = time.time() - 10_000
    for name in ("old/older", "old", "retry"):
        os.utime(tmp_path / name, (long_ago, long_ago))
    list(Tree(FolderOptions(path=tmp_path)).candidates())
    assert not (tmp_path / "old/older").exists()
    assert (tmp_path / "fresh").exists()
    assert (tmp_path / "retry").exists()


def test_a_watched_folder_that_is_not_there_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(Tree(FolderOptions(path=tmp_path / "none")).candidates())


@pytest.mark.parametrize(
    ("content", "closed"),
    [
        (b"<?xml version='1.0'?>\n<outputList>\n</outputList>\n\n", True),
        (b"<x:outputList xmlns:x='u'></x:outputList >", True),
        (b"<outputList/>", True),
        (b"<o></o><!-- made by -->\n", True),
        (b"<!-- <a> --><o></o>", True),
        ("<o></o>".encode("utf-16"), True),
        (b"<outputList>\n<customer>", False),
        (b"<outputList>\n<customer></customer>", False),
        (b"<outputList>\n</outputLis", False),
        (b"<outputList>\n</outputList", False),
        (b"", False),
        (b"<?xml version='1.0'?>", False),
    ],
)
def test_a_manifest_is_whole_with_the_end_of_its_root(tmp_path, content, closed):
    path = write(tmp_path / MANIFEST, content)
    assert is_closed(Candidate(path, Kind.MANIFEST, len(content), 0, 0)) is closed


@pytest.mark.parametrize(
    ("content", "closed"),
    [
        (b'[{"a": 1}]\n', True),
        (b'[{"a": 1}', False),
        (b'{"a": 1}\n', True),
        (b'{"a": 1', False),
        (b"a;files\n1;x\n", True),
    ],
)
def test_json_is_whole_with_its_closing_brace(tmp_path, content, closed):
    path = write(tmp_path / "a.index.json", content)
    assert is_closed(Candidate(path, Kind.INDEX, len(content), 0, 0)) is closed
