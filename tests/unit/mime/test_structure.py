"""Reading: headers first, parts without decoding what nobody asked for."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from millstream.mime import Attachment, build, parts, read_headers


def test_headers_are_read_without_a_body_and_with_any_line_end():
    for end in (b"\r\n", b"\n"):
        headers = read_headers(end.join([b"A: 1", b"b:  two", b"\tlines", b"A: 2", b"", b"C: not a header"]))
        assert headers.fields == (("A", "1"), ("b", "two\tlines"), ("A", "2"))
        assert headers.get("a") == "1"
        assert headers.get_all("a") == ("1", "2")
        assert headers.get("B") == "two\tlines"
        assert "C" not in headers
        assert headers.get("C", "none") == "none"
    assert read_headers(b"").fields == ()
    assert read_headers(b"A: 1").get("A") == "1"


def test_text_of_a_header_is_decoded_for_people():
    headers = read_headers(
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= and\r\n =?iso-8859-1?q?=FCbrigens?=\r\nX: =?no?q?=FC?=\r\n"
    )
    assert headers.text("Subject") == "Grüße and übrigens"
    assert headers.text("X")
    assert headers.text("Y") == ""


def test_content_type_is_read_with_its_parameters():
    headers = read_headers(b'Content-Type: Multipart/Mixed; boundary="a b;c"\r\n\r\n')
    assert headers.content_type == "multipart/mixed"
    assert headers.parameter("boundary") == "a b;c"
    assert headers.parameter("charset") is None
    assert read_headers(b"").content_type == "text/plain"


def test_what_was_built_is_taken_apart_again(letter):
    pdf = bytes(range(256)) * 300
    given = letter(
        html="<p>ü</p>", attachments=(Attachment("ä.pdf", "application/pdf", pdf), Attachment("b", "image/png", b""))
    )
    text, html, first, second = parts(build(given))
    assert text.content() == given.text.replace("\n", "\r\n").encode()
    assert html.content() == "<p>ü</p>\r\n".encode()
    assert first.content() == pdf
    assert first.headers.content_type == "application/pdf"
    assert second.content() == b""


def test_nested_and_unfinished_multiparts_give_what_can_be_read():
    message = (
        b"Content-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n--x\r\n"
        b"Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\none\r\n--y--\r\nepilogue"
        b"\r\n--x\r\n\r\ntwo\r\nthree"
    )
    assert [part.body for part in parts(message)] == [b"one", b"two\r\nthree"]
    assert [part.body for part in parts(b"--x\r\n")] == [b""]


def test_depth_is_bounded():
    message = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(500))
    assert len(list(parts(message))) == 1


SCRAPS = [b"--x", b"--x--", b"\r\n", b"\n", b"a: b", b"Content-Type: multipart/mixed; boundary=x", b" ", b"=?", b"\xff"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=400) | st.lists(st.sampled_from(SCRAPS), max_size=30).map(b"".join))
def test_nothing_that_arrives_makes_the_reader_fail(message):
    headers = read_headers(message)
    for name, _ in headers.fields:
        headers.text(name)
    for part in parts(message):
        assert len(part.content()) <= len(message)
