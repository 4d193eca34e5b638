"""Bad days: whatever arrives is read within bounds, and no exception leaves the reader."""

import dataclasses
import time
from collections.abc import Iterator
from datetime import datetime
from enum import Enum

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from written_mail import NAMES, Written

from millstream.mime import Headers, MailKind, Reading, read

MOST_TEXT = 3_000_000  # characters in all of a reading: a million of full text, a report's fields, and room
SIZE = 1_000_000
SECONDS = 3.0  # of processor time for a megabyte; measured 0.6 at the worst, and a machine may be slow
unhurried = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def texts(value: object) -> Iterator[str]:
    """Every text in a reading that a caller would store; returned headers are raw and stay here."""
    if isinstance(value, str) and not isinstance(value, Enum):
        yield value
    elif isinstance(value, tuple):
        for one in value:
            yield from texts(one)
    elif dataclasses.is_dataclass(value) and not isinstance(value, Headers | type):
        for field in dataclasses.fields(value):
            yield from texts(getattr(value, field.name))


def bounded(message: bytes) -> Reading:
    """Read it, and check what holds for every reading."""
    reading = read(message)
    found = list(texts(reading))
    assert all("\x00" not in one and one.encode() is not None for one in found)
    assert sum(map(len, found)) <= MOST_TEXT
    assert len(reading.attachments) <= 200
    assert len(reading.clues.original_message_ids) <= 20
    assert len(reading.clues.recipients) <= 50
    assert all(0 <= one.size <= len(message) for one in reading.attachments)
    assert reading.date is None or (isinstance(reading.date, datetime) and reading.date.tzinfo is not None)
    assert reading.kind is not MailKind.UNREADABLE or reading.problem
    return reading


SCRAPS = [
    *(
        b"From: a@example.com\r\n",
        b"Return-Path: <>\r\n",
        b"From: mailer-daemon@googlemail.com\r\n",
        b"Subject: =?utf-8?q?",
    ),
    *(
        b"Authentication-Results: mx.google.com; dmarc=pass (",
        b"Received: from x by mx.google.com\r\n",
        b"=?=",
        b'"',
        b"(",
    ),
    *(
        b"Content-Type: multipart/report; report-type=delivery-status; boundary=x\r\n",
        b"Auto-Submitted: auto-replied\r\n",
    ),
    *(b"Content-Type: message/delivery-status\r\n", b"Final-Recipient: rfc822; a@b.example\r\n", b"Status: 5.1.1\r\n"),
    *(
        b"Content-Type: text/html\r\n",
        b"Content-Type: text/plain; format=flowed; charset=",
        b"utf-7\r\n",
        b"iso-2022-jp\r\n",
    ),
    *(
        b"Content-Transfer-Encoding: base64\r\n",
        b"Content-Transfer-Encoding: quoted-printable\r\n",
        b"\r\n",
        b"\n",
        b"\r",
    ),
    *(
        b"--x\r\n",
        b"--x--\r\n",
        b"--x",
        b"> ",
        b"On 3 Nov 2026 a@b.example wrote:\n",
        b"-- \n",
        b"<div class=gmail_quote>",
    ),
    *(
        b"<blockquote>",
        b"</div>",
        b"<!--",
        b"\x00",
        b"\xff\xfe",
        b"\x1b$B",
        b"Date: 31 Dec 9999 23:59:59 -9999\r\n",
        b":",
        b" ",
    ),
    *(
        b"filename*0*=utf-8''%",
        b";",
        b"=",
        b"<a@b>",
        b"In-Reply-To: <",
        b"To: a+b@c.example\r\n",
        b"550 5.1.1 ",
        b"AAAA",
    ),
]


@unhurried
@given(st.binary(max_size=600) | st.lists(st.sampled_from(SCRAPS), max_size=60).map(b"".join))
def test_arbitrary_bytes_are_read_within_bounds(message):
    bounded(message)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A written message after an accident: cut, holed, doubled, with bytes changed, or two grown together."""
    message = Written.of(draw(st.sampled_from(NAMES))).message
    for _ in range(draw(st.integers(1, 4))):
        here, there = sorted((draw(st.integers(0, len(message))), draw(st.integers(0, len(message)))))
        match draw(st.integers(0, 5)):
            case 0:
                message = message[:here]
            case 1:
                message = message[:here] + message[there:]
            case 2:
                message = message[:there] + message[here:]
            case 3:
                message = message[:here] + draw(st.binary(max_size=20)) + message[here:]
            case 4:
                message = message[:here] + bytes(byte ^ 0x80 for byte in message[here:there]) + message[there:]
            case _:
                message = message[:here] + Written.of(draw(st.sampled_from(NAMES))).message[-here:]
    return message


@settings(unhurried, max_examples=400)
@given(damaged())
def test_damaged_messages_are_read_within_bounds(message):
    bounded(message)


@pytest.mark.parametrize("name", NAMES)
def test_line_ends_do_not_change_what_a_message_is(name):
    written = Written.of(name)
    bare = Written(written.message.replace(b"\r\n", b"\n"), written.expected).read()
    assert (bare.kind, bare.verdict, bare.clues) == (written.read().kind, written.read().verdict, written.read().clues)


@pytest.mark.parametrize("name", ["bounces/gmail/address-not-found", "replies/attachments-of-all-kinds"])
def test_a_message_cut_anywhere_is_read(name):
    message = Written.of(name).message
    for end in range(0, len(message), 7):
        bounded(message[:end])


HEAD = b"From: ada@example.com\r\nSubject: x\r\n"
DAEMON = b"Return-Path: <>\r\nFrom: mailer-daemon@example.com\r\n"


def filled(scrap: bytes, size: int = SIZE) -> bytes:
    return (scrap * (size // len(scrap) + 1))[:size]


def of_type(kind: bytes, body: bytes, head: bytes = HEAD) -> bytes:
    return head + b"Content-Type: " + kind + b"\r\n\r\n" + body


MIXED = b"multipart/mixed; boundary=x"
REPORT = b"multipart/report; report-type=delivery-status; boundary=x"
HOSTILE = {
    "a header of 1 MB": lambda: b"X: " + filled(b"a") + b"\r\n" + HEAD + b"\r\nhi",
    "a header of 1 MB below the others": lambda: HEAD + b"X: " + filled(b"a") + b"\r\n\r\nhi",
    "a subject of encoded words that never end": lambda: HEAD + b"Subject: " + filled(b"=?a?q?") + b"\r\n\r\nhi",
    "a header folded a million times": lambda: HEAD + b"X: " + filled(b"a\r\n ") + b"\r\n\r\nhi",
    "fields without end": lambda: HEAD + filled(b"X: a\r\n"),
    "quotes in From": lambda: b"From: " + filled(b'"\\') + b"\r\n\r\nhi",
    "parentheses in the verdict": lambda: (
        b"Received: from a by mx.google.com\r\nAuthentication-Results: mx.google.com; " + filled(b"(") + b"\r\n" + HEAD
    ),
    "parameters without values": lambda: of_type(b"text/plain; " + filled(b"a;"), b"hi"),
    "10,000 parts": lambda: of_type(
        MIXED, filled(b"--x\r\nContent-Type: text/plain\r\n\r\nhello, how do you do?\r\n\r\n")
    ),
    "empty parts": lambda: of_type(MIXED, filled(b"--x\n")),
    "parts without blank lines": lambda: of_type(MIXED, filled(b"--x\r\nX: " + b"a" * 1500 + b"\r\n")),
    "lines that look like delimiters": lambda: of_type(MIXED, filled(b"--\n")),
    "one boundary inside itself": lambda: of_type(MIXED, filled(b"--x\r\nContent-Type: " + MIXED + b"\r\n\r\n")),
    "dashes": lambda: of_type(MIXED, b"--x\n\n" + filled(b"-")),
    "flowed lines": lambda: of_type(b"text/plain; format=flowed", filled(b"abc \n")),
    "attributions that are none": lambda: of_type(b"text/plain", filled(b"On 1 wrote x:\n")),
    "header labels": lambda: of_type(b"text/plain", filled(b"From: a\n")),
    "greetings": lambda: of_type(b"text/plain", filled(b"regards\n")),
    "blanks": lambda: of_type(b"text/plain", filled(b" ") + b"x"),
    "one line": lambda: of_type(b"text/plain", filled(b"On 1 ")),
    "shifts in ISO-2022-JP": lambda: of_type(b"text/plain; charset=iso-2022-jp", filled(b"\x1b$B")),
    "UTF-7": lambda: of_type(b"text/plain; charset=utf-7", filled(b"+AAA-")),
    "tags nested": lambda: of_type(b"text/html", filled(b"<div>")),
    "tags that close nothing": lambda: of_type(b"text/html", filled(b"<b>", SIZE // 2) + filled(b"</i>", SIZE // 2)),
    "tags that close nothing, under the bound": lambda: of_type(b"text/html", filled(b"<b>", 900) + filled(b"</i>")),
    "attributes": lambda: of_type(b"text/html", b"<p " + filled(b"a=1 ")),
    "preformatted lines": lambda: of_type(b"text/html", b"<pre>" + filled(b"a\n")),
    "a report of a million recipients": lambda: of_type(
        REPORT,
        b"--x\r\nContent-Type: message/delivery-status\r\n\r\n"
        + filled(b"Final-Recipient: rfc822; a@b.example\r\n\r\n"),
        b"Return-Path: <>\r\n",
    ),
    "blanks in a report": lambda: of_type(
        REPORT, b"--x\r\nContent-Type: message/delivery-status\r\n\r\nA: b\r\n" + filled(b" \t"), b"Return-Path: <>\r\n"
    ),
    "an old report of a million recipients": lambda: DAEMON + b"\r\n" + filled(b"<a@b.example>:\n550 5.1.1\n"),
    "an old report of digits": lambda: DAEMON + b"\r\n" + filled(b"5.1."),
    "failed recipients": lambda: DAEMON + b"X-Failed-Recipients: " + filled(b"a@b.example, ") + b"\r\n\r\nx",
    "nothing but zeros": lambda: bytes(SIZE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_malice_is_read_in_bounded_time(name):
    message = HOSTILE[name]()
    started = time.process_time()
    bounded(message)
    assert time.process_time() - started < SECONDS


def test_30_megabytes_of_attachment_are_listed_without_being_decoded():
    attachment = filled(b"A" * 76 + b"\r\n", 30_000_000)
    message = of_type(
        MIXED,
        b"--x\r\nContent-Type: text/plain\r\n\r\nHere it is.\r\n--x\r\nContent-Type: application/zip; name=big.zip\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\n" + attachment + b"\r\n--x--\r\n",
    )
    started = time.process_time()
    reading = read(message)
    assert time.process_time() - started < 1
    assert reading.reply is not None
    assert reading.reply.text == "Here it is."
    assert [(one.name, abs(one.size - 30_000_000 / 78 * 57) < 100) for one in reading.attachments] == [
        ("big.zip", True)
    ]


def test_more_parts_than_a_message_can_have_are_named_as_the_problem():
    reading = read(HOSTILE["10,000 parts"]())
    assert reading.kind is MailKind.REPLY
    assert "parts" in reading.problem
