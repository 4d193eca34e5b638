"""Addresses: what is accepted, what is refused and why."""

import pytest

from millstream.mime import BadAddress, Mailbox, parse_address, plus_address, plus_token


@pytest.mark.parametrize(
    ("text", "mailbox"),
    [
        ("ada@example.com", Mailbox("", "ada@example.com")),
        ("  ada@example.com ", Mailbox("", "ada@example.com")),
        ("Ada Moor <ada@bank.example>", Mailbox("Ada Moor", "ada@bank.example")),
        ('"Moor, Ada" <ada@mail.test>', Mailbox("Moor, Ada", "ada@mail.test")),
        ('"Ada \\"A\\" Moor"<ada@mail.test>', Mailbox('Ada "A" Moor', "ada@mail.test")),
        ("<ada@mail.test>", Mailbox("", "ada@mail.test")),
        ("Łukasz <l.k+x@sub.example.org>", Mailbox("Łukasz", "l.k+x@sub.example.org")),
        ("ada@BÜCHER.example", Mailbox("", "ada@xn--bcher-kva.example")),
        ("ADA@Example.Com", Mailbox("", "ADA@example.com")),
    ],
)
def test_an_address_is_brought_into_its_wire_form(text, mailbox):
    assert parse_address(text) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "ada@",
        "@example.com",
        "ada@example",
        "ada@exa mple.com",
        "ada@@example.com",
        ".ada@example.com",
        "ada@[192.0.2.1]",
        "ada@localhost",
        "ada@example.com, eve@example.com",
        "ada@example.com\r\nBcc: eve@example.com",
        "ada@example.com\n",
        "a" * 65 + "@example.com",
        "用户@example.com",
        "ada@\ud800.example",
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text):
    with pytest.raises(BadAddress) as refusal:
        parse_address(text)
    assert refusal.value.address == text
    assert len(refusal.value.why) > 10


def test_a_foreign_local_part_is_accepted_where_the_way_speaks_smtputf8():
    assert parse_address("用户@例子.example", smtputf8=True) == Mailbox("", "用户@xn--fsqu00a.example")


def test_a_reply_address_carries_its_token_there_and_back():
    assert plus_address("statements@bank.example", "01JB2S5Z") == "statements+01JB2S5Z@bank.example"
    assert plus_token("statements+01JB2S5Z@bank.example") == "01JB2S5Z"
    assert plus_token("statements@bank.example") is None
    assert plus_token("statements+@bank.example") is None


@pytest.mark.parametrize("token", ["", "a b", "ü", "a\r\nb", "a@b", "t" * 60])
def test_a_token_that_would_break_the_address_is_refused(token):
    if token == "":
        assert plus_token(plus_address("s@bank.example", token)) is None
        return
    with pytest.raises(BadAddress):
        plus_address("statements@bank.example", token)
