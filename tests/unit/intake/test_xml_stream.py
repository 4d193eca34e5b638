"""XML is read within bounds, and every refusal names its line."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.intake.xml_stream import BadXml, XmlLimits, XmlStream


class Heard:
    """Notes what it hears."""

    def __init__(self) -> None:
        self.ends: list[tuple[str, str, int]] = []

    def start(self, name, attributes, line):
        pass

    def end(self, name, text, line):
        self.ends.append((name, text, line))


def heard(content: bytes, limits: XmlLimits | None = None) -> list[tuple[str, str, int]]:
    handler = Heard()
    stream = XmlStream(BytesIO(content), handler, limits)
    while stream.step():
        pass
    return handler.ends


def refused(content: bytes, limits: XmlLimits | None = None) -> BadXml:
    with pytest.raises(BadXml) as caught:
        heard(content, limits)
    return caught.value


def test_names_lose_their_namespace_and_texts_their_blanks():
    assert heard(b"<x:a xmlns:x='u'>\n<x:b> one </x:b></x:a>") == [("b", "one", 2), ("a", "", 2)]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-16", "iso-8859-1", "windows-1252", "shift_jis", "gb2312", "euc-kr", "big5"]
)
def test_declared_character_sets_are_read(encoding):
    word = {"shift_jis": "日本", "gb2312": "中国", "euc-kr": "한국", "big5": "中文"}.get(encoding, "Größe")
    text = f'<?xml version="1.0" encoding="{encoding}"?><a>{word}</a>'
    assert heard(text.encode(encoding)) == [("a", word, 1)]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"", 1, "empty"),
        (b"<a>\n<b>", 2, "ends in the middle"),
        (b"<a>\n</b>", 2, "mismatched tag"),
        ("<a>\n\xe9</a>".encode("latin-1"), 2, "character set"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", 1, "klingon"),
        (b"<?xml version='1.0' encoding='zlib'?><a/>", 1, "zlib"),
        (b"<!DOCTYPE a>\n<a/>", 1, "document type declaration"),
        (b"<a/>\n<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><a>&x;</a>", 2, ""),
        (b"<a>\n&lol;</a>", 2, "undefined entity"),
        (b"Dear customer,", 1, ""),
    ],
)
def test_what_is_no_xml_is_refused_with_its_line(content, line, words):
    found = refused(content)
    assert found.line == line
    assert words in str(found)


def test_depth_text_and_tokens_have_bounds():
    limits = XmlLimits(depth=3, token=100_000, text=10)
    assert "nested more than 3 deep" in str(refused(b"<a><a><a><a>", limits))
    assert "more than 10 characters" in str(refused(b"<a>01234567890</a>", limits))
    assert "a tag of more than 100,000 bytes" in str(refused(b"<a b='" + b"x" * 500_000 + b"'/>", limits))
    assert "a tag of more than 100,000 bytes" in str(refused(b"<a><!--" + b"x" * 500_000 + b"--></a>", limits))


def test_blanks_between_many_elements_are_no_text():
    content = b"<a>" + b"<b/>\n" * 50_000 + b"</a>"
    assert len(heard(content, XmlLimits(text=100))) == 50_001


@given(st.binary(max_size=300) | st.text(max_size=100).map(lambda text: f"<a>{text}</a>".encode("utf-8", "replace")))
def test_rubbish_is_read_or_refused_and_nothing_else(content):
    try:
        ends = heard(content)
    except BadXml as error:
        lines = [error.line]
    else:
        lines = [line for _, _, line in ends]
    assert all(line >= 1 for line in lines)
