"""The token of a push: proof that it was Google's Pub/Sub that knocked.

Anybody can post to a public address, and the body of a push is not signed; the OIDC token in its header is
(https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions, read 2026-09). It may be up to an hour old.

PyJWT reads it, as it takes a list of algorithms and has an exception for each check; ``google.auth.jwt`` takes every
algorithm it knows, says all in one exception, and puts a malformed token into its words.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hmac import compare_digest
from typing import Any

import jwt
import orjson
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from yarl import URL

from millstream.gmail import translate
from millstream.gmail.answer import read_answer
from millstream.gmail.errors import Call, GmailError, PushForbidden, PushRefused
from millstream.gmail.options import GmailOptions
from millstream.gmail.transport import Transport, utc_now

_ALGORITHM = "RS256"
ISSUERS = ("accounts.google.com", "https://accounts.google.com")
SKEW = timedelta(seconds=10)
_LONGEST = 8192
_PATIENCE = 5.0
_SUCCESS = 200
_MAX_AGE = re.compile(r"(?:^|[\s,])max-age=\"?(\d{1,9})", re.IGNORECASE)
_USUAL_AGE = timedelta(hours=1)
_LONGEST_AGE = timedelta(days=1)
_GAP = timedelta(minutes=1)
_FAILED_GAP = timedelta(seconds=5)
_FEWEST_BITS = 2048

Keys = Mapping[str, RSAPublicKey]
Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a push's token must say: the audience set at the subscription, and the account that signs for it."""

    audience: str
    service_account: str


class GoogleKeys:
    """Google's public keys: kept as long as they say, fetched by one for all, and again for a key nobody knows."""

    def __init__(self, options: GmailOptions, *, clock: Clock = utc_now) -> None:
        self._url = URL(options.certs_url)
        # A push is waited for ten seconds by default, so it must be answered before that.
        self._transport = Transport(replace(options, call_seconds=min(options.call_seconds, _PATIENCE)))
        self._clock = clock
        self._keys: Keys = {}
        self._good_until: datetime | None = None
        self._asked_at: datetime | None = None
        self._failure: GmailError | None = None
        self._fetching = asyncio.Lock()

    async def key(self, key_id: str) -> RSAPublicKey | None:
        """The key of this id, or None if Google has none. Raises a GmailError when Google cannot be asked."""
        if not self._must_ask(key_id):
            return self._keys.get(key_id)
        async with self._fetching:
            if self._must_ask(key_id):  # another may have asked meanwhile
                await self._ask()
        return self._keys.get(key_id)

    async def close(self) -> None:
        """End all connections."""
        await self._transport.close()

    def _must_ask(self, key_id: str) -> bool:
        now = self._clock()
        if self._good_until is None or now >= self._good_until:
            if self._failure is not None and self._asked_at is not None and now < self._asked_at + _FAILED_GAP:
                raise self._failure.with_traceback(None)
            return True
        return key_id not in self._keys and (self._asked_at is None or now >= self._asked_at + _GAP)

    async def _ask(self) -> None:
        self._asked_at = self._clock()
        try:
            keys, age = await self._fetched()
        except GmailError as exc:
            self._failure = exc
            raise
        self._keys, self._failure = keys, None
        self._good_until = self._clock() + age

    async def _fetched(self) -> tuple[Keys, timedelta]:
        call = Call("oauth2.certs", "pushes")
        reply = await self._transport.exchange(call, "GET", self._url, headers={"Accept": "application/json"})
        if reply.status != _SUCCESS:
            now = utc_now()
            raise translate.refusal(call, read_answer(reply.status, reply.headers, reply.body, now), now)
        try:
            found = {str(name): _public(pem) for name, pem in orjson.loads(reply.body).items()}
            keys = {name: key for name, key in found.items() if key is not None}
            if not keys:
                raise ValueError("no RSA key")  # noqa: TRY301  as unreadable as no JSON
        except (AttributeError, TypeError, ValueError) as exc:
            raise translate.unreadable(call, reply.status, reply.body, exc) from exc
        told = _MAX_AGE.search(reply.headers.get("Cache-Control", ""))
        age = timedelta(seconds=int(told.group(1))) if told else _USUAL_AGE
        return keys, min(max(age, _GAP), _LONGEST_AGE)


class PushTokens:
    """Says of each push whether Google's Pub/Sub sent it, to us, for our subscription."""

    def __init__(self, expected: Expected, keys: GoogleKeys, *, clock: Clock = utc_now) -> None:
        if not expected.audience or not expected.service_account:
            # An empty one would be equal to what a forger leaves out.
            raise ValueError("pushes are verified against an audience and a service account; neither may be empty")
        self._expected = expected
        self._keys = keys
        self._clock = clock

    async def verify(self, authorization_header: str | None) -> None:
        """Check the token of a push's ``Authorization`` header.

        Raises:
            PushRefused: it proves nothing (to be answered with 401).
            PushForbidden: it is Google's, for others (403).
            GmailError: Google's keys cannot be had now, so that nothing is known about it (503).
        """
        token = bearer(authorization_header)
        key = await self._keys.key(named_key(token))
        if key is None:
            raise PushRefused("key", "Google has no key of this id")
        self._check(signed_claims(token, key))

    async def close(self) -> None:
        """End all connections."""
        await self._keys.close()

    def _check(self, claims: Mapping[str, Any]) -> None:
        now = self._clock()
        if now >= moment(claims, "exp") + SKEW:
            raise PushRefused("expiry", "it has expired")
        if now < moment(claims, "iat") - SKEW:
            raise PushRefused("issue time", "it was issued in the future; check this machine's clock")
        if claims.get("iss") not in ISSUERS:
            raise PushRefused("issuer", "it was not issued by accounts.google.com")
        if not same(claims.get("aud"), self._expected.audience):
            raise PushForbidden("audience", "it is meant for another receiver; compare the subscription's audience")
        if not same(claims.get("email"), self._expected.service_account):
            raise PushForbidden("email", "another account signs it; compare the subscription's service account")
        if claims.get("email_verified") is not True:
            raise PushForbidden("email_verified", "its account is not verified")


def bearer(header: str | None) -> str:
    """The token in the header (RFC 6750 §2.1)."""
    if not header:
        raise PushRefused("header", "there is no Authorization header")
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise PushRefused("header", "it is no bearer token")
    if len(token) > _LONGEST:
        raise PushRefused("header", "it is too long")
    return token


def named_key(token: str) -> str:
    """The key that a token names; it is signed with the one algorithm that is taken."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise PushRefused("form", "it is no JSON web token") from None
    if header.get("alg") != _ALGORITHM:
        raise PushRefused("algorithm", f"it is not signed with {_ALGORITHM}")
    key_id = header.get("kid")
    if not isinstance(key_id, str) or not key_id:
        raise PushRefused("key", "it names no key")
    return key_id


def signed_claims(token: str, key: RSAPublicKey) -> Mapping[str, Any]:
    """The claims, once the signature holds; what they say is checked by us, one by one, by our clock."""
    try:
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[_ALGORITHM],
            options={
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
                "verify_aud": False,
                "verify_iss": False,
            },
        )
    except jwt.InvalidSignatureError:
        raise PushRefused("signature", "the signature does not hold") from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise PushRefused("form", "it is no JSON web token") from None
    return claims


def moment(claims: Mapping[str, Any], name: str) -> datetime:
    """A claim that is a time."""
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise PushRefused(name, f"it has no {name}")
    try:
        return datetime.fromtimestamp(value, tz=UTC)
    except (ValueError, OverflowError, OSError):
        raise PushRefused(name, f"its {name} is no time") from None


def same(value: object, expected: str) -> bool:
    """Whether a claim says this; in a time that tells nothing."""
    return isinstance(value, str) and compare_digest(value.encode("utf-8", "surrogatepass"), expected.encode())


def _public(pem: str) -> RSAPublicKey | None:
    """The key of a certificate; None for a kind that nobody asked for yet, or one that is too short.

    The certificate's dates are not asked: Google's list is the statement that it is in use.
    """
    key = x509.load_pem_x509_certificate(pem.encode()).public_key()
    return key if isinstance(key, RSAPublicKey) and key.key_size >= _FEWEST_BITS else None
