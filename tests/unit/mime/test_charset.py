"""Bytes become text: as declared, or guessed, never an error and nothing that a database refuses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.mime.charset import base64_bytes, clean, decode, decode_words, one_line


@pytest.mark.parametrize(
    ("charset", "codec", "text"),
    [
        ("utf-8", "utf-8", "Grüße, 東京"),
        ("UTF8", "utf-8", "Grüße"),
        ("iso-8859-1", "cp1252", "„Grüße“ 5 €"),
        ("us-ascii", "cp1252", "Grüße"),
        ("", "utf-8", "Grüße"),
        ("windows-1251", "cp1251", "Привет"),
        ("koi8-r", "koi8_r", "Привет"),
        ("ISO-2022-JP", "iso2022_jp", "こんにちは"),
        ("shift_jis", "cp932", "こんにちは①"),
        ("ks_c_5601-1987", "cp949", "안녕하세요"),
        ("gb2312", "gb18030", "你好"),
        ("big5", "big5hkscs", "你好"),
        ("iso-8859-2", "iso8859_2", "Łódź"),
        ("utf-16", "utf-16", "Grüße"),
        ("iso-8859-15", "iso8859_15", "5 €"),
        ("utf-7", "utf-7", "Grüße"),
    ],
)
def test_declared_text_is_read_as_its_writer_meant_it(charset, codec, text):
    assert decode(text.encode(codec), charset) == text


def test_a_wrong_declaration_is_seen_through():
    assert decode("Grüße".encode("cp1252"), "utf-8") == "Grüße"
    assert decode("Grüße".encode(), "iso-8859-1") == "Grüße"
    assert decode("Grüße".encode(), "klingon") == "Grüße"
    assert decode("Grüße an alle"[:4].encode()[:-1], "utf-8") == "Grü"


@pytest.mark.parametrize(
    "codec", ["punycode", "idna", "unicode_escape", "zlib", "rot13", "undefined", "mbcs", "\x00", "é"]
)
def test_no_codec_is_looked_up_by_a_name_from_outside(codec):
    assert decode(b"plain \\x41 text", codec) == "plain \\x41 text"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        ("=?UTF-8?B?R3LDvMOfZQ==?= an =?iso-8859-1?Q?K=F6ln?=", "Grüße an Köln"),
        ("=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        ("=?utf-8?q?a?=\t=?utf-8?q?b?=", "ab"),
        ("=?utf-8*de?q?a_b?=", "a b"),
        ("=?utf-8?q?a?= b =?utf-8?q?c?=", "a b c"),
        ("=?utf-8?x?a?= =?utf-8?q?never ends", "=?utf-8?x?a?= =?utf-8?q?never ends"),
        ("=?no-such?q?=FC?=", "ü"),
        ("=?utf-8?b?!!!?=", ""),
    ],
)
def test_encoded_words_are_read_for_people(value, text):
    assert decode_words(value) == text


@given(st.binary(max_size=300), st.sampled_from(["utf-8", "utf-7", "hz-gb-2312", "iso-2022-jp", "big5", "utf-16", "x"]))
def test_whatever_is_decoded_can_be_stored_once_cleaned(data, charset):
    text = clean(decode(data, charset))
    assert "\x00" not in text
    assert text.encode().decode() == text


@given(st.binary(max_size=300))
def test_base64_gives_what_it_can_of_anything(data):
    assert len(base64_bytes(data)) <= len(data)


def test_a_name_stays_on_one_line_and_reads_in_one_direction():
    assert one_line("invoice \u202efdp.exe\r\n\tx\x00", 50) == "invoice fdp.exe x"
    assert len(one_line("a" * 5000, 100)) == 100
