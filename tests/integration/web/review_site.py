"""A site with answer pages over a desk and a database of its own, its people, and a provider that signs them in."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlencode, urlsplit

import aiohttp
import jwt
import typst
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from millstream.composer.apart import PdfReader
from millstream.review.desk import ReviewDesk
from millstream.review.links import Links
from millstream.review.model import (
    Answered,
    Content,
    Decision,
    Happening,
    How,
    Paper,
    Review,
    Subject,
    SubjectKind,
    Verdict,
)
from millstream.review.page_desk import LedgerPages
from millstream.review.pages import Pages
from millstream.review.people import People
from millstream.review.policy import Policy, PolicyBook, PolicyFile
from millstream.review.ports import Applied
from millstream.signin import SignIn, SignInOptions
from millstream.storage.objects import DocumentStore, open_store
from millstream.storage.pool import Connection, Pool, transaction
from millstream.web import LOOPBACK, AmpDoor, build, serve
from millstream.web.pictures import Pictures
from millstream.web.review import ReviewDoor, VerifyClick

ANNA, BEN, CARL, LEGAL = "anna@bank.example", "ben@bank.example", "carl@bank.example", "legal@bank.example"
SECRET = b"a secret that signs links, of 32 bytes or more"
CLIENT, CLIENT_SECRET = "reviews", "mill-pond-7"


@cache
def pdf(*pages: str) -> bytes:
    """A PDF with these pages."""
    made: bytes = typst.compile(
        b"#set page(width: 10cm, height: 14cm)\n" + "\n#pagebreak()\n".join(pages).encode(), format="pdf"
    )
    return made


def book(**policy: Any) -> PolicyBook:
    """Three approvers of whom two must agree, unless these tables say otherwise."""
    wanted = {
        "concerns": "communication",
        "stages": [{"ask": ["approvers"], "need": "2 of 3"}],
        "time": {"deadline": "8h"},
        "people": {"may_overrule": ["legal"], "may_reassign": ["legal"]},
        **policy,
    }
    people = {
        "anna": {"address": ANNA, "name": "Anna Ample", "locale": "en", "aliases": ["a.ample@bank.example"]},
        "ben": {"address": BEN, "name": "Ben Braun", "locale": "de-DE"},
        "carl": {"address": CARL},
    }
    groups = {"approvers": ["anna", "ben", "carl"], "legal": [LEGAL]}
    file = PolicyFile.model_validate({"people": people, "groups": groups, "policy": {"letters": wanted}})
    policies = {name: each.model_copy(update={"name": name}) for name, each in file.policy.items()}
    return PolicyBook(file.people, file.groups, file.calendars, file.delegations, policies)


@dataclass
class Site:
    """Answer pages on the loopback."""

    pool: Pool
    desk: ReviewDesk
    documents: DocumentStore
    links: Links
    url: str = ""
    decisions: list[tuple[int | None, Decision]] = field(default_factory=list)
    sent: int = 0

    async def open(self, content: Content, *, ref: str = "1", name: str = "Letter of October") -> int:
        async with transaction(self.pool) as conn:
            subject = Subject(SubjectKind.COMMUNICATION, ref, name=name)
            number = await self.desk.open(conn, "letters", subject, content, origin="test")
        assert number is not None
        await self.send()
        return number

    async def letter(self, *pages: str, **facts: str) -> Content:
        """Content with one PDF."""
        content = pdf(*(pages or ("Dear customer, your rate is 2.5 %.",)))
        stored = await self.documents.put(content)
        paper = Paper("letter.pdf", "application/pdf", len(content), stored.sha256)
        told = {"customer": "C-1", "type": "letter", **facts}
        return Content(hashlib.sha256(content).hexdigest(), (paper,), told)

    async def send(self) -> None:
        """What the lanes do: each mail of the outbox gets its delivery's token."""
        async with transaction(self.pool) as conn:
            rows = await (await conn.execute("SELECT id FROM review_mail WHERE token IS NULL ORDER BY id")).fetchall()
            for row in rows:
                self.sent += 1
                token = hashlib.sha256(b"%d" % self.sent).hexdigest()[:20]
                values = (token, row["id"])
                await conn.execute("UPDATE review_mail SET token = %s, due_at = NULL WHERE id = %s", values)

    async def link(self, number: int, address: str, *, kind: str = "ask") -> str:
        """The newest link that somebody was sent."""
        async with transaction(self.pool) as conn:
            found = await conn.execute(
                "SELECT m.token FROM review_mail m JOIN review_mail_case c ON c.mail_id = m.id "
                "WHERE c.review_id = %s AND m.address = %s AND m.kind = %s ORDER BY m.id DESC LIMIT 1",
                (number, address, kind),
            )
            row = await found.fetchone()
        assert row is not None
        return f"{self.url}/review/{self.links.of(row['token'])}"

    async def apply(self, number: int, happening: Happening) -> Applied:
        async with transaction(self.pool) as conn:
            applied = await self.desk.apply(conn, number, happening)
        await self.send()
        return applied

    async def says(self, number: int, address: str, verdict: Verdict = Verdict.APPROVE, text: str = "") -> Applied:
        """Somebody answers by another way."""
        review = await self.review(number)
        how = How.MAIL
        return await self.apply(number, Answered(address, verdict, text, how, review.round, review.content.hash))

    async def review(self, number: int) -> Review:
        async with transaction(self.pool) as conn:
            return await self.desk.find(conn, number)

    async def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        async with transaction(self.pool) as conn:
            return await (await conn.execute(sql, values)).fetchall()


@contextlib.asynccontextmanager
async def site(
    pool: Pool,
    folder: Path,
    *,
    issuer: str = "",
    clicks: VerifyClick | None = None,
    patience: float = 10.0,
    amp: AmpDoor | None = None,
    **policy: Any,
) -> AsyncIterator[Site]:
    """Open a site whose policy `letters` has these tables, and that looks so many seconds at a document."""
    made = book(**policy)
    documents = open_store(f"file://{folder}/documents")

    async def finish(conn: Connection, review: Review, decision: Decision, policy: Policy) -> None:
        here.decisions.append((review.id, decision))

    async def begun(conn: Connection, review: Review) -> bool:
        return False

    desk = ReviewDesk(made, People(made), finish=finish, begun=begun)
    here = Site(pool, desk, documents, Links(SECRET))
    port = free_port()
    here.url = f"http://{LOOPBACK}:{port}"
    sign_in = None
    if issuer:
        back = f"{here.url}/review/signed-in"
        sign_in = SignIn(SignInOptions(issuer, CLIENT, CLIENT_SECRET, back, SECRET))
    pages, pictures = Pages(LedgerPages(pool, desk, documents), here.links), Pictures(PdfReader(patience))
    door = ReviewDoor(pages, here.url, sign_in, clicks, pictures, amp=amp)

    async def reachable() -> bool:
        return True

    stopping, listening = asyncio.Event(), asyncio.Event()
    app = build(reachable=reachable, review=door)
    server = asyncio.create_task(serve(app, LOOPBACK, port, stopping, announce=lambda _: listening.set()))
    await listening.wait()
    try:
        yield here
    finally:
        stopping.set()
        await server
        if sign_in is not None:
            await sign_in.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


@dataclass
class Page:
    """An answer to a person."""

    status: int
    html: str
    headers: Any

    @property
    def form(self) -> dict[str, str]:
        """The hidden fields of its form."""
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', self.html))


class Person:
    """A browser without a screen: cookies, and the headers that browsers send."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def get(self, url: str, *, verb: str = "GET", follow: bool = True, **headers: str) -> Page:
        async with self.session.request(verb, url, allow_redirects=follow, headers=headers) as response:
            return Page(response.status, await response.text(errors="replace"), response.headers)

    async def post(self, url: str, fields: Any, *, follow: bool = False, headers: dict[str, str] | None = None) -> Page:
        sent = {"Origin": self.origin, "Sec-Fetch-Site": "same-origin"} | (headers or {})
        sent = {name: value for name, value in sent.items() if value}
        async with self.session.post(url, data=fields, headers=sent, allow_redirects=follow) as response:
            if response.status == 413:  # the rest of what was sent meets a closed door
                return Page(response.status, "", response.headers)
            return Page(response.status, await response.text(), response.headers)

    async def answers(self, link: str, verdict: str, text: str = "", *, follow: bool = False) -> Page:
        """Open a link, and send its form."""
        page = await self.get(link)
        return await self.post(link, {**page.form, "verdict": verdict, "text": text}, follow=follow)


@dataclass
class Provider:
    """A provider of sign-ins that can be told to lie."""

    url: str = ""
    email: str = ANNA
    keys: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    claims: dict[str, Any] = field(default_factory=dict)
    """What its tokens say otherwise; None leaves out."""
    header: dict[str, Any] = field(default_factory=dict)
    signs_with: Any = None
    published: dict[str, Any] = field(default_factory=dict)
    begun: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[dict[str, str]] = field(default_factory=list)
    sends: dict[str, str] = field(default_factory=dict)
    """What it adds to the way back."""
    status: int = 200
    looked_for_keys: int = 0

    def __post_init__(self) -> None:
        self.keys = {"r1": rsa.generate_private_key(65537, 2048), "e1": ec.generate_private_key(ec.SECP256R1())}

    async def document(self, _request: web.Request) -> web.Response:
        told = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            **self.published,
        }
        return web.json_response(told, status=self.status)

    async def authorize(self, request: web.Request) -> web.Response:
        """Everybody who comes is who they are said to be."""
        asked = dict(request.query)
        self.asked.append(asked)
        code = f"code-{len(self.begun)}"
        self.begun[code] = asked
        back = {"code": code, "state": asked["state"], **self.sends}
        raise web.HTTPFound(f"{asked['redirect_uri']}?{urlencode(back)}")

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        begun = self.begun.pop(form.get("code", ""), None)
        basic = request.headers.get("Authorization", "")
        pair = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        known = basic == f"Basic {pair}" or form.get("client_secret") == CLIENT_SECRET
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if begun is None or not known or begun["code_challenge"] != challenge.decode().rstrip("="):
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self.made(begun["nonce"]), "access_token": "a", "token_type": "Bearer"})

    def made(self, nonce: str) -> str:
        now = int(time.time())
        told = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": "s-1",
            "email": self.email,
            "email_verified": True,
            "nonce": nonce,
        }
        claims = {**told, "iat": now, "exp": now + 300, **self.claims}
        claims = {name: value for name, value in claims.items() if value is not None}
        name = {"RS256": "r1", "ES256": "e1"}.get(self.algorithm, "r1")
        header = {"kid": name, **self.header}
        header = {each: value for each, value in header.items() if value is not None}
        key = self.signs_with or (None if self.algorithm == "none" else self.keys[name])
        return jwt.encode(claims, key, algorithm=self.algorithm, headers=header)

    async def published_keys(self, _request: web.Request) -> web.Response:
        self.looked_for_keys += 1
        kinds = {"RSA": jwt.algorithms.RSAAlgorithm, "EC": jwt.algorithms.ECAlgorithm}
        keys = []
        for name, key in self.keys.items():
            kind = "RSA" if isinstance(key, rsa.RSAPrivateKey) else "EC"
            keys.append({**json.loads(kinds[kind].to_jwk(key.public_key())), "kid": name, "use": "sig"})
        return web.json_response({"keys": keys})


@contextlib.asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """A provider on the loopback."""
    one = Provider()
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", one.document)
    app.router.add_get("/authorize", one.authorize)
    app.router.add_post("/token", one.token)
    app.router.add_get("/keys", one.published_keys)
    async with TestServer(app) as server:
        one.url = str(server.make_url("")).rstrip("/")
        yield one


def asked_of(location: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
