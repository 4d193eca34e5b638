"""Access tokens from OpenText Directory Services (OTDS): kept until shortly before their end, fetched once for all.

Grants, addresses and ways to write the request: OpenText's SDK sample and Postman collection for its Communications
cloud, and the OTDS documentation (read 2026-11-24). A token lives for 15 minutes unless the answer says otherwise.
"""

from __future__ import annotations

import asyncio
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, Protocol
from urllib.parse import quote, urlencode

import orjson

from millstream.exstream import translate
from millstream.exstream.answer import read_answer
from millstream.exstream.errors import Call, ExstreamError, NoCredentials, TokenAway, TokenRefused
from millstream.exstream.options import ExstreamOptions
from millstream.exstream.transport import Transport, utc_now

Credential = Literal["orchestration", "design"]
"""For which service a token is; an installation may want another account for each."""

TOKEN_URLS: Mapping[str, str] = MappingProxyType(
    {
        "public_cloud": "https://{region}.api.opentext.com/tenants/{tenant}/oauth2/token",
        "ot2": "{otds_url}/otdstenant/{tenant}/oauth2/token",
        "local": "{otds_url}/otdsws/otdstenant/{tenant}/oauth2/token",
        "classic": "{otds_url}/otdsws/oauth2/token",
        "tenant_first": "{otds_url}/otdstenant/{tenant}/otdsws/oauth2/token",
        "url": "{url}",
    }
)
"""How the address of the token service is built, by layout."""

_CALL = Call("oauth2.token")
_SUCCESS = 200
_LIFETIME = 900.0
_USABLE = 5.0
_PAUSE = 15.0


class TokenSource(Protocol):
    """Where the client gets its tokens from."""

    async def token(self, who: Credential) -> str:
        """A valid access token for this service. Raises TokenRefused or TokenAway."""

    def invalidate(self, who: Credential, token: str) -> None:
        """Forget a token that Exstream refused; a newer one stays."""

    async def close(self) -> None:
        """End connections and fetches under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OtdsOptions:
    """How one account asks OTDS for tokens."""

    url: str
    grant: Literal["client_credentials", "password"] = "client_credentials"
    body: Literal["form", "json"] = "form"
    client_auth: Literal["body", "basic"] = "body"
    client_id: str = "Exstream"
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ()
    early_seconds: float = 60.0


def token_url(
    layout: str, *, otds_url: str | None = None, region: str = "us", tenant: str = "", url: str | None = None
) -> str:
    """The address of the token service.

    Raises:
        NoCredentials: the layout is not known, or a part that it needs is not given.
    """
    pattern = TOKEN_URLS.get(layout)
    if pattern is None:
        raise NoCredentials(_CALL, text=f"the layout {layout!r} is none of {', '.join(TOKEN_URLS)}")
    parts = {
        "otds_url": (otds_url or "").rstrip("/"),
        "region": quote(region, safe=""),
        "tenant": quote(tenant, safe=""),
        "url": url or "",
    }
    lacking = [name for name, value in parts.items() if not value and f"{{{name}}}" in pattern]
    if lacking:
        raise NoCredentials(_CALL, text=f"the layout {layout} needs exstream_tokens.{lacking[0]}")
    return pattern.format(**parts)


class StaticTokens:
    """One token that never changes. For trials and tests."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, who: Credential) -> str:
        """The given token. Raises NoCredentials where it is empty."""
        if not self._token:
            raise NoCredentials(_CALL, text=f"there is no token for {who}: exstream_tokens.static_token is not set")
        return self._token

    def invalidate(self, who: Credential, token: str) -> None:
        """Nothing can be fetched in its place."""

    async def close(self) -> None:
        """Nothing is open."""


class DividedTokens:
    """Another source for each service."""

    def __init__(self, *, orchestration: TokenSource, design: TokenSource) -> None:
        self._sources: dict[Credential, TokenSource] = {"orchestration": orchestration, "design": design}

    async def token(self, who: Credential) -> str:
        """A token of the source for this service."""
        return await self._sources[who].token(who)

    def invalidate(self, who: Credential, token: str) -> None:
        """Forget it in that source alone."""
        self._sources[who].invalidate(who, token)

    async def close(self) -> None:
        """End both."""
        for source in self._sources.values():
            await source.close()


@dataclass(slots=True)
class _Held:
    token: str = field(repr=False)
    renew_at: float
    expires_at: float


class OtdsTokens:
    """Tokens of one account, for both services.

    A renewal is one flight, whoever waits for it. One that fails for now leaves the old token in use while it is valid.
    """

    def __init__(
        self, otds: OtdsOptions, options: ExstreamOptions, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._otds = otds
        self._transport = Transport(options)
        self._clock = clock
        self._held: _Held | None = None
        self._flight: asyncio.Task[str] | None = None

    async def token(self, who: Credential) -> str:  # noqa: ARG002  this account serves both
        """A valid access token. Raises TokenRefused or TokenAway."""
        held = self._held
        if held is not None and self._clock() < held.renew_at:
            return held.token
        try:
            # One caller giving up must not take the token from the others.
            return await asyncio.shield(self._renewal())
        except ExstreamError as exc:
            held, now = self._held, self._clock()
            if not exc.temporary or held is None or now + _USABLE > held.expires_at:
                raise
            held.renew_at = now + _PAUSE
            return held.token

    def invalidate(self, who: Credential, token: str) -> None:  # noqa: ARG002  this account serves both
        """Forget a token that Exstream refused; a newer one than that stays."""
        if self._held is not None and self._held.token == token:
            self._held = None

    async def close(self) -> None:
        """Stop a fetch under way and end all connections."""
        if self._flight is not None:
            self._flight.cancel()
            await asyncio.gather(self._flight, return_exceptions=True)
        await self._transport.close()

    def _renewal(self) -> asyncio.Task[str]:
        if self._flight is None:
            self._flight = asyncio.create_task(self._renew(), name="token of Exstream")
            self._flight.add_done_callback(self._landed)
        return self._flight

    def _landed(self, flight: asyncio.Task[str]) -> None:
        self._flight = None
        if not flight.cancelled():
            flight.exception()  # seen, even when every caller has gone

    async def _renew(self) -> str:
        token, seconds = await self._fetch()
        now = self._clock()
        self._held = _Held(
            token=token, renew_at=now + seconds - min(self._otds.early_seconds, seconds / 2), expires_at=now + seconds
        )
        return token

    async def _fetch(self) -> tuple[str, float]:
        headers, body = request(self._otds)
        try:
            reply = await self._transport.exchange(_CALL, "POST", self._otds.url, headers=headers, body=body)
        except ExstreamError as exc:
            raise translate.token_broken(_CALL, exc, at=self._otds.url) from exc
        if reply.status != _SUCCESS:
            answer = read_answer(reply.status, reply.headers, reply.body, utc_now())
            raise translate.token_refusal(_CALL, answer, at=self._otds.url, hint=_hint(self._otds))
        return _read_grant(reply.body)


def _hint(otds: OtdsOptions) -> str:
    """What a refusal is likely about, as far as the settings show it."""
    if otds.grant == "client_credentials" and otds.client_secret is None:
        return f"no secret is set for the client {otds.client_id}"
    return ""


def request(otds: OtdsOptions) -> tuple[dict[str, str], bytes]:
    """Headers and body of a request for a token."""
    fields: dict[str, str] = {"grant_type": otds.grant}
    headers = {"Accept": "application/json"}
    if otds.grant == "password":
        fields |= {"username": otds.username or "", "password": otds.password or ""}
    scopes = otds.scopes
    if otds.client_auth == "basic":
        # Not percent-encoded before it is packed, other than RFC 6749 has it: OpenText's own calls do not either.
        pair = f"{otds.client_id}:{otds.client_secret or ''}"
        headers["Authorization"] = f"Basic {b64encode(pair.encode()).decode()}"
        if otds.grant == "password":
            scopes = scopes or ("openid",)
            fields["response_type"] = "id_token"
    else:
        fields["client_id"] = otds.client_id
        if otds.client_secret is not None:
            fields["client_secret"] = otds.client_secret
    if scopes:
        fields["scope"] = " ".join(scopes)
    if otds.body == "json":
        return headers | {"Content-Type": "application/json"}, orjson.dumps(fields)
    return headers | {"Content-Type": "application/x-www-form-urlencoded"}, urlencode(fields).encode()


def _read_grant(body: bytes | bytearray) -> tuple[str, float]:
    """The token and its seconds. The document itself never gets into an error: it holds secrets."""
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        # A page of something on the way, which may be gone the next time.
        raise TokenAway(_CALL, status=_SUCCESS, text="the answer is no JSON; is the address right?") from None
    token = document.get("access_token") if isinstance(document, dict) else None
    if not isinstance(token, str) or not token.isprintable() or not token.isascii() or " " in token or not token:
        raise TokenRefused(_CALL, status=_SUCCESS, text="the answer holds no access_token that can be used")
    try:
        seconds = float(document.get("expires_in") or _LIFETIME)
    except (TypeError, ValueError, OverflowError):
        seconds = _LIFETIME
    return token, seconds if 0 < seconds < float("inf") else _LIFETIME
