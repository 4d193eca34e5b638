"""The text of HTML that we send."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.mime.plain import decoded_html, plain


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>Dear  Ada,\n</p><p>yes</p>", "Dear Ada,\n\nyes\n"),
        ("<div>one<div>two</div>three</div>", "one\ntwo\nthree\n"),
        ("a<br>b<br/>c", "a\nb\nc\n"),
        ("<table><tr><td>Sum</td><td>EUR 7</td></tr><tr><td>x</td></tr></table>", "Sum EUR 7\nx\n"),
        ("<style>p{}</style><script>x()</script><title>no</title><p>yes", "yes\n"),
        ("<p>&lt;b&gt; &amp; &euro; &nbsp;x</p>", "<b> & € x\n"),
        ("<!-- no -->yes<!-- no -->", "yes\n"),
        ('<div style="display:none">hidden</div>seen', "seen\n"),
        ('one<span style="DISPLAY : NONE">hidden</span> two', "one two\n"),
        ("plain text", "plain text\n"),
        ("", ""),
        ("<br><br>", ""),
        ("Größe 漢字 😀", "Größe 漢字 😀\n"),
        ("<ul><li>a</li><li>b</li></ul>c", "a\nb\n\nc\n"),
    ],
)
def test_the_text_keeps_lines_and_paragraphs(html, text):
    assert plain(html) == text


@pytest.mark.parametrize(
    "tag", ["<div>", "<b>", "<p>", "<table>", "<a href=x>", "<", "<!--", "&", "<div style='display:none'>"]
)
def test_hostile_nesting_takes_no_time(tag):
    began = time.process_time()
    plain(tag * 19_000 + "x")
    plain(tag * 200_000 + "x")
    assert time.process_time() - began < 5


@given(st.text(max_size=300))
def test_no_text_makes_it_fail(text):
    assert isinstance(plain(text), str)


@given(
    st.lists(
        st.sampled_from(
            [
                "<p>",
                "</p>",
                "<div style='display:none'>",
                "</div>",
                "<td>",
                "x",
                "<br>",
                "<script>",
                "</",
                "&#0;",
                "\x00",
                "\ud800",
                "\ufdd0",
            ]
        )
    )
)
def test_no_markup_makes_it_fail(pieces):
    assert isinstance(plain("".join(pieces)), str)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("<p>Größe</p>".encode(), "<p>Größe</p>"),
        ("\ufeff<p>Größe</p>".encode(), "<p>Größe</p>"),
        ("\ufeff<p>Größe</p>".encode("utf-16-le"), "<p>Größe</p>"),
        ("<meta charset='iso-8859-2'>Łódź".encode("iso-8859-2"), "<meta charset='iso-8859-2'>Łódź"),
        ("<p>Größe € </p>".encode("cp1252"), "<p>Größe € </p>"),
        (b"<meta http-equiv='Content-Type' content='text/html; charset=shift_jis'>\x93\xfa", None),
        (b"<meta charset=zlib>\xff\xfe", None),
    ],
)
def test_a_file_is_decoded_by_what_it_says_and_what_it_is(content, text):
    found = decoded_html(content)
    assert text is None or found == text
    assert isinstance(found, str)
