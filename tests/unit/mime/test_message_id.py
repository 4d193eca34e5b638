"""Our own Message-ID: well formed for every delivery, the same for every try, and never the token itself."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.communication.model import new_token
from millstream.mime import BadAddress
from millstream.mime.message_id import message_id

ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
DOT_ATOM = re.compile(rf"<{ATOM}(?:\.{ATOM})*@{ATOM}(?:\.{ATOM})*>")
TOKENS = st.from_regex(r"[0-9a-f]{20}", fullmatch=True)
LABELS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join([*labels, "example"]))


@given(TOKENS, DOMAINS)
def test_it_is_a_dot_atom_in_angle_brackets_that_fits_a_line(token: str, domain: str) -> None:
    made = message_id(token, domain)
    assert DOT_ATOM.fullmatch(made)
    assert made.endswith(f"@{domain}>")
    assert len("Message-ID: ") + len(made) <= 998


@given(TOKENS, DOMAINS)
def test_it_is_the_same_at_every_try_and_does_not_give_the_token_away(token: str, domain: str) -> None:
    made = message_id(token, domain)
    assert made == message_id(token, domain.upper())
    assert token not in made
    assert not any(token[start : start + 8] in made for start in range(13))


@given(st.lists(TOKENS, unique=True, min_size=2, max_size=30))
def test_no_two_deliveries_share_one(tokens: list[str]) -> None:
    assert len({message_id(token, "bank.example") for token in tokens}) == len(tokens)


@pytest.mark.parametrize("domain", ["", "bank example", "bank.example>", "a@b.example", "-.example", "x" * 300])
def test_a_domain_that_is_none_is_refused(domain: str) -> None:
    with pytest.raises(BadAddress):
        message_id(new_token(), domain)
