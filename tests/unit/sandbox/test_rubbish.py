"""Rubbish: whatever bytes lie in a mailbox, the sandbox shows, searches and quotes them without an exception."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.sandbox.gmail.answers import Written, answer
from millstream.sandbox.gmail.config import SandboxConfig
from millstream.sandbox.gmail.errors import Refusal
from millstream.sandbox.gmail.headers import split
from millstream.sandbox.gmail.parts import read_parts
from millstream.sandbox.gmail.quota import Quota
from millstream.sandbox.gmail.search import read_query
from millstream.sandbox.gmail.transit import Transit
from millstream.sandbox.gmail.wire import FORMATS, message_resource
from millstream.sandbox.gmail.world import World

OWNER = "a@bank.example"
PIECES = st.sampled_from(
    (
        b"From: x@mail.example\r\n|Subject: =?utf-8?b?/w==?=\r\n|Content-Type: multipart/mixed; boundary=b\r\n|\r\n|"
        b"Content-Type: text/html; charset=nonsense\r\n|Content-Transfer-Encoding: base64\r\n|--b\r\n|--b--\r\n|"
        b"\x00\xff|From: =?x?y?z?= <\xe9@\xe9>\r\n|Content-Type: message/rfc822\r\n|QUJD=\r\n|name*0*=x|"
        b"Message-ID: <\xff>\r\nReferences: <<a>> b\r\n|To: a b c <, ;:\r\n|<html><body>x<script>|Reply-To: <>\r\n|"
        b"Content-Type: message/delivery-status\r\n|Date: Mon, 99 Foo 99999 99:99:99 +9999\r\n"
    ).split(b"|")
)
RAW = st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=20).map(b"".join))
QUERIES = st.text(alphabet=st.sampled_from('ab:-"(){} OR/<>@.12'), max_size=40)


def office():
    world = World(SandboxConfig(mailboxes=(OWNER,), limits="none", notice_delay_seconds=0))
    return world, Transit(world, Quota(world.config, world.clock)), world.account(OWNER)


@given(RAW, QUERIES)
def test_any_bytes_are_shown_in_every_format_and_searched(raw, query):
    world, _, account = office()
    message = world.store(account, *split(raw), labels=frozenset({"INBOX"}), received=True)
    for form in FORMATS:
        assert message_resource(message, form)["id"] == message.id
    for text in (query, "x has:attachment filename:x larger:1 from:x list:x"):
        assert read_query(text, account, world.clock.seconds()).matches(message) in (True, False)


@given(RAW)
def test_any_bytes_are_answered_or_refused(raw):
    world, transit, account = office()
    message = world.store(account, *split(raw), labels=frozenset({"INBOX"}), received=True)
    try:
        sent = answer(world, transit, account, message, Written("Thanks", style="gmail"), everybody=True)
    except Refusal:
        assert list(account.messages()) == [message]
    else:
        assert sent.thread_id == message.thread_id


def test_parts_nested_very_deep_become_one_text():
    inner = b"the end"
    for number in range(3_000):
        inner = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number) + inner
    assert read_parts(inner).media_type in ("text/plain", "multipart/mixed")


def test_parts_nested_a_hundred_deep_are_all_there():
    inner = b"Content-Type: text/plain\r\n\r\nthe end\r\n"
    for number in range(100):
        inner = (
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (number, number)
            + inner
            + b"\r\n--b%d--\r\n" % number
        )
    assert (read_parts(inner).text("text/plain") or "").strip() == "the end"


@pytest.mark.parametrize("piece", ["<", "<body", "<head", "<script", "<!--", "<style>", "</", "<html ", "&#"])
def test_html_that_closes_nothing_costs_no_more_than_its_length(piece):
    world, transit, account = office()
    raw = f"From: x@mail.example\r\nContent-Type: text/html\r\n\r\n{piece * 300_000}".encode()
    message = world.store(account, *split(raw), labels=frozenset({"INBOX"}), received=True)
    begun = time.process_time()
    assert message.snippet is not None
    answer(world, transit, account, message, Written("Thanks"))
    assert time.process_time() - begun < 20  # a few tenths of a second; squares of the length took minutes
