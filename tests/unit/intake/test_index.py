"""Sidecar indexes: CSV and JSON, streamed, with the line of every fault."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.intake.customer import OutputFile
from millstream.intake.errors import Unreadable
from millstream.intake.folder import index
from millstream.intake.folder.index import read_index


@pytest.fixture
def read(tmp_path):
    def find(content: bytes, encoding: str = "utf-8"):
        path = tmp_path / "a.index"
        path.write_bytes(content)
        return list(read_index(path, encoding=encoding))

    return find


@pytest.mark.parametrize("separator", [";", ",", "\t", "|"])
def test_a_table_is_read_whatever_stands_between_its_fields(read, separator):
    text = (
        separator.join(["CustomerId", "Name", "files"]) + "\n" + separator.join(["C-1", '"Byron, ""Ada"""', "a.html"])
    )
    [found] = read(text.encode())
    assert found.facts == {"CustomerId": "C-1", "Name": 'Byron, "Ada"'}
    assert found.files == (OutputFile("a.html"),)
    assert (found.number, found.line) == (1, 2)


def test_windows_lines_marks_and_blank_lines_do_no_harm(read):
    found = read("\ufeffCustomerId;files\r\nC-1;a\r\n\r\nC-2;b=B.pdf\r\n".encode())
    assert [(each.facts["CustomerId"], each.line) for each in found] == [("C-1", 2), ("C-2", 4)]
    assert found[1].files == (OutputFile("b", name="B.pdf"),)


def test_other_character_sets_are_read_by_setting(read):
    [found] = read("Name;files\nGröße;a\n".encode("cp1252"), "cp1252")
    assert found.facts["Name"] == "Größe"
    with pytest.raises(Unreadable, match="line 2: byte 0xF6 is no utf-8") as caught:
        read("Name;files\nGröße;a\n".encode("cp1252"))
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "names no column 'files'"),
        (b"CustomerId;Name\nC-1;x\n", "names no column 'files'"),
        (b"CustomerId;files\nC-1;a;b\n", "line 2: 3 fields for 2 columns"),
        (b'CustomerId;files\nC-1;"a\n', "line 2"),
        (b'[{"a": 1}, {"b": }]', "line 1"),
        (b'[{"a": 1},\n{"b": 2}', "ends in the middle"),
        (b'[{"a": "x', "ends in the middle"),
    ],
)
def test_what_is_no_index_is_refused_with_its_line(read, content, words):
    with pytest.raises(Unreadable, match=words):
        read(content)


def test_json_is_read_as_a_list_or_one_a_line(read):
    entries = [{"CustomerId": "C-{}", "n": 7, "files": ["a", {"path": "b", "queue": "Q", "name": "B.pdf"}]}] * 2
    as_list, as_lines = orjson.dumps(entries, option=orjson.OPT_INDENT_2), b"\n".join(map(orjson.dumps, entries))
    for content in (as_list, as_lines):
        first, second = read(content)
        assert first.facts == second.facts == {"CustomerId": "C-{}", "n": "7"}
        assert first.files == (OutputFile("a"), OutputFile("b", "Q", "B.pdf"))
    assert [each.line for each in read(as_lines)] == [1, 2]


def test_an_entry_without_an_end_is_bounded(read):
    with pytest.raises(Unreadable, match="line 1: an entry of more than"):
        read(b'{"a": "' + b"x" * 5_000_000)


TEXTS = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)


@given(
    st.lists(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=4), max_size=5), st.integers(1, 40)
)
def test_entries_are_found_wherever_pieces_end(entries, piece):
    content = orjson.dumps(entries)
    scanner = index._Scanner()
    found = [raw for start in range(0, len(content), piece) for _, raw in scanner.feed(content[start : start + piece])]
    assert [orjson.loads(raw) for raw in found] == entries
