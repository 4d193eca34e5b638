"""Tokens of pushes, signed with keys that a Google of our own publishes. Each is refused for its own reason."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from millstream.gmail import Expected, GoogleKeys, PushTokens, errors

AUDIENCE = "https://hooks.bank.example/push/gmail"
ACCOUNT = "pusher@bank.iam.gserviceaccount.com"
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


def certificate(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=7))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class Signer:
    """A key of Google's, or of somebody who would like to be."""

    kid: str = "k1"
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))

    def token(self, claims: dict | None = None, headers: dict | None = None, without: str = "", **changes) -> str:
        told = {
            "iss": "https://accounts.google.com",
            "aud": AUDIENCE,
            "email": ACCOUNT,
            "email_verified": True,
            "iat": int(NOW.timestamp()) - 60,
            "exp": int(NOW.timestamp()) + 3540,
            "sub": "1234567890",
        }
        told = {**told, **(claims or {}), **changes}
        told.pop(without, None)
        # The signature alone: the library would not put odd claims into a token.
        payload = json.dumps(told).encode()
        return jwt.api_jws.encode(payload, self.key, algorithm="RS256", headers={"kid": self.kid, **(headers or {})})


@pytest.fixture(scope="session")
def signer() -> Signer:
    return Signer()


@pytest.fixture(scope="session")
def stranger() -> Signer:
    return Signer()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def tokens(google, signer, clock) -> AsyncIterator[PushTokens]:
    certs = certificate(signer.key)
    google.usual = lambda _asked: web.json_response({"k1": certs}, headers={"Cache-Control": "public, max-age=3600"})
    keys = GoogleKeys(google.options(certs_url=f"{google.url}/oauth2/v1/certs"), clock=clock)
    verifier = PushTokens(Expected(AUDIENCE, ACCOUNT), keys, clock=clock)
    yield verifier
    await verifier.close()


async def refused(tokens: PushTokens, header: str | None) -> errors.PushRefused:
    with pytest.raises(errors.PushRefused) as caught:
        await tokens.verify(header)
    return caught.value


@pytest.mark.parametrize("issuer", ["accounts.google.com", "https://accounts.google.com"])
async def test_a_token_of_googles_for_us_is_taken(google, tokens, signer, issuer) -> None:
    await tokens.verify(f"Bearer {signer.token(iss=issuer)}")
    await tokens.verify(f"bearer  {signer.token(iss=issuer)} ")
    assert [asked.path for asked in google.asked] == ["/oauth2/v1/certs"]


SECOND = timedelta(seconds=1)
REFUSED = [
    ({"iss": "https://accounts.google.example"}, "issuer", False),
    ({"without": "iss"}, "issuer", False),
    ({"iss": ["accounts.google.com"]}, "issuer", False),
    ({"sub": 7}, "form", False),
    ({"aud": "https://hooks.other.example/push/gmail"}, "audience", True),
    ({"aud": [AUDIENCE]}, "audience", True),
    ({"without": "aud"}, "audience", True),
    ({"email": "pusher@other.iam.gserviceaccount.com"}, "email", True),
    ({"email": "\ud800"}, "email", True),
    ({"without": "email"}, "email", True),
    ({"email_verified": False}, "email_verified", True),
    ({"email_verified": "true"}, "email_verified", True),
    ({"without": "email_verified"}, "email_verified", True),
    ({"exp": int(NOW.timestamp()) - 11}, "expiry", False),
    ({"without": "exp"}, "exp", False),
    ({"exp": "tomorrow"}, "exp", False),
    ({"exp": 10**30}, "exp", False),
    ({"exp": True}, "exp", False),
    ({"iat": int(NOW.timestamp()) + 11}, "issue time", False),
    ({"without": "iat"}, "iat", False),
]


@pytest.mark.parametrize(("changes", "check", "forbidden"), REFUSED)
async def test_each_wrong_claim_is_refused_for_its_own_reason(tokens, signer, changes, check, forbidden) -> None:
    token = signer.token(**changes)
    error = await refused(tokens, f"Bearer {token}")
    assert error.check == check
    assert isinstance(error, errors.PushForbidden) is forbidden
    assert not any(part in f"{error!r} {error}" for part in token.split("."))


@pytest.mark.parametrize("changes", [{"exp": int(NOW.timestamp()) - 5}, {"iat": int(NOW.timestamp()) + 5}])
async def test_clocks_may_differ_by_seconds(tokens, signer, changes) -> None:
    await tokens.verify(f"Bearer {signer.token(**changes)}")


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "token", "Bearer " + "a" * 9000]
)
async def test_a_header_without_a_bearer_token_is_refused(google, tokens, header) -> None:
    assert (await refused(tokens, header)).check == "header"
    assert google.asked == []


@pytest.mark.parametrize("token", ["x", "a.b", "a.b.c", "..", "é.é.é", "e30.e30.e30", "bnVsbA.e30.x", "W10.W10.W10"])
async def test_what_is_no_token_is_refused(google, tokens, token) -> None:
    assert (await refused(tokens, f"Bearer {token}")).check in ("form", "algorithm")
    assert google.asked == []


def _part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


async def test_an_unsigned_token_is_refused(tokens, signer) -> None:
    _, payload, _ = signer.token().split(".")
    for algorithm in ("none", "None", "NONE", "nOnE"):
        header = _part({"alg": algorithm, "kid": "k1"})
        assert (await refused(tokens, f"Bearer {header}.{payload}.")).check == "algorithm"


async def test_a_token_signed_with_the_public_key_as_a_password_is_refused(tokens, signer) -> None:
    """The old confusion of algorithms: HS256 with what everybody can read."""
    _, payload, _ = signer.token().split(".")
    signed = f"{_part({'alg': 'HS256', 'kid': 'k1'})}.{payload}"
    mac = hmac.new(certificate(signer.key).encode(), signed.encode(), hashlib.sha256).digest()
    forged = f"{signed}.{base64.urlsafe_b64encode(mac).decode().rstrip('=')}"
    assert (await refused(tokens, f"Bearer {forged}")).check == "algorithm"


async def test_other_algorithms_of_the_same_key_are_refused(tokens, signer) -> None:
    token = jwt.encode({"aud": AUDIENCE}, signer.key, algorithm="RS512", headers={"kid": "k1"})
    assert (await refused(tokens, f"Bearer {token}")).check == "algorithm"


async def test_a_stranger_who_uses_googles_key_id_is_refused(tokens, stranger) -> None:
    assert (await refused(tokens, f"Bearer {stranger.token()}")).check == "signature"


async def test_changed_claims_break_the_signature(tokens, signer) -> None:
    header, _, signature = signer.token(email="other@bank.example").split(".")
    _, payload, _ = signer.token().split(".")
    assert (await refused(tokens, f"Bearer {header}.{payload}.{signature}")).check == "signature"


async def test_a_token_that_names_no_key_is_refused(google, tokens, signer) -> None:
    token = jwt.encode({"aud": AUDIENCE}, signer.key, algorithm="RS256")
    assert (await refused(tokens, f"Bearer {token}")).check == "key"
    assert google.asked == []


async def test_a_key_in_the_tokens_own_header_is_not_believed(tokens, stranger) -> None:
    public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(stranger.key.public_key()))
    token = stranger.token(headers={"jwk": public, "jku": "https://evil.example/keys"})
    assert (await refused(tokens, f"Bearer {token}")).check == "signature"


async def test_keys_are_fetched_once_and_again_when_they_are_old(google, tokens, signer, clock) -> None:
    header = f"Bearer {signer.token(exp=int(NOW.timestamp()) + 90_000)}"
    await asyncio.gather(*(tokens.verify(header) for _ in range(20)))
    clock.now += timedelta(seconds=3599)
    await tokens.verify(header)
    assert len(google.asked) == 1
    clock.now += timedelta(seconds=2)
    await tokens.verify(header)
    assert len(google.asked) == 2


async def test_an_unknown_key_is_asked_for_at_most_once_a_minute(google, tokens, signer, stranger, clock) -> None:
    await tokens.verify(f"Bearer {signer.token()}")
    unknown = f"Bearer {stranger.token(headers={'kid': 'k2'})}"
    clock.now += timedelta(seconds=59)
    assert (await refused(tokens, unknown)).check == "key"
    assert len(google.asked) == 1
    clock.now += timedelta(seconds=2)
    for error in await asyncio.gather(*(refused(tokens, unknown) for _ in range(10))):
        assert error.check == "key"
    assert len(google.asked) == 2
    clock.now += timedelta(minutes=2)
    both = {"k1": certificate(signer.key), "k2": certificate(stranger.key)}
    google.usual = lambda _asked: web.json_response(both)
    await tokens.verify(unknown)


@pytest.mark.parametrize("answer", [
    lambda _asked: web.Response(status=503),
    lambda _asked: web.Response(status=404),
    lambda _asked: web.Response(text="<html>"),
    lambda _asked: web.json_response([]),
    lambda _asked: web.json_response({}),
    lambda _asked: web.json_response({"k1": "no certificate"}),
    lambda _asked: web.json_response({"k1": 7}),
])  # fmt: skip
async def test_without_googles_keys_nothing_is_known_about_a_token(google, tokens, signer, clock, answer) -> None:
    good, google.usual = google.usual, answer
    for _ in range(3):
        with pytest.raises(errors.GmailError):
            await tokens.verify(f"Bearer {signer.token()}")
    assert len(google.asked) == 1
    google.usual = good
    clock.now += timedelta(seconds=6)
    await tokens.verify(f"Bearer {signer.token()}")


async def test_keys_of_other_kinds_and_weak_ones_are_not_taken(google, tokens, signer) -> None:
    weak = Signer(key=rsa.generate_private_key(65537, 1024))  # noqa: S505  that it is weak is the point
    listed = {
        "curve": certificate(ec.generate_private_key(ec.SECP256R1())),
        "weak": certificate(weak.key),
        "k1": certificate(signer.key),
    }
    google.usual = lambda _asked: web.json_response(listed)
    await tokens.verify(f"Bearer {signer.token()}")
    assert (await refused(tokens, f"Bearer {signer.token(headers={'kid': 'curve'})}")).check == "key"
    assert (await refused(tokens, f"Bearer {signer.token(headers={'kid': 'weak'})}")).check == "key"


@pytest.mark.parametrize("expected", [Expected("", ACCOUNT), Expected(AUDIENCE, "")])
async def test_a_verifier_that_expects_nothing_is_not_made(google, expected) -> None:
    with pytest.raises(ValueError, match="neither may be empty"):
        PushTokens(expected, GoogleKeys(google.options()))
