"""What a sign-in leaves in a browser: good for one purpose, for a while, and nobody can make it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from millstream.signin import BadIssuer, Person, SignIn, SignInOptions, SignInRefused

SECRET = b"s" * 32
PERSON = Person("s-1", "anna@bank.example", "https://idp.example")


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 25, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def sign_in(clock: Clock | None = None, *, issuer: str = "https://idp.example", secret: bytes = SECRET) -> SignIn:
    options = SignInOptions(issuer, "client", "secret", "https://reviews.example.com/review/signed-in", secret)
    return SignIn(options, clock=clock or Clock())


def test_a_sign_in_counts_for_its_purpose_and_its_time() -> None:
    clock = Clock()
    one = sign_in(clock)
    cookie = one.kept(PERSON, "link-1")
    assert one.person(cookie, "link-1") == PERSON
    assert one.person(cookie, "link-2") is None
    clock.now += timedelta(seconds=one.lasts - 1)
    assert one.person(cookie, "link-1") == PERSON
    clock.now += timedelta(seconds=1)
    assert one.person(cookie, "link-1") is None


def test_another_secret_knows_nobody() -> None:
    assert sign_in(secret=b"t" * 32).person(sign_in().kept(PERSON, "link"), "link") is None


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=80))
def test_no_text_is_a_sign_in(text: str) -> None:
    assert sign_in().person(text, "link") is None


@given(st.data())
def test_a_cookie_with_one_sign_changed_is_nobodys(data: st.DataObject) -> None:
    cookie = sign_in().kept(PERSON, "link")
    place = data.draw(st.integers(0, len(cookie) - 1))
    sign = data.draw(st.sampled_from("ABCabc012-_.="))
    changed = cookie[:place] + sign + cookie[place + 1 :]
    if changed != cookie:
        assert sign_in().person(changed, "link") is None


@pytest.mark.parametrize(
    "issuer", ["http://idp.example", "ftp://idp.example", "idp.example", "", "https://", "https://[", "https://a#b"]
)
def test_a_provider_without_https_is_refused(issuer: str) -> None:
    with pytest.raises(BadIssuer):
        sign_in(issuer=issuer)


async def test_whoever_comes_back_without_having_begun_is_refused() -> None:
    one = sign_in()
    for cookie in ("", "x", "x.y", one.kept(PERSON, "link")):  # a kept sign-in is none that was begun
        with pytest.raises(SignInRefused) as refused:
            await one.finish({"state": "s", "code": "c"}, cookie)
        assert refused.value.check == "cookie"
