"""One click in Gmail: taken from Gmail alone, for our domain, where the policy offers it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from review_site import ANNA, BEN, Person, Site, site

from millstream.gmail.click_token import ClickTokens
from millstream.gmail.options import GmailOptions
from millstream.gmail.push_token import GoogleKeys
from millstream.review.model import State, Verdict
from millstream.storage.pool import Pool

KEY, OTHER = (rsa.generate_private_key(65537, 2048) for _ in range(2))
GMAIL = "gmail@system.gserviceaccount.com"


def certificate() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, KEY.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
    return made.sign(KEY, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def token(key: rsa.RSAPrivateKey = KEY, **changes: Any) -> str:
    now = int(time.time())
    told = {"iss": "https://accounts.google.com", "aud": "https://bank.example", "azp": GMAIL, "sub": "1"}
    claims = {**told, "iat": now, "exp": now + 300, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k1"})


@pytest.fixture
async def clicks() -> AsyncIterator[ClickTokens]:
    async def certs(_: web.Request) -> web.Response:
        return web.json_response({"k1": certificate()})

    app = web.Application()
    app.router.add_get("/certs", certs)
    async with TestServer(app) as server:
        one = ClickTokens(["Bank.example"], GoogleKeys(GmailOptions(certs_url=str(server.make_url("/certs")))))
        yield one
        await one.close()


@pytest.fixture
async def here(pool: Pool, tmp_path: Path, clicks: ClickTokens) -> AsyncIterator[Site]:
    async with site(pool, tmp_path, clicks=clicks.verify, rules={"one_click": True}) as one:
        yield one


@pytest.fixture
async def gmail(here: Site) -> AsyncIterator[Person]:
    """Gmail's servers: no cookies, no origin."""
    async with Person(here.url) as one:
        yield one


async def clicked(gmail: Person, link: str, sent: str) -> int:
    headers = {"Origin": "", "Sec-Fetch-Site": "", "Authorization": sent, "User-Agent": "Gmail Actions"}
    return (await gmail.post(f"{link}/one-click", {"confirmed": "Approved"}, headers=headers)).status


async def test_a_click_approves_once(here: Site, gmail: Person) -> None:
    number = await here.open(await here.letter())
    link = await here.link(number, ANNA)
    assert await clicked(gmail, link, f"Bearer {token()}") == 200
    assert await clicked(gmail, link, f"Bearer {token()}") == 409
    [answer] = await here.rows("SELECT address, verdict, how, evidence FROM review_answer WHERE counted")
    assert (answer["address"], answer["verdict"], answer["how"]) == (ANNA, Verdict.APPROVE, "one_click")
    assert answer["evidence"]["party"] == GMAIL


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "Bearer",
        "Bearer x.y.z",
        "Basic YTpi",
        f"Bearer {token(OTHER)}",
        f"Bearer {token(azp='others@system.gserviceaccount.com')}",
        f"Bearer {token(azp=None, email=GMAIL)}",
        f"Bearer {token(aud='https://evil.example')}",
        f"Bearer {token(aud=['https://bank.example'])}",
        f"Bearer {token(iss='https://evil.example')}",
        f"Bearer {token(exp=1)}",
        f"Bearer {token(exp=None)}",
        f"Bearer {token(iat=int(time.time()) + 3600)}",
    ],
    ids=range(13),
)
async def test_a_click_that_is_not_gmails_for_us_is_refused(here: Site, gmail: Person, sent: str) -> None:
    number = await here.open(await here.letter())
    assert await clicked(gmail, await here.link(number, ANNA), sent) == 401
    assert await here.rows("SELECT 1 FROM review_answer") == []


async def test_looking_at_the_address_of_a_click_does_nothing(here: Site, gmail: Person) -> None:
    number = await here.open(await here.letter())
    link = await here.link(number, ANNA)
    for verb in ("GET", "HEAD", "PUT"):
        page = await gmail.get(f"{link}/one-click", verb=verb, Authorization=f"Bearer {token()}")
        assert page.status in {404, 405}
    assert await clicked(gmail, f"{here.url}/review/nothing", f"Bearer {token()}") == 404
    assert (await here.review(number)).state is State.OPEN


@pytest.mark.parametrize("rules", [{}, {"one_click": True, "sign_in": True}])
async def test_a_click_is_not_taken_where_the_policy_offers_none(
    pool: Pool, tmp_path: Path, clicks: ClickTokens, rules: dict[str, bool]
) -> None:
    async with site(pool, tmp_path, clicks=clicks.verify, rules=rules) as here, Person(here.url) as gmail:
        number = await here.open(await here.letter())
        assert await clicked(gmail, await here.link(number, BEN), f"Bearer {token()}") == 404
        assert await here.rows("SELECT 1 FROM review_answer") == []


async def test_without_clicks_there_is_no_such_address(pool: Pool, tmp_path: Path) -> None:
    async with site(pool, tmp_path) as here, Person(here.url) as gmail:
        number = await here.open(await here.letter())
        assert await clicked(gmail, await here.link(number, ANNA), f"Bearer {token()}") in {404, 405}
