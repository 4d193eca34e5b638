"""What an ID token proves: https://openid.net/specs/openid-connect-core-1_0.html#IDTokenValidation, point by point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Any

import jwt

from millstream.signin.errors import SignInRefused
from millstream.signin.provider import Provider

_ALGORITHMS = frozenset({"RS256", "ES256"})
_LONGEST = 16_384
_SKEW = timedelta(seconds=30)
_GOOGLE = frozenset({"https://accounts.google.com", "accounts.google.com"})
"""Google's tokens may name it either way: https://developers.google.com/identity/openid-connect/openid-connect."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Person:
    """Who signed in."""

    subject: str
    """The provider's own name of the account: what stays when an address changes."""
    email: str
    issuer: str


async def read(token: object, provider: Provider, *, client: str, nonce: str, now: datetime) -> Person:
    """The person that an ID token is about.

    Raises:
        SignInRefused: it proves nothing; `check` says which point failed.
        BadIssuer, ProviderAway: the provider's keys cannot be had.
    """
    if not isinstance(token, str) or len(token) > _LONGEST:
        raise SignInRefused("form", "the provider gave no ID token")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise SignInRefused("form", "what the provider gave is no token") from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in _ALGORITHMS:
        raise SignInRefused("algorithm", "the token is signed with neither RS256 nor ES256")
    if key_id is not None and not isinstance(key_id, str):
        raise SignInRefused("key", "the token names a key that is no name")
    key = await provider.key(key_id, algorithm)
    if key is None:
        raise SignInRefused("key", "the provider has no such key")
    issuer = (await provider.document()).issuer
    return _checked(_claims(token, key, algorithm), issuer=issuer, client=client, nonce=nonce, now=now)


def _claims(token: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any]:
    names = ("verify_exp", "verify_iat", "verify_nbf", "verify_aud", "verify_iss", "verify_sub", "verify_jti")
    try:
        # The signature alone: each claim is checked here, by our clock, with a word of its own.
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[algorithm],
            options=dict.fromkeys(names, False),  # type: ignore[arg-type]  # all are options
        )
    except jwt.InvalidSignatureError:
        raise SignInRefused("signature", "the token's signature does not hold") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise SignInRefused("form", "what the provider gave is no token") from None
    return claims


def _checked(claims: Mapping[str, Any], *, issuer: str, client: str, nonce: str, now: datetime) -> Person:
    said = claims.get("iss")
    if said != issuer and not {said, issuer} <= _GOOGLE:
        raise SignInRefused("issuer", "another provider made the token")
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp")
    if client not in meant or (party is not None and party != client) or (len(meant) > 1 and party is None):
        raise SignInRefused("audience", "the token is meant for somebody else")
    if now.timestamp() >= _number(claims, "exp") + _SKEW.total_seconds():
        raise SignInRefused("expiry", "the token has expired")
    if now.timestamp() < _number(claims, "iat") - _SKEW.total_seconds():
        raise SignInRefused("issue time", "the token was made in the future; check this machine's clock")
    shown = claims.get("nonce")
    if not isinstance(shown, str) or not compare_digest(shown.encode("utf-8", "surrogatepass"), nonce.encode()):
        raise SignInRefused("nonce", "the token was made for another sign-in")
    subject, email = claims.get("sub"), claims.get("email")
    if not isinstance(subject, str) or not subject:
        raise SignInRefused("subject", "the token names nobody")
    if not isinstance(email, str) or "@" not in email:
        raise SignInRefused("email", "the token carries no e-mail address; let the provider send it (scope email)")
    if claims.get("email_verified") is not True:
        raise SignInRefused("email_verified", "the provider has not verified the e-mail address")
    return Person(subject, email.lower(), issuer)


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise SignInRefused(name, f"the token has no {name}")
    return float(value)
