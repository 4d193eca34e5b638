"""Questions that need a sign-in, over a provider on the loopback that can be told to lie."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from review_site import ANNA, BEN, Person, Provider, Site, asked_of, provider, site

from millstream.storage.pool import Pool


@pytest.fixture
async def idp() -> AsyncIterator[Provider]:
    async with provider() as one:
        yield one


@pytest.fixture
async def here(pool: Pool, tmp_path: Path, idp: Provider) -> AsyncIterator[Site]:
    async with site(pool, tmp_path, issuer=idp.url, rules={"sign_in": True}) as one:
        yield one


@pytest.fixture
async def person(here: Site) -> AsyncIterator[Person]:
    async with Person(here.url) as one:
        yield one


async def asked(here: Site) -> tuple[int, str]:
    number = await here.open(await here.letter())
    return number, await here.link(number, ANNA)


async def counted(here: Site) -> list[dict[str, Any]]:
    return await here.rows("SELECT address, evidence FROM review_answer WHERE counted")


async def test_nothing_is_shown_or_taken_before_the_sign_in(here: Site, person: Person) -> None:
    _, link = await asked(here)
    page = await person.get(link)
    assert page.status == 200
    assert page.form == {}
    assert "needs a sign-in" in page.html
    assert "letter.pdf" not in page.html
    for place in ("/paper/1", "/page/1/1.png"):
        assert (await person.get(f"{link}{place}")).status == 404


async def test_who_signed_in_answers_and_the_evidence_names_them(here: Site, person: Person, idp: Provider) -> None:
    _, link = await asked(here)
    page = await person.get(f"{link}/sign-in")
    assert page.status == 200
    assert f"Signed in as {ANNA}" in page.html
    assert (await person.get(f"{link}/paper/1")).status == 200
    assert (await person.post(link, {**page.form, "verdict": "approve"})).status == 303
    [answer] = await counted(here)
    assert answer["address"] == ANNA
    assert (answer["evidence"]["subject"], answer["evidence"]["issuer"]) == ("s-1", idp.url)
    [sent] = idp.asked
    assert (sent["response_type"], sent["code_challenge_method"], sent["login_hint"]) == ("code", "S256", ANNA)
    assert sent["scope"].split() == ["openid", "email"]


async def test_an_alias_of_the_person_is_the_person(here: Site, person: Person, idp: Provider) -> None:
    idp.email = "A.Ample@Bank.Example"
    _, link = await asked(here)
    assert (await person.get(f"{link}/sign-in")).form


async def test_signing_in_works_with_es256_and_a_secret_in_the_form(here: Site, person: Person, idp: Provider) -> None:
    idp.algorithm = "ES256"
    idp.published = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    _, link = await asked(here)
    assert (await person.get(f"{link}/sign-in")).form


async def test_somebody_else_who_signs_in_gets_no_form(here: Site, person: Person, idp: Provider) -> None:
    idp.email = BEN
    _, link = await asked(here)
    page = await person.get(f"{link}/sign-in")
    assert page.form == {}
    assert "this question is for" in page.html
    assert "letter.pdf" not in page.html
    idp.email = ANNA
    assert (await person.get(f"{link}/sign-in")).form
    assert idp.asked[-1]["prompt"] == "select_account"


async def test_a_sign_in_counts_for_its_own_link_alone(here: Site, person: Person) -> None:
    number, link = await asked(here)
    await person.get(f"{link}/sign-in")
    [cookie] = [each for each in person.session.cookie_jar if each.key == "signed"]
    other = await here.link(await here.open(await here.letter("Another"), ref="2"), ANNA)
    page = await person.get(other, Cookie=f"signed={cookie.value}")
    assert page.form == {}
    assert (await person.get(await here.link(number, BEN), Cookie=f"signed={cookie.value}")).form == {}


async def test_a_form_without_the_sign_in_that_it_was_shown_with_does_not_count(here: Site, person: Person) -> None:
    _, link = await asked(here)
    page = await person.get(f"{link}/sign-in")
    person.session.cookie_jar.clear(lambda cookie: cookie.key == "signed")
    answered = await person.post(link, {**page.form, "verdict": "approve"}, follow=True)
    assert "needs a sign-in" in answered.html
    assert await counted(here) == []


LIES: list[dict[str, Any]] = [
    {"claims": {"nonce": "another"}},
    {"claims": {"nonce": None}},
    {"claims": {"aud": "others"}},
    {"claims": {"aud": ["reviews", "others"]}},
    {"claims": {"azp": "others"}},
    {"claims": {"iss": "https://evil.example"}},
    {"claims": {"exp": 1_700_000_000}},
    {"claims": {"exp": None}},
    {"claims": {"exp": "tomorrow"}},
    {"claims": {"iat": 4_000_000_000}},
    {"claims": {"email": None}},
    {"claims": {"email_verified": False}},
    {"claims": {"email_verified": None}},
    {"claims": {"email_verified": "true"}},
    {"claims": {"sub": None}},
    {"algorithm": "none"},
    {"algorithm": "HS256", "signs_with": "a secret of thirty-two characters or more"},
    {"signs_with": rsa.generate_private_key(65537, 2048)},
    {"algorithm": "ES256", "signs_with": ec.generate_private_key(ec.SECP256R1())},
    {"header": {"kid": "unknown"}},
    {"header": {"kid": "e1"}},
    {"sends": {"iss": "https://evil.example"}},
    {"sends": {"state": "another"}},
    {"sends": {"code": "stolen"}},
    {"sends": {"error": "access_denied"}},
    {"published": {"authorization_response_iss_parameter_supported": True}},
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: "-".join(f"{name}:{value}" for name, value in lie.items())[:60])
async def test_a_sign_in_that_lies_is_refused(here: Site, person: Person, idp: Provider, lie: dict[str, Any]) -> None:
    for name, value in lie.items():
        setattr(idp, name, value)
    _, link = await asked(here)
    page = await person.get(f"{link}/sign-in")
    assert page.status == 403
    assert "could not be signed in" in page.html
    assert (await person.get(link)).form == {}


async def test_the_way_back_belongs_to_the_browser_that_began(here: Site, person: Person, idp: Provider) -> None:
    _, link = await asked(here)
    begun = await person.get(f"{link}/sign-in", follow=False)
    at_provider = await person.get(begun.headers["Location"], follow=False)
    back = at_provider.headers["Location"]
    async with Person(here.url) as victim:
        assert (await victim.get(back)).status == 403  # a sign-in that somebody else began
        await victim.get(f"{link}/sign-in", follow=False)
        assert (await victim.get(back)).status == 403  # one of their own is under way
    assert (await person.get(back)).form
    assert (await person.get(back)).status == 403  # the same way back again


async def test_a_provider_that_is_away_or_another_is_told(here: Site, person: Person, idp: Provider) -> None:
    _, link = await asked(here)
    idp.status = 500
    page = await person.get(f"{link}/sign-in")
    assert page.status == 503
    assert "try again soon" in page.html
    idp.status, idp.published = 200, {"issuer": "https://evil.example"}
    assert (await person.get(f"{link}/sign-in")).status == 503
    idp.published = {"token_endpoint": "http://evil.example/token"}
    assert (await person.get(f"{link}/sign-in")).status == 503
    idp.published = {}
    assert (await person.get(f"{link}/sign-in")).form


async def test_a_scanner_that_signs_in_halfway_changes_nothing(here: Site, person: Person) -> None:
    number, link = await asked(here)
    for _ in range(3):
        begun = await person.get(f"{link}/sign-in", follow=False)
        assert begun.status == 303
        assert asked_of(begun.headers["Location"])["state"]
    assert (await person.get(f"{here.url}/review/signed-in")).status == 403
    assert (await person.get(f"{here.url}/review/nothing/sign-in")).status == 404
    assert (await here.review(number)).seats[0].version == 0


async def test_only_what_is_above_the_limit_needs_a_sign_in(pool: Pool, tmp_path: Path, idp: Provider) -> None:
    above = {"above": {"field": "data.amount_cents", "value": 5000}}
    async with site(pool, tmp_path, issuer=idp.url, rules={"sign_in": above}) as here, Person(here.url) as person:
        for ref, amount, needed in (
            ("1", "4999", False),
            ("2", "5000", False),
            ("3", "5001", True),
            ("4", "NaN", True),
        ):
            number = await here.open(await here.letter(f"{ref}", amount_cents=amount), ref=ref)
            page = await person.get(await here.link(number, ANNA))
            assert (page.form == {}) is needed, amount
        unknown = await here.open(await here.letter("no amount"), ref="5")
        assert (await person.get(await here.link(unknown, ANNA))).form == {}
