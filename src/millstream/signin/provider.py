"""A provider of OpenID Connect: what it publishes about itself, its keys, and a code for a token.

Discovery by https://openid.net/specs/openid-connect-discovery-1_0.html, keys by RFC 7517. Answers are bounded, and no
redirect is followed: where a secret goes is what the settings and the provider's own document say.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import jwt
import orjson

from millstream.signin.errors import BadIssuer, ProviderAway, SignInRefused

_PATIENCE = 8.0
_LARGEST = 256 * 1024
_SUCCESS = 200
_REFUSED = range(400, 500)
_BUSY = 429
_KEPT = 3600.0
"""Seconds that what a provider publishes is believed to be so."""
_GAP = 10.0
"""Seconds between two looks for a key that nobody knows: anybody can send tokens that name some."""
_FEWEST_BITS = 2048
_PLACES = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Document:
    """What a provider publishes."""

    issuer: str
    authorize: str
    token: str
    keys: str
    by_post: bool
    """The secret goes into the form, as the provider takes no Basic."""
    names_itself: bool
    """Its answers carry `iss` (RFC 9207)."""


class Provider:
    """One provider; its connections live until `close`."""

    def __init__(self, issuer: str) -> None:
        """`issuer`: as `https://accounts.google.com`.

        Raises:
            BadIssuer: it is no https address; plain http is for this machine alone.
        """
        self._issuer = issuer.rstrip("/")
        _checked_address(self._issuer, local=True)
        self._local = urlsplit(self._issuer).scheme == "http"
        self._session: aiohttp.ClientSession | None = None
        self._document: tuple[float, Document] | None = None
        self._keys: tuple[float, list[Mapping[str, Any]]] | None = None
        self._one = asyncio.Lock()

    async def document(self) -> Document:
        """What it publishes about itself.

        Raises:
            BadIssuer: it says that it is somebody else, or lacks what is needed.
            ProviderAway: it does not say.
        """
        async with self._one:
            if self._document is None or time.monotonic() > self._document[0] + _KEPT:
                told = await self._json("GET", f"{self._issuer}/.well-known/openid-configuration")
                self._document = (time.monotonic(), self._read(told))
            return self._document[1]

    async def key(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        """The key of this id for this algorithm. One that nobody knows is looked for once more.

        Raises:
            BadIssuer, ProviderAway: as `document`.
        """
        place = (await self.document()).keys
        async with self._one:
            found = self._found(key_id, algorithm)
            fetched = self._keys[0] if self._keys else None
            now = time.monotonic()
            stale = fetched is None or now > fetched + _KEPT
            if stale or (found is None and fetched is not None and now > fetched + _GAP):
                told = await self._json("GET", place)
                keys = told.get("keys")
                if not isinstance(keys, list):
                    raise ProviderAway(f"{place} holds no keys")
                self._keys = (time.monotonic(), [each for each in keys if isinstance(each, dict)])
                found = self._found(key_id, algorithm)
            return found

    async def token(self, form: Mapping[str, str], client: str, secret: str) -> Mapping[str, Any]:
        """What the provider gives for a code.

        Raises:
            SignInRefused: it does not take the code.
            BadIssuer, ProviderAway: as `document`.
        """
        document = await self.document()
        if document.by_post:
            return await self._json("POST", document.token, form={**form, "client_id": client, "client_secret": secret})
        # RFC 6749 §2.3.1: both are form-encoded before they become a user name and a password.
        pair = f"{quote(client, safe='')}:{quote(secret, safe='')}"
        headers = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        return await self._json("POST", document.token, form={**form}, headers=headers)

    async def close(self) -> None:
        """End all connections; a later call opens new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _read(self, told: Mapping[str, Any]) -> Document:
        said = told.get("issuer")
        if not isinstance(said, str) or said.rstrip("/") != self._issuer:
            raise BadIssuer(f"{self._issuer} says that it is {said!r}; review.oidc_issuer must be what it says")
        authorize, token, keys = (self._place(told, name) for name in _PLACES)
        methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        names_itself = told.get("authorization_response_iss_parameter_supported") is True
        return Document(said, authorize, token, keys, "client_secret_basic" not in methods, names_itself)

    def _place(self, told: Mapping[str, Any], name: str) -> str:
        place = told.get(name)
        if not isinstance(place, str):
            raise BadIssuer(f"{self._issuer} publishes no {name}")
        _checked_address(place, local=self._local)
        return place

    def _found(self, key_id: str | None, algorithm: str) -> jwt.PyJWK | None:
        fitting = []
        for each in self._keys[1] if self._keys else ():
            if each.get("use", "sig") != "sig" or each.get("alg", algorithm) != algorithm:
                continue
            if key_id is not None and each.get("kid") != key_id:
                continue
            if (key := _public(each, algorithm)) is not None:
                fitting.append(key)
        return fitting[0] if len(fitting) == 1 else None

    async def _json(
        self, verb: str, place: str, *, form: Mapping[str, str] | None = None, headers: Mapping[str, str] | None = None
    ) -> Mapping[str, Any]:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=_PATIENCE)
            self._session = aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
        sent = {"Accept": "application/json", **(headers or {})}
        try:
            async with self._session.request(verb, place, data=form, headers=sent, allow_redirects=False) as response:
                body = await response.content.read(_LARGEST + 1)
                while len(body) <= _LARGEST and (more := await response.content.read(_LARGEST)):
                    body += more
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ProviderAway(f"{place} does not answer: {error or type(error).__name__}") from error
        if form is not None and status in _REFUSED and status != _BUSY:
            raise SignInRefused("code", f"the provider does not take the code ({status})")
        if status != _SUCCESS or len(body) > _LARGEST:
            raise ProviderAway(f"{place} answers with {status} and {len(body):,} bytes")
        try:
            told = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ProviderAway(f"{place} answers with what is no JSON") from error
        if not isinstance(told, dict):
            raise ProviderAway(f"{place} answers with what is no object")
        return told


def _checked_address(address: str, *, local: bool) -> None:
    try:
        parts = urlsplit(address)
        here = local and parts.scheme == "http" and parts.hostname in _LOOPBACK
        good = (parts.scheme == "https" or here) and parts.hostname and not parts.fragment
    except ValueError:
        good = False
    if not good:
        raise BadIssuer(f"{address!r} is no https address; a provider of sign-ins needs one")


def _public(each: Mapping[str, Any], algorithm: str) -> jwt.PyJWK | None:
    kind = {"RS256": "RSA", "ES256": "EC"}[algorithm]
    if each.get("kty") != kind or (kind == "EC" and each.get("crv") != "P-256"):
        return None
    try:
        # Only the public part: a key that came with its private one is still read as a public key.
        public = {name: each[name] for name in ("kty", "n", "e", "crv", "x", "y") if name in each}
        key = jwt.PyJWK.from_dict(public, algorithm)
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if kind == "RSA" and key.key.key_size < _FEWEST_BITS:
        return None
    return key
