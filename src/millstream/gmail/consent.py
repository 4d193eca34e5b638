"""The browser consent flow that connects one mailbox: ``millstream mailbox connect``.

A loopback redirect (RFC 8252 §7.3) to a port of the system's choice, PKCE with S256 (RFC 7636) and a state
that is checked. "OAuth 2.0 for installed applications":
https://developers.google.com/identity/protocols/oauth2/native-app.
"""

import asyncio
import base64
import hashlib
import hmac
import html
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlencode

from aiohttp import web

from millstream.gmail.authorized_user import OAuthClient, RefreshTokens
from millstream.gmail.client import Gmail
from millstream.gmail.errors import Call, DelegationDenied, Forbidden, ScopeMissing, TimedOut, TokenDead
from millstream.gmail.model import Profile
from millstream.gmail.options import DRAFT_SCOPES, GmailOptions
from millstream.gmail.token_endpoint import TokenEndpoint
from millstream.gmail.tokens import StaticTokens

_CALL = "oauth2.consent"
_PATH = "/connected"
_PAGE = "<!doctype html><meta charset=utf-8><title>Millstream</title><p>{}</p>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """What is asked for: which mailbox, as which application, to do what, and how long we wait for a person."""

    mailbox: str
    client: OAuthClient
    scopes: tuple[str, ...] = DRAFT_SCOPES
    wait_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class _Secrets:
    """The state and the code verifier of one flow."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(64), repr=False)

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


async def connect_mailbox(
    consent: Consent, kept: RefreshTokens, options: GmailOptions, open_browser: Callable[[str], object]
) -> Profile:
    """Let a person consent in a browser, check whose mailbox it is, and keep its refresh token.

    ``open_browser`` is given the address to open and must not block. Nothing is kept unless Gmail itself says
    that the consent is one of the wanted mailbox.

    Raises:
        TimedOut: nobody answered in time.
        Forbidden, ScopeMissing: the person or a policy said no, or gave less than was asked.
        DelegationDenied: the person consented for another mailbox.
        GmailError: Google refused the code or could not be reached.
    """
    hidden = _Secrets()
    answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    runner = web.AppRunner(_loopback(consent, hidden, answered), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        redirect = f"http://127.0.0.1:{runner.addresses[0][1]}{_PATH}"
        open_browser(_address(consent, hidden, redirect, options))
        try:
            code = await asyncio.wait_for(answered, consent.wait_seconds)
        except TimeoutError:
            text = f"nobody consented in {consent.wait_seconds:.0f} seconds; run the command again"
            raise TimedOut(Call(_CALL, consent.mailbox), text=text) from None
    finally:
        await runner.cleanup()
    return await _exchange(consent, hidden, code, redirect, kept, options)


def _address(consent: Consent, hidden: _Secrets, redirect: str, options: GmailOptions) -> str:
    asked = {
        "client_id": consent.client.id,
        "redirect_uri": redirect,
        "response_type": "code",
        "scope": " ".join(consent.scopes),
        "state": hidden.state,
        "code_challenge": hidden.challenge,
        "code_challenge_method": "S256",
        "login_hint": consent.mailbox,
        # Without both, Google gives a refresh token at the first consent only.
        "access_type": "offline",
        "prompt": "consent",
    }
    return f"{options.auth_url}?{urlencode(asked)}"


def _loopback(consent: Consent, hidden: _Secrets, answered: asyncio.Future[str]) -> web.Application:
    """A server for the one redirect we wait for; anything without our state is turned away."""

    async def redirected(request: web.Request) -> web.Response:
        told = request.query
        if not hmac.compare_digest(told.get("state", "").encode(), hidden.state.encode()):
            return _page("This answer does not belong to a connection that is under way.", status=400)
        if answered.done():
            return _page("This answer was already used.", status=400)
        if "code" in told:
            answered.set_result(told["code"])
            return _page("Consent received. You may close this window; the terminal says how it went.")
        reason = told.get("error", "no code")
        answered.set_exception(Forbidden(Call(_CALL, consent.mailbox), reason=reason, text="consent was not given"))
        return _page(f"Consent was not given ({reason}). You may close this window.")

    app = web.Application()
    app.router.add_get(_PATH, redirected)
    return app


def _page(sentence: str, status: int = 200) -> web.Response:
    return web.Response(text=_PAGE.format(html.escape(sentence)), content_type="text/html", status=status)


async def _exchange(
    consent: Consent, hidden: _Secrets, code: str, redirect: str, kept: RefreshTokens, options: GmailOptions
) -> Profile:
    endpoint = TokenEndpoint(options)
    try:
        grant, document = await endpoint.grant(
            consent.mailbox,
            {
                "grant_type": "authorization_code",
                "code": code,
                "client_id": consent.client.id,
                "client_secret": consent.client.secret,
                "code_verifier": hidden.verifier,
                "redirect_uri": redirect,
            },
        )
    finally:
        await endpoint.close()
    refresh_token = document.get("refresh_token")
    if not isinstance(refresh_token, str) or not refresh_token:
        raise TokenDead(Call(_CALL, consent.mailbox), text="Google gave no refresh token")
    missing = set(consent.scopes) - set(str(document.get("scope", " ".join(consent.scopes))).split())
    if missing:
        text = f"consent was not given for {', '.join(sorted(missing))}; run the command again and tick every box"
        raise ScopeMissing(Call(_CALL, consent.mailbox), text=text)
    profile = await _whose(consent, grant.token, options)
    await asyncio.to_thread(kept.write, consent.mailbox, refresh_token)
    return profile


async def _whose(consent: Consent, token: str, options: GmailOptions) -> Profile:
    """The profile the token opens. Raises DelegationDenied when it is another's."""
    async with Gmail(options, StaticTokens(token)) as gmail:
        profile = await gmail.mailbox("me").profile()
    if profile.address.lower() != consent.mailbox.lower():
        text = f"the consent was given by {profile.address}; log in as {consent.mailbox} and run the command again"
        raise DelegationDenied(Call(_CALL, consent.mailbox), text=text)
    return profile
