"""Dots at the beginning of lines."""

from hypothesis import given
from hypothesis import strategies as st

from millstream.gmail.relay.stuffing import ending, smuggles, stuffed

# Bytes that meet often, where free ones would nearly never.
BODIES = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"\0"]), max_size=30).map(b"".join)


def received(wire: bytes) -> bytes:
    """As RFC 5321 4.5.2 tells the receiver: line by line, a first dot removed, until a line of one dot alone."""
    lines = []
    rest = wire
    while True:
        line, end, rest = rest.partition(b"\r\n")
        assert end, "it has no end"
        if line == b".":
            assert rest == b"", "its end came too early"
            return b"".join(lines)
        lines.append(line.removeprefix(b".") + b"\r\n")


@given(BODIES)
def test_the_receiver_gets_what_was_given_and_nothing_ends_it_early(raw):
    got = received(stuffed(raw) + ending(raw))
    assert got == (raw if raw.endswith(b"\r\n") or not raw else raw + b"\r\n")


@given(BODIES)
def test_no_line_of_one_dot_stands_in_a_stuffed_body(raw):
    assert b"\r\n.\r\n" not in b"\r\n" + stuffed(raw)


@given(BODIES)
def test_a_dot_after_a_bare_line_end_is_noticed(raw):
    bare = raw.replace(b"\r\n", b"||")
    assert smuggles(raw) == (b"\n." in bare or b"\r." in bare)


def test_a_body_without_such_lines_is_not_copied():
    raw = b"a" * 1_000 + b"\r\n"
    assert stuffed(raw) is raw
