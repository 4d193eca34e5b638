"""Links and words: the same every time, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.communication.model import new_token
from millstream.review.errors import LinkRefused
from millstream.review.links import Links, answer_link

SECRET = b"s" * 32
LINKS = Links(SECRET)


def test_a_link_names_its_delivery_and_is_the_same_after_a_restart() -> None:
    token = new_token()
    link = answer_link(SECRET, "https://reviews.example.com/")(token)
    assert link == answer_link(SECRET, "https://reviews.example.com")(token)
    assert link.startswith("https://reviews.example.com/review/")
    assert LINKS.token(link.rpartition("/")[2]) == token


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Links(b"short")


@given(st.text(max_size=60))
def test_no_text_is_a_link_of_ours(text: str) -> None:
    with pytest.raises(LinkRefused):
        LINKS.token(text)


@given(st.integers(0, 42), st.characters())
def test_a_link_with_one_sign_changed_is_none(place: int, sign: str) -> None:
    link = LINKS.of("0123456789abcdef0123")
    changed = link[:place] + sign + link[place + 1 :]
    if changed != link:
        with pytest.raises(LinkRefused):
            LINKS.token(changed)


def test_another_secret_makes_other_links() -> None:
    token = new_token()
    with pytest.raises(LinkRefused):
        Links(b"t" * 32).token(LINKS.of(token))


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_other_parts_give_another_word(one: list[str], other: list[str]) -> None:
    try:
        same = LINKS.sign("form", *one) == LINKS.sign("form", *other)
    except UnicodeEncodeError:
        return
    assert same is (one == other)
    assert LINKS.sign("form", *one) != LINKS.sign("all", *one)
