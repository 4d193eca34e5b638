"""Envelope senders: ours come back as what they were, and nobody else's do."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from millstream.delivery.verp import Verp, first_token
from millstream.mime import BadAddress, plus_token

TOKENS = st.from_regex(r"[0-9a-f]{20}", fullmatch=True)
LOCALS = st.from_regex(r"[a-z0-9](?:[a-z0-9._-]{0,22}[a-z0-9])?", fullmatch=True).filter(lambda text: ".." not in text)
SECRET = b"a secret of thirty-two bytes ...."
VERP = Verp(SECRET)


def tag_of(address: str) -> str:
    found = plus_token(address)
    assert found is not None
    return found


@given(TOKENS, LOCALS, st.sampled_from(["bounces.example", None]))
def test_a_token_comes_back_from_the_address_made_of_it(token: str, local: str, shared: str | None) -> None:
    verp = Verp(SECRET, f"{local}@{shared}" if shared else None)
    address = verp.sender_of(f"{local}@bank.example", token)
    assert address.startswith(f"{local}+b-")
    assert address.endswith(f"@{shared or 'bank.example'}")
    assert len(address.rpartition("@")[0]) <= 64
    assert verp.token_of(tag_of(address)) == token


@given(TOKENS)
def test_case_does_not_matter(token: str) -> None:
    tag = tag_of(VERP.sender_of("bounces@bank.example", token))
    assert VERP.token_of(tag.upper()) == token
    assert VERP.token_of(tag.title()) == token


@given(TOKENS, st.integers(0, 34), st.characters(codec="utf-8"))
def test_a_tag_with_one_character_changed_is_nobodys(token: str, place: int, letter: str) -> None:
    tag = tag_of(VERP.sender_of("bounces@bank.example", token))
    forged = tag[:place] + letter + tag[place + 1 :]
    assume(forged.lower() != tag)
    assert VERP.token_of(forged) is None


@given(TOKENS, TOKENS)
def test_the_signature_of_one_delivery_signs_no_other(mine: str, other: str) -> None:
    assume(mine != other)
    mac = tag_of(VERP.sender_of("bounces@bank.example", mine))[-12:]
    assert VERP.token_of(f"b-{other}-{mac}") is None


@given(TOKENS)
def test_another_secret_makes_other_tags(token: str) -> None:
    assert Verp(b"another secret of thirty-two bytes").token_of(tag_of(VERP.sender_of("b@bank.example", token))) is None


@given(st.text(max_size=200))
def test_rubbish_is_nobodys(text: str) -> None:
    assert VERP.token_of(text) is None


@given(TOKENS)
def test_a_base_with_a_tag_of_its_own_is_understood(token: str) -> None:
    address = VERP.sender_of("notices+bounces@bank.example", token)
    assert VERP.token_of(tag_of(address)) == token


def test_the_first_tag_of_our_making_counts() -> None:
    token = "0123456789abcdef0123"
    tag = tag_of(VERP.sender_of("bounces@bank.example", token))
    assert first_token(VERP, ["news", token, tag]) == token
    assert first_token(VERP, ["news", token]) is None
    assert first_token(None, [tag]) is None


def test_an_address_that_is_too_long_for_it_is_refused() -> None:
    with pytest.raises(BadAddress):
        VERP.sender_of(f"{'x' * 40}@bank.example", "0123456789abcdef0123")
