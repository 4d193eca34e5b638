"""A driver is read as a stream, and a bad line harms only itself."""

import gzip
import os
from pathlib import Path

import orjson
import pytest

from millstream.communication.entries import Reject
from millstream.intake.driver import Driver
from millstream.intake.errors import UnreadableDriver


def only_reject(driver):
    (found,) = driver.arrivals()
    assert isinstance(found, Reject)
    return found


def test_lines_come_in_order_with_their_numbers(driver, record):
    found = list(driver(record(key="a"), record(key="b")).arrivals())
    assert [(each.line, each.record.key) for each in found] == [(1, "a"), (2, "b")]


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(driver, record):
    line = orjson.dumps(record())
    found = list(driver(b"\xef\xbb\xbf", line, b"\r\n\r\n  \n", line, b"\r\n\n").arrivals())
    assert [each.line for each in found] == [1, 4]


def test_an_empty_driver_hands_in_nothing(driver):
    assert list(driver().arrivals()) == []


def test_a_last_line_without_line_end_counts(driver, record):
    assert len(list(driver(orjson.dumps(record())).arrivals())) == 1


def test_a_broken_line_is_rejected_with_number_key_and_place_and_the_others_come_in(driver, record):
    found = list(driver(record(key="a"), b'{"key": "b", "type": }\n', record(key="c")).arrivals())
    assert isinstance(found[1], Reject)
    assert (found[1].line, found[1].key) == (2, "b")
    assert "not valid JSON" in found[1].problem
    assert "column 22" in found[1].problem
    assert [found[0].record.key, found[2].record.key] == ["a", "c"]


def test_a_line_that_is_not_utf8_is_rejected_with_the_byte(driver):
    found = only_reject(driver('{"key": "7", "name": "Müller"}\n'.encode("latin-1")))
    assert "not valid UTF-8: byte 24 is 0xFC" in found.problem
    assert found.key == "7"


@pytest.mark.parametrize(("line", "word"), [(b"[1]", "a JSON list"), (b'"x"', "a JSON string"), (b"7", "a number")])
def test_a_line_that_is_no_object_is_rejected(driver, line, word):
    assert f"is {word}" in only_reject(driver(line + b"\n")).problem


@pytest.mark.parametrize("depth", [300, 5000])
def test_a_line_that_is_nested_too_deeply_is_rejected(driver, record, depth):
    whole = orjson.dumps(record(key="deep", data={"x": 7}))
    line = whole.replace(b'{"x":7}', b'{"x":' * depth + b"7" + b"}" * depth)
    assert only_reject(driver(line + b"\n")).key == "deep"


def test_a_line_that_is_too_long_is_passed_over_and_the_next_comes_in(driver, record):
    long = record(key="long", text="x" * 3_000_000)
    first, second = driver(long, record(key="next"), most_bytes_a_line=10_000).arrivals()
    assert isinstance(first, Reject)
    assert (first.line, first.key) == (1, "long")
    assert "3,000," in first.problem
    assert (second.line, second.record.key) == (2, "next")


def test_the_same_broken_line_has_the_same_digest_whatever_its_line_end(driver):
    first, second = driver(b"{broken\n", b"{broken\r\n").arrivals()
    assert first.digest == second.digest


def test_what_the_ledger_cannot_hold_is_not_in_a_reject(driver):
    found = only_reject(driver(b'{"key": "a\\u0000b", "wrong\\u0000\\nfield": 1}\n'))
    assert "\x00" not in found.problem + str(found.key)
    assert "\n" not in found.problem


def test_fields_in_another_order_and_with_other_spaces_are_the_same_record(driver):
    one = b'{"key":"a","type":"t","customer":{"id":"1"},"recipient":{"address":"a@a.test"},"subject":"s","text":"t"}'
    other = (
        b'{ "text": "t", "subject": "s", "recipient": {"address": "a@a.test"},'
        b' "customer": {"id": "1"}, "type": "t", "key": "a" }'
    )
    first, second = driver(one, b"\n", other, b"\n").arrivals()
    assert first.digest == second.digest


def test_a_driver_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(UnreadableDriver, match=r"nowhere\.jsonl: No such file"):
        list(Driver(tmp_path / "nowhere.jsonl").arrivals())


def test_a_folder_is_no_driver(tmp_path: Path):
    with pytest.raises(UnreadableDriver, match="Is a directory"):
        list(Driver(tmp_path).arrivals())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_driver_that_may_not_be_read_says_so(driver, record):
    source = driver(record())
    source.path.chmod(0)
    with pytest.raises(UnreadableDriver, match="Permission denied"):
        list(source.arrivals())


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (gzip.compress(b"{}", mtime=0), "gzip"),
        (b"PK\x03\x04rest", "ZIP"),
        (b"%PDF-1.7\n", "PDF"),
        ("{}\n".encode("utf-16"), "UTF-16"),
        (b"\x7fELF\x00\x00\x01", "binary"),
    ],
)
def test_a_file_of_another_kind_is_refused_as_a_whole(driver, content, why):
    with pytest.raises(UnreadableDriver, match=why):
        list(driver(content).arrivals())
