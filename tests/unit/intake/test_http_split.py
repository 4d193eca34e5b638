"""A stream of JSON objects as a driver's lines, however it is cut."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from millstream.intake.http.callers import Callers
from millstream.intake.http.errors import Refused, TooLarge
from millstream.intake.http.laying import relative
from millstream.intake.http.parameters import Facts, Head, plain, readable
from millstream.intake.http.split import Splitter

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.lists(st.dictionaries(st.text(max_size=5), _JSON, max_size=4), min_size=1, max_size=5)


def split(body: bytes, step: int = 7, most: int = 100_000) -> list[bytes]:
    splitter = Splitter(most)
    found = []
    for position in range(0, len(body), step):
        found += splitter.feed(body[position : position + step])
    splitter.end()
    return found


@given(OBJECTS, st.integers(1, 20), st.sampled_from([None, 1]), st.booleans(), st.booleans())
@settings(max_examples=300)
def test_objects_come_out_as_they_went_in(objects, step, indent, wrapped, ascii_only) -> None:
    texts = [json.dumps(each, indent=indent, ensure_ascii=ascii_only) for each in objects]
    body = "[ " + " ,\r\n".join(texts) + "\n] \n" if wrapped else "\n".join(texts)
    found = split(body.encode("utf-8", "surrogatepass"), step)
    assert [orjson.loads(line) for line in found] == objects
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in found)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'[{"a":1}', 1),
        (b'[\n{"a":\n', 2),
        (b"[{},\n\n,{}]", 3),
        (b"{}]", 1),
        (b'[{}\n"x"]', 2),
        (b'[{},\n{"a":\n tru}]', 3),
        (b"[[{}]]", 1),
    ],
)
def test_what_is_no_json_is_told_with_its_line(body, line) -> None:
    with pytest.raises(Refused) as refused:
        split(body)
    assert refused.value.line == line


def test_an_object_that_is_too_large_is_not_kept() -> None:
    with pytest.raises(TooLarge):
        split(b'[{"a": "' + b"x" * 1000, most=500)


@pytest.mark.parametrize("path", ["", ".", "..", "/a", "a/", "a//b", "a/../b", "a\\..\\b", "\x00", "a\nb", "x" * 256])
def test_paths_that_lead_nowhere_or_out_are_refused(path) -> None:
    with pytest.raises(Refused):
        relative(path)


@given(st.text(max_size=40))
def test_a_path_that_is_taken_stays_inside(path) -> None:
    try:
        inside = relative(path)
    except Refused:
        return
    assert not inside.startswith("/")
    assert not {"", ".", ".."} & set(inside.split("/"))


@given(st.text(max_size=40))
def test_no_header_lets_a_stranger_in(header) -> None:
    with pytest.raises(Refused) as refused:
        Callers({"a": "right", "b": ""}).name(header)
    assert refused.value.status == 401


def test_names_of_facts_are_known_in_any_spelling() -> None:
    head = Head("a", "Document_Type=x", {"x-exstream-customer-email": "a@example.com", "x-millstream-customer-id": "7"})
    facts = Facts().also([*head.ours(), *head.pairs()])
    assert facts.first(["CustomerEmail"]) == "a@example.com"
    assert facts.first(["nothing", "customer_id"]) == "7"
    assert facts.filled("${DocumentType}/${Customer-Id}/${no}") == "x/7/"
    assert plain("X-Exstream-") == "xexstream"


@pytest.mark.parametrize(
    ("value", "read"),
    [("Grüße".encode().decode("latin-1"), "Grüße"), ("Gr\xfc\xdfe", "Grüße"), ("=?utf-8?q?M=C3=A4rz?=", "März")],
)
def test_values_of_headers_are_read_in_the_character_set_they_came_in(value, read) -> None:
    assert readable(value) == read
