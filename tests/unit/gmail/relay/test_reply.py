"""Replies out of bytes: the same however they are split, and never without bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.gmail.relay.reply import LONGEST_LINE, LONGEST_REPLY, Replies, Reply


def fed(pieces: list[bytes]) -> tuple[list[Reply], str | None, bool]:
    replies = Replies()
    found = [reply for piece in pieces for reply in replies.feed(piece)]
    return found, replies.broken, replies.amid


def test_code_enhanced_code_and_words_are_told_apart():
    found, broken, amid = fed([b"550-5.4.5 Daily user\r\n550 5.4.5 limit\r\n354 go\r\n250\r\n"])
    assert found == [Reply(550, "5.4.5", "Daily user limit"), Reply(354, "", "go"), Reply(250, "", "")]
    assert (broken, amid) == (None, False)


def test_bare_line_feeds_end_lines_too():
    assert fed([b"250-a\n250 b\n"])[0] == [Reply(250, "", "a b")]


def test_words_steer_no_terminal():
    assert fed([b"250 \x1b[2Jhello\xe2\x80\xae\r\n"])[0] == [Reply(250, "", "[2Jhello")]


def test_a_number_that_is_no_enhanced_code_stays_a_word():
    assert fed([b"250 2.0 KB\r\n", b"250 10.0.0.1 knows\r\n"])[0] == [
        Reply(250, "", "2.0 KB"),
        Reply(250, "", "10.0.0.1 knows"),
    ]


@pytest.mark.parametrize("code", [250, 354, 421, 450, 550])
def test_the_first_digit_is_the_answer(code):
    reply = Reply(code, "", "")
    told = (reply.positive, reply.intermediate, reply.refusal, reply.closing)
    assert told == (code == 250, code == 354, code >= 400, code == 421)


@pytest.mark.parametrize(
    "rubbish",
    [b"what?\r\n", b"\r\n", b"25\r\n", b"2500 x\r\n", b"250x\r\n", b"199 x\r\n", b"600 x\r\n", b"250-a\r\n251 b\r\n"],
)
def test_what_is_no_reply_breaks_it_for_good(rubbish):
    found, broken, _ = fed([b"250 before\r\n" + rubbish + b"250 after\r\n", b"250 later\r\n"])
    assert found == [Reply(250, "", "before")]
    assert broken is not None


def test_a_line_and_a_reply_have_an_end():
    assert fed([b"250 " + b"x" * (LONGEST_LINE - 4) + b"\r\n"])[1] is None
    assert fed([b"250 " + b"x" * LONGEST_LINE + b"\r\n"])[1] is not None
    assert fed([b"x" * 1_000] * 100)[1] is not None
    line = b"250-" + b"x" * 996 + b"\r\n"
    assert fed([line] * (LONGEST_REPLY // 1_000 + 1))[1] is not None


def test_what_is_read_after_a_break_is_kept_nowhere():
    replies = Replies()
    replies.feed(b"what?\r\n")
    for _ in range(100):
        replies.feed(b"x" * 10_000)
    assert len(replies._rest) == 0


LINE = st.tuples(
    st.integers(200, 599), st.lists(st.text(st.characters(codec="ascii", categories=["L", "N"])), max_size=4)
)


@st.composite
def written(draw) -> tuple[bytes, int]:
    replies = draw(st.lists(LINE, max_size=6))
    text = b""
    for code, lines in replies:
        text += b"".join(f"{code}-{line}\r\n".encode() for line in lines) + f"{code} end\r\n".encode()
    return text, len(replies)


@given(written(), st.data())
def test_any_split_gives_the_same_replies(told, data):
    text, count = told
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    found = fed(pieces)
    assert found == fed([text])
    assert (len(found[0]), found[1], found[2]) == (count, None, False)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_bytes_are_read_without_an_exception_and_alike(pieces):
    whole = fed([b"".join(pieces)])
    assert fed(pieces)[:2] == whole[:2]
