from email.parser import BytesParser
from email.policy import SMTP

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.sandbox.gmail.headers import (
    Headers,
    InvalidAddress,
    addresses,
    base_subject,
    decode,
    find,
    mailbox,
    references,
    split,
)

HEAD = b"From: A <a@x.example>\r\nSubject: folded\r\n\tover lines\r\nX-One: 1\r\nx-one: 2"


def test_fields_are_found_without_regard_to_case_and_unfolded():
    headers = Headers.parse(HEAD)
    assert headers.get("subject") == "folded\tover lines"
    assert list(headers.raw("x-one")) == ["1", "2"]
    assert headers.get("missing") is None
    assert headers.block() == HEAD


def test_a_replaced_field_stands_where_the_first_one_stood():
    headers = Headers.parse(HEAD)
    headers.replace("X-One", "new")
    headers.replace("Date", "today")
    headers.drop("from")
    assert headers.block() == b"Subject: folded\r\n\tover lines\r\nX-One: new\r\nDate: today"


def test_one_field_is_found_without_parsing_the_others():
    assert find(HEAD, "subject") == "folded\tover lines"
    assert find(HEAD, "From") == "A <a@x.example>"
    assert find(HEAD, "Subject") == "folded\tover lines"
    assert find(HEAD, "X-ONE") == "1"
    assert find(HEAD, "one") is None
    assert find(b"X: a\r\n Subject: not a field", "subject") is None


@pytest.mark.parametrize(
    ("raw", "parted"),
    [
        (b"A: 1\r\n\r\nbody\r\n", (b"A: 1", b"body\r\n")),
        (b"A: 1\nB: 2\n\nbody\n", (b"A: 1\r\nB: 2", b"body\r\n")),
        (b"A: 1\r\n", (b"A: 1", b"")),
        (b"\r\nbody", (b"", b"body")),
    ],
)
def test_a_message_parts_at_the_first_empty_line(raw, parted):
    assert split(raw) == parted


@given(st.lists(st.tuples(st.from_regex(r"X-[A-Z][a-z]{1,8}", fullmatch=True), st.text("abc äß", min_size=1))))
def test_headers_read_as_the_standard_library_reads_them(fields):
    raw = "".join(f"{name}: {value.strip() or 'x'}\r\n" for name, value in fields).encode() + b"\r\nbody"
    theirs = BytesParser(policy=SMTP).parsebytes(raw)
    headers = Headers.parse(split(raw)[0])
    assert [name for name, _ in headers.fields] == [name.lower() for name in theirs]
    for name in {name.lower() for name, _ in fields}:
        assert list(headers.raw(name)) == [value.strip() for known, value in _pairs(raw) if known == name]


def _pairs(raw):
    lines = raw.decode().partition("\r\n\r\n")[0].split("\r\n")
    return [(line.partition(":")[0].lower(), line.partition(":")[2]) for line in lines if line]


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("anna@example.org", ["anna@example.org"]),
        ("Anna <Anna@Example.org>", ["anna@example.org"]),
        ('"Last, First" <anna@example.org>, bert@example.org', ["anna@example.org", "bert@example.org"]),
        ("=?utf-8?q?J=C3=B6rg?= <j@example.org>", ["j@example.org"]),
        ("jörg@exämple.org", ["jörg@exämple.org"]),
        ("undisclosed-recipients:;", []),
        ("", []),
    ],
)
def test_addresses_are_read_from_a_field(value, found):
    assert addresses(value) == found


@pytest.mark.parametrize("value", ["Anna", "anna@", "@example.org", "a b@example.org", "anna@ex ample.org", "a@b, c"])
def test_what_is_no_address_is_told(value):
    with pytest.raises(InvalidAddress):
        addresses(value)


@pytest.mark.parametrize(
    ("value", "pair"),
    [
        ("Bank <b@x.example>", ("Bank", "b@x.example")),
        ('"Bank, The" <b@x.example>', ("Bank, The", "b@x.example")),
        ("b@x.example", ("", "b@x.example")),
        ("", ("", "")),
    ],
)
def test_a_sender_has_a_name_and_an_address(value, pair):
    assert mailbox(value) == pair


def test_encoded_words_are_decoded_and_broken_ones_left():
    assert decode("=?utf-8?q?M=C3=A4rz?= 2026") == "März 2026"
    assert decode("=?nonsense?q?x?=") == "=?nonsense?q?x?="


def test_subjects_compare_without_reply_marks():
    assert base_subject("Re: AW: Fwd: Your  Statement") == base_subject("your statement")
    assert base_subject("=?utf-8?q?M=C3=A4rz?=") == "märz"


def test_the_nearest_reference_comes_first():
    headers = Headers.parse(b"References: <a@x> <b@x>\r\nIn-Reply-To: <c@x>")
    assert references(headers) == ["<c@x>", "<b@x>", "<a@x>"]
