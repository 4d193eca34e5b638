"""Google's token endpoint: assertions with delegation, refresh tokens, authorization codes."""

import base64
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from millstream.sandbox.gmail.errors import OAuthRefusal
from millstream.sandbox.gmail.keys import KEY_ID, Assertion, SigningKey
from millstream.sandbox.gmail.tokens import Tokens, short_scopes
from millstream.sandbox.gmail.world import World

JWT_BEARER: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SKEW_SECONDS: Final = 300
LONGEST_ASSERTION_SECONDS: Final = 3_600
MOST_REFRESH_TOKENS: Final = 100
"""Per mailbox and client; a further one drops the oldest silently (reference 3, Auth)."""

AUDIENCES: Final = frozenset(
    {
        "https://oauth2.googleapis.com/token",
        "https://www.googleapis.com/oauth2/v4/token",
        "https://accounts.google.com/o/oauth2/token",
    }
)
"""google-auth signs for the first whatever the token URL is (reference 9)."""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person allowed: a client, for a mailbox, with scopes; `challenge` is PKCE's."""

    mailbox: str
    client: str
    scopes: frozenset[str]
    redirect_uri: str
    challenge: str = ""
    challenge_method: str = ""


class OAuth:
    """The grants, and the memory of codes and refresh tokens."""

    def __init__(self, world: World, tokens: Tokens) -> None:
        self._world = world
        self._tokens = tokens
        self._codes: dict[str, Consent] = {}
        self._refresh: dict[str, Consent] = {}
        self.key = SigningKey()

    def clear(self) -> None:
        """Forget codes and refresh tokens; the signing key stays."""
        self._codes.clear()
        self._refresh.clear()

    def grant(self, form: Mapping[str, str], own_url: str) -> dict[str, Any]:
        """Answer a token request; raises `OAuthRefusal`. `own_url` is accepted as an assertion's audience."""
        kind = form.get("grant_type")
        if kind == JWT_BEARER:
            return self._by_assertion(form.get("assertion", ""), own_url)
        if kind == "refresh_token":
            return self._by_refresh_token(form)
        if kind == "authorization_code":
            return self._by_code(form)
        raise OAuthRefusal(400, "unsupported_grant_type", f"Invalid grant_type: {kind or ''}")

    def mailbox_of(self, form: Mapping[str, str]) -> str:
        """The mailbox a token request is about, for fault rules; empty if it cannot be told."""
        try:
            if form.get("grant_type") == JWT_BEARER:
                claims = Assertion.read(form.get("assertion", "")).claims
                return str(claims.get("sub") or claims.get("iss") or "").lower()
        except OAuthRefusal:
            return ""
        consent = self._refresh.get(form.get("refresh_token", "")) or self._codes.get(form.get("code", ""))
        return consent.mailbox if consent else ""

    def consent(self, consent: Consent) -> str:
        """Remember what a person allowed; gives the authorization code."""
        code = f"4/0{self._world.new_token()}"
        self._codes[code] = consent
        return code

    def revoke(self, token: str) -> bool:
        """Take an access or a refresh token back."""
        return self._tokens.revoke(token) or self._refresh.pop(token, None) is not None

    # Service accounts

    def _by_assertion(self, text: str, own_url: str) -> dict[str, Any]:
        assertion = Assertion.read(text)
        claims = assertion.claims
        issuer = str(claims.get("iss", ""))
        self._check_claims(claims, own_url)
        self._check_key(assertion, issuer)
        scopes = short_scopes(str(claims.get("scope", "")))
        subject = str(claims.get("sub") or "").lower()
        if subject and subject != issuer:
            self._check_delegation(issuer, scopes)
            self._check_mailbox(subject)
        return self._answer(subject or issuer, scopes, caller=issuer, is_delegated=bool(subject and subject != issuer))

    def _check_claims(self, claims: Mapping[str, Any], own_url: str) -> None:
        """Audience and times. The times are real: clients sign by their own clock, not by the sandbox's."""
        if claims.get("aud") not in AUDIENCES | {own_url}:
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: Audience is not accepted.")
        now = time.time()
        try:
            issued, expires = float(claims["iat"]), float(claims["exp"])
        except (KeyError, TypeError, ValueError):
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: iat and exp are required.") from None
        too_long = expires - issued > LONGEST_ASSERTION_SECONDS + SKEW_SECONDS
        if too_long or issued > now + SKEW_SECONDS or expires < now - SKEW_SECONDS:
            raise OAuthRefusal(
                400,
                "invalid_grant",
                "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check "
                "your iat and exp values in the JWT claim.",
            )

    def _check_key(self, assertion: Assertion, issuer: str) -> None:
        pem = self._world.config.service_account_keys.get(issuer)
        if pem is None and assertion.key_id == KEY_ID:
            pem = self.key.public_pem
        if pem is not None:
            assertion.verify(pem)
        elif not issuer or not self._world.config.trust_any_key:
            raise OAuthRefusal(400, "invalid_grant", "Invalid grant: account not found")

    def _check_delegation(self, issuer: str, scopes: frozenset[str]) -> None:
        delegation = self._world.config.delegation
        if delegation is None:
            return
        if not scopes or not scopes <= short_scopes(delegation.get(issuer, ())):
            raise OAuthRefusal(
                401,
                "unauthorized_client",
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for "
                "any of the scopes requested.",
            )

    def _check_mailbox(self, address: str) -> None:
        account = self._world.account(address)
        if account is None or not account.is_local:
            raise OAuthRefusal(400, "invalid_grant", "Invalid email or User ID")
        if account.condition.token_dead:
            raise OAuthRefusal(400, "invalid_grant", "Token has been expired or revoked.")

    # Persons

    def _by_refresh_token(self, form: Mapping[str, str]) -> dict[str, Any]:
        client = self._client(form)
        consent = self._refresh.get(form.get("refresh_token", ""))
        if consent is None or consent.client != client:
            raise OAuthRefusal(400, "invalid_grant", "Token has been expired or revoked.")
        self._check_mailbox(consent.mailbox)
        asked = short_scopes(form.get("scope", ""))
        if not asked <= consent.scopes:
            raise OAuthRefusal(400, "invalid_scope", "Some requested scopes were not granted.")
        return self._answer(consent.mailbox, asked or consent.scopes, caller=client)

    def _by_code(self, form: Mapping[str, str]) -> dict[str, Any]:
        client = self._client(form)
        consent = self._codes.pop(form.get("code", ""), None)
        if consent is None or consent.client != client:
            raise OAuthRefusal(400, "invalid_grant", "Bad Request")
        if consent.redirect_uri != form.get("redirect_uri"):
            raise OAuthRefusal(400, "redirect_uri_mismatch", "Bad Request")
        _check_verifier(consent, form.get("code_verifier", ""))
        answer = self._answer(consent.mailbox, consent.scopes, caller=client)
        return answer | {"refresh_token": self.remember(consent)}

    def remember(self, consent: Consent) -> str:
        """Give a refresh token for what a person allowed."""
        same = [
            token
            for token, known in self._refresh.items()
            if (known.mailbox, known.client) == (consent.mailbox, consent.client)
        ]
        if len(same) >= MOST_REFRESH_TOKENS:
            del self._refresh[same[0]]
        token = f"1//0{self._world.new_token()}"
        self._refresh[token] = consent
        return token

    def _client(self, form: Mapping[str, str]) -> str:
        client = form.get("client_id", "")
        known = self._world.config.oauth_clients
        if known and client not in known:
            raise OAuthRefusal(401, "invalid_client", "The OAuth client was not found.")
        if known and known[client] != form.get("client_secret"):
            raise OAuthRefusal(401, "invalid_client", "Unauthorized")
        return client

    def _answer(
        self, subject: str, scopes: frozenset[str], *, caller: str, is_delegated: bool = False
    ) -> dict[str, Any]:
        return {
            "access_token": self._tokens.give(subject, scopes, caller=caller, is_delegated=is_delegated),
            "expires_in": self._world.config.token_seconds - 1,
            "token_type": "Bearer",
        }


def _check_verifier(consent: Consent, verifier: str) -> None:
    if not consent.challenge:
        return
    made = verifier
    if consent.challenge_method == "S256":
        made = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    if made != consent.challenge:
        raise OAuthRefusal(400, "invalid_grant", "Invalid code verifier.")
