"""The sandbox's own signing key, and RS256 for the tokens signed with it or with anybody's."""

import base64
import binascii
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

import orjson
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_pem_x509_certificate
from cryptography.x509.oid import NameOID

from millstream.sandbox.gmail.errors import OAuthRefusal

KEY_ID: Final = "sandbox-key-1"
GOOGLE_KEY_ID: Final = "sandbox-google-1"
"""The key of the sandbox's Google, which signs what Pub/Sub pushes; no file gives it away."""


class SigningKey:
    """An RSA key made when first needed; one stands for every service account of the sandbox, one for Google."""

    def __init__(self, key_id: str = KEY_ID) -> None:
        self.key_id = key_id

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @cached_property
    def private_pem(self) -> str:
        """The key as a service account file holds it."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    @cached_property
    def public_pem(self) -> str:
        """The key as the verifier needs it."""
        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode()
        )

    @cached_property
    def certificate_pem(self) -> str:
        """A certificate of the key by itself, as `/oauth2/v1/certs` gives it."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.system.gserviceaccount.com")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=365))
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def jwk(self) -> dict[str, str]:
        """The public key as a JSON Web Key (RFC 7517), as `/oauth2/v3/certs` gives it."""
        numbers = self._key.public_key().public_numbers()
        return {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self.key_id,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }

    def sign(self, claims: bytes) -> str:
        """A JWT over these claims (a JSON document as bytes)."""
        head = orjson.dumps({"alg": "RS256", "kid": self.key_id, "typ": "JWT"})
        signed = b".".join((_encode(head), _encode(claims)))
        return b".".join((signed, _encode(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())))).decode()


@dataclass(frozen=True, slots=True)
class Assertion:
    """A JWT taken apart; nothing is verified yet."""

    claims: dict[str, Any]
    key_id: str
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, text: str) -> "Assertion":
        """Take a JWT apart; raises `OAuthRefusal` in the token endpoint's words."""
        try:
            head, claims, signature = text.encode("ascii").split(b".")
            header = orjson.loads(_decode(head))
            document = orjson.loads(_decode(claims))
            raw_signature = _decode(signature)
        except (ValueError, binascii.Error):
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: Failed to parse.") from None
        if not isinstance(header, dict) or not isinstance(document, dict) or header.get("alg") != "RS256":
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: RS256 is required.")
        return cls(document, str(header.get("kid", "")), head + b"." + claims, raw_signature)

    def verify(self, pem: str) -> None:
        """Check the signature against a public key or certificate; raises `OAuthRefusal`."""
        try:
            _public_key(pem).verify(self.signature, self.signed, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise OAuthRefusal(400, "invalid_grant", "Invalid JWT Signature.") from None


def _public_key(pem: str) -> rsa.RSAPublicKey:
    certificate = "BEGIN CERTIFICATE" in pem
    content = pem.encode()
    key: object = (
        load_pem_x509_certificate(content).public_key() if certificate else serialization.load_pem_public_key(content)
    )
    if not isinstance(key, rsa.RSAPublicKey):
        raise OAuthRefusal(400, "invalid_grant", "Invalid JWT: the registered key is no RSA key.")
    return key


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode()


def _encode(content: bytes) -> bytes:
    return base64.urlsafe_b64encode(content).rstrip(b"=")


def _decode(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), b"-_", validate=True)
